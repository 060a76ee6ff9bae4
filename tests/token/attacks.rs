//! One test for each known attack by the answer of a token endpoint, or of a false one, named after it.

use oauth2_proto::{Advice, Client, ClientAuth, Response, error::ErrorKind, server::Leniency};

use crate::responses::json;
use crate::support::{client, client_of, now, server, start, token_call};

/// A line break in a text of the server would forge a line of a log.
#[test]
fn log_injection_by_server_text() {
    let client = client();
    let (_, mut pending) = start(&client);
    let callback =
        format!("error=x%0d%0a2030-01-01+ok&error_description=%1b%5b2J%e2%80%ae&state={}", pending.state());
    let from_callback = pending.receive(&client, callback.as_str(), now()).unwrap_err();
    let body = "{\"error\":\"x\\r\\ny\",\"error_description\":\"\\u001b[2J\\u202e\"}";
    let from_token = token_call(&client).read(json(body)).unwrap_err();
    for shown in
        [from_callback.to_string(), from_token.to_string(), format!("{from_token:?}{from_callback:?}")]
    {
        assert!(!shown.contains(['\r', '\n', '\u{1b}', '\u{202e}']), "{shown:?}");
    }
    // `Debug` of the tokens holds texts of the server, too.
    let body =
        "{\"access_token\":\"fake\",\"token_type\":\"Bearer\",\"scope\":\"\\r\\n\\u001b\",\"\\u202e\\n\":1}";
    let shown = format!("{:?}", token_call(&client).read(json(body)).unwrap());
    assert!(!shown.contains(['\r', '\n', '\u{1b}', '\u{202e}']), "{shown:?}");
}

/// A megabyte of text would fill the log.
#[test]
fn log_flooding_by_server_text() {
    let long = "\u{1}".repeat(50_000);
    let body = serde_json::json!({ "error": long, "error_description": long, "error_uri": long }).to_string();
    let error = token_call(&client()).read(json(&body)).unwrap_err();
    assert_eq!(error.description(), Some(long.as_str()), "the program has all of it");
    let many: serde_json::Map<_, _> = (0..20_000).map(|number| (number.to_string(), 1.into())).collect();
    let mut body = serde_json::json!({
        "access_token": "fake", "token_type": "Bearer", "scope": long, "\u{1}".repeat(50_000): 1,
    });
    body.as_object_mut().unwrap().extend(many);
    let tokens = token_call(&client()).read(json(&body.to_string())).unwrap();
    for shown in [error.to_string(), format!("{error:?}"), format!("{tokens:?}")] {
        assert!(shown.len() < 6_000 && shown.contains(['…', '.']), "{}", shown.len());
    }
}

/// A token type goes into the same header, where any type is tolerated.
#[test]
fn header_injection_by_a_token_type() {
    let call = token_call(&client_of(server().tolerate(Leniency::AnyTokenType)));
    for character in ["\\r\\n", "\\u0000", "\\u007f", "\\u0085"] {
        let body = format!(r#"{{"access_token":"fake","token_type":"mac{character}X-Injected: 1"}}"#);
        let error = call.read(json(&body)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{body}");
        assert!(error.to_string().contains("control characters"), "{error}");
    }
}

/// A line break in a token would become a header of the next API request.
#[test]
fn header_injection_by_tokens() {
    let call = token_call(&client());
    for body in [
        r#"{"token_type":"Bearer","access_token":"faCHARACTERke"}"#,
        r#"{"access_token":"fake","token_type":"Bearer","refresh_token":"faCHARACTERke"}"#,
    ] {
        for character in ["\\r\\n", "\\u0000", "\\u007f", "\\u0085"] {
            let body = body.replace("CHARACTER", character);
            let error = call.read(json(&body)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{body}");
            assert!(error.to_string().contains("control characters"), "{error}");
        }
    }
}

/// A line break in a credential would become a header of the token request.
#[test]
fn header_injection_by_credentials() {
    let hostile = "fake\r\nX-Injected: 1";
    for auth in [ClientAuth::basic(hostile), ClientAuth::basic_unencoded(hostile), ClientAuth::post(hostile)]
    {
        let error = Client::new(server(), "fake-client", auth).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse, "{error}");
    }
    let error = Client::new(server(), hostile, ClientAuth::none()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse, "{error}");
}

/// A body that is meant to fill the memory or the stack.
#[test]
fn oversized_and_deep_bodies() {
    let call = token_call(&client());
    let valid = r#"{"access_token":"fake","token_type":"Bearer"}"#;
    let padded = |length: usize| format!("{}{valid}", " ".repeat(length - valid.len()));
    assert!(call.read(json(&padded(1 << 20))).is_ok());
    for body in [
        padded((1 << 20) + 1),
        "[".repeat(1 << 19),
        "{\"a\":".repeat(100_000),
        format!("{{\"access_token\":{}1{}}}", "[".repeat(1000), "]".repeat(1000)),
    ] {
        assert_eq!(call.read(json(&body)).unwrap_err().kind(), ErrorKind::Invalid);
    }
}

/// The reader decompresses nothing, so a decompression bomb stays small.
#[test]
fn decompression_is_left_to_the_caller() {
    let gzip_header = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03";
    let response = Response::new(200, [("content-encoding", "gzip")], gzip_header);
    assert_eq!(token_call(&client()).read(response).unwrap_err().kind(), ErrorKind::Invalid);
}

/// RFC 9110 §15.4: a redirect, by 307 or 308 above all, would carry the client's credentials along (RFC
/// 9700 §4.12 describes this for the user's).
#[test]
fn redirected_token_request() {
    let call = token_call(&client());
    assert!(!call.request().follow_redirects());
    for status in [301, 302, 303, 307, 308] {
        let body = br#"{"access_token":"fake","token_type":"Bearer"}"#;
        let response = Response::new(status, [("location", "https://evil.example/token")], body);
        assert_eq!(call.read(response).unwrap_err().kind(), ErrorKind::Invalid, "{status}");
        // A redirect does not sign the user out either.
        let response = Response::new(status, [("location", "/")], br#"{"error":"invalid_grant"}"#);
        assert_eq!(call.read(response).unwrap_err().kind(), ErrorKind::Invalid, "{status}");
    }
}

/// rust-sdk#963: a failing proxy says `invalid_grant`, and the user would be signed out for nothing.
#[test]
fn sign_out_by_a_failing_server() {
    let call = token_call(&client());
    for status in [429, 500, 502, 503, 504] {
        let headers: [(&str, &str); 0] = [];
        let error = call.read(Response::new(status, headers, br#"{"error":"invalid_grant"}"#)).unwrap_err();
        assert_eq!(error.advice(), Advice::RetryLater, "{status}");
    }
}

/// Found by fuzzing: where form-encoded responses are tolerated, part of a JSON document is not read as one.
#[test]
fn token_hidden_inside_another_document() {
    let call = token_call(&client_of(server().tolerate(Leniency::FormEncoded)));
    let hidden = "&access_token=fake-inner&token_type=bearer&";
    let read = |body: &str| call.read(Response::new(200, [("content-type", "text/plain")], body.as_bytes()));
    for mark in ["", "\u{feff}"] {
        let object =
            format!(r#"{mark} {{"x":"{hidden}","access_token":"fake-outer","token_type":"Bearer"}}"#);
        assert_eq!(read(&object).unwrap().access_token().expose(), "fake-outer");
        for document in
            [format!("{mark}[\"{hidden}\"]"), format!("{mark}\"{hidden}\""), format!("{mark}<p>{hidden}</p>")]
        {
            assert_eq!(read(&document).unwrap_err().kind(), ErrorKind::Invalid, "{document}");
        }
    }
    assert_eq!(read(hidden).unwrap().access_token().expose(), "fake-inner");
}
