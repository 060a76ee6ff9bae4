//! Assertions that authenticate a client (RFC 7523 §2.2 and §3, draft-ietf-oauth-rfc7523bis §4).

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::authorization::Entropy;
use crate::client_auth::Audience;
use crate::error::Error;
use crate::jose::ids::Ids;
use crate::jose::{self, HS256, Header, SigningKey, Unsigned, hmac_sha256};
use crate::server::AuthorizationServer;
use crate::text::secret::Secret;
use crate::text::time::unix_seconds;
use crate::text::uri::Issuer;

/// How a client makes its assertions.
#[derive(Clone, Debug)]
pub(crate) struct Assertions {
    key: Key,
    pub(super) audience: Audience,
    pub(super) lifetime: Duration,
}

#[derive(Clone)]
enum Key {
    Private(SigningKey),
    Secret(Secret, Arc<Ids>),
}

/// An assertion that may lack its signature.
pub(crate) enum Assertion {
    Signed(Secret),
    Unsigned(Unsigned),
}

/// The claims of an assertion (RFC 7523 §3).
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    jti: &'a str,
    iat: u64,
    exp: u64,
}

impl Assertions {
    pub(super) fn of_key(key: SigningKey) -> Self {
        Self { key: Key::Private(key), audience: Audience::Issuer, lifetime: LIFETIME }
    }

    pub(super) fn of_secret(secret: Secret, entropy: &Entropy) -> Result<Self, Error> {
        if secret.expose().len() < MIN_SECRET {
            return Err(Error::misuse(
                "the client secret is shorter than 32 bytes, and HS256 needs a key of that length (RFC 7518 \
                 section 3.2); ask the server for a longer one, or authenticate in another way",
            ));
        }
        let key = Key::Secret(secret, Arc::new(Ids::new(entropy)));
        Ok(Self { key, audience: Audience::Issuer, lifetime: LIFETIME })
    }

    pub(super) fn method(&self) -> &'static str {
        match self.key {
            Key::Private(_) => "private_key_jwt",
            Key::Secret(..) => "client_secret_jwt",
        }
    }

    pub(super) fn algorithm(&self) -> &'static str {
        match &self.key {
            Key::Private(key) => key.algorithm().name(),
            Key::Secret(..) => HS256,
        }
    }

    pub(super) fn secret(&self) -> Option<&Secret> {
        match &self.key {
            Key::Private(_) => None,
            Key::Secret(secret, _) => Some(secret),
        }
    }

    pub(super) fn key(&self) -> Option<&SigningKey> {
        match &self.key {
            Key::Private(key) => Some(key),
            Key::Secret(..) => None,
        }
    }

    /// Refuses what no assertion can be made of.
    pub(crate) fn check(&self, server: &AuthorizationServer) -> Result<(), Error> {
        if self.lifetime.as_secs() == 0 {
            return Err(Error::misuse(
                "an assertion must live for a second at least; pass a longer lifetime",
            ));
        }
        self.audience_at(server).map(drop)
    }

    /// Makes the next assertion.
    pub(crate) fn next(
        &self,
        server: &AuthorizationServer,
        client_id: &str,
        now: SystemTime,
    ) -> Result<Assertion, Error> {
        let jti = match &self.key {
            Key::Private(key) => key.next_id(now),
            Key::Secret(_, ids) => ids.next(now),
        };
        self.with_id(server, client_id, &jti, now)
    }

    fn with_id(
        &self,
        server: &AuthorizationServer,
        client_id: &str,
        jti: &str,
        now: SystemTime,
    ) -> Result<Assertion, Error> {
        let iat = unix_seconds(now);
        let claims = Claims {
            iss: client_id,
            sub: client_id,
            aud: self.audience_at(server)?,
            jti,
            iat,
            exp: iat.saturating_add(self.lifetime.as_secs()),
        };
        let typ = match self.audience {
            Audience::Issuer => "client-authentication+jwt",
            Audience::TokenEndpoint => "JWT",
        };
        match &self.key {
            Key::Private(key) => key.unsigned(typ, &claims).map(Assertion::Unsigned),
            Key::Secret(secret, _) => {
                let message = jose::message(&Header { typ, alg: HS256, kid: None, jwk: None }, &claims)?;
                Ok(Assertion::Signed(signed_by_secret(secret, &message)))
            }
        }
    }

    fn audience_at<'a>(&self, server: &'a AuthorizationServer) -> Result<&'a str, Error> {
        match self.audience {
            Audience::Issuer => server.issuer.as_ref().map(Issuer::as_str).ok_or_else(|| {
                Error::misuse(
                    "the assertion is for the server's issuer, which is not set; set \
                     AuthorizationServer::issuer or, for a server without one, choose \
                     Audience::TokenEndpoint by ClientAuth::assertion_audience",
                )
            }),
            Audience::TokenEndpoint => Ok(server.token_endpoint.as_str()),
        }
    }
}

/// Signs with a shared secret, whose key is its UTF-8 (OpenID Connect Core §9).
fn signed_by_secret(secret: &Secret, message: &Secret) -> Secret {
    jose::jwt(message, &hmac_sha256(secret.expose().as_bytes(), message.expose().as_bytes()))
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Private(key) => fmt::Debug::fmt(key, f),
            Self::Secret(secret, _) => fmt::Debug::fmt(secret, f),
        }
    }
}

/// The lifetime of an assertion unless the program sets another: a minute.
const LIFETIME: Duration = Duration::from_secs(60);

/// The minimum length of a secret in bytes (RFC 7518 §3.2).
const MIN_SECRET: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::jose::{Algorithm, PublicKey};
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    /// A key of the kind that an algorithm needs.
    fn key(algorithm: Algorithm, kid: Option<&str>) -> SigningKey {
        let part = |length| URL_SAFE_NO_PAD.encode(vec![0xff; length]);
        let jwk = match algorithm.name().get(..2) {
            Some("ES") => {
                let (curve, length) = match algorithm {
                    Algorithm::ES256 => ("P-256", 32),
                    _ => ("P-384", 48),
                };
                json!({"kty": "EC", "crv": curve, "x": part(length), "y": part(length), "kid": kid})
            }
            Some("Ed") => json!({"kty": "OKP", "crv": "Ed25519", "x": part(32), "kid": kid}),
            _ => json!({"kty": "RSA", "n": part(256), "e": "AQAB", "kid": kid}),
        };
        let jwk = PublicKey::from_jwk(&jwk.to_string()).unwrap();
        SigningKey::remote_with(algorithm, jwk, Entropy::from_bytes([1; 128])).unwrap()
    }

    /// The assertion of a case, with its identifier in place of a random one.
    fn assertion_of(case: &Value) -> Result<Secret, Error> {
        let server =
            AuthorizationServer::without_authorization_endpoint(case["token_endpoint"].as_str().unwrap())?;
        let server = match case["issuer"].as_str() {
            Some(issuer) => server.issuer(issuer)?,
            None => server,
        };
        let mut assertions = match (case["method"].as_str(), case["alg"].as_str().unwrap()) {
            (Some("client_secret_jwt"), "HS256") => {
                let secret = Secret::new("fake-secret-of-32-octets-exactly");
                Assertions::of_secret(secret, &Entropy::from_bytes([1; 128]))?
            }
            (_, alg) => {
                let algorithm =
                    Algorithm::from_name(alg).ok_or_else(|| Error::misuse("no such algorithm"))?;
                Assertions::of_key(key(algorithm, case["kid"].as_str()))
            }
        };
        if case["audience"] == "token-endpoint" {
            assertions.audience = Audience::TokenEndpoint;
        }
        assertions.lifetime = Duration::from_secs(case["lifetime"].as_u64().unwrap());
        assertions.check(&server)?;
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(case["now"].as_u64().unwrap());
        let client_id = case["client_id"].as_str().unwrap();
        match assertions.with_id(&server, client_id, case["jti"].as_str().unwrap(), now)? {
            Assertion::Signed(jwt) => Ok(jwt),
            Assertion::Unsigned(unsigned) => {
                unsigned.signed(&vec![7; unsigned.key().public_key().signature_length()])
            }
        }
    }

    #[test]
    fn rfc7523_section_3_and_rfc7523bis_section_4_public_cases() {
        let cases: Vec<Value> =
            serde_json::from_str(include_str!("../../tests/vectors/client_assertion.json")).unwrap();
        for case in cases.iter().filter(|case| case["kind"] != "hmac") {
            let id = &case["id"];
            let assertion = assertion_of(case);
            if case["expect"] == "misuse" {
                assert_eq!(assertion.unwrap_err().kind(), ErrorKind::Misuse, "{id}");
                continue;
            }
            let assertion = assertion.unwrap();
            let mut parts = assertion.expose().split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
            for name in ["header", "claims"] {
                let part: Value = serde_json::from_slice(&parts.next().unwrap()).unwrap();
                assert_eq!(part, case["expect"]["ok"][name], "{id}");
            }
        }
        assert_eq!(cases.len(), 13);
    }

    #[test]
    fn rfc7518_section_3_2_public_cases() {
        let cases: Vec<Value> =
            serde_json::from_str(include_str!("../../tests/vectors/client_assertion.json")).unwrap();
        for case in cases.iter().filter(|case| case["kind"] == "hmac") {
            let secret = Secret::new(case["client_secret"].as_str().unwrap());
            let taken = Assertions::of_secret(secret.clone(), &Entropy::from_bytes([1; 128]));
            if case["expect"] == "misuse" {
                assert_eq!(taken.unwrap_err().kind(), ErrorKind::Misuse);
                continue;
            }
            let message = Secret::new(case["signing_input"].as_str().unwrap());
            let jwt = signed_by_secret(&secret, &message);
            assert!(taken.is_ok());
            assert_eq!(jwt.expose(), case["expect"]["ok"]["jwt"].as_str().unwrap());
        }
    }
}
