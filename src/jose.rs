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
//! A key behind async code, such as one of a key management service, is [remote](SigningKey::remote):
//! [`Client::signing`](crate::Client::signing) gives the bytes to sign, and takes the signatures. In a
//! [keeper](crate::keeper), a method of the [`Runtime`](crate::keeper::Runtime) does it.

mod algorithm;
mod hmac;
pub(crate) mod ids;
mod key;
mod signing;

pub use self::algorithm::Algorithm;
pub use self::key::PublicKey;
pub use self::signing::{Signer, SignerError, SigningKey, Unsigned};

pub(crate) use self::hmac::hmac_sha256;
pub(crate) use self::signing::{Header, jwt, message};
