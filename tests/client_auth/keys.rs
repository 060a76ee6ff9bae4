//! Keys whose signatures are told apart by a number, a server with every endpoint, and a look into an assertion.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2_proto::jose::{Algorithm, PublicKey, Signer, SignerError, SigningKey};
use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Entropy, Request};
use serde_json::Value;

use crate::support;

pub const ISSUER: &str = "https://as.example";

/// A key in this process; its signatures are 64 bytes of 1, then of 2, and so on.
#[derive(Clone)]
pub struct Counting {
    public_key: PublicKey,
    pub signatures: Arc<AtomicU8>,
}

impl Counting {
    pub fn new() -> Self {
        Self { public_key: public_key(), signatures: Arc::default() }
    }
}

impl Signer for Counting {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }

    fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(vec![self.signatures.fetch_add(1, Ordering::Relaxed).wrapping_add(1); 64])
    }
}

#[track_caller]
pub fn public_key() -> PublicKey {
    PublicKey::from_jwk(
        r#"{"kty":"EC","crv":"P-256","kid":"fake-key-1",
            "x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
            "y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}"#,
    )
    .unwrap()
}

pub fn entropy() -> Entropy {
    Entropy::from_bytes([3; 128])
}

#[track_caller]
pub fn local_key() -> SigningKey {
    SigningKey::new_with(Counting::new(), entropy()).unwrap()
}

#[track_caller]
pub fn remote_key() -> SigningKey {
    SigningKey::remote_with(Algorithm::ES256, public_key(), entropy()).unwrap()
}

/// A server with every endpoint that a client authenticates itself at.
#[track_caller]
pub fn server() -> AuthorizationServer {
    let server = support::server().issuer(ISSUER).unwrap();
    let server = server.revocation_endpoint("https://as.example/revoke").unwrap();
    let server = server.introspection_endpoint("https://as.example/introspect").unwrap();
    server.device_authorization_endpoint("https://as.example/device").unwrap()
}

#[track_caller]
pub fn client(auth: ClientAuth) -> Client {
    Client::new(server(), "fake-client", auth).unwrap()
}

/// The value of a parameter, which is there at most once.
#[track_caller]
pub fn parameter(request: &Request, name: &str) -> Option<String> {
    let mut values = request.form().into_iter().filter(|(known, _)| known == name).map(|(_, value)| value);
    let value = values.next();
    assert_eq!(values.next(), None, "{name} is there twice");
    value
}

/// The header, the claims and the signature of the assertion in a request.
#[track_caller]
pub fn assertion(request: &Request) -> (Value, Value, Vec<u8>) {
    let kind = parameter(request, "client_assertion_type");
    assert_eq!(kind.as_deref(), Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
    let jwt = parameter(request, "client_assertion").unwrap();
    let parts: Vec<Vec<u8>> = jwt.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap()).collect();
    let [header, claims, signature] = parts.try_into().unwrap();
    (serde_json::from_slice(&header).unwrap(), serde_json::from_slice(&claims).unwrap(), signature)
}

/// The identifier of the assertion in a request.
#[track_caller]
pub fn jti(request: &Request) -> String {
    assertion(request).1["jti"].as_str().unwrap().to_owned()
}
