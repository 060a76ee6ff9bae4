//! From the authorization request to the checked response (RFC 6749 §4.1).

pub(crate) mod callback;
mod options;
mod pending;
pub(crate) mod pkce;
mod request;
mod stored;

pub use callback::Callback;
pub use pending::PendingAuthorization;
pub use pkce::{CodeVerifier, Entropy};
pub use request::AuthorizationRequest;
