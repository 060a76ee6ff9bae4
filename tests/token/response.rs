//! The token response: scopes and lifetimes.

use std::time::Duration;

use oauth2_proto::{Response, TokenResponse, error::ErrorKind, server::Leniency, token::TokenType};

use crate::responses::json;
use crate::support::{REDIRECT_URI, client, client_of, entropy, now, server, token_call};

#[test]
fn rfc6749_section_5_1_scopes_are_data() {
    let call = token_call(&client());
    for (scope, granted, missing, extra) in [
        ("", vec!["export:read", "export:write"], vec![], vec![]),
        (r#","scope":"export:write export:read""#, vec!["export:write", "export:read"], vec![], vec![]),
        (r#","scope":"export:read""#, vec!["export:read"], vec!["export:write"], vec![]),
        (
            r#","scope":"admin export:read export:write""#,
            vec!["admin", "export:read", "export:write"],
            vec![],
            vec!["admin"],
        ),
        (r#","scope":"""#, vec![], vec!["export:read", "export:write"], vec![]),
    ] {
        let body = format!(r#"{{"access_token":"fake","token_type":"Bearer"{scope}}}"#);
        let tokens = call.read(json(&body)).unwrap();
        assert_eq!(tokens.granted_scopes().collect::<Vec<_>>(), granted);
        assert_eq!(tokens.missing_scopes().collect::<Vec<_>>(), missing);
        assert_eq!(tokens.extra_scopes().collect::<Vec<_>>(), extra);
    }
}

#[test]
fn missing_scopes_are_hard_to_overlook() {
    let call = token_call(&client());
    let read = |scope: &str| {
        let body = format!(r#"{{"access_token":"fake-secret","token_type":"Bearer","scope":"{scope}"}}"#);
        call.read(json(&body)).unwrap()
    };
    let tokens = read("export:read admin");
    assert!(format!("{tokens:?}").contains(r#"missing_scopes: ["export:write"]"#), "{tokens:?}");
    let missing = tokens.require_scopes().unwrap_err();
    assert_eq!(missing.to_string(), r#"the server did not grant the scopes "export:write""#);
    assert!(!format!("{missing:?}").contains("fake-secret"), "{missing:?}");
    assert_eq!(missing.into_tokens().access_token().expose(), "fake-secret");

    let tokens = read("export:read export:write");
    assert!(format!("{tokens:?}").contains("missing_scopes: []"), "{tokens:?}");
    assert_eq!(tokens.require_scopes().unwrap().access_token().expose(), "fake-secret");
}

#[test]
fn scopes_that_are_asked_for_with_commas_are_compared_one_by_one() {
    for (tolerant, said, granted, missing, extra) in [
        (true, r#","scope":"b,a""#, vec!["b", "a"], vec![], vec![]),
        (true, r#","scope":"a c""#, vec!["a", "c"], vec!["b"], vec!["c"]),
        (true, "", vec!["a", "b"], vec![], vec![]),
        (false, r#","scope":"a,b""#, vec!["a,b"], vec![], vec![]),
        (false, r#","scope":"a b""#, vec!["a", "b"], vec!["a,b"], vec!["a", "b"]),
    ] {
        let server = if tolerant { server().tolerate(Leniency::ScopeComma) } else { server() };
        let client = client_of(server);
        let request = client.authorize(REDIRECT_URI).scopes(["a,b"]);
        let (_, mut pending) = request.start_with(entropy(), now()).unwrap();
        let callback = format!("code=fake-code&state={}", pending.state());
        let call = pending.receive(&client, callback.as_str(), now()).unwrap();
        let body = format!(r#"{{"access_token":"fake","token_type":"Bearer"{said}}}"#);
        let tokens = call.read(json(&body)).unwrap();
        assert_eq!(tokens.granted_scopes().collect::<Vec<_>>(), granted, "{said}");
        assert_eq!(tokens.missing_scopes().collect::<Vec<_>>(), missing, "{said}");
        assert_eq!(tokens.extra_scopes().collect::<Vec<_>>(), extra, "{said}");
    }
}

#[test]
fn a_token_response_for_tests_is_read_like_one_from_the_server() {
    let body = r#"{"access_token":"fake","token_type":"Bearer","scope":"a b","expires_in":0}"#;
    let tokens = TokenResponse::for_test(&client(), body).unwrap();
    assert_eq!(tokens.granted_scopes().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(tokens.expires_in(), Some(Duration::ZERO));
    let lenient = client_of(server().tolerate(Leniency::ZeroMeansNeverExpires));
    assert_eq!(TokenResponse::for_test(&lenient, body).unwrap().expires_in(), None);

    for (body, kind) in [
        (r#"{"access_token":"fake"}"#, ErrorKind::Invalid),
        (r#"{"access_token":"fa\nke","token_type":"Bearer"}"#, ErrorKind::Invalid),
        (r#"{"error":"invalid_grant"}"#, ErrorKind::Refused),
        ("fake", ErrorKind::Invalid),
    ] {
        let error = TokenResponse::for_test(&client(), body).unwrap_err();
        assert_eq!((error.kind(), error.status()), (kind, Some(200)), "{body}");
    }
}

#[test]
fn a_negative_lifetime_is_refused_unless_the_server_is_known_to_mean_never() {
    let lenient = client_of(server().tolerate(Leniency::NegativeMeansNeverExpires));
    for (number, taken) in [
        ("-1", true),
        ("-9223372036854775808", true),
        ("-99999999999999999999", true),
        ("\"-1\"", true),
        ("\"-99999999999999999999\"", true),
        ("\"-0\"", false),
        ("\"-\"", false),
        ("\"--1\"", false),
        ("\"-x\"", false),
        ("[-1]", false),
    ] {
        let body = format!(r#"{{"access_token":"fake","token_type":"Bearer","expires_in":{number}}}"#);
        let error = token_call(&client()).read(json(&body)).unwrap_err().to_string();
        assert_eq!(error.contains("Leniency::NegativeMeansNeverExpires"), taken, "{error}");
        let tokens = token_call(&lenient).read(json(&body));
        assert_eq!(tokens.is_ok(), taken, "{number}");
        assert!(tokens.is_err() || tokens.is_ok_and(|tokens| tokens.expires_in().is_none()), "{number}");
    }
    let body = r#"{"access_token":"fake","token_type":"Bearer","expires_in":0}"#;
    assert_eq!(token_call(&lenient).read(json(body)).unwrap().expires_in(), Some(Duration::ZERO));
}

#[test]
fn a_response_tells_its_status() {
    let response = Response::new(503, [("retry-after", "1")], b"");
    assert_eq!((response.status(), response.into_owned().status()), (503, 503));
}

#[test]
fn an_empty_token_type_is_a_missing_one() {
    let lenient = client_of(server().tolerate(Leniency::MissingTokenType));
    for body in [r#"{"access_token":"fake","token_type":""}"#, r#"{"access_token":"fake","token_type":null}"#]
    {
        let error = token_call(&client()).read(json(body)).unwrap_err().to_string();
        assert!(error.contains("Leniency::MissingTokenType"), "{error}");
        assert_eq!(token_call(&lenient).read(json(body)).unwrap().token_type(), &TokenType::Bearer);
    }
}

#[test]
fn a_form_is_read_under_any_label_of_text_unless_it_is_a_document() {
    let lenient = client_of(server().tolerate(Leniency::FormEncoded));
    let form = "access_token=fake&token_type=Bearer";
    for (label, body, taken) in [
        ("text/html", form.to_owned(), true),
        ("Text/HTML; charset=utf-8", form.to_owned(), true),
        ("text/plain", form.to_owned(), true),
        ("application/x-www-form-urlencoded", form.to_owned(), true),
        ("application/octet-stream", form.to_owned(), false),
        ("textual/html", form.to_owned(), false),
        ("text/html", format!("<p>&{form}&"), false),
        ("text/html", format!("\u{feff} [&{form}&"), false),
    ] {
        let read = |client| {
            token_call(client).read(Response::new(200, [("content-type", label)], body.as_bytes())).is_ok()
        };
        assert_eq!(read(&lenient), taken, "{label} {body}");
        assert!(!read(&client()), "{label} {body}");
    }
}

#[test]
fn an_empty_error_code_is_none() {
    let call = token_call(&client());
    let body = r#"{"access_token":"fake","token_type":"Bearer","error":"","error_description":""}"#;
    assert!(call.read(json(body)).is_ok());
    for nothing in ["false", "0", "[]", "{}", "null"] {
        assert!(call.read(json(&body.replace(r#""error":"""#, &format!(r#""error":{nothing}"#)))).is_ok());
    }
    for something in ["true", "1", "[0]", r#"{"code":1}"#] {
        assert!(call.read(json(&body.replace(r#""error":"""#, &format!(r#""error":{something}"#)))).is_err());
    }
    let error = call.read(Response::new(400, [("a", "b")], body.as_bytes())).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, None));
    assert!(error.to_string().contains("no OAuth error"), "{error}");
}

#[test]
fn zero_seconds_is_zero_unless_the_server_is_known_to_mean_never() {
    let body = r#"{"access_token":"fake","token_type":"Bearer","expires_in":0}"#;
    let strict = token_call(&client()).read(json(body)).unwrap();
    assert_eq!(strict.expires_in(), Some(Duration::ZERO));
    let lenient = client_of(server().tolerate(Leniency::ZeroMeansNeverExpires));
    assert_eq!(token_call(&lenient).read(json(body)).unwrap().expires_in(), None);
}

#[test]
fn a_lifetime_or_a_delay_without_end_is_cut_to_68_years() {
    let longest = Duration::from_secs((1 << 31) - 1);
    let call = token_call(&client());
    for number in ["2147483648", "18446744073709551615", "1e300", "\"99999999999999999999\""] {
        let body = format!(r#"{{"access_token":"fake","token_type":"Bearer","expires_in":{number}}}"#);
        assert_eq!(call.read(json(&body)).unwrap().expires_in(), Some(longest), "{number}");
    }
    let body = br#"{"error":"slow_down","interval":18446744073709551615}"#;
    for retry_after in ["2147483648", "99999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        let error = call.read(Response::new(503, [("retry-after", retry_after)], body)).unwrap_err();
        assert_eq!((error.retry_after(now()), error.interval()), (Some(longest), Some(longest)));
    }
}
