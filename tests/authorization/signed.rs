//! Signed authorization requests (RFC 9101).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2_proto::authorization::{AuthorizationRequest, CodeVerifier};
use oauth2_proto::dpop::DpopKey;
use oauth2_proto::error::ErrorKind;
use oauth2_proto::jose::{Algorithm, PublicKey, Signer, SignerError, SigningKey};
use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Entropy, Error, PendingAuthorization};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::support::{REDIRECT_URI, client_of, entropy, now, server};

const ISSUER: &str = "https://as.example";

/// Signs with zeros, because only a server verifies what a client signs.
struct Fake(PublicKey);

impl Signer for Fake {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }

    fn public_key(&self) -> &PublicKey {
        &self.0
    }

    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(vec![0; 64])
    }
}

fn public_key() -> PublicKey {
    let jwk = r#"{"kty":"EC","crv":"P-256","kid":"fake-key",
        "x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
        "y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}"#;
    PublicKey::from_jwk(jwk).unwrap()
}

fn key() -> SigningKey {
    SigningKey::new_with(Fake(public_key()), Entropy::from_bytes([3; 128])).unwrap()
}

fn remote_key() -> SigningKey {
    SigningKey::remote_with(Algorithm::ES256, public_key(), Entropy::from_bytes([3; 128])).unwrap()
}

#[track_caller]
fn issuing_server() -> AuthorizationServer {
    let server = server().pushed_authorization_request_endpoint("https://as.example/par").unwrap();
    server.issuer(ISSUER).unwrap()
}

/// A server whose document holds these members, too.
#[track_caller]
fn server_with(members: &Value) -> AuthorizationServer {
    let mut document = serde_json::to_value(issuing_server()).unwrap();
    document.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    serde_json::from_value(document).unwrap()
}

/// The parameters of a URL of the server's.
#[track_caller]
fn query_of(url: &str) -> Vec<(String, String)> {
    let query = url.strip_prefix("https://as.example/authorize?").unwrap();
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// Header and claims of a signed request.
#[track_caller]
fn parts_of(jwt: &str) -> (Value, Value) {
    let parts: Vec<Vec<u8>> = jwt.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap()).collect();
    let [header, claims, signature] = parts.as_slice() else { panic!("{} parts", parts.len()) };
    assert_eq!(signature, &[0; 64]);
    (serde_json::from_slice(header).unwrap(), serde_json::from_slice(claims).unwrap())
}

/// The claims of a request that is sent in the URL, and what else is there.
#[track_caller]
fn by_value(request: AuthorizationRequest<'_>) -> (Value, Vec<(String, String)>, PendingAuthorization) {
    let (url, pending) = request.start_with(entropy(), now()).unwrap();
    let (signed, others): (Vec<_>, _) = query_of(&url).into_iter().partition(|(name, _)| name == "request");
    let [(_, jwt)] = signed.as_slice() else { panic!("{url}") };
    (parts_of(jwt).1, others, pending)
}

fn misuse<T>(result: Result<T, Error>) -> String {
    let Err(error) = result else { panic!("it is taken") };
    assert_eq!(error.kind(), ErrorKind::Misuse, "{error}");
    error.to_string()
}

#[test]
fn rfc9101_section_4_the_claims_are_the_parameters_in_their_kinds() {
    let (client, key) = (client_of(issuing_server()), key());
    let details = [json!({"type": "fake", "limits": [1, 2.5]})];
    let request = client
        .authorize(REDIRECT_URI)
        .scopes(["a", "b"])
        .resource("https://api.example/1")
        .resource("https://api.example/2")
        .max_age(Duration::from_secs(300))
        .claims(&json!({"id_token": {"acr": {"values": ["phr"]}}}))
        .authorization_details(&details)
        .parameter("ui_locales", "de \"fake\"")
        .parameter("empty", "")
        .signed(&key);
    let (url, pending) = request.start_with(entropy(), now()).unwrap();
    let [(client_id, id), (request, jwt)] = query_of(&url).try_into().unwrap();
    assert_eq!((&*client_id, &*id, &*request), ("client_id", "fake-client", "request"));
    let (header, mut claims) = parts_of(&jwt);
    assert_eq!(header, json!({"typ": "oauth-authz-req+jwt", "alg": "ES256", "kid": "fake-key"}));
    let id = claims.as_object_mut().unwrap().remove("jti").unwrap();
    assert_eq!(id.as_str().unwrap().len(), 43);
    let stored = serde_json::to_value(&pending).unwrap();
    let challenge = CodeVerifier::new(stored["code_verifier"].as_str().unwrap()).unwrap().challenge();
    assert_eq!(
        claims,
        json!({
            "iss": "fake-client",
            "aud": ISSUER,
            "iat": 1_700_000_000,
            "nbf": 1_700_000_000,
            "exp": 1_700_000_600,
            "response_type": "code",
            "client_id": "fake-client",
            "redirect_uri": REDIRECT_URI,
            "scope": "a b",
            "state": pending.state(),
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "resource": ["https://api.example/1", "https://api.example/2"],
            "max_age": 300,
            "claims": {"id_token": {"acr": {"values": ["phr"]}}},
            "authorization_details": [{"type": "fake", "limits": [1, 2.5]}],
            "ui_locales": "de \"fake\"",
        })
    );
}

/// RFC 8707 §2.1.
#[test]
fn one_resource_is_a_text() {
    let (client, key) = (client_of(issuing_server()), key());
    let request = client.authorize(REDIRECT_URI).resource("https://api.example/1").signed(&key);
    assert_eq!(by_value(request).0["resource"], "https://api.example/1");
}

#[test]
fn a_signed_request_dies_with_its_authorization_and_after_an_hour_at_most() {
    let (client, key) = (client_of(issuing_server()), key());
    for (lifetime, lives) in [(60, 60), (3600, 3600), (3601, 3600), (u64::MAX, 3600)] {
        let request = client.authorize(REDIRECT_URI).lifetime(Duration::from_secs(lifetime)).signed(&key);
        assert_eq!(by_value(request).0["exp"], 1_700_000_000 + lives);
    }
}

#[test]
fn rfc7519_section_4_1_7_no_identifier_comes_twice() {
    let (client, key) = (client_of(issuing_server()), key());
    let id = || by_value(client.authorize(REDIRECT_URI).signed(&key)).0["jti"].clone();
    assert_ne!(id(), id());
}

#[test]
fn openid_connect_core_section_6_1_openid_is_named_outside_too() {
    let (client, key) = (client_of(issuing_server()), key());
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let id = pair("client_id", "fake-client");
    let request = || client.authorize(REDIRECT_URI).scopes(["read", "openid_fake"]).signed(&key);
    assert_eq!(by_value(request()).1, std::slice::from_ref(&id));

    let (url, _) = request().openid().start_with(entropy(), now()).unwrap();
    let [outside, (request, jwt), response_type, scope] = query_of(&url).try_into().unwrap();
    assert_eq!([outside, response_type, scope], [id, pair("response_type", "code"), pair("scope", "openid")]);
    assert_eq!(request, "request");
    let claims = parts_of(&jwt).1;
    assert_eq!(claims["scope"], "read openid_fake openid");
    assert_eq!(claims["nonce"].as_str().unwrap().len(), 43);
}

#[test]
fn rfc9101_section_5_2_an_authentication_is_published_like_any_request() {
    let (client, key) = (client_of(issuing_server()), key());
    let request = client.authorize(REDIRECT_URI).signed(&key).openid();
    let published = request.publish_with("https://app.example/requests/1", entropy(), now());
    let (url, request_object, pending) = published.unwrap();
    assert_eq!(query_of(&url)[1].1, "https://app.example/requests/1");
    let claims = parts_of(request_object.expose()).1;
    assert_eq!(claims["state"], pending.state());
    assert_eq!(serde_json::to_value(&pending).unwrap()["nonce"], claims["nonce"]);
}

#[test]
fn rfc9126_section_3_a_pushed_request_is_signed_and_brings_nothing_else() {
    let key = key();
    for (auth, others) in [
        (ClientAuth::basic("fake-secret"), "client_id=fake-client"),
        (ClientAuth::post("fake-secret"), "client_id=fake-client&client_secret=fake-secret"),
    ] {
        let client = Client::new(issuing_server(), "fake-client", auth).unwrap();
        let request = client.authorize(REDIRECT_URI).scopes(["read"]).signed(&key);
        let (call, pending) = request.push_with(entropy(), now()).unwrap();
        let (before, jwt) = call.request().body().split_once("&request=").unwrap();
        assert_eq!(before, others);
        assert_eq!(parts_of(jwt).1["state"], pending.state());
    }
}

#[test]
fn rfc9101_section_5_2_a_published_request_is_referred_to() {
    let (client, key) = (client_of(issuing_server()), key());
    let publish = |request_uri: &str| {
        client.authorize(REDIRECT_URI).signed(&key).publish_with(request_uri, entropy(), now())
    };
    let (url, request_object, pending) = publish("https://app.example/requests/fake-17?a=b").unwrap();
    let expected = [
        ("client_id".to_owned(), "fake-client".to_owned()),
        ("request_uri".to_owned(), "https://app.example/requests/fake-17?a=b".to_owned()),
    ];
    assert_eq!(query_of(&url), expected);
    assert_eq!(parts_of(request_object.expose()).1["state"], pending.state());
    let longest = format!("https://app.example/{}", "a".repeat(492));
    assert!(publish(&longest).is_ok());
    for refused in [
        format!("{longest}a"),
        "http://app.example/requests/1".to_owned(),
        "http://127.0.0.1/requests/1".to_owned(),
        "https://app.example/requests/1#fragment".to_owned(),
        "https://app.example".to_owned(),
        "https://user@app.example/requests/1".to_owned(),
        "urn:fake:request".to_owned(),
        "/requests/1".to_owned(),
    ] {
        misuse(publish(&refused));
    }
    misuse(client.authorize(REDIRECT_URI).publish_with("https://app.example/r", entropy(), now()));
}

#[test]
fn a_key_elsewhere_signs_between_two_steps() {
    let (client, here, elsewhere) = (client_of(issuing_server()), key(), remote_key());
    let request = |key| client.authorize(REDIRECT_URI).scopes(["read"]).signed(key);
    let error = misuse(request(&elsewhere).start_with(entropy(), now()));
    assert!(error.contains("`prepare`"), "{error}");

    let prepare = || request(&elsewhere).prepare_with(entropy(), now()).unwrap();
    misuse(prepare().signed(&[0; 63]));
    // Both keys draw the same identifiers, so their first requests are equal.
    let elsewhere = remote_key();
    let prepared = request(&elsewhere).prepare_with(entropy(), now()).unwrap();
    assert_eq!(prepared.unsigned().key().algorithm(), Algorithm::ES256);
    let (url, pending) = prepared.signed(&[0; 64]).unwrap().start().unwrap();
    let (url_here, pending_here) = request(&here).start_with(entropy(), now()).unwrap();
    assert_eq!(url, url_here);
    assert_eq!(serde_json::to_string(&pending).unwrap(), serde_json::to_string(&pending_here).unwrap());

    let (call, _) = prepare().signed(&[0; 64]).unwrap().push(now()).unwrap();
    assert!(call.request().body().starts_with("client_id=fake-client&request=ey"));
    let published = prepare().signed(&[0; 64]).unwrap().publish("https://app.example/requests/1");
    assert!(published.unwrap().0.ends_with("&request_uri=https%3A%2F%2Fapp.example%2Frequests%2F1"));
}

#[test]
fn a_request_without_a_key_has_nothing_to_sign() {
    let client = client_of(issuing_server());
    let error = misuse(client.authorize(REDIRECT_URI).prepare_with(entropy(), now()));
    assert!(error.contains("`signed`"), "{error}");
}

#[test]
fn a_signed_request_is_for_an_issuer() {
    let (client, key) = (client_of(server()), key());
    let error = misuse(client.authorize(REDIRECT_URI).signed(&key).start_with(entropy(), now()));
    assert!(error.contains("AuthorizationServer::issuer"), "{error}");
}

#[test]
fn rfc9101_section_10_5_what_the_server_lists_is_honoured() {
    let key = key();
    let start = |members: Value| {
        let client = client_of(server_with(&members));
        client.authorize(REDIRECT_URI).signed(&key).start_with(entropy(), now()).map(drop)
    };
    let publish = |members: Value| {
        let client = client_of(server_with(&members));
        let request = client.authorize(REDIRECT_URI).signed(&key);
        request.publish_with("https://app.example/r", entropy(), now()).map(drop)
    };
    let algorithms = "request_object_signing_alg_values_supported";
    assert!(start(json!({algorithms: ["PS256", "ES256"]})).is_ok());
    let error = misuse(start(json!({algorithms: ["PS256", "none"]})));
    assert!(error.contains("\"PS256\" and \"none\", not ES256"), "{error}");
    let (by_value, by_reference) = ("request_parameter_supported", "request_uri_parameter_supported");
    assert!(start(json!({by_value: true, by_reference: false})).is_ok());
    assert!(publish(json!({by_value: false, by_reference: true})).is_ok());
    let error = misuse(start(json!({by_value: false})));
    assert!(error.contains("the parameter request;"), "{error}");
    let error = misuse(publish(json!({by_reference: false})));
    assert!(error.contains("the parameter request_uri;"), "{error}");
}

#[test]
fn rfc9101_section_10_5_a_server_that_requires_signatures_gets_no_other_request() {
    let (client, key) = (client_of(issuing_server().require_signed_request_object(true)), key());
    assert!(client.server().metadata().require_signed_request_object());
    let request = || client.authorize(REDIRECT_URI);
    for error in
        [misuse(request().start_with(entropy(), now())), misuse(request().push_with(entropy(), now()))]
    {
        assert!(error.ends_with("only (RFC 9101 section 10.5); call `signed`"), "{error}");
    }
    assert!(request().signed(&key).start_with(entropy(), now()).is_ok());
    assert!(request().signed(&key).push_with(entropy(), now()).is_ok());
}

#[test]
fn rfc9126_section_5_a_signed_request_is_pushed_where_the_server_requires_it() {
    let (client, key) = (client_of(issuing_server().require_pushed_authorization_requests(true)), key());
    let request = || client.authorize(REDIRECT_URI).signed(&key);
    for error in [
        misuse(request().start_with(entropy(), now())),
        misuse(request().publish_with("https://app.example/r", entropy(), now())),
    ] {
        assert!(error.ends_with("only (RFC 9126 section 5); call `push`"), "{error}");
    }
    assert!(request().push_with(entropy(), now()).is_ok());
}

/// RFC 9101 §5: `client_id` inside is the one outside, and nothing inside names another request. §10.8: with
/// `sub`, a signed request could pass for a client assertion.
#[test]
fn an_added_parameter_does_not_become_a_claim_of_the_token() {
    let (client, key) = (client_of(issuing_server()), key());
    let start = |name, value| {
        let request = client.authorize(REDIRECT_URI).parameter(name, value).signed(&key);
        request.start_with(entropy(), now())
    };
    for name in ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "request", "request_uri"] {
        misuse(start(name, "fake"));
    }
    for name in ["claims", "authorization_details"] {
        for broken in ["fake", "{", "{} {}"] {
            assert!(misuse(start(name, broken)).contains(name), "{name}");
        }
        assert!(start(name, "{}").is_ok());
    }
    // Without a signature, these are parameters like others.
    let request = client.authorize(REDIRECT_URI).parameter("sub", "fake").parameter("claims", "fake");
    assert!(request.start_with(entropy(), now()).is_ok());
}

/// RFC 9449 §10 and §10.1: the code serves one key only, whichever way the request takes.
#[test]
fn rfc9449_section_10_every_way_names_the_key_of_the_tokens() {
    let (client, key) = (client_of(issuing_server()).dpop(DpopKey::new(key())), key());
    let thumbprint = public_key().thumbprint();
    let bound = ("dpop_jkt".to_owned(), thumbprint.clone());
    let request = || client.authorize(REDIRECT_URI);

    let (url, _) = request().start_with(entropy(), now()).unwrap();
    assert_eq!(query_of(&url).iter().filter(|pair| **pair == bound).count(), 1);
    let (call, _) = request().push_with(entropy(), now()).unwrap();
    assert_eq!(call.request().form().iter().filter(|pair| **pair == bound).count(), 1);
    assert_eq!(by_value(request().signed(&key)).0["dpop_jkt"], thumbprint);
}
