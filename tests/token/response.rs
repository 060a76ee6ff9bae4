//! The token response: scopes and lifetimes.

use std::time::Duration;

use oauth2_proto::{Response, TokenResponse, error::ErrorKind, server::Leniency};

use crate::responses::json;
use crate::support::{client, client_of, now, server, token_call};

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
