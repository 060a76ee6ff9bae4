//! The keys and certificates of the tests' clients, on `ring`, which the tests' HTTP client is built on.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libtest_mimic::Failed;
use oauth2_proto::Request;
use oauth2_proto::jose::{Algorithm, PublicKey, Signer, SignerError, SigningKey, Verifier};
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, Ed25519KeyPair, RsaPublicKeyComponents, UnparsedPublicKey};
use serde_json::Value;
use ureq::Agent;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

/// The key by which clients sign assertions and requests.
pub fn client_key() -> Result<SigningKey, Failed> {
    Ok(SigningKey::new(client_signer()?)?)
}

/// The key that tokens are bound to.
pub fn dpop_key() -> Result<SigningKey, Failed> {
    Ok(SigningKey::new(dpop_signer()?)?)
}

/// What signs by the client's key (ES256).
pub fn client_signer() -> Result<Key, Failed> {
    let (d, public_key) = parts(include_str!("../servers/keys/client.jwk.json"))?;
    let algorithm = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    let point = point(&public_key).ok_or("it is no point")?;
    let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, &d, &point, &SystemRandom::new())?;
    Ok(Key { pair: Pair::P256(pair), public_key })
}

/// What signs by the key that tokens are bound to (EdDSA).
pub fn dpop_signer() -> Result<Key, Failed> {
    let (d, public_key) = parts(include_str!("../servers/keys/dpop.jwk.json"))?;
    let pair = Ed25519KeyPair::from_seed_and_public_key(&d, &public_key.member("x").unwrap_or_default())?;
    Ok(Key { pair: Pair::Ed25519(pair), public_key })
}

/// The private and the public part of a JSON Web Key.
fn parts(jwk: &str) -> Result<(Vec<u8>, PublicKey), Failed> {
    let mut members: Value = serde_json::from_str(jwk)?;
    let d = members.as_object_mut().and_then(|members| members.remove("d"));
    let d = URL_SAFE_NO_PAD.decode(d.as_ref().and_then(Value::as_str).ok_or("there is no d")?)?;
    Ok((d, PublicKey::from_jwk(&members.to_string())?))
}

/// A key in this process.
pub struct Key {
    pair: Pair,
    public_key: PublicKey,
}

enum Pair {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Signer for Key {
    fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::P256(_) => Algorithm::ES256,
            Pair::Ed25519(_) => Algorithm::EdDSA,
        }
    }

    fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(match &self.pair {
            Pair::P256(pair) => {
                pair.sign(&SystemRandom::new(), message).map_err(|error| error.to_string())?.as_ref().to_vec()
            }
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        })
    }
}

/// Verifies what the servers sign.
pub struct Ring;

impl Verifier for Ring {
    fn verifies(&self, algorithm: Algorithm, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        let rsa = |parameters| match (key.member("n"), key.member("e")) {
            (Some(n), Some(e)) => {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
            }
            _ => false,
        };
        match algorithm {
            Algorithm::RS256 => rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
            Algorithm::PS256 => rsa(&signature::RSA_PSS_2048_8192_SHA256),
            Algorithm::ES256 => point(key).is_some_and(|point| {
                let key = UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point);
                key.verify(message, signature).is_ok()
            }),
            Algorithm::EdDSA | Algorithm::Ed25519 => key.member("x").is_some_and(|x| {
                UnparsedPublicKey::new(&signature::ED25519, x).verify(message, signature).is_ok()
            }),
            _ => false,
        }
    }
}

/// The uncompressed point of an elliptic curve's key (SEC 1 §2.3.3).
fn point(key: &PublicKey) -> Option<Vec<u8>> {
    let (x, y) = (key.member("x")?, key.member("y")?);
    Some([&[4], x.as_slice(), y.as_slice()].concat())
}

/// The certificate that a connection presents.
#[derive(Clone, Copy)]
pub enum Presents {
    Nothing,
    /// `client.pem`
    Client,
    /// `self-signed.pem`
    SelfSigned,
}

/// Sends a request over TLS to a server of the tests' authority.
pub fn send_over_tls(request: &Request, presents: Presents) -> Result<crate::http::Answer, Failed> {
    let certificate = |pem: &[u8], key: &[u8]| {
        let key = PrivateKey::from_pem(key)?;
        Ok::<_, ureq::Error>(ClientCert::new_with_certs(&[Certificate::from_pem(pem)?], key))
    };
    let certificate = match presents {
        Presents::Nothing => None,
        Presents::Client => Some(certificate(
            include_bytes!("../servers/keys/client.pem"),
            include_bytes!("../servers/keys/client.key"),
        )?),
        Presents::SelfSigned => Some(certificate(
            include_bytes!("../servers/keys/self-signed.pem"),
            include_bytes!("../servers/keys/self-signed.key"),
        )?),
    };
    let authority = Certificate::from_pem(include_bytes!("../servers/keys/authority.pem"))?;
    let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[authority]));
    let tls = tls.client_cert(certificate).build();
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .timeout_global(Some(Duration::from_secs(20)))
        .tls_config(tls)
        .build()
        .into();
    let mut message = ureq::http::Request::builder().method(request.method()).uri(request.url());
    for (name, value) in request.headers() {
        message = message.header(name, value);
    }
    let mut response = agent.run(message.body(request.body())?)?;
    let headers = response.headers().iter();
    let headers = headers.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
    Ok((response.status().as_u16(), headers, response.body_mut().read_to_vec()?))
}
