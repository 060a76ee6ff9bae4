//! The FAPI 2.0 Security Profile: what §5.3.3 asks of a client, clause by clause. The clauses on sending
//! tokens, on rotation, aliases, nonces and metadata are tests of their own modules; the table of
//! `oauth2_proto::fapi` has the others.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2_proto::challenge::ProtectedApi;
use oauth2_proto::client_auth::Audience;
use oauth2_proto::dpop::DpopKey;
use oauth2_proto::error::ErrorKind;
use oauth2_proto::fapi::SenderConstraint;
use oauth2_proto::jose::{
    Algorithm, KeySet, PublicKey, Signer, SignerError, SigningKey, Verification, Verifier,
};
use oauth2_proto::token::TokenType;
use oauth2_proto::{
    AuthorizationServer, Client, ClientAuth, Entropy, Error, PendingAuthorization, Request, Response, Secret,
};
use serde_json::{Value, json};

/// A key whose signatures are as long as its algorithm's.
struct Key(Algorithm, PublicKey, usize);

impl Signer for Key {
    fn algorithm(&self) -> Algorithm {
        self.0
    }

    fn public_key(&self) -> &PublicKey {
        &self.1
    }

    fn sign(&self, _message: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(vec![7; self.2])
    }
}

fn key(algorithm: Algorithm) -> SigningKey {
    let part = |length| URL_SAFE_NO_PAD.encode(vec![0xff; length]);
    let (jwk, length) = match algorithm {
        Algorithm::ES256 => (json!({"kty": "EC", "crv": "P-256", "x": part(32), "y": part(32)}), 64),
        Algorithm::ES384 => (json!({"kty": "EC", "crv": "P-384", "x": part(48), "y": part(48)}), 96),
        Algorithm::EdDSA => (json!({"kty": "OKP", "crv": "Ed25519", "x": part(32)}), 64),
        _ => (json!({"kty": "RSA", "n": part(256), "e": "AQAB"}), 256),
    };
    let public_key = PublicKey::from_jwk(&jwk.to_string()).unwrap();
    SigningKey::new_with(Key(algorithm, public_key, length), Entropy::from_bytes([1; 128])).unwrap()
}

fn dpop(algorithm: Algorithm) -> SenderConstraint {
    SenderConstraint::Dpop(DpopKey::new(key(algorithm)))
}

fn by_key() -> ClientAuth {
    ClientAuth::private_key_jwt(key(Algorithm::ES256))
}

fn metadata() -> Value {
    json!({
        "issuer": "https://as.example",
        "authorization_endpoint": "https://as.example/authorize",
        "token_endpoint": "https://as.example/token",
        "pushed_authorization_request_endpoint": "https://as.example/par",
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "dpop_signing_alg_values_supported": ["ES256", "PS256", "EdDSA", "ES384"],
        "tls_client_certificate_bound_access_tokens": true,
        "mtls_endpoint_aliases": {
            "token_endpoint": "https://mtls.as.example/token",
            "pushed_authorization_request_endpoint": "https://mtls.as.example/par",
        },
    })
}

fn server() -> AuthorizationServer {
    serde_json::from_value(metadata()).unwrap()
}

fn client() -> Client {
    Client::fapi2(server(), "fake-client", by_key(), dpop(Algorithm::ES256)).unwrap()
}

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

fn pushed(client: &Client) -> (Request, PendingAuthorization) {
    let request = client.authorize("https://app.example/callback").scopes(["accounts"]);
    let (call, pending) = request.push_with(Entropy::from_bytes([1; 128]), NOW).unwrap();
    (call.request().clone(), pending)
}

/// The claims of a token, whatever its signature.
fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[track_caller]
fn value(request: &Request, name: &str) -> String {
    let form = request.form();
    form.iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no {name}")).1.clone()
}

#[track_caller]
fn refused(result: Result<Client, Error>, kind: ErrorKind, why: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(why), "{error}");
}

#[test]
fn fapi2_section_5_3_3_1_clause_1_tokens_are_bound_to_the_client() {
    let (_, mut pending) = pushed(&client());
    let state = pending.state().to_owned();
    let callback = format!("code=fake-code&state={state}&iss=https%3A%2F%2Fas.example");
    let call = pending.receive(&client(), callback.as_str(), NOW).unwrap();
    assert!(call.request().header("dpop").is_some());
    let bearer = br#"{"access_token":"fake-token","token_type":"Bearer"}"#;
    let headers = [("content-type", "application/json")];
    assert_eq!(call.read(Response::new(200, headers, bearer)).unwrap_err().kind(), ErrorKind::Invalid);

    for missing in ["dpop_signing_alg_values_supported", "tls_client_certificate_bound_access_tokens"] {
        let mut metadata = metadata();
        metadata.as_object_mut().unwrap().remove(missing);
        let server: AuthorizationServer = serde_json::from_value(metadata).unwrap();
        let other = match missing.starts_with("dpop") {
            true => dpop(Algorithm::ES256),
            false => SenderConstraint::Certificate,
        };
        refused(Client::fapi2(server, "fake-client", by_key(), other), ErrorKind::Unsupported, missing);
    }
    let mut denied = metadata();
    denied["tls_client_certificate_bound_access_tokens"] = json!(false);
    let server: AuthorizationServer = serde_json::from_value(denied).unwrap();
    let result = Client::fapi2(server, "fake-client", by_key(), SenderConstraint::Certificate);
    refused(result, ErrorKind::Unsupported, "tls_client_certificate_bound_access_tokens");
}

#[test]
fn fapi2_section_5_3_3_1_clause_2_a_client_has_a_key_or_a_certificate() {
    let secret = "fake-secret-of-32-octets-exactly";
    let entropy = Entropy::from_bytes([1; 128]);
    for other in [
        ClientAuth::basic(secret),
        ClientAuth::post(secret),
        ClientAuth::client_secret_jwt_with(secret, entropy).unwrap(),
        ClientAuth::none(),
    ] {
        let result = Client::fapi2(server(), "fake-client", other, dpop(Algorithm::ES256));
        refused(result, ErrorKind::Misuse, "private_key_jwt");
    }
    for auth in [by_key(), ClientAuth::tls_client_auth(), ClientAuth::self_signed_tls_client_auth()] {
        assert!(Client::fapi2(server(), "fake-client", auth, dpop(Algorithm::ES256)).is_ok());
    }
}

#[test]
fn fapi2_section_5_3_3_1_clause_3_a_token_travels_in_the_header() {
    let api = ProtectedApi::new(["https://api.example"]).unwrap();
    let token = Secret::new("fake-token");
    let url = "https://api.example/accounts?access_token=fake-token";
    assert_eq!(api.authorization(&TokenType::Bearer, &token, url).unwrap_err().kind(), ErrorKind::Misuse);
    // A token that is bound to a key never travels as a bearer token.
    let url = "https://api.example/accounts";
    assert_eq!(api.authorization(&TokenType::DPoP, &token, url).unwrap_err().kind(), ErrorKind::Misuse);
}

#[test]
fn fapi2_section_5_3_3_1_clause_5_the_audience_of_an_assertion_is_the_issuer_as_a_text() {
    let (request, _) = pushed(&client());
    assert_eq!(claims(&value(&request, "client_assertion"))["aud"], "https://as.example");

    let other = by_key().assertion_audience(Audience::TokenEndpoint);
    let result = Client::fapi2(server(), "fake-client", other, dpop(Algorithm::ES256));
    refused(result, ErrorKind::Misuse, "audience");
    let mut unnamed = metadata();
    unnamed.as_object_mut().unwrap().remove("issuer");
    let server: AuthorizationServer = serde_json::from_value(unnamed).unwrap();
    let result = Client::fapi2(server, "fake-client", by_key(), dpop(Algorithm::ES256));
    refused(result, ErrorKind::Unsupported, "issuer");
}

#[test]
fn fapi2_section_5_3_3_1_clause_7_a_certificate_goes_to_its_own_addresses() {
    for (auth, constraint) in
        [(ClientAuth::tls_client_auth(), dpop(Algorithm::ES256)), (by_key(), SenderConstraint::Certificate)]
    {
        let client = Client::fapi2(server(), "fake-client", auth, constraint).unwrap();
        let (request, _) = pushed(&client);
        assert_eq!(request.url(), "https://mtls.as.example/par");
        let call = client.refresh(&Secret::new("fake-refresh")).start(NOW).unwrap();
        assert_eq!(call.request().url(), "https://mtls.as.example/token");
    }
    let (request, _) = pushed(&client());
    assert_eq!(request.url(), "https://as.example/par");
}

#[test]
fn fapi2_section_5_3_3_1_clause_8_the_next_proof_has_the_nonce_of_the_server() {
    let client = client();
    let mut call = client.refresh(&Secret::new("fake-refresh")).start(NOW).unwrap();
    assert_eq!(claims(call.request().header("dpop").unwrap())["nonce"], Value::Null);
    let headers = [("content-type", "application/json"), ("dpop-nonce", "fake-nonce-1")];
    let demand = Response::new(400, headers, br#"{"error":"use_dpop_nonce"}"#);
    call.read(demand).unwrap_err();
    call.renew(&client, NOW + Duration::from_secs(1)).unwrap();
    assert_eq!(claims(call.request().header("dpop").unwrap())["nonce"], "fake-nonce-1");
}

#[test]
fn fapi2_section_5_3_3_2_clauses_2_and_6_the_browser_brings_a_reference_only() {
    let client = client();
    let request = client.authorize("https://app.example/callback").scopes(["accounts"]);
    let error = request.start_with(Entropy::from_bytes([1; 128]), NOW).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse);

    let request = client.authorize("https://app.example/callback").scopes(["accounts"]);
    let (call, _) = request.push_with(Entropy::from_bytes([1; 128]), NOW).unwrap();
    let answer = br#"{"request_uri":"urn:fake:1","expires_in":60}"#;
    let headers = [("content-type", "application/json")];
    let pushed = call.read(Response::new(201, headers, answer)).unwrap();
    assert_eq!(pushed.url(), "https://as.example/authorize?client_id=fake-client&request_uri=urn%3Afake%3A1");

    let mut metadata = metadata();
    metadata.as_object_mut().unwrap().remove("pushed_authorization_request_endpoint");
    let server: AuthorizationServer = serde_json::from_value(metadata).unwrap();
    let result = Client::fapi2(server, "fake-client", by_key(), dpop(Algorithm::ES256));
    refused(result, ErrorKind::Unsupported, "pushed_authorization_request_endpoint");
}

#[test]
fn fapi2_section_5_3_3_2_clauses_1_3_and_4_a_code_has_a_new_s256_challenge_each_time() {
    let client = client();
    let challenge = |byte| {
        let request = client.authorize("https://app.example/callback");
        let (call, _) = request.push_with(Entropy::from_bytes([byte; 128]), NOW).unwrap();
        assert_eq!(value(call.request(), "response_type"), "code");
        assert_eq!(value(call.request(), "code_challenge_method"), "S256");
        value(call.request(), "code_challenge")
    };
    assert_ne!(challenge(1), challenge(2));

    for methods in [json!(null), json!([])] {
        let mut metadata = metadata();
        metadata["code_challenge_methods_supported"] = methods;
        let server: AuthorizationServer = serde_json::from_value(metadata).unwrap();
        let result = Client::fapi2(server, "fake-client", by_key(), dpop(Algorithm::ES256));
        refused(result, ErrorKind::Unsupported, "S256");
    }
}

#[test]
fn fapi2_section_5_3_3_2_clause_5_a_callback_names_its_issuer() {
    let client = client();
    for (iss, is_taken) in [
        ("&iss=https%3A%2F%2Fas.example", true),
        ("", false),
        ("&iss=https%3A%2F%2Fas.example%2F", false),
        ("&iss=https%3A%2F%2Fevil.example", false),
    ] {
        let (_, mut pending) = pushed(&client);
        let callback = format!("code=fake-code&state={}{iss}", pending.state());
        assert_eq!(pending.receive(&client, callback.as_str(), NOW).is_ok(), is_taken, "{iss}");
    }
    let mut metadata = metadata();
    metadata["authorization_response_iss_parameter_supported"] = json!(false);
    let server: AuthorizationServer = serde_json::from_value(metadata).unwrap();
    let result = Client::fapi2(server, "fake-client", by_key(), dpop(Algorithm::ES256));
    refused(result, ErrorKind::Unsupported, "authorization_response_iss_parameter_supported");
}

#[test]
fn fapi2_section_5_4_1_signatures_are_of_three_algorithms() {
    for (algorithm, is_allowed) in [
        (Algorithm::PS256, true),
        (Algorithm::ES256, true),
        (Algorithm::EdDSA, true),
        (Algorithm::RS256, false),
        (Algorithm::ES384, false),
    ] {
        let auth = ClientAuth::private_key_jwt(key(algorithm));
        let by_auth = Client::fapi2(server(), "fake-client", auth, dpop(Algorithm::ES256));
        assert_eq!(by_auth.is_ok(), is_allowed, "{algorithm}");
        if algorithm != Algorithm::RS256 {
            let by_proof = Client::fapi2(server(), "fake-client", by_key(), dpop(algorithm));
            assert_eq!(by_proof.is_ok(), is_allowed, "{algorithm}");
        }
    }
    // The server signs, too: ID tokens, signed responses and UserInfo.
    for (listed, left) in [
        (Value::Null, vec!["PS256", "ES256", "EdDSA", "Ed25519"]),
        (json!(["RS256", "PS256"]), vec!["PS256"]),
        (json!(["RS256"]), vec![]),
    ] {
        for list in [
            "id_token_signing_alg_values_supported",
            "authorization_signing_alg_values_supported",
            "userinfo_signing_alg_values_supported",
        ] {
            let mut metadata = metadata();
            metadata[list] = listed.clone();
            let server: AuthorizationServer = serde_json::from_value(metadata).unwrap();
            let client = Client::fapi2(server, "fake-client", by_key(), dpop(Algorithm::ES256)).unwrap();
            let kept = serde_json::to_value(client.server()).unwrap();
            assert_eq!(kept[list], json!(left));
        }
    }
}

#[test]
fn fapi2_section_5_4_1_a_signed_response_or_request_has_one_of_them_too() {
    struct Any;
    impl Verifier for Any {
        fn verifies(&self, _: Algorithm, _: &PublicKey, _: &[u8], _: &[u8]) -> bool {
            true
        }
    }
    let part = |length| URL_SAFE_NO_PAD.encode(vec![0xff; length]);
    let keys = json!({"keys": [{"kty": "RSA", "n": part(256), "e": "AQAB"},
        {"kty": "EC", "crv": "P-256", "x": part(32), "y": part(32)}]});
    let keys = KeySet::from_json(&keys.to_string(), NOW).unwrap();
    let verification = Verification::by(&keys, &Any);
    let callback = |alg: &str, state: &str| {
        let header = json!({"alg": alg}).to_string();
        let claims = json!({"iss": "https://as.example", "aud": "fake-client", "exp": 600,
            "code": "fake-code", "state": state});
        let [header, claims] = [header, claims.to_string()].map(|part| URL_SAFE_NO_PAD.encode(part));
        format!("response={header}.{claims}.ZmFrZQ")
    };
    for (listed, alg, is_taken) in [
        (Value::Null, "RS256", false),
        (Value::Null, "ES256", true),
        (Value::Null, "PS256", true),
        (json!(["RS256"]), "RS256", false),
        (json!(["RS256", "ES256"]), "RS256", false),
        (json!(["RS256", "ES256"]), "ES256", true),
        (json!(["RS256", "ES256"]), "PS256", false),
    ] {
        let mut metadata = metadata();
        metadata["authorization_signing_alg_values_supported"] = listed;
        let server: AuthorizationServer = serde_json::from_value(metadata).unwrap();
        let client = Client::fapi2(server, "fake-client", by_key(), dpop(Algorithm::ES256)).unwrap();
        let request = client.authorize("https://app.example/callback").signed_response();
        let (_, mut pending) = request.push_with(Entropy::from_bytes([1; 128]), NOW).unwrap();
        let callback = callback(alg, pending.state());
        let read = pending.receive_signed(&client, callback.as_str(), &verification, NOW);
        let reason = read.err().map(|error| (error.kind(), error.reason()));
        assert_eq!(reason, (!is_taken).then_some((ErrorKind::Suspect, Some("alg"))), "{alg}");
    }

    let client = client();
    for (algorithm, is_taken) in [
        (Algorithm::ES256, true),
        (Algorithm::PS256, true),
        (Algorithm::RS256, false),
        (Algorithm::ES384, false),
    ] {
        let key = key(algorithm);
        let request = client.authorize("https://app.example/callback").signed(&key);
        let pushed = request.push_with(Entropy::from_bytes([1; 128]), NOW);
        assert_eq!(pushed.err().map(|error| error.kind()), (!is_taken).then_some(ErrorKind::Misuse));
    }
}
