//! Attacks by a server among several, by a token of another kind, and by what a program reads with.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2_proto::error::ErrorKind;
use oauth2_proto::jose::{KeySet, Verification};
use oauth2_proto::oidc::IdToken;
use oauth2_proto::{Advice, AuthorizationServer, Client, ClientAuth, Error, Secret, TokenResponse};
use serde_json::{Value, json};

use crate::support::{client_of, later, now};
use crate::{
    Always, answer, authenticate, body, call, changed, claims, client, id_token, server, token, token_of,
};

const EVIL: &str = "https://evil.example";
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// A client of a hostile server, which gave it the same `client_id`.
#[track_caller]
fn evil_client() -> Client {
    let server = AuthorizationServer::new("https://evil.example/authorize", "https://evil.example/token");
    let server = server.unwrap().issuer(EVIL).unwrap();
    let server = server.jwks_uri("https://evil.example/keys").unwrap();
    client_of(server.userinfo_endpoint("https://evil.example/userinfo").unwrap())
}

#[track_caller]
fn fetched(client: &Client) -> KeySet {
    let set = json!({"keys": [{"kty": "RSA", "kid": "fake-key", "e": "AQAB", "n": "_".repeat(341) + "w"}]});
    client.fetch_keys(now()).unwrap().read(answer(200, &set.to_string())).unwrap()
}

/// Checks an ID token that came without a nonce.
fn check(token: &str) -> Result<IdToken, Error> {
    let tokens = TokenResponse::for_test(&client(), &body(token)).unwrap();
    tokens.id_token().unwrap().check(&client(), &Verification::left_to_tls(), now())
}

fn without_nonce() -> Value {
    changed(claims(), "nonce", Value::Null)
}

fn logout_claims() -> Value {
    changed(changed(without_nonce(), "jti", json!("fake-id")), "events", json!({EVENT: {}}))
}

/// RFC 9700 §4.4, in a program with several servers: the keys of one sign what another one is said to have
/// said, and the callback or the post that brings it needs no secret.
#[test]
fn keys_of_another_server() {
    let (honest, evil) = (fetched(&client()), fetched(&evil_client()));
    let stored = serde_json::to_string(&evil).unwrap();
    let restored: KeySet = serde_json::from_str(&stored).unwrap();
    assert_eq!(restored, evil);
    assert_ne!(honest, evil);

    let (id_token_body, logout) =
        (body(&token(&claims())), format!("logout_token={}", token(&logout_claims())));
    let user = token(&json!({"sub": "fake-user"}));
    let access_token = Secret::new("fake-access");
    let kinds = |keys: &KeySet| {
        let (client, library) = (client(), Always(true));
        let verification = Verification::by(keys, &library);
        let userinfo = client.userinfo(&access_token, &id_token()).start(now()).unwrap();
        [
            call(&client).authenticate(answer(200, &id_token_body), &verification, now()).map(drop),
            client.read_logout_token(&logout, &verification, now()).map(drop),
            userinfo.read_signed(answer(200, &user), &verification, now()).map(drop),
        ]
        .map(|read| read.err().map(|error| (error.kind(), error.to_string().contains(EVIL))))
    };
    assert_eq!(kinds(&honest), [None, None, None]);
    for keys in [evil, restored] {
        assert_eq!(kinds(&keys), [const { Some((ErrorKind::Misuse, true)) }; 3]);
    }
}

/// OpenID Connect Core §5.7: a subject is a user only together with its issuer. The hostile server answers
/// with the claims of whom it likes, and would get the honest server's access token besides.
#[test]
fn userinfo_of_another_server_or_client() {
    let (id_token, access_token) = (id_token(), Secret::new("fake-access"));
    assert!(client().userinfo(&access_token, &id_token).start(now()).is_ok());
    let other = Client::new(server(), "fake-other", ClientAuth::none()).unwrap();
    let unnamed = crate::support::server().userinfo_endpoint("https://as.example/userinfo").unwrap();
    for client in [evil_client(), other, client_of(unnamed)] {
        let error = client.userinfo(&access_token, &id_token).start(now()).unwrap_err();
        let stored = client.userinfo(&access_token, id_token.to_previous()).start(now()).unwrap_err();
        assert_eq!([error.kind(), stored.kind()], [ErrorKind::Misuse; 2], "{error}");
        assert!(!error.to_string().contains("fake-access") && !error.to_string().contains("fake-user"));
    }
}

/// RFC 8725 §3.11: what the same server signed for the same client is no ID token, and no claims about the
/// user, if it is of another kind.
#[test]
fn a_token_of_another_kind() {
    for (typ, is_id_token, is_userinfo) in [
        (Value::Null, true, true),
        (json!("JWT"), true, true),
        (json!("jose"), true, true),
        (json!("id_token+jwt"), true, false),
        (json!("at+jwt"), false, false),
        (json!("application/AT+JWT"), false, false),
        (json!("logout+jwt"), false, false),
        (json!("secevent+jwt"), false, false),
        (json!("oauth-authz-resp+jwt"), false, false),
        (json!("token-introspection+jwt"), false, false),
        (json!("oauth-authz-req+jwt"), false, false),
        (json!("client-authentication+jwt"), false, false),
        (json!("dpop+jwt"), false, false),
    ] {
        let token = token_of(&json!({"alg": "RS256", "typ": typ}), &without_nonce());
        let userinfo = client().userinfo(&Secret::new("fake-access"), &id_token()).start(now()).unwrap();
        let tls = Verification::left_to_tls();
        for (read, is_sound) in [
            (check(&token).map(drop), is_id_token),
            (userinfo.read_signed(answer(200, &token), &tls, now()).map(drop), is_userinfo),
        ] {
            let expected = (!is_sound).then_some((ErrorKind::Suspect, Some("typ")));
            assert_eq!(read.err().map(|error| (error.kind(), error.reason())), expected, "{typ}");
        }
    }
}

/// A user may choose a text of a claim. One that no reader can decode must not hide the claim beside it, such
/// as the event that makes this a logout token.
#[test]
fn a_claim_that_cannot_be_read() {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#);
    let sound = without_nonce().to_string();
    let sound = sound.strip_suffix('}').unwrap();
    for (more, is_sound) in [
        (r#","name":"\ud83d\ude00""#.to_owned(), true),
        (format!(r#","events":{{"{EVENT}":{{}},"a":"\ud800"}}"#), false),
        (format!(r#","events":{{"{EVENT}":{{}},"a":1e999}}"#), false),
        (format!(r#","events":{{"{EVENT}":{{}},"\udfff":1}}"#), false),
        (r#","name":"\ud800""#.to_owned(), false),
        (r#","name":["\udfff\ud800"]"#.to_owned(), false),
        (r#","\ud800":1"#.to_owned(), false),
    ] {
        let token = format!("{header}.{}.ZmFrZQ", URL_SAFE_NO_PAD.encode(format!("{sound}{more}}}")));
        let reason = check(&token).err().map(|error| (error.kind(), error.reason()));
        assert_eq!(reason, (!is_sound).then_some((ErrorKind::Invalid, Some("format"))), "{more}");
    }
}

/// A key of the server with which everybody can sign, or whose check takes long, is none of its keys.
#[test]
fn weak_keys_of_the_server() {
    let modulus =
        |first: u8, last: u8| URL_SAFE_NO_PAD.encode([[first].as_slice(), &[0xff; 254], &[last]].concat());
    let n = modulus(0xff, 0xff);
    for (n, e, is_sound) in [
        (n.clone(), "AQAB".to_owned(), true),
        (n.clone(), "AQ".to_owned(), false),
        (n.clone(), "Ag".to_owned(), false),
        (n.clone(), n.clone(), false),
        (modulus(0xff, 0xfe), "AQAB".to_owned(), false),
        (modulus(0x01, 0xff), "AQAB".to_owned(), false),
    ] {
        let set = json!({"keys": [{"kty": "RSA", "kid": "fake-key", "n": n, "e": e}]}).to_string();
        let keys = client().fetch_keys(now()).unwrap().read(answer(200, &set)).unwrap();
        let (response, library) = (body(&token(&claims())), Always(true));
        let verification = Verification::by(&keys, &library);
        let read = call(&client()).authenticate(answer(200, &response), &verification, now());
        let expected = (!is_sound).then_some((ErrorKind::Suspect, Some("kid")));
        assert_eq!(read.err().map(|error| (error.kind(), error.reason())), expected);
    }
}

/// `userinfo_signing_alg_values_supported` (OpenID Connect Discovery §3).
#[test]
fn userinfo_with_an_algorithm_that_the_server_does_not_list() {
    let mut document = serde_json::to_value(server()).unwrap();
    document["userinfo_signing_alg_values_supported"] = json!(["ES256"]);
    let client = client_of(serde_json::from_value(document).unwrap());
    let call = client.userinfo(&Secret::new("fake-access"), &id_token()).start(now()).unwrap();
    for (alg, reason) in [("RS256", Some("alg")), ("ES256", None)] {
        let token = token_of(&json!({"alg": alg}), &json!({"sub": "fake-user"}));
        let read = call.read_signed(answer(200, &token), &Verification::left_to_tls(), now());
        assert_eq!(
            read.err().map(|error| (error.kind(), error.reason())),
            reason.map(|it| (ErrorKind::Suspect, Some(it)))
        );
    }
}

/// Dates and clocks at the ends of their ranges neither overflow nor open a gap.
#[test]
fn extreme_dates() {
    for (name, value, reason) in [
        ("exp", json!(u64::MAX), None),
        ("exp", json!(1e300), None),
        ("exp", json!(-1), Some("exp")),
        ("exp", json!(-1e300), Some("exp")),
        ("exp", json!(i64::MIN), Some("exp")),
        ("iat", json!(u64::MAX), Some("iat")),
        ("iat", json!(1e300), Some("iat")),
        ("iat", json!(-1e300), None),
        ("nbf", json!(1e300), Some("nbf")),
    ] {
        let error = authenticate(&changed(claims(), name, value.clone()), now()).err();
        assert_eq!(error.and_then(|error| error.reason()), reason, "{name} {value}");
    }
    // The largest skew takes what is old, and still tells a user from another.
    let skewed = Verification::left_to_tls().clock_skew(Duration::MAX);
    let read = |claims: &Value| {
        let response = body(&token(claims));
        let read = call(&client()).authenticate(answer(200, &response), &skewed, later(u64::from(u32::MAX)));
        read.err().and_then(|error| error.reason())
    };
    assert_eq!(read(&changed(claims(), "exp", json!(0))), None);
    assert_eq!(read(&changed(claims(), "nonce", json!("other"))), Some("nonce"));
}

/// A set of very many keys, or of very deep ones, is refused before any of them is used.
#[test]
fn a_flood_of_keys() {
    let many = format!(r#"{{"keys":[{}{{}}]}}"#, "{},".repeat(100_000));
    let deep =
        format!(r#"{{"keys":[{{"kty":"RSA","x5c":{}{}}}]}}"#, "[".repeat(100_000), "]".repeat(100_000));
    for set in [many, deep] {
        let error = client().fetch_keys(now()).unwrap().read(answer(200, &set)).unwrap_err();
        assert_eq!((error.kind(), error.advice()), (ErrorKind::Invalid, Advice::Stop));
        assert_eq!(KeySet::from_json(&set, now()).unwrap_err().kind(), ErrorKind::Misuse);
    }
}
