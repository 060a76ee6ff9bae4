//! The error codes that name a spent or unknown authorization code at a code exchange.

use oauth2_proto::{Advice, Response, Secret};
use std::time::SystemTime;

use crate::support::{client, client_of, server, token_call};

#[test]
fn a_spent_code_needs_a_new_sign_in_and_elsewhere_such_a_code_says_nothing() {
    for (code, exchange, refresh) in [
        ("invalid_grant", Advice::Reauthorize, Advice::Reauthorize),
        ("invalid_code", Advice::Reauthorize, Advice::Stop),
        ("expired_code", Advice::Reauthorize, Advice::Stop),
        ("code_expired", Advice::Reauthorize, Advice::Stop),
        ("code_already_used", Advice::Reauthorize, Advice::Stop),
        ("code_used", Advice::Reauthorize, Advice::Stop),
        ("invalid_authorization_code", Advice::Reauthorize, Advice::Stop),
        ("authorization_code_expired", Advice::Reauthorize, Advice::Stop),
        ("bad_verification_code", Advice::Stop, Advice::Stop),
        ("code_challenge_failed", Advice::Stop, Advice::Stop),
        ("INVALID_CODE", Advice::Stop, Advice::Stop),
        ("access_denied", Advice::Declined, Advice::Declined),
        ("consent_required", Advice::Reauthorize, Advice::Reauthorize),
        ("invalid_client", Advice::FixConfiguration, Advice::FixConfiguration),
    ] {
        let body = format!("{{\"error\":\"{code}\"}}");
        for status in [200, 400, 403] {
            let response = || Response::new(status, [("content-type", "application/json")], body.as_bytes());
            let error = token_call(&client()).read(response()).unwrap_err();
            assert_eq!((error.code(), error.advice()), (Some(code), exchange), "{status}");
            let call =
                client().refresh(&Secret::new("fake-refresh-token")).start(SystemTime::UNIX_EPOCH).unwrap();
            let error = call.read(response()).unwrap_err();
            assert_eq!((error.code(), error.advice()), (Some(code), refresh), "{status}");
        }
        let busy = Response::new(503, [("content-type", "application/json")], body.as_bytes());
        assert_eq!(token_call(&client()).read(busy).unwrap_err().advice(), Advice::RetryLater, "{code}");
    }
    let told = client_of(server().invalid_grant_codes(["bad_verification_code"]));
    let body = br#"{"error":"bad_verification_code"}"#;
    let error = token_call(&told).read(Response::new(200, [("a", "b")], body)).unwrap_err();
    assert_eq!(error.advice(), Advice::Reauthorize);
}

/// RFC 9110 §15.5.9 and §15.5.20, RFC 8470 §5.2, RFC 6585 §4, RFC 9110 §15.6.
#[test]
fn a_status_that_passes_is_worth_another_try_whatever_the_body_says() {
    for (status, passes) in [
        (408, true),
        (421, true),
        (425, true),
        (429, true),
        (500, true),
        (502, true),
        (503, true),
        (504, true),
        (521, true),
        (599, true),
        (400, false),
        (404, false),
        (409, false),
        (420, false),
        (501, false),
        (505, false),
        (600, false),
    ] {
        for body in ["", "<html>", r#"{"error":"invalid_grant"}"#, r#"{"error":"access_denied"}"#, "{}"] {
            let headers = [("content-type", "application/json"), ("retry-after", "7")];
            let error =
                token_call(&client()).read(Response::new(status, headers, body.as_bytes())).unwrap_err();
            assert_eq!(error.advice() == Advice::RetryLater, passes, "{status} {body}");
            let pause = error.retry_after(crate::support::now()).map(|pause| pause.as_secs());
            assert_eq!(pause, passes.then_some(7), "{status} {body}");
        }
    }
}
