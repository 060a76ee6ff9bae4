//! Cases with expected verdicts, collected from the specifications and from real servers.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2_proto::error::ErrorKind;
use oauth2_proto::jose::{Algorithm, KeySet, Verification};
use oauth2_proto::oidc::{IdToken, LogoutToken, PendingAuthentication, PendingLogout, PreviousIdToken};
use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Error, Response, Secret, TokenResponse};
use ring::hmac;
use serde_json::{Value, json};

use crate::Always;
use crate::support::{REDIRECT_URI, entropy};

const SECRET: &str = "fake-client-secret-of-32-bytes-or-more";

#[test]
fn openid_core_section_3_1_3_7_and_12_2_id_tokens() {
    let cases = vectors(include_str!("../vectors/id_token.json"));
    for case in &cases {
        let (id, expect) = (&case["id"], &case["expect"]);
        match read(case) {
            Ok(None) => assert!(expect["ok"].is_null() && expect.get("ok").is_some(), "{id}"),
            Ok(Some(token)) => {
                assert!(expect["ok"].is_object(), "{id}: it is taken");
                check_claims(id, &expect["ok"], |name| claim(&token, name));
            }
            Err(error) => check_error(case, &error),
        }
    }
    assert_eq!(cases.len(), 102);
}

#[test]
fn back_channel_logout_section_2_4_tokens() {
    let cases: Vec<_> = of_kind("back-channel");
    for case in &cases {
        let id = &case["id"];
        match read_logout(case) {
            Ok(token) => check_claims(id, &case["expect"]["ok"], |name| logout_claim(&token, name)),
            Err(error) if case["expect"] == "misuse" => assert_eq!(error.kind(), ErrorKind::Misuse, "{id}"),
            Err(error) => check_error(case, &error),
        }
    }
    assert_eq!(cases.len(), 12);
}

#[test]
fn rp_initiated_logout_section_3_the_state_comes_back() {
    let cases: Vec<_> = of_kind("post-logout");
    for case in &cases {
        let stored = json!({"logout_version": 1, "state": case["sent_state"]});
        let pending: PendingLogout = serde_json::from_value(stored).unwrap();
        match pending.receive(text(case, "query")) {
            Ok(()) => assert_eq!(case["expect"], "done", "{}", case["id"]),
            Err(error) => {
                assert_eq!((error.kind(), &case["expect"]), (ErrorKind::Suspect, &json!("suspect")))
            }
        }
    }
    assert_eq!(cases.len(), 3);
}

fn read(case: &Value) -> Result<Option<IdToken>, Error> {
    let client = client(case);
    let (keys, skew) = (keys(), Duration::from_secs(case["clock_skew"].as_u64().unwrap()));
    let (names, secret) = (&case["allowed_algs"], Secret::new(SECRET));
    let algorithms = names.as_array().unwrap().iter().filter_map(|name| Algorithm::from_name(name.as_str()?));
    let verification = match text(case, "signature") {
        _ if *names == json!(["HS256"]) => Verification::by_client_secret(&secret),
        "tls" => Verification::left_to_tls().algorithms(algorithms),
        "verifier-accepts" => Verification::by(&keys, &Always(true)).algorithms(algorithms),
        "verifier-rejects" => Verification::by(&keys, &Always(false)).algorithms(algorithms),
        other => panic!("{other}"),
    };
    let verification = verification.clock_skew(skew);
    let now = now(case);
    let mut body = body(case);
    if *names == json!(["HS256"]) {
        body = signed_by_secret(&body);
    }
    let headers = case["headers"].as_array().unwrap().iter();
    let headers = headers.map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()));
    let status = u16::try_from(case["status"].as_u64().unwrap()).unwrap();
    let response = Response::new(status, headers, body.as_bytes());
    match (text(case, "grant"), case["nonce"].as_str()) {
        ("authorization_code", Some(nonce)) => {
            let mut pending = pending(&client, nonce, &case["max_age"]);
            let callback = format!("code=fake-code&state={}", pending.state());
            let call = pending.receive(&client, callback.as_str(), crate::now()).unwrap();
            call.authenticate(response, &verification, now).map(|answer| Some(answer.into_parts().1))
        }
        ("authorization_code", None) => {
            let tokens = TokenResponse::for_test(&client, &body)?;
            tokens.id_token().unwrap().check(&client, &verification, now).map(Some)
        }
        ("refresh_token", nonce) => {
            let mut previous = case["previous"].clone();
            (previous["version"], previous["nonce"]) = (json!(1), json!(nonce));
            let previous: PreviousIdToken = serde_json::from_value(previous).unwrap();
            let tokens = client.refresh(&Secret::new("fake")).start(now).unwrap().read(response)?;
            let checked =
                tokens.id_token().map(|it| it.check_refreshed(&previous, &client, &verification, now));
            checked.transpose()
        }
        (other, _) => panic!("{other}"),
    }
}

fn read_logout(case: &Value) -> Result<LogoutToken, Error> {
    let (keys, library) = (keys(), Always(text(case, "signature") == "verifier-accepts"));
    let algorithms = case["allowed_algs"].as_array().unwrap().iter();
    let algorithms: Vec<_> =
        algorithms.map(|name| Algorithm::from_name(name.as_str().unwrap()).unwrap()).collect();
    let verification = match text(case, "signature") {
        "tls" => Verification::left_to_tls(),
        _ => Verification::by(&keys, &library),
    };
    let verification = verification.algorithms(algorithms);
    client(case).read_logout_token(text(case, "body"), &verification, now(case))
}

/// A sign-in with this nonce, as if it came from a store.
#[track_caller]
fn pending(client: &Client, nonce: &str, max_age: &Value) -> PendingAuthentication {
    let request = client.authorize(REDIRECT_URI).openid();
    let (_, pending) = request.start_with(entropy(), crate::now()).unwrap();
    let mut stored = serde_json::to_value(pending).unwrap();
    (stored["nonce"], stored["max_age"]) = (json!(nonce), max_age.clone());
    serde_json::from_value(stored).unwrap()
}

#[track_caller]
fn client(case: &Value) -> Client {
    let issuer = text(case, "issuer");
    let server =
        AuthorizationServer::new("https://as.example/authorize", "https://as.example/token").unwrap();
    let server = server.issuer(issuer).unwrap();
    Client::new(server, text(case, "client_id"), ClientAuth::basic(SECRET)).unwrap()
}

/// One key of each kind.
#[track_caller]
fn keys() -> KeySet {
    let set = json!({"keys": [
        {"kty": "RSA", "kid": "fake-kid-1", "n": URL_SAFE_NO_PAD.encode([0xff; 256]), "e": "AQAB"},
        {"kty": "EC", "crv": "P-256", "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
            "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"},
        {"kty": "OKP", "crv": "Ed25519", "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs"},
    ]});
    KeySet::from_json(&set.to_string(), SystemTime::UNIX_EPOCH).unwrap()
}

/// Signs the ID token of a body by the client secret: its own signature is only said to be right.
fn signed_by_secret(body: &str) -> String {
    let mut body: Value = serde_json::from_str(body).unwrap();
    let (message, _) = body["id_token"].as_str().unwrap().rsplit_once('.').unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes()));
    body["id_token"] = json!(format!("{message}.{signature}"));
    body.to_string()
}

fn vectors(json: &str) -> Vec<Value> {
    serde_json::from_str(json).unwrap()
}

fn of_kind(kind: &str) -> Vec<Value> {
    let cases = vectors(include_str!("../vectors/logout.json"));
    cases.into_iter().filter(|case| case["kind"] == kind).collect()
}

#[track_caller]
fn text<'a>(case: &'a Value, member: &str) -> &'a str {
    case[member].as_str().unwrap_or_else(|| panic!("{}: no {member}", case["id"]))
}

fn now(case: &Value) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(case["now"].as_u64().unwrap())
}

#[track_caller]
fn body(case: &Value) -> String {
    if let Some(text) = case["body"].as_str() {
        return text.to_owned();
    }
    let parts = case["body_parts"].as_array().unwrap().iter();
    parts.map(|part| part[0].as_str().unwrap().repeat(part[1].as_u64().unwrap() as usize)).collect()
}

/// The seconds of a time; the end of the year 9999 stands for everything after it.
fn seconds(time: SystemTime) -> Value {
    const END: u64 = 253_402_300_799;
    match time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() {
        END => json!(u64::MAX),
        seconds => json!(seconds),
    }
}

fn claim(token: &IdToken, name: &str) -> Value {
    match name {
        "iss" => json!(token.issuer()),
        "sub" => json!(token.subject()),
        "aud" => json!(token.audience()),
        "exp" => seconds(token.expires_at()),
        "iat" => seconds(token.issued_at()),
        "nonce" => json!(token.nonce()),
        "azp" => json!(token.authorized_party()),
        "auth_time" => token.authenticated_at().map_or(Value::Null, seconds),
        "acr" => json!(token.acr()),
        "amr" => json!(token.amr()),
        "at_hash" => json!(token.at_hash()),
        "sid" => json!(token.session_id()),
        other => token.claim(other).cloned().unwrap_or_default(),
    }
}

fn logout_claim(token: &LogoutToken, name: &str) -> Value {
    match name {
        "iss" => json!(token.issuer()),
        "sub" => json!(token.subject()),
        "aud" => json!(token.audience()),
        "exp" => seconds(token.expires_at()),
        "iat" => seconds(token.issued_at()),
        "jti" => json!(token.token_id()),
        "sid" => json!(token.session_id()),
        other => panic!("{other}"),
    }
}

#[track_caller]
fn check_claims(id: &Value, expected: &Value, claim: impl Fn(&str) -> Value) {
    for (name, expected) in expected.as_object().unwrap() {
        match expected.get("at_least") {
            Some(least) => assert!(claim(name).as_u64() >= least.as_u64(), "{id}: {name}"),
            None => assert_eq!(claim(name), *expected, "{id}: {name}"),
        }
    }
}

#[track_caller]
fn check_error(case: &Value, error: &Error) {
    let expected = &case["expect"]["error"];
    let class = match error.kind() {
        ErrorKind::Invalid => "invalid",
        ErrorKind::Suspect => "suspect",
        other => panic!("{}: {other:?}: {error}", case["id"]),
    };
    assert_eq!(
        (expected["class"].as_str(), expected["reason"].as_str()),
        (Some(class), error.reason()),
        "{}: {error}",
        case["id"]
    );
    if let Some(status) = expected["status"].as_u64() {
        assert_eq!(error.status().map(u64::from), Some(status), "{}", case["id"]);
    }
}
