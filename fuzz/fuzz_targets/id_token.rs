//! An ID token is taken exactly if a model of the rules, on another JSON reader, takes it, and its claims equal
//! those that this reader finds. No token is taken both as an ID token and as a logout token, and any text is
//! taken only if it is a token that the model takes, too.
//!
//! Input: the header and the claims, each a line of JSON; or any text.
#![no_main]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use oauth2_proto::jose::{Algorithm, KeySet, PublicKey, Verification, Verifier};
use oauth2_proto::oidc::IdToken;
use oauth2_proto::{Client, Error, TokenResponse};
use oauth2_proto_fuzz::{
    ISSUER, assert_shows_safely, client, is_of_another_kind, json_object, lines, now, server,
};
use serde_json::{Map, Value, json};

const NOW: u64 = 1_700_000_000;
const SKEW: u64 = 60;
const CLIENT_ID: &str = "fake-client";
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// `at_hash` of the access token in [`check`], by SHA-256.
const AT_HASH: &str = "zGUVLzVpm5Z0RRuac3cWcQ";

const ALGORITHMS: [&str; 11] =
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"];

/// A library that finds each signature right.
struct Accepts;

impl Verifier for Accepts {
    fn verifies(&self, _: Algorithm, _: &PublicKey, _: &[u8], _: &[u8]) -> bool {
        true
    }
}

fuzz_target!(|data: &[u8]| {
    let client = client(server().issuer(ISSUER).unwrap());
    if let Ok(text) = std::str::from_utf8(data) {
        let taken = check(text, &client);
        if let Ok(taken) = &taken {
            let (header, claims) = independent(text).expect("another reader finds no token");
            assert!(is_acceptable(&header, &claims), "{claims:?}");
            compare(taken, &claims);
        }
    }
    let Some(([header], claims)) = lines(data) else { return };
    let (Some(header), Some(claims)) = (json_object(header.as_bytes()), json_object(claims)) else { return };
    // Serialized again, so that no member is repeated.
    let part = |object: &Map<String, Value>| URL_SAFE_NO_PAD.encode(serde_json::to_vec(object).unwrap());
    let token = format!("{}.{}.ZmFrZQ", part(&header), part(&claims));
    match check(&token, &client) {
        Ok(taken) => {
            assert!(is_acceptable(&header, &claims), "{header:?} {claims:?}");
            compare(&taken, &claims);
            let keys = json!({"keys": [{"kty": "OKP", "crv": "Ed25519",
                "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs"}]});
            let keys = KeySet::from_json(&keys.to_string(), now()).unwrap();
            let verification = Verification::by(&keys, &Accepts);
            let body = format!("logout_token={token}");
            assert!(client.read_logout_token(&body, &verification, now()).is_err(), "it is both");
        }
        Err(error) => {
            assert!(!is_acceptable(&header, &claims), "{error}: {header:?} {claims:?}");
            assert!(error.reason().is_some());
            assert_shows_safely(&error.to_string());
        }
    }
});

/// Checks the ID token of a grant without a nonce.
fn check(token: &str, client: &Client) -> Result<IdToken, Error> {
    let body = json!({"access_token": "fake-access", "token_type": "Bearer", "id_token": token});
    let tokens = TokenResponse::for_test(client, &body.to_string()).unwrap();
    tokens.id_token().unwrap().check(client, &Verification::left_to_tls(), now())
}

/// Takes a token apart without the crate.
fn independent(token: &str) -> Option<(Map<String, Value>, Map<String, Value>)> {
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>().try_into().ok()?;
    let object = |part: &str| json_object(&URL_SAFE_NO_PAD.decode(part).ok()?);
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    Some((object(header)?, object(claims)?)).filter(|_| !signature.is_empty())
}

fn is_acceptable(header: &Map<String, Value>, claims: &Map<String, Value>) -> bool {
    let of_header = |name: &str| header.get(name).unwrap_or(&Value::Null);
    let claim = |name: &str| claims.get(name).unwrap_or(&Value::Null);
    let is_optional_text = |value: &Value| value.is_null() || value.is_string();
    let alg = of_header("alg").as_str().unwrap_or_default();
    let header = ALGORITHMS.contains(&alg)
        && is_optional_text(of_header("kid"))
        && is_optional_text(of_header("typ"))
        && !is_of_another_kind(of_header("typ"), "id_token+jwt")
        && of_header("crit").is_null()
        && (of_header("b64").is_null() || *of_header("b64") == true);

    let audience = audience(claims);
    let is_past = |name| claim(name).is_null() || date(claim(name)).is_some_and(|time| time <= NOW + SKEW);
    let party = match claim("azp") {
        Value::Null => audience.as_ref().is_some_and(|audience| audience.len() == 1),
        azp => azp == CLIENT_ID,
    };
    let methods = match claim("amr") {
        Value::Null => true,
        Value::Array(methods) => methods.iter().all(Value::is_string),
        _ => false,
    };
    header
        && claim("iss") == ISSUER
        && claim("sub").as_str().is_some_and(|sub| matches!(sub.len(), 1..=255))
        && audience.is_some_and(|audience| audience.contains(&CLIENT_ID))
        && date(claim("exp")).is_some_and(|exp| NOW < exp.saturating_add(SKEW))
        && !claim("iat").is_null()
        && is_past("iat")
        && is_past("nbf")
        && claim("nonce").is_null()
        && party
        && (claim("auth_time").is_null() || date(claim("auth_time")).is_some())
        && is_optional_text(claim("acr"))
        && is_optional_text(claim("sid"))
        && methods
        && (claim("at_hash").is_null() || (claim("at_hash") == AT_HASH && alg.ends_with("256")))
        && claim("events").get(EVENT).is_none()
}

fn audience(claims: &Map<String, Value>) -> Option<Vec<&str>> {
    match claims.get("aud")? {
        Value::String(one) => Some(vec![one]),
        Value::Array(several) => several.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

/// Reads a date; `as` cuts a fraction and saturates.
fn date(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => {
            Some(number.as_u64().unwrap_or_else(|| number.as_f64().unwrap_or_default() as u64))
        }
        _ => None,
    }
}

fn compare(taken: &IdToken, claims: &Map<String, Value>) {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    assert_eq!(Some(taken.issuer()), text("iss"));
    assert_eq!(Some(taken.subject()), text("sub"));
    assert_eq!(Some(taken.audience().iter().map(String::as_str).collect()), audience(claims));
    assert_eq!((taken.acr(), taken.session_id()), (text("acr"), text("sid")));
    assert_eq!(taken.claim("email"), claims.get("email"));
    let shown = format!("{taken:?}");
    assert_shows_safely(&shown);
}
