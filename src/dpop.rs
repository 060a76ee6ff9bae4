//! Proof of possession: tokens that only the holder of a key can use (DPoP, RFC 9449).
//!
//! A [`DpopKey`] belongs to a [`Client`](crate::Client). Each token request then holds a proof, which the key
//! signs for this one request, and the server binds the tokens to the key. Whoever steals such a token cannot
//! use it without the key.
//!
//! ```
//! use oauth2_proto::challenge::ProtectedApi;
//! use oauth2_proto::dpop::DpopKey;
//! use oauth2_proto::jose::{Signer, SigningKey};
//! use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Secret};
//! # use oauth2_proto::jose::{Algorithm, PublicKey, SignerError};
//! # use oauth2_proto::{Advice, Response};
//! # use std::time::SystemTime;
//! # struct Vault(PublicKey);
//! # impl Signer for Vault {
//! #     fn algorithm(&self) -> Algorithm { Algorithm::ES256 }
//! #     fn public_key(&self) -> &PublicKey { &self.0 }
//! #     fn sign(&self, _: &[u8]) -> Result<Vec<u8>, SignerError> { Ok(vec![7; 64]) }
//! # }
//! # let public_key = PublicKey::from_jwk(
//! #     r#"{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
//! #         "y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}"#,
//! # )?;
//! # let (signer, now) = (Vault(public_key), SystemTime::UNIX_EPOCH);
//! # struct Answer(u16, Vec<(&'static str, &'static str)>, &'static str);
//! # let asked = Answer(400, vec![("DPoP-Nonce", "fake-1")], r#"{"error":"use_dpop_nonce"}"#);
//! # let tokens = r#"{"access_token":"fake-token","token_type":"DPoP","expires_in":60}"#;
//! # let granted = Answer(200, vec![], tokens);
//! # let challenge = ("WWW-Authenticate", r#"DPoP error="use_dpop_nonce""#);
//! # let refused = Answer(401, vec![("DPoP-Nonce", "fake-2"), challenge], "");
//! # let answers = std::cell::RefCell::new(vec![Answer(200, vec![], "{}"), refused, granted, asked]);
//! # let send = |_: &str, proof: &str| { assert!(!proof.is_empty()); answers.borrow_mut().pop().unwrap() };
//!
//! let key = DpopKey::new(SigningKey::new(signer)?);
//! let server =
//!     AuthorizationServer::without_authorization_endpoint("https://as.example/token")?;
//! let client = Client::new(server, "client-id", ClientAuth::basic("fake-secret"))?
//!     .dpop(key.clone());
//!
//! // A token request. The server may want a nonce of its own in the proof, and says so
//! // once: the key remembers the nonce, and the renewed proof holds it.
//! let mut call = client.client_credentials().start(now)?;
//! let tokens = loop {
//!     let proof = call.request().header("dpop").unwrap_or_default();
//!     let Answer(status, headers, body) = send(call.request().url(), proof);
//!     match call.read(Response::new(status, headers, body.as_bytes())) {
//!         Ok(tokens) => break tokens,
//!         // The second time, the advice is `Stop`. After another `RetryLater`, pause first.
//!         Err(error)
//!             if error.code() == Some("use_dpop_nonce")
//!                 && error.advice() == Advice::RetryLater =>
//!         {
//!             call.renew(&client, now)?;
//!         }
//!         Err(error) => return Err(error),
//!     }
//! };
//!
//! // A request to an API: two headers, and a proof that is good for this method and this
//! // URL only.
//! let api = ProtectedApi::new(["https://api.example"])?;
//! let url = "https://api.example/orders";
//! let mut request = api.bound_request(&key, tokens.access_token(), "GET", url)?;
//! loop {
//!     let [(_, authorization), (_, proof)] = request.headers(now)?;
//!     assert_eq!(authorization.expose(), "DPoP fake-token");
//!     let Answer(status, headers, _body) = send(url, proof.expose());
//!     // True once, if the API wants a nonce. Then read the answer as for any other token.
//!     if !request.received(status, headers)? {
//!         assert_eq!(status, 200);
//!         break;
//!     }
//! }
//! # Ok::<(), oauth2_proto::Error>(())
//! ```
//!
//! The tokens are worth nothing without the key, so store it as long as they live. With the feature `keys`,
//! `jose::LocalKey` makes one, and reads it back after a restart.
//!
//! [`Session`](crate::Session) and [`keeper`](crate::keeper) send proofs and nonces by themselves. They store
//! the thumbprint of the key with the tokens, never the key, and a holder with another key is told before it
//! sends anything. A key that signs elsewhere works, too: [`Client::signing`](crate::Client::signing), and
//! [`BoundRequest::unsigned`] for an API.

mod nonces;
mod request;

pub use self::request::BoundRequest;

pub(crate) use self::nonces::is_nonce;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::dpop::nonces::Nonces;
use crate::error::Error;
use crate::jose::{SigningKey, Unsigned};
use crate::text::secret::Secret;
use crate::text::time::unix_seconds;
use crate::text::uri;

/// A key that tokens are bound to, with the nonces that servers have sent; a clone is the same key.
///
/// The newest `DPoP-Nonce` of each server goes into the next proof for it, and to no other server (RFC 9449
/// §8.2). The key remembers them, so share one `DpopKey` among all who use its tokens. Nonces are not stored:
/// after a restart, the first answer of a server that wants one brings it.
///
/// Use a key for one client only: servers and APIs recognise it. Use another one for client assertions, too.
#[derive(Clone)]
pub struct DpopKey(Arc<Inner>);

struct Inner {
    key: SigningKey,
    nonces: Nonces,
}

/// The claims of a proof (RFC 9449 §4.2).
#[derive(Serialize)]
struct Claims<'a> {
    jti: &'a str,
    htm: &'a str,
    htu: &'a str,
    iat: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ath: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
}

impl DpopKey {
    /// Binds tokens to a key.
    pub fn new(key: SigningKey) -> Self {
        Self(Arc::new(Inner { key, nonces: Nonces::default() }))
    }

    /// Returns the thumbprint of the public key (RFC 7638), by which a server knows the key that tokens are
    /// bound to (RFC 9449 §6.1).
    pub fn thumbprint(&self) -> String {
        self.key().public_key().thumbprint()
    }

    pub(crate) fn key(&self) -> &SigningKey {
        &self.0.key
    }

    /// Returns the bytes of the thumbprint.
    pub(crate) fn digest(&self) -> [u8; 32] {
        self.key().public_key().digest()
    }

    /// Returns a proof without its signature (RFC 9449 §4.2).
    pub(crate) fn proof(
        &self,
        method: &str,
        url: &str,
        access_token: Option<&Secret>,
        now: SystemTime,
    ) -> Result<Unsigned, Error> {
        self.proof_with_id(method, url, access_token, &self.key().next_id(now), now)
    }

    fn proof_with_id(
        &self,
        method: &str,
        url: &str,
        access_token: Option<&Secret>,
        jti: &str,
        now: SystemTime,
    ) -> Result<Unsigned, Error> {
        let htu =
            uri::without_query(url).map_err(|refused| Error::misuse(format!("the address {refused}")))?;
        let ath = access_token.map(|token| URL_SAFE_NO_PAD.encode(Sha256::digest(token.expose())));
        let nonce = self.0.nonces.of(&htu);
        let claims = Claims {
            jti,
            htm: method,
            htu: &htu,
            iat: unix_seconds(now),
            ath: ath.as_deref(),
            nonce: nonce.as_deref(),
        };
        self.key().unsigned_with_key("dpop+jwt", &claims)
    }

    /// Adopts the nonce of an answer from this address (RFC 9449 §8.2).
    pub(crate) fn learn(&self, url: &str, nonce: &str) {
        if let Ok(htu) = uri::without_query(url) {
            self.0.nonces.learn(&htu, nonce);
        }
    }
}

impl fmt::Debug for DpopKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DpopKey").field("key", self.key()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authorization::Entropy;
    use crate::error::ErrorKind;
    use crate::jose::{Algorithm, PublicKey};
    use serde_json::Value;
    use std::time::Duration;

    fn cases(file: &str, kind: &str) -> Vec<Value> {
        let cases: Vec<Value> = serde_json::from_str(file).unwrap();
        cases.into_iter().filter(|case| case["kind"] == kind).collect()
    }

    const DPOP: &str = include_str!("../tests/vectors/dpop.json");
    const PROOFS: &str = include_str!("../tests/vectors/dpop_proof.json");

    fn key(alg: &str, jwk: &Value) -> Result<DpopKey, Error> {
        let algorithm = Algorithm::from_name(alg).ok_or_else(|| Error::misuse("no such algorithm"))?;
        let key = PublicKey::from_jwk(&jwk.to_string())?;
        SigningKey::remote_with(algorithm, key, Entropy::from_bytes([1; 128])).map(DpopKey::new)
    }

    /// The RFC's key.
    fn some_key() -> DpopKey {
        let jwk = r#"{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
            "y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}"#;
        key("ES256", &serde_json::from_str(jwk).unwrap()).unwrap()
    }

    /// Header and payload of a proof.
    fn parts(proof: &Unsigned) -> [Value; 2] {
        let message = std::str::from_utf8(proof.message()).unwrap();
        let (header, payload) = message.split_once('.').unwrap();
        [header, payload].map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
    }

    /// The proof of a case, with its identifier in place of a random one.
    fn proof_of(case: &Value) -> Result<Unsigned, Error> {
        let key = key(case["alg"].as_str().unwrap(), &case["jwk"])?;
        let (method, url) = (case["method"].as_str().unwrap(), case["url"].as_str().unwrap());
        if let Some(nonce) = case["nonce"].as_str() {
            key.learn(url, nonce);
        }
        let token = case["access_token"].as_str().map(Secret::new);
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(case["iat"].as_u64().unwrap());
        key.proof_with_id(method, url, token.as_ref(), case["jti"].as_str().unwrap(), now)
    }

    #[test]
    fn rfc9449_section_4_2_public_cases_of_proofs() {
        let cases = cases(PROOFS, "proof");
        for case in &cases {
            let [header, payload] = parts(&proof_of(case).unwrap());
            assert_eq!(header, case["expect"]["ok"]["header"], "{}", case["id"]);
            assert_eq!(payload, case["expect"]["ok"]["payload"], "{}", case["id"]);
        }
        assert_eq!(cases.len(), 8);
    }

    #[test]
    fn rfc9449_section_4_2_public_cases_of_misuse() {
        let cases = cases(PROOFS, "misuse");
        for case in &cases {
            match case["id"].as_str().unwrap() {
                // No identifier of this crate is so short, and a program has no say in it.
                "dpp-jti-short" => {
                    let [_, payload] =
                        parts(&some_key().proof("GET", "https://a.example", None, now()).unwrap());
                    assert!(payload["jti"].as_str().unwrap().len() >= 16);
                }
                id => assert_eq!(proof_of(case).unwrap_err().kind(), ErrorKind::Misuse, "{id}"),
            }
        }
        assert_eq!(cases.len(), 5);
    }

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_760_000_000)
    }

    #[test]
    fn rfc9449_section_4_2_public_cases_of_addresses_and_tokens() {
        let cases_of_addresses = cases(DPOP, "htu");
        for case in &cases_of_addresses {
            let url = case["url"].as_str().unwrap();
            let [_, payload] = parts(&some_key().proof("GET", url, None, now()).unwrap());
            assert_eq!(payload["htu"], case["htu"], "{}", case["id"]);
        }
        let cases_of_tokens = cases(DPOP, "ath");
        for case in &cases_of_tokens {
            let token = Secret::new(case["access_token"].as_str().unwrap());
            let proof = some_key().proof("GET", "https://rs.example/", Some(&token), now());
            let [_, payload] = parts(&proof.unwrap());
            assert_eq!(payload["ath"], case["ath"], "{}", case["id"]);
        }
        assert_eq!((cases_of_addresses.len(), cases_of_tokens.len()), (10, 4));
    }

    #[test]
    fn rfc9449_section_11_1_no_two_proofs_have_one_identifier() {
        let key = some_key();
        let id = |url| {
            let [_, payload] = parts(&key.proof("GET", url, None, now()).unwrap());
            payload["jti"].as_str().unwrap().to_owned()
        };
        let ids = [id("https://a.example"), id("https://a.example"), id("https://b.example")];
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
    }
}
