//! The keys and certificates of the tests' clients.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libtest_mimic::Failed;
use oauth2_proto::Request;
use oauth2_proto::jose::SigningKey;
use ring::digest::{SHA256, digest};
use ureq::Agent;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

pub use crate::signatures::{Key, Ring};

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
    Key::from_jwk(include_str!("../servers/keys/client.jwk.json"))
}

/// What signs by the key that tokens are bound to (EdDSA).
pub fn dpop_signer() -> Result<Key, Failed> {
    Key::from_jwk(include_str!("../servers/keys/dpop.jwk.json"))
}

/// The certificate that a connection presents.
#[derive(Clone, Copy, Debug)]
pub enum Presents {
    Nothing,
    /// `client.pem`
    Client,
    /// `self-signed.pem`
    SelfSigned,
}

impl Presents {
    /// The certificate and its key.
    fn pem(self) -> Option<[&'static str; 2]> {
        match self {
            Self::Nothing => None,
            Self::Client => {
                Some([include_str!("../servers/keys/client.pem"), include_str!("../servers/keys/client.key")])
            }
            Self::SelfSigned => Some([
                include_str!("../servers/keys/self-signed.pem"),
                include_str!("../servers/keys/self-signed.key"),
            ]),
        }
    }

    /// RFC 8705 §3.1: what a server calls the certificate (`x5t#S256`).
    pub fn thumbprint(self) -> Result<String, Failed> {
        let [certificate, _] = self.pem().ok_or("there is no certificate")?;
        let certificate = Certificate::from_pem(certificate.as_bytes())?;
        Ok(URL_SAFE_NO_PAD.encode(digest(&SHA256, certificate.der())))
    }
}

/// Sends a request over TLS to a server of the tests' authority.
pub fn send_over_tls(request: &Request, presents: Presents) -> Result<crate::http::Answer, Failed> {
    let certificate = |[certificate, key]: [&str; 2]| {
        let key = PrivateKey::from_pem(key.as_bytes())?;
        let certificate = Certificate::from_pem(certificate.as_bytes())?;
        Ok::<_, ureq::Error>(ClientCert::new_with_certs(&[certificate], key))
    };
    let certificate = presents.pem().map(certificate).transpose()?;
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
