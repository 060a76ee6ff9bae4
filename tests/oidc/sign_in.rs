//! A sign-in from its start to the checked ID token, and attacks on it.

use std::time::{Duration, SystemTime};

use oauth2_proto::error::ErrorKind;
use oauth2_proto::jose::Verification;
use oauth2_proto::oidc::IdToken;
use oauth2_proto::{Advice, Client, ClientAuth, Entropy, Error, TokenResponse};
use serde_json::{Value, json};

use crate::support::{REDIRECT_URI, client_of, entropy, later, now};
use crate::{
    NONCE, answer, authenticate, body, call, changed, claims, client, server, start, token, token_of,
};

/// Each of these claims must be refused, for this reason and as this kind of error.
#[track_caller]
fn refuses(cases: &[(&str, Value, ErrorKind)]) {
    for (name, value, kind) in cases {
        let error = authenticate(&changed(claims(), name, value.clone()), now()).unwrap_err();
        assert_eq!((error.kind(), error.reason()), (*kind, Some(*name)), "{value}: {error}");
        assert_eq!((error.advice(), error.status()), (Advice::Stop, Some(200)), "{value}");
        assert!(error.to_string().contains(name) && !error.to_string().contains("planted"), "{error}");
    }
}

#[test]
fn openid_core_section_3_1_2_1_the_request_holds_openid_and_a_nonce() {
    let (url, pending) = start(&client());
    assert!(url.contains("&scope=email+openid&") && url.ends_with(&format!("&nonce={NONCE}")), "{url}");
    assert_eq!(pending.expires_at(), later(600));
    let request = client();
    let request = request.authorize(REDIRECT_URI).scopes(["openid", "email"]).openid();
    let (url, _) = request.start_with(Entropy::from_bytes([1; 128]), now()).unwrap();
    assert!(url.contains("&scope=openid+email&"), "{url}");
    assert!(url.ends_with("&nonce=AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"), "{url}");
}

#[test]
fn a_plain_authorization_with_openid_names_the_method_that_checks() {
    let client = client();
    let error = client.authorize(REDIRECT_URI).scopes(["openid"]).start_with(entropy(), now()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse);
    assert!(error.to_string().contains("AuthorizationRequest::openid()"), "{error}");
    assert!(client.authorize(REDIRECT_URI).scopes(["openid2"]).start_with(entropy(), now()).is_ok());
}

#[test]
fn an_authentication_needs_what_it_is_checked_by() {
    let without_issuer = client_of(crate::support::server());
    let start = |client: &Client, name, value| {
        let request = client.authorize(REDIRECT_URI).parameter(name, value).openid();
        request.start_with(entropy(), now()).map(drop)
    };
    assert!(start(&client(), "max_age", "60").is_ok());
    for (client, name, value, why) in [
        (without_issuer, "ui_locales", "da", "issuer"),
        (client(), "max_age", "-1", "max_age"),
        (client(), "nonce", "mine", "nonce"),
    ] {
        let error = start(&client, name, value).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse);
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[test]
fn openid_core_section_3_1_3_7_a_sign_in_says_who_it_was() {
    let claims = changed(claims(), "email", json!("fake@example.com"));
    let claims = changed(claims, "sid", json!("fake-session"));
    let response = body(&token(&claims));
    let read = call(&client()).authenticate(answer(200, &response), &Verification::left_to_tls(), now());
    let (tokens, id_token) = read.unwrap().into_parts();
    assert_eq!((id_token.issuer(), id_token.subject()), ("https://as.example", "fake-user"));
    assert_eq!(id_token.audience(), ["fake-client"]);
    assert_eq!((id_token.issued_at(), id_token.expires_at()), (now(), later(300)));
    assert_eq!((id_token.nonce(), id_token.session_id()), (Some(NONCE), Some("fake-session")));
    assert_eq!(id_token.claim("email").unwrap(), "fake@example.com");
    assert_eq!(id_token.claims().count(), 1);
    assert_eq!(id_token.as_secret().expose(), token(&claims));
    assert_eq!(tokens.refresh_token().unwrap().expose(), "fake-refresh");
    assert_eq!(tokens.granted_scopes().collect::<Vec<_>>(), ["email", "openid"]);
}

#[test]
fn the_raw_id_token_is_never_handed_out() {
    let response = body(&token(&claims()));
    let tokens = TokenResponse::for_test(&client(), &response).unwrap();
    assert!(tokens.extra("id_token").is_none() && tokens.extras().next().is_none());
    let unchecked = tokens.id_token().unwrap();
    assert_eq!(format!("{unchecked:?}"), "UncheckedIdToken([redacted])");
    for failure in [r#"{"error":"invalid_grant","id_token":"a.b.c","x":1}"#, r#"{"id_token":"a.b.c","x":1}"#]
    {
        let error = call(&client()).authenticate(answer(400, failure), &Verification::left_to_tls(), now());
        let error = error.unwrap_err();
        assert!(error.extra("id_token").is_none() && error.extra("x").is_some(), "{failure}");
    }
    let without = TokenResponse::for_test(&client(), r#"{"access_token":"a","token_type":"Bearer"}"#);
    assert!(without.unwrap().id_token().is_none());
}

#[test]
fn openid_core_section_3_1_3_7_the_nonce_ties_the_token_to_the_request() {
    refuses(&[
        ("nonce", json!("planted-of-another-request"), ErrorKind::Suspect),
        ("nonce", json!(""), ErrorKind::Suspect),
        ("nonce", Value::Null, ErrorKind::Suspect),
        ("nonce", json!([NONCE]), ErrorKind::Invalid),
        ("nonce", json!(7), ErrorKind::Invalid),
    ]);
    // A grant without a nonce refuses one.
    let response = body(&token(&claims()));
    let check = |body: &str| {
        let tokens = TokenResponse::for_test(&client(), body).unwrap();
        tokens.id_token().unwrap().check(&client(), &Verification::left_to_tls(), now())
    };
    assert_eq!(check(&response).unwrap_err().reason(), Some("nonce"));
    assert!(check(&body(&token(&changed(claims(), "nonce", Value::Null)))).is_ok());
}

#[test]
fn openid_core_section_3_1_3_7_rules_2_to_5_who_it_is_from_and_for() {
    refuses(&[
        ("iss", json!("https://as.example/"), ErrorKind::Suspect),
        ("iss", json!("https://planted@evil.example"), ErrorKind::Suspect),
        ("iss", json!(7), ErrorKind::Invalid),
        ("sub", json!(""), ErrorKind::Invalid),
        ("sub", json!("a".repeat(256)), ErrorKind::Invalid),
        ("aud", json!("planted"), ErrorKind::Suspect),
        ("aud", json!(["planted", "FAKE-CLIENT"]), ErrorKind::Suspect),
        ("aud", json!([]), ErrorKind::Suspect),
        ("aud", json!(["fake-client", 7]), ErrorKind::Invalid),
        ("aud", json!({"fake-client": 1}), ErrorKind::Invalid),
        ("azp", json!("planted"), ErrorKind::Suspect),
        ("azp", json!(["fake-client"]), ErrorKind::Invalid),
        ("acr", json!(1), ErrorKind::Invalid),
        ("amr", json!("pwd"), ErrorKind::Invalid),
        ("sid", json!(1), ErrorKind::Invalid),
        ("at_hash", json!(1), ErrorKind::Invalid),
        ("at_hash", json!("planted"), ErrorKind::Suspect),
    ]);
    let several = changed(claims(), "aud", json!(["fake-client", "other"]));
    assert_eq!(authenticate(&several, now()).unwrap_err().reason(), Some("azp"));
    assert!(authenticate(&changed(several, "azp", json!("fake-client")), now()).is_ok());
}

/// The same token as time goes by, with a skew of 60 seconds.
#[test]
fn openid_core_section_3_1_3_7_rules_9_and_10_the_clock() {
    let at = |seconds: i64| match u64::try_from(seconds) {
        Ok(seconds) => later(seconds),
        Err(_) => now() - Duration::from_secs(seconds.unsigned_abs()),
    };
    let reason = |second: i64| authenticate(&claims(), at(second)).err().and_then(|error| error.reason());
    for (second, expected) in [
        (-61, Some("iat")),
        (-60, None),
        (0, None),
        (299, None),
        (300, None),
        (359, None),
        (360, Some("exp")),
        (1_000_000, Some("exp")),
    ] {
        assert_eq!(reason(second), expected, "{second}");
    }
    let none = Verification::left_to_tls().clock_skew(Duration::ZERO);
    let response = body(&token(&claims()));
    let read = |at: SystemTime| call(&client()).authenticate(answer(200, &response), &none, at);
    for (second, is_sound) in [(-1, false), (0, true), (299, true), (300, false)] {
        assert_eq!(read(at(second)).is_ok(), is_sound, "{second}");
    }
    let hour = Verification::left_to_tls().clock_skew(Duration::from_secs(3600));
    let read = |at: SystemTime| call(&client()).authenticate(answer(200, &response), &hour, at);
    for (second, is_sound) in [(-3601, false), (-3600, true), (3899, true), (3900, false)] {
        assert_eq!(read(at(second)).is_ok(), is_sound, "{second}");
    }
}

#[test]
fn openid_core_section_3_1_3_7_rule_13_a_maximum_age_needs_the_time() {
    let client = client();
    let read = |auth_time: Value, at: SystemTime| -> Result<IdToken, Error> {
        let request = client.authorize(REDIRECT_URI).max_age(Duration::from_secs(100)).openid();
        let (_, mut pending) = request.start_with(entropy(), now()).unwrap();
        let callback = format!("code=fake-code&state={}", pending.state());
        let call = pending.receive(&client, callback.as_str(), now()).unwrap();
        let response = body(&token(&changed(claims(), "auth_time", auth_time)));
        let read = call.authenticate(answer(200, &response), &Verification::left_to_tls(), at);
        read.map(|authentication| authentication.into_parts().1)
    };
    let signed_in_at = json!(1_700_000_000);
    let id_token = read(signed_in_at.clone(), later(160)).unwrap();
    assert_eq!(id_token.authenticated_at(), Some(now()));
    // As far ahead as the clocks may differ.
    assert!(read(json!(1_700_000_060), now()).is_ok());
    for (auth_time, at, kind) in [
        (signed_in_at, later(161), ErrorKind::Suspect),
        // In milliseconds, and so for good.
        (json!(1_700_000_000_000_u64), later(161), ErrorKind::Suspect),
        (json!(1_700_000_061), now(), ErrorKind::Suspect),
        (Value::Null, now(), ErrorKind::Suspect),
        (json!("1700000000"), now(), ErrorKind::Invalid),
        (json!(true), now(), ErrorKind::Invalid),
    ] {
        let error = read(auth_time, at).unwrap_err();
        assert_eq!((error.kind(), error.reason()), (kind, Some("auth_time")));
    }
}

/// OpenID Connect Core §3.1.3.3, and §16.11: what is no token response has no ID token.
#[test]
fn an_answer_without_a_sound_id_token_brings_no_tokens() {
    let read = |status, body: &str| {
        let read = call(&client()).authenticate(answer(status, body), &Verification::left_to_tls(), now());
        let error = read.unwrap_err();
        (error.kind(), error.reason(), error.advice())
    };
    let stop = Advice::Stop;
    for (status, body, expected) in [
        (200, r#"{"access_token":"a","token_type":"Bearer"}"#, (ErrorKind::Invalid, Some("id_token"), stop)),
        (
            200,
            r#"{"access_token":"a","token_type":"Bearer","id_token":7}"#,
            (ErrorKind::Invalid, Some("id_token"), stop),
        ),
        (
            200,
            r#"{"access_token":"a","token_type":"Bearer","id_token":""}"#,
            (ErrorKind::Invalid, Some("format"), stop),
        ),
        (200, "<html>", (ErrorKind::Invalid, Some("response"), stop)),
        (503, "busy", (ErrorKind::Invalid, Some("response"), Advice::RetryLater)),
        (400, r#"{"error":"invalid_grant"}"#, (ErrorKind::Refused, None, Advice::Reauthorize)),
    ] {
        assert_eq!(read(status, body), expected, "{body}");
    }
}

/// Back-Channel Logout §2.4: a logout token has no nonce, and an ID token no such event.
#[test]
fn a_logout_token_is_no_id_token() {
    let event = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
    refuses(&[("events", event.clone(), ErrorKind::Suspect)]);
    let without_nonce = changed(changed(claims(), "events", event), "nonce", Value::Null);
    for (typ, reason) in [("logout+jwt", "typ"), ("JWT", "events")] {
        let token = token_of(&json!({"alg": "RS256", "typ": typ}), &without_nonce);
        let tokens = TokenResponse::for_test(&client(), &body(&token)).unwrap();
        let checked = tokens.id_token().unwrap().check(&client(), &Verification::left_to_tls(), now());
        assert_eq!(checked.unwrap_err().reason(), Some(reason));
    }
    assert!(authenticate(&changed(claims(), "events", json!({"other": {}})), now()).is_ok());
}

#[test]
fn an_algorithm_that_the_server_does_not_list_is_refused() {
    let server = || server().id_token_signing_alg_values_supported(["ES256", "RS256"]);
    let client = |listed| Client::new(listed, "fake-client", ClientAuth::none()).unwrap();
    let response = body(&token(&claims()));
    let read = |client: &Client| {
        let read = call(client).authenticate(answer(200, &response), &Verification::left_to_tls(), now());
        read.err().and_then(|error| error.reason())
    };
    assert_eq!(read(&client(server())), None);
    assert_eq!(read(&client(server().id_token_signing_alg_values_supported(["ES256"]))), Some("alg"));
}

#[test]
fn rfc9126_section_2_an_authentication_is_pushed() {
    let server = server().pushed_authorization_request_endpoint("https://as.example/par").unwrap();
    let client = client_of(server);
    let request = client.authorize(REDIRECT_URI).openid();
    let (push, mut pending) = request.push_with(entropy(), now()).unwrap();
    let form = push.request().form();
    assert!(form.contains(&("nonce".to_owned(), NONCE.to_owned())));
    assert!(form.contains(&("scope".to_owned(), "openid".to_owned())));
    let callback = format!("code=fake-code&state={}", pending.state());
    let call = pending.receive(&client, callback.as_str(), now()).unwrap();
    let response = body(&token(&claims()));
    assert!(call.authenticate(answer(200, &response), &Verification::left_to_tls(), now()).is_ok());
}
