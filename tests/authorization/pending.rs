//! A sign-in that waits for its callback: what the callback brings, the token request that follows, and how
//! long the wait lasts.

use std::time::{Duration, UNIX_EPOCH};

use oauth2_proto::{Advice, PendingAuthorization, error::ErrorKind};

use crate::support::{REDIRECT_URI, client, entropy, later, now, start, token_call};

/// Seconds that a sign-in may take unless set.
const LIFETIME: u64 = 600;
/// Seconds that another machine's clock may be behind.
const SKEW: u64 = 60;

#[test]
fn rfc6749_section_4_1_3_token_request() {
    let call = token_call(&client());
    let request = call.request();
    assert_eq!((request.method(), request.url()), ("POST", "https://as.example/token"));
    let headers: Vec<_> = request.headers().collect();
    assert_eq!(
        headers,
        [
            ("content-type", "application/x-www-form-urlencoded"),
            ("accept", "application/json"),
            ("authorization", "Basic ZmFrZS1jbGllbnQ6ZmFrZS1zZWNyZXQ="),
        ]
    );
    assert_eq!(
        request.body(),
        "grant_type=authorization_code&code=fake-code&redirect_uri=https%3A%2F%2Fapp.example%2Fcallback\
         &code_verifier=BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc"
    );
    assert!(!request.follow_redirects());
    assert_eq!(request.response_limit(), 1 << 20);
}

#[test]
fn rfc6749_section_4_1_2_1_all_of_a_refusal_is_handed_through() {
    let client = client();
    let (_, mut pending) = start(&client);
    let state = pending.state();
    let callback = format!(
        "error=access_denied&error_description=not+today&error_uri=https://as.example/why&state={state}"
    );
    let error = pending.receive(&client, callback.as_str(), now()).unwrap_err();
    assert_eq!(error.code(), Some("access_denied"));
    assert_eq!(error.description(), Some("not today"));
    assert_eq!(error.uri(), Some("https://as.example/why"));
}

#[test]
fn rfc8707_section_2_2_a_resource_is_named_in_both_requests() {
    let client = client();
    let (url, mut pending) =
        client.authorize(REDIRECT_URI).resource("https://api.example/").start_with(entropy(), now()).unwrap();
    assert!(url.contains("&resource=https%3A%2F%2Fapi.example%2F"), "{url}");
    let stored = serde_json::to_string(&pending).unwrap();
    let restored: PendingAuthorization = serde_json::from_str(&stored).unwrap();
    for mut pending in [std::mem::replace(&mut pending, restored), serde_json::from_str(&stored).unwrap()] {
        let callback = format!("code=fake&state={}", pending.state());
        let call = pending.receive(&client, callback.as_str(), now()).unwrap();
        assert!(call.request().body().ends_with("&resource=https%3A%2F%2Fapi.example%2F"));
    }
}

#[test]
fn a_sign_in_that_takes_too_long_starts_again() {
    let client = client();
    let receive = |at| {
        let (_, mut pending) = start(&client);
        let callback = format!("code=fake&state={}", pending.state());
        pending.receive(&client, callback.as_str(), at).map_err(|error| (error.kind(), error.advice()))
    };
    assert!(receive(later(LIFETIME - 1)).is_ok());
    assert_eq!(receive(later(LIFETIME)).unwrap_err(), (ErrorKind::Suspect, Advice::Reauthorize));
    assert!(receive(now() - Duration::from_secs(SKEW)).is_ok(), "another machine's clock may be behind");
    assert_eq!(
        receive(now() - Duration::from_secs(SKEW + 1)).unwrap_err(),
        (ErrorKind::Suspect, Advice::Reauthorize)
    );
}

#[test]
fn the_lifetime_of_a_sign_in_is_the_callers_choice() {
    let client = client();
    let request = client.authorize(REDIRECT_URI).lifetime(Duration::from_secs(30));
    let (_, mut pending) = request.start_with(entropy(), now()).unwrap();
    let callback = format!("code=fake&state={}", pending.state());
    let error = pending.receive(&client, callback.as_str(), later(30)).unwrap_err();
    assert_eq!(error.advice(), Advice::Reauthorize);
    assert!(pending.receive(&client, callback.as_str(), later(29)).is_ok());
}

#[test]
fn a_refusal_counts_whenever_it_comes() {
    let client = client();
    for (code, advice) in [
        ("access_denied", Advice::Declined),
        ("invalid_scope", Advice::FixConfiguration),
        ("server_error", Advice::RetryLater),
    ] {
        let (_, mut pending) = start(&client);
        let callback = format!("error={code}&state={}", pending.state());
        for at in [later(0), later(LIFETIME), later(1_000_000), now() - Duration::from_secs(1_000_000)] {
            let error = pending.receive(&client, callback.as_str(), at).unwrap_err();
            assert_eq!((error.code(), error.advice()), (Some(code), advice));
        }
    }
}

#[test]
fn a_sign_in_without_end_ends_in_a_far_future() {
    let client = client();
    for lifetime in [u64::MAX, u64::MAX / 2, 1 << 50] {
        let request = client.authorize(REDIRECT_URI).lifetime(Duration::from_secs(lifetime));
        let (_, mut pending) = request.start_with(entropy(), now()).unwrap();
        // The end of the year 9999.
        assert_eq!(pending.expires_at(), UNIX_EPOCH + Duration::from_millis(253_402_300_799_999));
        let callback = format!("code=fake&state={}", pending.state());
        assert!(pending.receive(&client, callback.as_str(), later(1 << 32)).is_ok());
    }
}
