//! The answer to a pushed request is read exactly if a model of the rules accepts it, and the browser then
//! goes to the authorization endpoint with this reference. A signed callback is accepted exactly if an
//! independent reader finds one response, of this server, for this client and this request, with a code. A
//! refused one leaves the sign-in unchanged.
//!
//! Input: `p`, a line with the status, and the answer; or `s`, a line with the header and one with the claims
//! of a signed response, then what stands beside it in the query; or `q`, then a whole query.
#![no_main]

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use oauth2_proto::authorization::PushedAuthorization;
use oauth2_proto::error::ErrorKind;
use oauth2_proto::jose::{Algorithm, KeySet, PublicKey, Verification, Verifier};
use oauth2_proto::{Advice, Client, Error, PendingAuthorization, Response};
use oauth2_proto_fuzz::{
    ISSUER, STATE, assert_shows_safely, client, entropy, is_no_error, is_of_another_kind, json_object, lines,
    now, seconds, server,
};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

/// The client, and the stored form of its pending authorization.
static SIGN_IN: LazyLock<(Client, String)> = LazyLock::new(|| {
    let server = server().issuer(ISSUER).unwrap();
    let client = client(server.pushed_authorization_request_endpoint("https://as.example/par").unwrap());
    let request = client.authorize("https://app.example/callback").signed_response();
    let (_, pending) = request.start_with(entropy(), now()).unwrap();
    let mut stored = serde_json::to_value(pending).unwrap();
    stored["state"] = STATE.into();
    (client, stored.to_string())
});

/// One key, named `fake`.
static KEYS: LazyLock<KeySet> = LazyLock::new(|| {
    let x = URL_SAFE_NO_PAD.encode([7; 32]);
    let keys = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "fake", "x": x}]});
    KeySet::from_json(&keys.to_string(), now()).unwrap()
});

/// Takes one signature, whatever the message.
struct Fake;

impl Verifier for Fake {
    fn verifies(&self, algorithm: Algorithm, key: &PublicKey, _: &[u8], signature: &[u8]) -> bool {
        assert!(matches!(algorithm, Algorithm::EdDSA | Algorithm::Ed25519) && key.key_id() == Some("fake"));
        signature == SIGNATURE
    }
}

const SIGNATURE: &[u8] = b"fake-signature";

fuzz_target!(|data: &[u8]| match data.split_first() {
    Some((b'p', rest)) => {
        let Some(([status], body)) = lines(rest) else { return };
        if let Ok(status) = status.parse() {
            check_pushed(status, body);
        }
    }
    Some((b's', rest)) => {
        let Some(([header, claims], beside)) = lines(rest) else { return };
        let parts =
            [header.as_bytes(), claims.as_bytes(), SIGNATURE].map(|part| URL_SAFE_NO_PAD.encode(part));
        let query = format!("response={}{}", parts.join("."), String::from_utf8_lossy(beside));
        check_signed(&query, &|text| [header, claims].contains(&text));
    }
    Some((b'q', query)) => check_signed(&String::from_utf8_lossy(query), &|_| false),
    _ => {}
});

fn check_pushed(status: u16, body: &[u8]) {
    let (client, _) = &*SIGN_IN;
    let (call, _) = client.authorize("https://app.example/callback").push_with(entropy(), now()).unwrap();
    let none: [(&str, &str); 0] = [];
    let object = json_object(body);
    match call.read(Response::new(status, none, body)) {
        Ok(pushed) => {
            assert!((200..=299).contains(&status), "read with status {status}");
            assert!(object.is_none_or(|object| is_pushed(&object)), "another reader refuses it");
            check_url(&pushed, json_object(body).as_ref());
        }
        Err(error) => {
            let is_sound = (200..=299).contains(&status) && object.is_some_and(|object| is_pushed(&object));
            assert!(!is_sound || is_repeated(body), "refused with {error}");
            assert_eq!(error.status(), Some(status));
            assert_shows_safely(&error.to_string());
        }
    }
}

/// The rules for the answer to a pushed request.
fn is_pushed(object: &Map<String, Value>) -> bool {
    let member = |name: &str| object.get(name).unwrap_or(&Value::Null);
    is_no_error(member("error"))
        && member("request_uri").as_str().is_some_and(is_uri)
        && seconds(member("expires_in")).is_some()
}

/// The generic syntax of a URI (RFC 3986 §3), as far as the crate holds a server to it.
fn is_uri(text: &str) -> bool {
    let (uri, fragment) = text.split_once('#').unwrap_or((text, ""));
    let Some((scheme, rest)) = uri.split_once(':') else { return false };
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let is_escape = |part: &str| part.len() >= 2 && part.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    let is_web = ["http", "https"].contains(&&*scheme.to_ascii_lowercase());
    // A web address names a host; elsewhere, something follows the scheme.
    let names_something = match rest.strip_prefix("//") {
        Some(after) => !is_web || !after.is_empty() && !after.starts_with(['/', '?']),
        None => !is_web && !rest.is_empty(),
    };
    let signs = b"-._~:/?@!$&'()*+,;=%[]";
    let are_allowed =
        |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || signs.contains(&byte));
    is_scheme
        && names_something
        && are_allowed(rest)
        && are_allowed(fragment)
        && text.split('%').skip(1).all(is_escape)
}

/// The browser goes to the authorization endpoint, with the client and this reference.
fn check_url(pushed: &PushedAuthorization, object: Option<&Map<String, Value>>) {
    let query = pushed.url().strip_prefix("https://as.example/authorize?").expect("another address");
    let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let expected = [("client_id", "fake-client"), ("request_uri", pushed.request_uri())];
    assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_shows_safely(pushed.url());
    if let Some(object) = object {
        assert_eq!(object["request_uri"], pushed.request_uri());
    }
    let other = format!("{pushed:?}");
    assert!(other.starts_with("PushedAuthorization { expires_in: ") && other.ends_with("s, .. }"), "{other}");
}

/// Returns whether a member may be there twice, which another reader overlooks.
fn is_repeated(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    let is_escaped = text.contains("\\u");
    is_escaped || ["request_uri", "expires_in", "error"].iter().any(|name| text.matches(name).count() > 1)
}

/// `is_written` says whether a text is the header or the claims of the response.
fn check_signed(query: &str, is_written: &dyn Fn(&str) -> bool) {
    let (client, stored) = &*SIGN_IN;
    let mut pending: PendingAuthorization = serde_json::from_str(stored).unwrap();
    let genuine = code_of(query);
    let verification = Verification::by(&KEYS, &Fake);
    match pending.receive_signed(client, query, &verification, now()) {
        Ok(call) => {
            let genuine = genuine.expect("another reader refuses it");
            let form = call.request().form();
            assert!(form.contains(&("code".to_owned(), genuine.code)), "another code: {form:?}");
        }
        Err(error) => {
            if let Some(genuine) = genuine {
                // Another reader overlooks members that are there twice, and takes texts that are not UTF-8.
                let is_plain = genuine.parts.iter().all(|part| is_written(&part.to_string()));
                assert!(!is_plain || query.contains("%FF"), "refused with {error}: {query}");
            }
            check_refused(&error);
            let header = json!({"alg": "EdDSA", "kid": "fake"});
            let claims = json!({
                "iss": ISSUER, "aud": "fake-client", "exp": 1_700_000_060, "state": STATE,
                "code": "fake-real-code",
            });
            let parts = [header.to_string(), claims.to_string()].map(|part| URL_SAFE_NO_PAD.encode(part));
            let real = format!("response={}.{}", parts.join("."), URL_SAFE_NO_PAD.encode(SIGNATURE));
            let call = pending.receive_signed(client, real.as_str(), &verification, now());
            assert!(
                call.expect("the real callback comes after all").request().body().contains("fake-real-code")
            );
        }
    }
    assert_eq!(
        pending.receive_signed(client, query, &verification, now()).unwrap_err().kind(),
        ErrorKind::Misuse,
        "a second token request"
    );
}

fn check_refused(error: &Error) {
    assert_shows_safely(&error.to_string());
    match error.kind() {
        ErrorKind::Refused => assert!(error.code().is_some()),
        ErrorKind::Suspect | ErrorKind::Invalid => {
            assert!(error.reason().is_some(), "{error}");
            assert_eq!(error.advice(), Advice::KeepWaiting, "{error}");
        }
        other => panic!("a callback is not {other:?}: {error}"),
    }
}

/// A genuine response, as another reader finds it.
struct Genuine {
    code: String,
    /// Header and claims.
    parts: [Value; 2],
}

fn code_of(query: &str) -> Option<Genuine> {
    let query = query.strip_prefix('?').unwrap_or(query);
    let query = query.split('#').next()?;
    let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let all = |name: &str| {
        pairs.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    };
    let nothing = |name: &str| -> bool { Vec::<&str>::is_empty(&all(name)) };
    let beside = ["code", "state", "error", "error_description", "access_token", "id_token"];
    let [token] = Vec::<&str>::try_into(all("response")).ok()?;
    let issuers: Vec<&str> = all("iss");
    if !beside.iter().all(|name| nothing(name)) || issuers.iter().any(|issuer| *issuer != ISSUER) {
        return None;
    }
    let token: [&str; 3] = token.split('.').collect::<Vec<_>>().try_into().ok()?;
    let [header, claims, signature] = token.map(|part| URL_SAFE_NO_PAD.decode(part));
    let (header, claims) = (json_object(&header.ok()?)?, json_object(&claims.ok()?)?);
    let head = |name: &str| header.get(name).unwrap_or(&Value::Null);
    let is_signed = signature.ok()? == SIGNATURE
        && matches!(head("alg").as_str(), Some("EdDSA" | "Ed25519"))
        && (head("kid").is_null() || head("kid") == "fake")
        && (head("typ").is_null() || head("typ").is_string())
        && !is_of_another_kind(head("typ"), "oauth-authz-resp+jwt")
        && head("crit").is_null()
        && (head("b64").is_null() || head("b64") == true);
    let claim = |name: &str| claims.get(name).unwrap_or(&Value::Null);
    let is_for_us = match claim("aud") {
        Value::Array(names) => !names.is_empty() && names.iter().all(|name| name == "fake-client"),
        name => name == "fake-client",
    };
    let date = |value: &Value| value.as_f64().map(|seconds| seconds as u64);
    let is_past = |value: &Value| value.is_null() || date(value).is_some_and(|date| date <= 1_700_000_060);
    let is_text = |name: &str| claim(name).is_null() || claim(name).is_string();
    let is_genuine = is_signed
        && claim("iss") == ISSUER
        && is_for_us
        && date(claim("exp")).is_some_and(|date| date > 1_699_999_940)
        && is_past(claim("iat"))
        && is_past(claim("nbf"))
        && claim("state") == STATE
        && ["access_token", "id_token", "error"].iter().all(|name| claim(name).is_null())
        && ["error_description", "error_uri"].iter().all(|name| is_text(name));
    let code = claim("code").as_str().filter(|code| !code.is_empty() && is_genuine)?.to_owned();
    Some(Genuine { code, parts: [header.into(), claims.into()] })
}
