//! The keys and certificates of the tests' clients.

use std::time::Duration;

use libtest_mimic::Failed;
use oauth2_proto::Request;
use oauth2_proto::jose::SigningKey;
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
