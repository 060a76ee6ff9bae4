//! Private keys that sign in this process, on libraries in pure Rust.

mod jwk;
mod pem;
mod rsa;
mod verifier;

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;
use p256::ecdsa::signature::Signer as _;
use p256::elliptic_curve::Generate;
use serde_json::json;

pub use self::verifier::LocalVerifier;

use self::rsa::RsaKey;
use crate::authorization::Entropy;
use crate::error::Error;
use crate::jose::{Algorithm, PublicKey, Signer, SignerError};
use crate::text::secret::Secret;

/// A private key in the memory of this process: RSA, P-256 or Ed25519.
///
/// It signs by `RS256`, `RS384`, `RS512`, `PS256`, `PS384`, `PS512`, `ES256`, `EdDSA` and `Ed25519`. `Debug`
/// shows the public key only, and the private key is wiped on drop.
///
/// # The libraries
///
/// [`p256`](https://docs.rs/p256), [`ed25519-dalek`](https://docs.rs/ed25519-dalek) and
/// [`rsa`](https://docs.rs/rsa): each is the implementation in pure Rust that most programs use, they compile
/// for WebAssembly, and they share their own dependencies with this crate. Each of them wipes the private key
/// on drop.
///
/// **RSA and timing.** Versions of `rsa` before 0.10 leak the private key through the time that a signature
/// takes
/// ([RUSTSEC-2023-0071](https://rustsec.org/advisories/RUSTSEC-2023-0071.html)). This crate requires 0.10,
/// whose authors say that it resolves this: it calculates in constant time, and blinds each operation. No
/// independent audit has confirmed that yet, and a database of advisories may still name every version of
/// `rsa`. Prefer `ES256` or `EdDSA` where the server accepts them. For an RSA key that many others rely on,
/// implement [`Signer`] on a library or a device of your choice instead.
///
/// **No random bytes while signing.** The signatures of `ES256` (RFC 6979) and `EdDSA` (RFC 8032) need none.
/// RSA takes its blinding, and the salt of `PS256`, from a ChaCha20 generator that is seeded anew for each
/// signature with an HMAC-SHA-256 over a count and the message, keyed by the private exponent.
///
/// ```
/// use oauth2_proto::dpop::DpopKey;
/// use oauth2_proto::jose::{Algorithm, LocalKey, SigningKey};
/// use oauth2_proto::{AuthorizationServer, Client, ClientAuth};
/// # let server = AuthorizationServer::without_authorization_endpoint("https://as.example/token")?
/// #     .issuer("https://as.example")?;
///
/// // The key of RFC 8037 §A.1, which everybody knows.
/// let pem = "-----BEGIN PRIVATE KEY-----
/// MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
/// -----END PRIVATE KEY-----";
/// let key = LocalKey::from_pem(pem, Algorithm::EdDSA)?.with_key_id("fake-key-1");
/// let auth = ClientAuth::private_key_jwt(SigningKey::new(key)?);
///
/// // Tokens can be bound to a new key. Store it with them, and read it after a restart.
/// let stored = LocalKey::generate(Algorithm::ES256)?.to_pem()?;
/// let bound_to = LocalKey::from_pem(stored.expose(), Algorithm::ES256)?;
/// let dpop = DpopKey::new(SigningKey::new(bound_to)?);
/// let client = Client::new(server, "client-id", auth)?.dpop(dpop);
///
/// let call = client.client_credentials().start(std::time::SystemTime::now())?;
/// assert!(call.request().header("DPoP").is_some());
/// # assert!(stored.expose().starts_with("-----BEGIN PRIVATE KEY-----"));
/// # Ok::<(), oauth2_proto::Error>(())
/// ```
pub struct LocalKey {
    algorithm: Algorithm,
    public_key: PublicKey,
    private: Private,
}

/// Each library wipes its key on drop.
enum Private {
    P256(p256::ecdsa::SigningKey),
    Ed25519(ed25519_dalek::SigningKey),
    Rsa(Box<RsaKey>),
}

impl LocalKey {
    /// Reads a private key from the first PEM block that holds one: `PRIVATE KEY` (PKCS#8, RFC 5958),
    /// `EC PRIVATE KEY` (SEC 1, RFC 5915) or `RSA PRIVATE KEY` (PKCS#1, RFC 8017 §A.1.2).
    ///
    /// The key has no `kid`; [`with_key_id`](Self::with_key_id) sets the one that the server knows.
    ///
    /// # Errors
    ///
    /// Misuse: there is no such block, the key is encrypted, it is of another kind than the algorithm needs,
    /// or an RSA key is shorter than 2048 bits or longer than 8192. The message says what was found, and
    /// repeats nothing of it.
    pub fn from_pem(pem: &str, algorithm: Algorithm) -> Result<Self, Error> {
        let private = pem::read(pem, algorithm).map_err(refused)?;
        let public_key = private.public_key().map_err(refused)?;
        Self::new(algorithm, public_key, private)
    }

    /// Reads a private JSON Web Key (RFC 7517, RFC 7518 §6, RFC 8037 §2). An RSA key needs `p` and `q`.
    ///
    /// Its `kid` names it to the server.
    ///
    /// # Errors
    ///
    /// Misuse: the errors of [`from_pem`](Self::from_pem), it is no JSON object, a member is missing or has
    /// the wrong length, the public members belong to another key, or the key is for something else by its
    /// `alg`, `use` or `key_ops`.
    pub fn from_jwk(jwk: &str, algorithm: Algorithm) -> Result<Self, Error> {
        let (public_key, private) = jwk::read(jwk.as_bytes()).map_err(refused)?;
        Self::new(algorithm, public_key, private)
    }

    /// Makes a new key for `ES256`, `EdDSA` or `Ed25519` from random bytes of the operating system, to bind
    /// tokens to for example (RFC 9449).
    ///
    /// Tokens that are bound to a key are worth nothing without it: store [`to_pem`](Self::to_pem) where you
    /// store the tokens.
    ///
    /// # Errors
    ///
    /// Misuse: the algorithm is another one, or the operating system has no random bytes. Make RSA keys with
    /// a tool such as `openssl genpkey`.
    #[cfg(feature = "os-random")]
    pub fn generate(algorithm: Algorithm) -> Result<Self, Error> {
        Self::generate_with(algorithm, Entropy::from_os()?)
    }

    /// Like `generate`, with your own random bytes. Do not use them for anything else.
    ///
    /// # Errors
    ///
    /// Misuse: the algorithm is none of `ES256`, `EdDSA` and `Ed25519`.
    pub fn generate_with(algorithm: Algorithm, entropy: Entropy) -> Result<Self, Error> {
        let mut random = ChaCha20Rng::from_seed(*entropy.id());
        let private = match algorithm {
            Algorithm::ES256 => Private::P256(Generate::generate_from_rng(&mut random)),
            Algorithm::EdDSA | Algorithm::Ed25519 => {
                Private::Ed25519(ed25519_dalek::SigningKey::from_bytes(entropy.id()))
            }
            other => {
                return Err(Error::misuse(format!(
                    "no key is made for {other}; pass ES256, EdDSA or Ed25519, or make the key with a tool \
                     and read it with from_pem"
                )));
            }
        };
        let public_key = private.public_key().map_err(refused)?;
        Self::new(algorithm, public_key, private)
    }

    fn new(algorithm: Algorithm, public_key: PublicKey, private: Private) -> Result<Self, Error> {
        public_key.must_fit(algorithm)?;
        Ok(Self { algorithm, public_key, private })
    }

    /// Returns the key with another identifier, which `kid` in a header then names (RFC 7515 §4.1.4).
    pub fn with_key_id(mut self, key_id: impl Into<String>) -> Self {
        self.public_key = self.public_key.with_key_id(key_id);
        self
    }

    /// Writes the private key as a PEM block of PKCS#8 (RFC 5958), to be stored as carefully as a password.
    ///
    /// The block has no `kid`, so store that too if there is one.
    ///
    /// # Errors
    ///
    /// Misuse: the key's library cannot write it, which no key that it has read is known for.
    pub fn to_pem(&self) -> Result<Secret, Error> {
        let mut pem = pem::write(&self.private).map_err(refused)?;
        Ok(Secret::new(std::mem::take(&mut *pem)))
    }
}

impl Signer for LocalKey {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(match &self.private {
            Private::P256(key) => {
                let signature: p256::ecdsa::Signature = key.try_sign(message)?;
                signature.to_bytes().to_vec()
            }
            Private::Ed25519(key) => key.try_sign(message)?.to_bytes().to_vec(),
            Private::Rsa(key) => key.sign(self.algorithm, message)?,
        })
    }
}

impl fmt::Debug for LocalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey")
            .field("algorithm", &self.algorithm)
            .field("public_key", &self.public_key)
            .finish_non_exhaustive()
    }
}

impl Private {
    /// Computes the public key.
    fn public_key(&self) -> Result<PublicKey, String> {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let jwk = match self {
            Self::P256(key) => {
                let point = key.verifying_key().to_sec1_point(false);
                let [x, y] = [point.x(), point.y()].map(|it| it.map(|it| text(it)));
                json!({"kty": "EC", "crv": "P-256", "x": x, "y": y})
            }
            Self::Ed25519(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": text(key.verifying_key().as_bytes())})
            }
            Self::Rsa(key) => {
                let (n, e) = key.public_numbers();
                json!({"kty": "RSA", "n": text(&n), "e": text(&e)})
            }
        };
        PublicKey::read(jwk.to_string().as_bytes())
    }
}

fn refused(why: impl fmt::Display) -> Error {
    Error::misuse(format!("the private key {why}"))
}
