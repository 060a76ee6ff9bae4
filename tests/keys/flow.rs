//! A client whose requests ready-made keys sign.

use std::time::{Duration, SystemTime};

use oauth2_proto::dpop::DpopKey;
use oauth2_proto::jose::{Algorithm, LocalKey, LocalVerifier, PublicKey, SigningKey, Verifier};
use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Entropy, Response};
use serde_json::Value;

use crate::{decoded, sample};

#[test]
fn rfc7523_section_2_2_and_rfc9449_section_4_2_a_server_verifies_what_the_client_signs() {
    let entropy = |byte| Entropy::from_bytes([byte; 128]);
    let key = sample(Algorithm::PS384);
    let public_key = key.public_key();
    let auth = ClientAuth::private_key_jwt(SigningKey::new_with(key.key(), entropy(1)).unwrap());
    let bound_to = LocalKey::generate_with(Algorithm::ES256, entropy(2)).unwrap();
    let dpop = DpopKey::new(SigningKey::new_with(bound_to, entropy(3)).unwrap());
    let thumbprint = dpop.thumbprint();
    let server = AuthorizationServer::without_authorization_endpoint("https://as.example/token").unwrap();
    let server = server.issuer("https://as.example").unwrap();
    let client = Client::new(server, "fake-client", auth).unwrap().dpop(dpop);

    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let call = client.client_credentials().start(now).unwrap();
    let request = call.request();
    let body = request.body();
    let assertion = body.split('&').find_map(|pair| pair.strip_prefix("client_assertion=")).unwrap();
    let header = verified(assertion, |_| public_key.clone());
    assert_eq!(header["kid"], "bilbo.baggins@hobbiton.example");
    let header = verified(request.header("DPoP").unwrap(), |header| {
        PublicKey::from_jwk(&header["jwk"].to_string()).unwrap()
    });
    assert_eq!(PublicKey::from_jwk(&header["jwk"].to_string()).unwrap().thumbprint(), thumbprint);

    let json = [("content-type", "application/json")];
    let body = br#"{"access_token":"fake-token","token_type":"DPoP","expires_in":60}"#;
    assert_eq!(call.read(Response::new(200, json, body)).unwrap().access_token().expose(), "fake-token");
}

/// Checks the signature of a token in compact form, and returns its header.
#[track_caller]
fn verified(token: &str, key: impl Fn(&Value) -> PublicKey) -> Value {
    let (message, signature) = token.rsplit_once('.').unwrap();
    let (header, _) = message.split_once('.').unwrap();
    let header: Value = serde_json::from_slice(&decoded(header)).unwrap();
    let algorithm = Algorithm::from_name(header["alg"].as_str().unwrap()).unwrap();
    assert!(LocalVerifier.verifies(algorithm, &key(&header), message.as_bytes(), &decoded(signature)));
    header
}
