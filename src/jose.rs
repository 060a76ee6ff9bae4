//! Keys and signatures: who signs for this client, and what is signed (RFC 7515, RFC 7517, RFC 7518).
//!
//! The crate builds what is to be signed and checks what others have signed, and your program keeps the keys.
//! A key that signs in this process is a [`Signer`]:
//!
//! ```
//! use oauth2_proto::jose::{Algorithm, PublicKey, SignerError, Signer, SigningKey};
//!
//! struct InMyVault(PublicKey);
//!
//! impl Signer for InMyVault {
//!     fn algorithm(&self) -> Algorithm {
//!         Algorithm::ES256
//!     }
//!
//!     fn public_key(&self) -> &PublicKey {
//!         &self.0
//!     }
//!
//!     fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
//!         // 32 bytes of r, then 32 bytes of s (RFC 7518 §3.4).
//!         # let my_vault_signs = |_: &[u8]| Ok(vec![7; 64]);
//!         my_vault_signs(message)
//!     }
//! }
//!
//! let public_key = PublicKey::from_jwk(
//!     r#"{"kty":"EC","crv":"P-256","kid":"fake-key-1",
//!         "x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
//!         "y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}"#,
//! )?;
//! let key = SigningKey::new(InMyVault(public_key))?;
//! assert_eq!(key.public_key().key_id(), Some("fake-key-1"));
//! # Ok::<(), oauth2_proto::Error>(())
//! ```
//!
//! With the feature `keys`, `LocalKey` is such a signer for a key in a PEM file or a private JSON Web Key:
//! `SigningKey::new(LocalKey::from_pem(pem, Algorithm::ES256)?)`.
//!
//! A key behind async code, such as one of a key management service, is [remote](SigningKey::remote):
//! [`Client::signing`](crate::Client::signing) gives the bytes to sign, and takes the signatures. In a
//! [keeper](crate::keeper), a method of the [`Runtime`](crate::keeper::Runtime) does it.
//!
//! # What others have signed
//!
//! The crate reads the token, chooses the key from the [`KeySet`] of the server, and checks the claims. Your
//! [`Verifier`] does the mathematics of one signature with one key, and a [`Verification`] names both. With
//! the feature `keys`, `LocalVerifier` is a verifier: `Verification::by(&keys, &LocalVerifier)`.
//!
//! ```
//! use oauth2_proto::jose::{Algorithm, KeySet, PublicKey, Verification, Verifier};
//! use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Response};
//! use std::time::SystemTime;
//!
//! struct MyLibrary;
//!
//! impl Verifier for MyLibrary {
//!     fn verifies(
//!         &self,
//!         algorithm: Algorithm,
//!         key: &PublicKey,
//!         message: &[u8],
//!         signature: &[u8],
//!     ) -> bool {
//!         // Read the key by `key.member("n")` and the like.
//!         # let my_library_verifies = |_: &PublicKey, _: &[u8], _: &[u8]| false;
//!         match algorithm {
//!             Algorithm::RS256 => my_library_verifies(key, message, signature),
//!             _ => false,
//!         }
//!     }
//! }
//!
//! # fn main() -> Result<(), oauth2_proto::Error> {
//! let server = AuthorizationServer::new(
//!     "https://as.example/authorize",
//!     "https://as.example/token",
//! )?
//! .issuer("https://as.example")?
//! .jwks_uri("https://as.example/keys")?;
//! let client = Client::new(server, "client-id", ClientAuth::none())?;
//!
//! let call = client.fetch_keys(SystemTime::now())?;
//! assert_eq!(call.request().method(), "GET");
//! let json = [("content-type", "application/json")];
//! let keys: KeySet = call.read(Response::new(200, json, br#"{"keys":[]}"#))?;
//!
//! let verification = Verification::by(&keys, &MyLibrary).algorithms([Algorithm::RS256]);
//! # Ok(())
//! # }
//! ```

mod algorithm;
pub(crate) mod claims;
mod hmac;
pub(crate) mod ids;
mod jwt;
mod key;
mod key_set;
#[cfg(feature = "keys")]
mod local;
mod signing;
mod verification;

pub use self::algorithm::Algorithm;
pub use self::key::PublicKey;
pub use self::key_set::KeySet;
#[cfg(feature = "keys")]
pub use self::local::{LocalKey, LocalVerifier};
pub use self::signing::{Signer, SignerError, SigningKey, Unsigned};
pub use self::verification::{Verification, Verifier};

pub(crate) use self::hmac::{HS256, hmac_sha256};
pub(crate) use self::jwt::Jwt;
pub(crate) use self::signing::{Header, jwt, message, signer_failed};
pub(crate) use self::verification::Clock;
