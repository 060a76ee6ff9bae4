//! The reading rules that all endpoints share, by the example of an introspection.

use oauth2_proto::error::ErrorKind;
use oauth2_proto::{Advice, Response, Secret};
use std::time::SystemTime;

use crate::{client, introspection};

/// The error of a success with this body.
#[track_caller]
fn refused(body: &[u8]) -> String {
    let error = introspection().read(Response::new(200, [("a", "b")], body)).unwrap_err();
    assert_eq!((error.kind(), error.advice(), error.status()), (ErrorKind::Invalid, Advice::Stop, Some(200)));
    error.to_string()
}

#[track_caller]
fn is_active(body: &[u8]) -> bool {
    introspection().read(Response::new(200, [("a", "b")], body)).unwrap().is_active()
}

#[test]
fn one_byte_order_mark_is_skipped_whatever_the_content_type() {
    assert!(is_active(b"\xef\xbb\xbf{\"active\":true}"));
    assert!(is_active(b"\xef\xbb\xbf \r\n\t{\"active\":true} \n"));
    refused(b"\xef\xbb\xbf\xef\xbb\xbf{\"active\":true}");
    refused(b" \xef\xbb\xbf{\"active\":true}");
    for label in ["text/html", "application/x-www-form-urlencoded", "application/token-introspection+jwt", ""]
    {
        let answer = Response::new(200, [("content-type", label)], br#"{"active":true}"#);
        assert!(introspection().read(answer).unwrap().is_active(), "{label}");
    }
}

#[test]
fn a_body_of_one_mebibyte_is_read_and_a_longer_one_is_not() {
    let body = |length: usize| {
        let (start, end) = (r#"{"active":true,"x":""#, r#""}"#);
        format!("{start}{}{end}", "x".repeat(length - start.len() - end.len()))
    };
    assert!(is_active(body(1 << 20).as_bytes()));
    assert!(refused(body((1 << 20) + 1).as_bytes()).contains("longer than 1 MiB"));
}

#[test]
fn nesting_of_128_levels_is_read_and_deeper_nesting_is_not() {
    let nested = |levels: usize| {
        let depth = levels - 1;
        format!(r#"{{"x":{}{},"active":true}}"#, "[".repeat(depth), "]".repeat(depth))
    };
    assert!(is_active(nested(128).as_bytes()));
    refused(nested(129).as_bytes());
    refused(nested(100_000).as_bytes());
    // The depth of a known member counts alike.
    let aud = format!(r#"{{"active":false,"aud":{}{}}}"#, "[".repeat(1000), "]".repeat(1000));
    refused(aud.as_bytes());
}

#[test]
fn a_known_member_is_there_once_and_another_one_may_be_repeated() {
    for name in [
        "active",
        "scope",
        "client_id",
        "username",
        "token_type",
        "exp",
        "iat",
        "nbf",
        "sub",
        "aud",
        "iss",
        "jti",
    ] {
        for values in ["null,\"NAME\":null", "\"a\",\"NAME\":\"a\"", "1,\"NAME\":null"] {
            let member = format!("\"{name}\":{values}").replace("NAME", name);
            let rest = if name == "active" { "" } else { ",\"active\":true" };
            let message = refused(format!("{{{member}{rest}}}").as_bytes());
            assert!(message.contains(&format!("the member {name} is there twice")), "{message}");
        }
    }
    assert!(refused(br#"{"active":false,"\u0061ctive":true}"#).contains("active is there twice"));
    assert!(is_active(br#"{"x":1,"active":true,"x":2}"#));
}

#[test]
fn stray_bytes_and_broken_numbers_in_members_that_are_not_known_take_nothing_away() {
    let token = introspection();
    for body in [
        &b"{\"x\":\"caf\xe9\",\"active\":true,\"sub\":\"a\"}"[..],
        b"{\"caf\xe9\":1,\"active\":true,\"sub\":\"a\"}",
        br#"{"x":"\q","active":true,"sub":"a"}"#,
        br#"{"x":01,"active":true,"sub":"a"}"#,
        br#"{"x":1e999,"active":true,"sub":"a"}"#,
    ] {
        let answer = token.read(Response::new(200, [("a", "b")], body)).unwrap();
        assert_eq!((answer.is_active(), answer.subject()), (true, Some("a")), "{}", body.escape_ascii());
    }
    for body in [
        &b"{\"active\":true,\"sub\":\"caf\xe9\"}"[..],
        br#"{"active":true,"sub":"\q"}"#,
        br#"{"active":tru}"#,
        br#"{"active":true,"exp":01}"#,
        br#"{"active":true,"exp":1e999}"#,
    ] {
        refused(body);
    }
}

#[test]
fn anything_but_one_object_is_refused() {
    let bodies: [&[u8]; 15] = [
        b"",
        b" ",
        b"[]",
        b"null",
        b"true",
        b"\"active\"",
        br#"[{"active":true}]"#,
        br#"{"active":true"#,
        br#"{"active":true}}"#,
        br#"{"active":true}{"active":false}"#,
        br#"{"active":true} x"#,
        br#"{'active':true}"#,
        br#"{"active":true,}"#,
        b"active=true",
        b"<html>{\"active\":true}</html>",
    ];
    for body in bodies {
        refused(body);
    }
}

#[test]
fn rfc6749_section_5_2_an_error_wins_in_any_answer() {
    for status in [200, 203, 400, 401, 403] {
        for body in [
            r#"{"active":true,"error":"access_denied"}"#,
            r#"{"error":"access_denied","active":true,"x":01}"#,
            r#"{"error":"access_denied","error_description":7,"error_uri":[]}"#,
        ] {
            let answer = Response::new(status, [("a", "b")], body.as_bytes());
            let error = introspection().read(answer).unwrap_err();
            assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Some("access_denied")), "{body}");
            assert_eq!((error.description(), error.uri()), (None, None));
        }
        for body in [
            r#"{"error":"access_denied","error":"access_denied","active":true}"#,
            r#"{"error":"access_denied","error_description":"a","error_description":"b"}"#,
            r#"{"error":"access_denied","error_uri":null,"error_uri":"b"}"#,
            r#"{"error":"access_denied","active":true"#,
            r#"{"error":["access_denied"],"active":true}"#,
            r#"{"error":{"message":"no"},"active":true}"#,
            r#"{"error":true,"active":true}"#,
            r#"{"error":-1,"active":true}"#,
        ] {
            let answer = Response::new(status, [("a", "b")], body.as_bytes());
            let error = introspection().read(answer).unwrap_err();
            assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, None), "{status} {body}");
        }
    }
}

#[test]
fn an_error_that_says_nothing_is_none() {
    for error in ["null", "\"\"", "0", "false", "[]", "{}"] {
        let body = format!(r#"{{"error":{error},"active":true}}"#);
        assert!(is_active(body.as_bytes()), "{body}");
        let answer = Response::new(400, [("a", "b")], body.as_bytes());
        let error = introspection().read(answer).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, None), "{body}");
    }
}

#[test]
fn a_redirect_is_never_followed_and_nothing_in_it_counts() {
    for status in [300, 302, 307, 399] {
        for body in [r#"{"active":true}"#, r#"{"error":"access_denied"}"#, ""] {
            let headers = [("location", "https://evil.example")];
            let error = introspection().read(Response::new(status, headers, body.as_bytes())).unwrap_err();
            assert_eq!(
                (error.kind(), error.code(), error.advice()),
                (ErrorKind::Invalid, None, Advice::Stop)
            );
            assert!(error.to_string().contains("redirect"), "{error}");
        }
    }
}

#[test]
fn the_members_of_a_failure_are_reported_without_what_repeats_the_token() {
    let call = client().introspect(&Secret::new("planted-token")).start(SystemTime::UNIX_EPOCH).unwrap();
    for body in [
        r#"{"error":"access_denied","scope":"users:read","token_type":"Bearer","other":"bad planted-token"}"#,
        r#"{"message":"no","scope":"users:read","token_type":"Bearer","other":"bad planted-token"}"#,
    ] {
        let error = call.read(Response::new(403, [("a", "b")], body.as_bytes())).unwrap_err();
        assert_eq!(error.extra("scope").and_then(|scope| scope.as_str()), Some("users:read"), "{body}");
        assert_eq!(error.extra("token_type").and_then(|kind| kind.as_str()), Some("Bearer"), "{body}");
        let withheld = "[withheld: it repeats a secret of the request]";
        assert_eq!(error.extra("other").and_then(|other| other.as_str()), Some(withheld), "{body}");
    }
}
