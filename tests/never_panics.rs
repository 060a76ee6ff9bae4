//! Any bytes may arrive: nothing panics, and nothing is accepted that must be refused.

#[allow(dead_code, reason = "this program needs a part of it")]
#[path = "support/bound.rs"]
mod bound;
#[path = "support/responses.rs"]
mod responses;
mod support;

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2_proto::challenge::{Challenges, ProtectedApi, StepUp, StepUpPolicy};
use oauth2_proto::jose::{KeySet, Verification};
use oauth2_proto::{
    AuthorizationServer, Call, Callback, Client, ClientAuth, Entropy, PendingAuthorization, RefreshPolicy,
    Response, Secret, Session, Snapshot, Step, TokenResponse, authorization::CodeVerifier, pleo,
    session::SessionRefresh, token::TokenType,
};
use proptest::prelude::*;

use responses::json;
use support::{REDIRECT_URI, client, client_of, entropy, entropy_of, now, server, start, token_call};

/// Random texts, many of which look like a callback.
fn callback() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("code=".to_owned()),
        Just("state=".to_owned()),
        Just("error=".to_owned()),
        Just("iss=".to_owned()),
        Just("&".to_owned()),
        Just("%".to_owned()),
        Just("+".to_owned()),
        Just("#".to_owned()),
        Just("?".to_owned()),
        Just(start(&client()).1.state().to_owned()),
        any::<String>(),
        "%[0-9a-fA-F]{2}",
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

/// Random texts, many of which look like the JSON of a token response.
fn body() -> impl Strategy<Value = String> {
    let member = prop_oneof![
        Just("access_token"),
        Just("token_type"),
        Just("expires_in"),
        Just("refresh_token"),
        Just("scope"),
        Just("error"),
        Just("error_description"),
        Just("other"),
    ];
    let value = prop_oneof![
        Just("\"Bearer\"".to_owned()),
        Just("null".to_owned()),
        Just("[\"a\"]".to_owned()),
        Just("{}".to_owned()),
        any::<f64>().prop_map(|number| number.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<String>().prop_map(|text| format!("{text:?}")),
        any::<String>(),
    ];
    prop::collection::vec((member, value), 0..6).prop_map(|members| {
        let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    })
}

/// Any time that the platform can represent, and often one at which something ends.
fn time() -> impl Strategy<Value = SystemTime> {
    let seconds = prop_oneof![
        4 => 1_700_000_000..1_700_020_000_u64,
        1 => any::<u64>(),
        1 => Just(0),
        1 => Just(u64::MAX),
        1 => Just(i64::MAX as u64),
        1 => 253_402_300_700..253_402_300_900_u64,
    ];
    (seconds, 0..1_000_000_000_u32, prop::bool::weighted(0.9)).prop_map(|(seconds, nanoseconds, after)| {
        let (epoch, duration) = (SystemTime::UNIX_EPOCH, Duration::new(seconds, nanoseconds));
        let time = if after { epoch.checked_add(duration) } else { epoch.checked_sub(duration) };
        time.unwrap_or(epoch)
    })
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::MAX),
        any::<Duration>(),
        (0..5000_u64).prop_map(Duration::from_millis)
    ]
}

prop_compose! {
    fn policy()(
        earliest: f32, latest: f32, skew in duration(), claim in duration(), first in duration(),
        longest in duration(), retry_after in duration(), attempts: u32, default: bool,
    ) -> RefreshPolicy {
        if default {
            return RefreshPolicy::default();
        }
        RefreshPolicy::default()
            .refresh_fraction(earliest, latest)
            .clock_skew(skew)
            .claim_duration(claim)
            .backoff(first, longest)
            .max_retry_after(retry_after)
            .max_attempts(attempts)
    }
}

/// The calls that a program may make on a session, in any order.
#[derive(Clone, Debug)]
enum Operation {
    Save,
    SaveElsewhere,
    Adopt,
    Send,
    Receive(u16, String, String),
    NoResponse,
    Reject,
    Resume,
    Reauthorize,
    Restart,
}

fn operation() -> impl Strategy<Value = Operation> {
    let good = r#"{"access_token":"fake-b","token_type":"Bearer","expires_in":60,"refresh_token":"fake-r"}"#;
    let endless = r#"{"access_token":"fake-c","token_type":"Bearer","expires_in":1e300}"#;
    let body = prop_oneof![
        Just(good.to_owned()),
        Just(good.replace("60", "0")),
        Just(endless.to_owned()),
        Just(r#"{"error":"invalid_grant"}"#.to_owned()),
        Just(r#"{"error":"invalid_client"}"#.to_owned()),
        body(),
    ];
    let status = prop_oneof![4 => Just(200), 2 => Just(400), 2 => Just(503), 1 => any::<u16>()];
    let retry_after = prop_oneof![
        any::<u64>().prop_map(|seconds| seconds.to_string()),
        Just("Fri, 31 Dec 9999 23:59:59 GMT".to_owned()),
        any::<String>(),
    ];
    prop_oneof![
        6 => Just(Operation::Save),
        1 => Just(Operation::SaveElsewhere),
        1 => Just(Operation::Adopt),
        4 => Just(Operation::Send),
        3 => (status, body, retry_after).prop_map(|(status, body, after)| Operation::Receive(status, body, after)),
        1 => Just(Operation::NoResponse),
        1 => Just(Operation::Reject),
        1 => Just(Operation::Resume),
        1 => Just(Operation::Reauthorize),
        1 => Just(Operation::Restart),
    ]
}

/// Random objects with some of these members.
fn json_object(names: &'static [&'static str]) -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("\"RS256\"".to_owned()),
        Just("\"EC\"".to_owned()),
        Just("\"https://as.example\"".to_owned()),
        Just("\"fake-client\"".to_owned()),
        Just("null".to_owned()),
        Just("[\"a\"]".to_owned()),
        Just("{}".to_owned()),
        any::<f64>().prop_map(|number| serde_json::json!(number).to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<String>().prop_map(|text| serde_json::json!(text).to_string()),
    ];
    let member = (prop::sample::select(names), value);
    prop::collection::vec(member, 0..12).prop_map(|members| {
        let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    })
}

proptest! {
    #[test]
    fn any_text_as_a_callback(text in callback()) {
        let client = client();
        for callback in [Callback::query(&text), Callback::url(&text), Callback::pairs([(&*text, &*text), ("state", &*text)])] {
            let (_, mut pending) = start(&client);
            let state = pending.state().to_owned();
            if pending.receive(&client, callback, now()).is_ok() {
                prop_assert!(text.contains(&state));
            } else {
                let real = format!("code=fake&state={state}");
                prop_assert!(pending.receive(&client, real.as_str(), now()).is_ok());
            }
        }
    }

    #[test]
    fn any_time(seconds: u64, nanoseconds in 0..1_000_000_000_u32, after: bool) {
        let duration = Duration::new(seconds, nanoseconds);
        let epoch = SystemTime::UNIX_EPOCH;
        let time = if after { epoch.checked_add(duration) } else { epoch.checked_sub(duration) };
        let time = time.unwrap_or(epoch);
        let client = client();
        let request = client.authorize(REDIRECT_URI).lifetime(duration);
        let (_, mut pending) = request.start_with(entropy(), time).unwrap();
        let callback = format!("code=fake&state={}", pending.state());
        prop_assert!(pending.expires_at() >= epoch);
        let _ = pending.receive(&client, callback.as_str(), now());
    }

    #[test]
    fn any_bytes_as_a_response(status: u16, body in prop::collection::vec(any::<u8>(), 0..200), header: String) {
        let headers = [("retry-after", header.as_str()), ("content-type", header.as_str()), (header.as_str(), "x")];
        prop_assert!(token_call(&client()).read(Response::new(status, headers, &body)).is_err());
    }

    #[test]
    fn any_json_as_a_response(status in prop_oneof![Just(200_u16), any::<u16>()], body in body()) {
        let headers = [("content-type", "application/json")];
        if let Ok(tokens) = token_call(&client()).read(Response::new(status, headers, body.as_bytes())) {
            prop_assert!((200..300).contains(&status));
            prop_assert!(!tokens.access_token().expose().is_empty());
            prop_assert!(!tokens.access_token().expose().contains(char::is_control));
        }
    }

    #[test]
    fn any_bytes_as_an_answer_of_another_endpoint(
        status in prop_oneof![Just(200_u16), any::<u16>()],
        body in prop_oneof![prop::collection::vec(any::<u8>(), 0..200), body().prop_map(String::into_bytes)],
    ) {
        let server = server().revocation_endpoint("https://as.example/revoke").unwrap();
        let server = server.introspection_endpoint("https://as.example/introspect").unwrap();
        let (client, token) = (client_of(server), Secret::new("fake-token"));
        let response = || Response::new(status, [("retry-after", "9")], &body);
        let is_revoked = client.revoke(&token).start(SystemTime::UNIX_EPOCH).unwrap().read(response()).is_ok();
        prop_assert_eq!(is_revoked, (200..300).contains(&status));
        // None of these bodies has a member `active`.
        prop_assert!(client.introspect(&token).start(SystemTime::UNIX_EPOCH).unwrap().read(response()).is_err());
    }

    #[test]
    fn any_answer_to_a_pushed_request_and_any_signed_response(
        status in prop_oneof![Just(201_u16), any::<u16>()],
        request_uri in prop_oneof![any::<String>(), "[a-z]{1,3}:[!-~]{0,20}"], expires_in in any::<f64>(),
        callback in callback(), part in "[A-Za-z0-9_.-]{0,40}", claims in body(),
    ) {
        let server = server().issuer("https://as.example").unwrap();
        let client = client_of(server.pushed_authorization_request_endpoint("https://as.example/par").unwrap());
        let request = client.authorize(REDIRECT_URI).signed_response();
        let (call, mut pending) = request.push_with(entropy(), now()).unwrap();
        let body = serde_json::json!({"request_uri": request_uri, "expires_in": expires_in}).to_string();
        let none: [(&str, &str); 0] = [];
        if let Ok(pushed) = call.read(Response::new(status, none, body.as_bytes())) {
            prop_assert!((200..300).contains(&status));
            prop_assert!(pushed.url().starts_with("https://as.example/authorize?client_id=fake-client&request_uri="));
            prop_assert_eq!(pushed.request_uri(), request_uri);
        }
        let secret = Secret::new("fake-secret-of-32-octets-exactly");
        let verification = Verification::by_client_secret(&secret);
        let [header, claims] = [r#"{"alg":"HS256"}"#, &claims].map(|part| URL_SAFE_NO_PAD.encode(part));
        for callback in [
            callback,
            format!("response={part}"),
            format!("response={header}.{claims}.{part}"),
            format!("response={header}.{part}.{claims}"),
        ] {
            // Nobody guesses the secret.
            prop_assert!(pending.receive_signed(&client, callback.as_str(), &verification, now()).is_err());
        }
    }

    #[test]
    fn any_text_as_a_signed_token(
        text: String,
        header in json_object(&["alg", "kid", "typ", "crit", "b64", "jwk"]),
        claims in json_object(&["iss", "sub", "aud", "exp", "iat", "nonce", "azp", "events", "sid", "jti"]),
        seconds: u64,
    ) {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds % (1 << 40));
        let server = server().issuer("https://as.example").unwrap();
        let client = client_of(server.userinfo_endpoint("https://as.example/userinfo").unwrap());
        let part = |json: &str| URL_SAFE_NO_PAD.encode(json);
        let secret = Secret::new("fake-secret-of-at-least-32-bytes");
        for token in [text.clone(), format!("{}.{}.ZmFrZQ", part(&header), part(&claims))] {
            for verification in [Verification::left_to_tls(), Verification::by_client_secret(&secret)] {
                let body = serde_json::json!({"access_token": "a", "token_type": "Bearer", "id_token": token});
                let tokens = TokenResponse::for_test(&client, &body.to_string()).unwrap();
                let checked = tokens.id_token().unwrap().check(&client, &verification, now);
                prop_assert!(checked.is_err(), "no subject of these is sound and named");
                let _ = client.read_logout_token(&format!("logout_token={token}"), &verification, now);
                let _ = client.read_logout_token(&token, &verification, now);
            }
        }
    }

    #[test]
    fn any_json_as_a_key_set(
        text: String,
        key in json_object(&["kty", "crv", "x", "y", "n", "e", "kid", "alg", "use", "d"]),
    ) {
        let _ = (KeySet::from_json(&text, now()), serde_json::from_str::<KeySet>(&text));
        let set = format!("{{\"keys\":[{key},{key}]}}");
        if let Ok(keys) = KeySet::from_json(&set, now()) {
            let stored = serde_json::to_string(&keys).unwrap();
            prop_assert_eq!(serde_json::from_str::<KeySet>(&stored).unwrap(), keys);
        }
    }

    #[test]
    fn any_text_as_configuration(text: String, address in "https?://[a-z@:#?\\[\\]/.0-9-]{0,20}") {
        for address in [&text, &address] {
            let _ = pleo::at(address);
            let _ = pleo::subject(client().authorize(REDIRECT_URI), address);
            let _ = CodeVerifier::new(address);
            let _ = serde_json::from_str::<PendingAuthorization>(address);
            if let Ok(server) = AuthorizationServer::new(address, address).and_then(|server| server.issuer(address)) {
                let server = server.clone().pushed_authorization_request_endpoint(address).unwrap_or(server);
                let client = Client::new(server, text.as_str(), ClientAuth::basic(text.as_str()));
                if let Ok(client) = client {
                    let request = client.authorize(address).scopes([&text]).parameter(&text, address).resource(address);
                    let _ = request.start_with(Entropy::from_bytes([1; 128]), now());
                    let request = client.authorize(address).scopes([&text]).parameter(&text, address).signed_response();
                    let _ = request.push_with(Entropy::from_bytes([1; 128]), now());
                    let _ = client.refresh(&Secret::new(text.as_str())).scopes([&text]).resource(address).start(SystemTime::UNIX_EPOCH);
                }
            }
        }
    }

    #[test]
    fn any_bytes_as_a_challenge(
        bytes: Vec<u8>, line in "(Bearer )?[ ,a-c=\"\\\\]{0,40}", url in "https://a[a-z@:#?\\[\\]/.%0-9;-]{0,20}",
    ) {
        let challenges = Challenges::parse([bytes.as_slice(), line.as_bytes()]);
        let mut step_up = StepUp::default();
        for challenge in challenges.iter() {
            let _ = step_up.demanded(challenge, [&url], &StepUpPolicy::any_scope());
        }
        let _ = format!("{challenges:?} {step_up:?} {:?}", challenges.verdict(403, true));
        let _ = serde_json::from_slice::<StepUp>(&bytes);
        if let Ok(api) = ProtectedApi::new([&url]) {
            let token = Secret::new("fake-token");
            prop_assert!(api.authorization(&TokenType::Bearer, &token, &url).is_ok(), "a base is under itself");
            let _ = api.authorization_as(&line, &token, &line);
        }
    }

    #[test]
    fn any_answer_to_a_bound_request(
        status: u16, lines in prop::collection::vec((prop_oneof![Just("www-authenticate".to_owned()),
        Just("DPoP-Nonce".to_owned()), any::<String>()], prop_oneof![Just("DPoP error=use_dpop_nonce".to_owned()),
        any::<String>()]), 0..6), method: String, url: String,
    ) {
        let key = bound::key(0);
        let token = Secret::new("fake-token");
        let api = ProtectedApi::new(["https://api.example"]).unwrap();
        let _ = api.bound_request(&key, &token, &method, &url);
        let mut request = api.bound_request(&key, &token, "GET", "https://api.example/a").unwrap();
        let repeated = (0..5).filter(|_| {
            matches!(request.received(status, lines.iter().map(|(name, value)| (name, value))), Ok(true))
        });
        prop_assert!(repeated.count() <= 1);
        // Whatever the nonce was, the proof is sound.
        let [_, (_, proof)] = request.headers(now()).unwrap();
        let nonce = bound::Proof::parse(proof.expose()).nonce().map(str::to_owned);
        prop_assert!(nonce.is_none_or(|nonce| !nonce.is_empty() && nonce.bytes().all(|it| it.is_ascii_graphic())));
    }

    #[test]
    fn a_pending_authorization_survives_serialisation(
        verifier: [u8; 32], state: [u8; 32], scope in "[!#-\\[\\]-~]{1,20}", lifetime in 0..1_000_000_u64,
    ) {
        let client = client();
        let request = client.authorize(REDIRECT_URI).scopes([scope]).lifetime(Duration::from_secs(lifetime));
        let (_, pending) = request.start_with(entropy_of(state, verifier), now()).unwrap();
        let stored = serde_json::to_string(&pending).unwrap();
        let restored: PendingAuthorization = serde_json::from_str(&stored).unwrap();
        prop_assert_eq!(serde_json::to_string(&restored).unwrap(), stored);
    }

    #[test]
    fn any_sequence_of_operations_on_a_session_at_any_time(
        policy in policy(), expires_in: u64, operations in prop::collection::vec((operation(), time()), 0..40),
    ) {
        let client = client();
        let body = format!(
            r#"{{"access_token":"fake-a","token_type":"Bearer","expires_in":{expires_in},"refresh_token":"fake-r"}}"#
        );
        let tokens = || token_call(&client).read(json(&body)).unwrap();
        let mut session = Session::new(tokens(), policy, now());
        let (mut stored, mut calls): (Option<String>, Vec<Call<SessionRefresh>>) = (None, Vec::new());
        let load = |text: &String| serde_json::from_str::<Snapshot>(text).expect("what was stored");
        for (operation, now) in operations {
            match operation {
                Operation::Save | Operation::SaveElsewhere => {
                    if let Step::Save(save) = session.poll(now) {
                        stored = Some(serde_json::to_string(save.snapshot()).unwrap());
                        if matches!(operation, Operation::Save) {
                            session.saved(save);
                        }
                    }
                }
                Operation::Adopt => {
                    if let Some(stored) = &stored {
                        session.adopt(load(stored), now).unwrap();
                    }
                }
                Operation::Send => calls.extend(session.send(&client, now).unwrap()),
                Operation::Receive(status, body, retry_after) => {
                    if let Some(call) = calls.pop() {
                        let headers = [("retry-after", retry_after)];
                        let _ = session.received(call, Response::new(status, headers, body.as_bytes()), now);
                    }
                }
                Operation::NoResponse => {
                    if let Some(call) = calls.pop() {
                        session.no_response(call, now);
                    }
                }
                Operation::Reject => session.access_token_rejected(&Secret::new("fake-a")),
                Operation::Resume => session.resume(now),
                Operation::Reauthorize => session.reauthorized(tokens(), now),
                Operation::Restart => {
                    if let Some(stored) = &stored {
                        session = Session::restore(&client, load(stored), policy, now).unwrap();
                    }
                }
            }
            let poll = format!("{:?}", session.poll(now));
            prop_assert_eq!(format!("{:?}", session.poll(now)), poll);
            let usable = session.access_token(now).is_some();
            prop_assert!(!usable || stored.is_some(), "usable before it was stored");
            let _ = (session.expires_at(), session.granted_scopes().count(), format!("{session:?}"));
        }
    }

    #[test]
    fn any_text_as_a_snapshot(text: String, member in 0..22_usize, value in any::<i64>()) {
        let _ = serde_json::from_str::<Snapshot>(&text);
        let tokens = token_call(&client()).read(json(r#"{"access_token":"fake-a","token_type":"Bearer"}"#));
        let mut session = Session::new(tokens.unwrap(), RefreshPolicy::default(), now());
        let Step::Save(save) = session.poll(now()) else { panic!("new tokens are to be saved") };
        let stored = serde_json::to_value(save.snapshot()).unwrap();
        let name = stored.as_object().unwrap().keys().nth(member).unwrap().clone();
        for value in [value.into(), value.unsigned_abs().into(), text.into(), serde_json::Value::Null] {
            let mut changed = stored.clone();
            changed[&name] = value;
            if let Ok(snapshot) = serde_json::from_value::<Snapshot>(changed) {
                prop_assert!(snapshot.revision() > 0);
                let policy = RefreshPolicy::default();
                let mut session = Session::restore(&client(), snapshot.clone(), policy, now())
                    .unwrap_or_else(|_| Session::rebind(&client(), snapshot, policy, now()));
                let _ = (session.poll(now()), session.access_token(now()));
            }
        }
    }
}

#[cfg(feature = "keys")]
mod keys {
    use oauth2_proto::Entropy;
    use oauth2_proto::jose::{Algorithm, LocalKey, LocalVerifier, PublicKey, Signer, Verifier};
    use proptest::prelude::*;

    const ALGORITHMS: [Algorithm; 5] =
        [Algorithm::ES256, Algorithm::EdDSA, Algorithm::RS256, Algorithm::PS256, Algorithm::ES384];

    const PEMS: [&str; 8] = [
        include_str!("keys/pem/rsa.pkcs8.pem"),
        include_str!("keys/pem/rsa.pkcs1.pem"),
        include_str!("keys/pem/rsa-pss.pkcs8.pem"),
        include_str!("keys/pem/p256.pkcs8.pem"),
        include_str!("keys/pem/p256.sec1.pem"),
        include_str!("keys/pem/ed25519.pkcs8.pem"),
        include_str!("keys/pem/p384.sec1.pem"),
        include_str!("keys/pem/encrypted.pkcs8.pem"),
    ];

    /// Reads a key, and signs with it if it is one.
    fn read(read: impl Fn(Algorithm) -> Result<LocalKey, oauth2_proto::Error>) {
        for algorithm in ALGORITHMS {
            match read(algorithm) {
                Ok(key) => {
                    let signature = key.sign(b"message").unwrap();
                    assert!(LocalVerifier.verifies(algorithm, key.public_key(), b"message", &signature));
                }
                Err(error) => assert!(error.to_string().starts_with("misuse: "), "{error}"),
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_text_as_a_pem_file(text: String, label in "(EC |RSA |ENCRYPTED |)PRIVATE KEY", base64 in "[A-Za-z0-9+/]{0,40}={0,3}") {
            for text in [&text, &base64, &format!("-----BEGIN {label}-----{base64}-----END {label}-----")] {
                read(|algorithm| LocalKey::from_pem(text, algorithm));
            }
        }

        /// Changed bytes in a key, which keep its encoding in base64 sound.
        #[test]
        fn any_change_of_a_pem_file(pem in 0..PEMS.len(), at: prop::sample::Index, changed in "[A-Za-z0-9+/]{1,8}", cut: bool) {
            let pem = PEMS[pem];
            let at = 28 + at.index(pem.len() - 60);
            let rest = pem.get(at + if cut { changed.len() } else { 0 }..).unwrap();
            let text = format!("{}{changed}{rest}", &pem[..at]);
            read(|algorithm| LocalKey::from_pem(&text, algorithm));
        }

        #[test]
        fn any_member_of_a_private_json_web_key(index in 0..6_usize, name in 0..8_usize, value: String, number in "[A-Za-z0-9_-]{0,400}") {
            let samples: Vec<serde_json::Value> = serde_json::from_str(include_str!("keys/samples.json")).unwrap();
            let name = ["d", "p", "q", "n", "e", "x", "y", "crv"][name];
            for value in [value, number] {
                let mut jwk = samples[index]["jwk"].clone();
                jwk[name] = value.into();
                read(|algorithm| LocalKey::from_jwk(&jwk.to_string(), algorithm));
                let _ = LocalKey::from_jwk(jwk[name].as_str().unwrap(), Algorithm::ES256);
            }
        }

        /// No bytes are a signature of a key that nobody has used; any members make a key that is refused.
        #[test]
        fn any_signature_with_any_key(
            signature in prop::collection::vec(any::<u8>(), 0..300),
            point in prop::array::uniform32(any::<u8>()),
            number in prop::collection::vec(any::<u8>(), 250..300),
            exponent in prop::collection::vec(any::<u8>(), 1..10),
        ) {
            use base64::Engine;
            let text = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
            let mut signature = signature;
            for length in [signature.len(), 64, 256] {
                signature.resize(length, 1);
                for jwk in [
                    serde_json::json!({"kty": "EC", "crv": "P-256", "x": text(&point), "y": text(&point)}),
                    serde_json::json!({"kty": "OKP", "crv": "Ed25519", "x": text(&point)}),
                    serde_json::json!({"kty": "RSA", "n": text(&number), "e": text(&exponent)}),
                ] {
                    let Ok(key) = PublicKey::from_jwk(&jwk.to_string()) else { continue };
                    for algorithm in ALGORITHMS {
                        prop_assert!(!LocalVerifier.verifies(algorithm, &key, b"message", &signature));
                    }
                }
                for algorithm in [Algorithm::ES256, Algorithm::EdDSA] {
                    let key = LocalKey::generate_with(algorithm, Entropy::from_bytes([1; 128])).unwrap();
                    prop_assert!(!LocalVerifier.verifies(algorithm, key.public_key(), b"message", &signature));
                }
            }
        }
    }
}
