//! Who checks the signatures of others.

use std::fmt;
use std::time::{Duration, SystemTime};

use subtle::ConstantTimeEq;

use crate::error::Error;
use crate::jose::{Algorithm, HS256, KeySet, PublicKey, hmac_sha256};
use crate::text::foreign::Foreign;
use crate::text::secret::Secret;
use crate::text::time::{END, unix_seconds};

/// A library that verifies signatures; the [module](crate::jose) shows one.
///
/// It does the mathematics only. The crate chooses the algorithm, among those that you allow, and the key,
/// among those of the server: no header of a token brings a key of its own.
pub trait Verifier {
    /// Returns whether this is a signature of the message with this key. For ECDSA it is `r` and `s` side by
    /// side (RFC 7518 §3.4). Return `false` for an algorithm that your library lacks, and for a signature of
    /// the wrong length.
    fn verifies(&self, algorithm: Algorithm, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool;
}

/// The way to check the signature and the times of tokens that others have signed.
///
/// The algorithm of a token must be among those that you allow, all that are [known](Algorithm) by default.
/// `none` is never among them, and a shared secret counts only with
/// [`by_client_secret`](Self::by_client_secret), so a public key never serves as a secret.
#[derive(Clone)]
pub struct Verification<'a> {
    trust: Trust<'a>,
    algorithms: Vec<Algorithm>,
    clock_skew: Duration,
}

#[derive(Clone)]
enum Trust<'a> {
    Keys(&'a KeySet, &'a dyn Verifier),
    ClientSecret(&'a Secret),
    Tls,
}

/// The algorithm of a token that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignedBy {
    Key(Algorithm),
    /// HMAC with SHA-256 (RFC 7518 §3.2).
    ClientSecret,
}

impl<'a> Verification<'a> {
    /// The accepted difference of the clocks, unless [`clock_skew`](Self::clock_skew) sets another one: 60
    /// seconds.
    pub const CLOCK_SKEW: Duration = Duration::from_secs(60);

    /// Checks signatures by the keys of the server.
    pub fn by(keys: &'a KeySet, verifier: &'a dyn Verifier) -> Self {
        Self::new(Trust::Keys(keys, verifier))
    }

    /// Checks signatures of `HS256` by the client secret, for a client that is registered with this algorithm
    /// (OpenID Connect Core §3.1.3.7 rule 8). The secret needs at least 32 bytes (RFC 7518 §3.2).
    pub fn by_client_secret(secret: &'a Secret) -> Self {
        Self::new(Trust::ClientSecret(secret))
    }

    /// Checks no signatures: TLS protects an answer that the server gives to your program itself (OpenID
    /// Connect Core §3.1.3.7 rule 6).
    ///
    /// Use it only if your HTTP client checks certificates. A token that came another way, through a browser
    /// or by a post to your program, is refused as misuse.
    pub fn left_to_tls() -> Self {
        Self::new(Trust::Tls)
    }

    fn new(trust: Trust<'a>) -> Self {
        Self { trust, algorithms: Algorithm::ALL.to_vec(), clock_skew: Self::CLOCK_SKEW }
    }

    /// Allows these algorithms only. Name the one that your client is registered with, if you know it
    /// (`id_token_signed_response_alg`).
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = algorithms.into_iter().collect();
        self
    }

    /// Accepts another difference between the server's clock and yours, in whole seconds.
    pub fn clock_skew(mut self, clock_skew: Duration) -> Self {
        self.clock_skew = clock_skew;
        self
    }

    /// Returns the clock that the times of a token are compared with.
    pub(crate) fn clock(&self, now: SystemTime) -> Clock {
        Clock { now: unix_seconds(now), skew: self.clock_skew.as_secs().min(END / 1000) }
    }

    /// Refuses to leave to TLS what anybody can send to this program; `what` is its name.
    pub(crate) fn check_front_channel(&self, what: &str) -> Result<(), Error> {
        match self.trust {
            Trust::Tls => Err(Error::misuse(format!(
                "anybody can send {what}, so TLS does not protect it; pass Verification::by with the keys of the \
                 server"
            ))),
            _ => Ok(()),
        }
    }

    /// Refuses the keys of another server than the one of this issuer.
    pub(super) fn check_is_of(&self, issuer: Option<&str>) -> Result<(), Error> {
        match self.trust {
            Trust::Keys(keys, _) => keys.check_is_of(issuer),
            Trust::ClientSecret(_) | Trust::Tls => Ok(()),
        }
    }

    /// Returns the algorithm of this name, if it is allowed.
    pub(super) fn algorithm(&self, name: &str) -> Result<SignedBy, Error> {
        let signed_by = match (&self.trust, Algorithm::from_name(name)) {
            (Trust::ClientSecret(_), None) if name == HS256 => Some(SignedBy::ClientSecret),
            (Trust::ClientSecret(_), _) | (_, None) => None,
            (_, Some(algorithm)) => {
                Some(SignedBy::Key(algorithm)).filter(|_| self.algorithms.contains(&algorithm))
            }
        };
        signed_by.ok_or_else(|| {
            Error::untrusted(format!("the token has the algorithm {}, which is not allowed", Foreign(name)))
                .about("alg")
        })
    }

    /// Checks the signature of a message, whose header named this key.
    pub(super) fn check(
        &self,
        signed_by: SignedBy,
        key_id: Option<&str>,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), Error> {
        let is_sound = match (&self.trust, signed_by) {
            (Trust::Tls, _) => true,
            (Trust::Keys(keys, verifier), SignedBy::Key(algorithm)) => {
                let mut keys = keys.fitting(algorithm, key_id).peekable();
                if keys.peek().is_none() {
                    return Err(Error::untrusted(
                        "none of the server's keys is the one that signed the token; it may be a new one, which \
                         KeySet::fetch_again fetches",
                    )
                    .about("kid"));
                }
                keys.any(|key| verifier.verifies(algorithm, key, message, signature))
            }
            (Trust::ClientSecret(secret), SignedBy::ClientSecret) => {
                let secret = secret.expose().as_bytes();
                if secret.len() < MIN_SECRET {
                    return Err(Error::misuse(
                        "the client secret is shorter than 32 bytes, which HS256 needs (RFC 7518 section 3.2)",
                    ));
                }
                hmac_sha256(secret, message).ct_eq(signature).into()
            }
            _ => false,
        };
        match is_sound {
            true => Ok(()),
            false => {
                Err(Error::untrusted("the signature of the token is not the server's").about("signature"))
            }
        }
    }
}

impl fmt::Debug for Verification<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trust = match self.trust {
            Trust::Keys(..) => "keys",
            Trust::ClientSecret(_) => "client_secret",
            Trust::Tls => "tls",
        };
        f.debug_struct("Verification")
            .field("trust", &trust)
            .field("algorithms", &self.algorithms)
            .field("clock_skew", &self.clock_skew)
            .finish_non_exhaustive()
    }
}

/// The time that a token is judged at, in seconds of Unix time, and the accepted difference of the clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pub(crate) now: u64,
    pub(crate) skew: u64,
}

/// The least length of a secret in bytes.
const MIN_SECRET: usize = 32;
