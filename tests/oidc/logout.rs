//! Both kinds of logout (OpenID Connect RP-Initiated Logout, Back-Channel Logout).

use oauth2_proto::error::ErrorKind;
use oauth2_proto::jose::{KeySet, Verification};
use oauth2_proto::oidc::LogoutToken;
use oauth2_proto::{Advice, Callback, Entropy, Error, Secret};
use serde_json::{Value, json};

use crate::support::{client_of, later, now};
use crate::{Always, changed, claims, client, server, token, token_of};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

fn entropy() -> Entropy {
    Entropy::from_bytes([1; 128])
}

#[track_caller]
fn keys() -> KeySet {
    let set = json!({"keys": [{"kty": "RSA", "kid": "fake-key", "e": "AQAB", "n": "_".repeat(341) + "w"}]});
    KeySet::from_json(&set.to_string(), now()).unwrap()
}

/// The claims of a sound logout token.
fn logout_claims() -> Value {
    let claims = changed(changed(claims(), "nonce", Value::Null), "jti", json!("fake-id"));
    changed(changed(claims, "events", json!({EVENT: {}})), "sid", json!("fake-session"))
}

fn read(body: &str, is_right: bool) -> Result<LogoutToken, Error> {
    client().read_logout_token(body, &Verification::by(&keys(), &Always(is_right)), now())
}

fn read_claims(claims: &Value) -> Result<LogoutToken, Error> {
    read(&format!("logout_token={}", token(claims)), true)
}

#[test]
fn back_channel_logout_section_2_6_a_token_names_who_was_signed_out() {
    let logout = read_claims(&logout_claims()).unwrap();
    assert_eq!((logout.issuer(), logout.subject()), ("https://as.example", Some("fake-user")));
    assert_eq!((logout.session_id(), logout.token_id()), (Some("fake-session"), "fake-id"));
    assert_eq!((logout.issued_at(), logout.expires_at()), (now(), later(300)));
    assert_eq!(logout.audience(), ["fake-client"]);
    let of_user = read_claims(&changed(logout_claims(), "sid", Value::Null)).unwrap();
    assert_eq!((of_user.subject(), of_user.session_id()), (Some("fake-user"), None));
    let of_session = read_claims(&changed(logout_claims(), "sub", Value::Null)).unwrap();
    assert_eq!((of_session.subject(), of_session.session_id()), (None, Some("fake-session")));
}

#[test]
fn back_channel_logout_section_2_6_each_claim_is_checked() {
    for (name, value, kind) in [
        ("iss", json!("https://other.example"), ErrorKind::Suspect),
        ("aud", json!("other"), ErrorKind::Suspect),
        ("exp", json!(1_699_999_940), ErrorKind::Suspect),
        ("exp", Value::Null, ErrorKind::Invalid),
        ("iat", json!(1_700_000_061), ErrorKind::Suspect),
        ("iat", Value::Null, ErrorKind::Invalid),
        ("nbf", json!(1_700_000_061), ErrorKind::Suspect),
        ("jti", Value::Null, ErrorKind::Invalid),
        ("jti", json!(""), ErrorKind::Invalid),
        ("jti", json!(7), ErrorKind::Invalid),
        ("sub", json!(""), ErrorKind::Invalid),
        ("sid", json!(7), ErrorKind::Invalid),
        ("events", Value::Null, ErrorKind::Invalid),
        ("events", json!([EVENT]), ErrorKind::Invalid),
        ("events", json!(EVENT), ErrorKind::Invalid),
        ("events", json!({}), ErrorKind::Suspect),
        ("events", json!({"other": {}}), ErrorKind::Suspect),
        ("events", json!({EVENT: []}), ErrorKind::Invalid),
        ("events", json!({EVENT: null}), ErrorKind::Invalid),
        ("nonce", json!("fake"), ErrorKind::Suspect),
        ("nonce", json!(7), ErrorKind::Invalid),
    ] {
        let error = read_claims(&changed(logout_claims(), name, value.clone())).unwrap_err();
        assert_eq!((error.kind(), error.reason()), (kind, Some(name)), "{value}: {error}");
    }
}

/// An ID token that was stolen must end no session.
#[test]
fn back_channel_logout_section_2_4_an_id_token_is_no_logout_token() {
    assert_eq!(read_claims(&claims()).unwrap_err().reason(), Some("nonce"));
    let without_nonce = changed(claims(), "nonce", Value::Null);
    assert_eq!(read_claims(&without_nonce).unwrap_err().reason(), Some("jti"));
    let with_id = changed(without_nonce, "jti", json!("fake-id"));
    assert_eq!(read_claims(&with_id).unwrap_err().reason(), Some("events"));
}

#[test]
fn back_channel_logout_section_2_4_the_type_is_that_of_a_logout_token() {
    for (typ, is_sound) in [
        (Value::Null, true),
        (json!("JWT"), true),
        (json!("logout+jwt"), true),
        (json!("application/logout+jwt"), true),
        (json!("at+jwt"), false),
        (json!("secevent+jwt"), false),
        (json!(""), false),
    ] {
        let token = token_of(&json!({"alg": "RS256", "typ": typ}), &logout_claims());
        let error = read(&format!("logout_token={token}"), true).err();
        let expected = (!is_sound).then_some((ErrorKind::Suspect, Some("typ")));
        assert_eq!(error.map(|error| (error.kind(), error.reason())), expected, "{typ}");
    }
}

#[test]
fn back_channel_logout_section_2_5_the_form_has_one_token() {
    let token = token(&logout_claims());
    let twice = format!("logout_token={token}&logout_token={token}");
    // At most 1 MiB.
    let longest = format!("logout_token={token}&a=");
    let longest = format!("{longest}{}", "a".repeat((1 << 20) - longest.len()));
    assert!(read(&longest, true).is_ok());
    let long = format!("{longest}a");
    assert!(read(&format!("a=b&logout_token={token}&c=%FF"), true).is_ok());
    for (body, kind) in [
        ("", ErrorKind::Invalid),
        ("logout_token=", ErrorKind::Invalid),
        ("logout_token=%FF", ErrorKind::Invalid),
        ("LOGOUT_TOKEN=a.b.c", ErrorKind::Invalid),
        (&long, ErrorKind::Invalid),
        (&twice, ErrorKind::Suspect),
        ("logout_token=&logout_token=", ErrorKind::Suspect),
    ] {
        let error = read(body, true).unwrap_err();
        assert_eq!((error.kind(), error.reason()), (kind, Some("logout_token")), "{body:.60}");
    }
}

#[test]
fn back_channel_logout_section_2_6_anybody_can_post_so_the_signature_counts() {
    let body = format!("logout_token={}", token(&logout_claims()));
    let tls = client().read_logout_token(&body, &Verification::left_to_tls(), now());
    assert_eq!(tls.unwrap_err().kind(), ErrorKind::Misuse);
    assert_eq!(read(&body, false).unwrap_err().reason(), Some("signature"));
    let listed = client_of(server().id_token_signing_alg_values_supported(["ES256"]));
    let (keys, library) = (keys(), Always(true));
    let error = listed.read_logout_token(&body, &Verification::by(&keys, &library), now()).unwrap_err();
    assert_eq!(error.reason(), Some("alg"));
}

#[test]
fn rp_initiated_logout_section_3_only_this_logout_comes_back() {
    let (client, hint) = (client(), Secret::new("fake.id.token"));
    let request = client.logout().id_token_hint(&hint).post_logout_redirect_uri("https://app.example/bye");
    let (url, pending) = request.parameter("ui_locales", "da").start_with(entropy()).unwrap();
    let state = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
    assert!(url.ends_with(&format!("&state={state}&ui_locales=da")), "{url}");
    let query = format!("other=1&state={state}");
    assert!(pending.receive(query.as_str()).is_ok());
    assert!(pending.receive(Callback::url(&format!("https://app.example/bye?{query}"))).is_ok());
    for forged in
        ["", "state=", "state=guessed", &format!("state={state}&state={state}"), &format!("State={state}")]
    {
        let error = pending.receive(forged).unwrap_err();
        assert_eq!((error.kind(), error.advice()), (ErrorKind::Suspect, Advice::KeepWaiting), "{forged}");
        assert_eq!(error.reason(), Some("state"));
    }
    // Without an address to come back to, nothing is sent that could.
    let (url, pending) = client.logout().with_client_id().start_with(entropy()).unwrap();
    assert_eq!(url, "https://as.example/logout?client_id=fake-client");
    assert!(pending.receive("").is_ok());
}

#[test]
fn rp_initiated_logout_section_2_parameters_come_once() {
    let own_query = client_of(server().end_session_endpoint("https://as.example/logout?tenant=a&").unwrap());
    let (url, _) = own_query.logout().with_client_id().start_with(entropy()).unwrap();
    assert_eq!(url, "https://as.example/logout?tenant=a&client_id=fake-client");
    for (client, name) in [
        (client(), "state"),
        (client(), "client_id"),
        (client(), "id_token_hint"),
        (client(), "post_logout_redirect_uri"),
        (client(), ""),
        (own_query, "tenant"),
        (client_of(crate::support::server()), "ui_locales"),
    ] {
        let error = client.logout().parameter(name, "a").start_with(entropy()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse, "{name}");
    }
    let (client, twice) = (client(), "ui_locales");
    let request = client.logout().parameter(twice, "a").parameter(twice, "b");
    assert!(request.start_with(entropy()).unwrap_err().to_string().contains("twice"));
    for name in ["state", "client_id", "id_token_hint", "post_logout_redirect_uri"] {
        assert!(server().end_session_endpoint(&format!("https://as.example/logout?{name}=a")).is_err());
    }
    for redirect in
        ["/bye", "http://app.example/bye", "https://app.example/bye?state=a", "javascript:alert(1)"]
    {
        let request = client.logout().with_client_id().post_logout_redirect_uri(redirect);
        assert_eq!(request.start_with(entropy()).unwrap_err().kind(), ErrorKind::Misuse, "{redirect}");
    }
}
