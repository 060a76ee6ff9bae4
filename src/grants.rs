//! The grants that need no browser: refresh, client credentials, device authorization, token exchange, JWT
//! bearer, the identity assertion grant, and any other by its name.
//!
//! Each begins at [`Client`](crate::Client) and gives a [`Call`](crate::Call):
//!
//! | grant | begins with | specification |
//! |---|---|---|
//! | refresh | [`Client::refresh`](crate::Client::refresh) | RFC 6749 §6 |
//! | client credentials | [`Client::client_credentials`](crate::Client::client_credentials) | RFC 6749 §4.4 |
//! | device authorization | [`Client::device_authorization`](crate::Client::device_authorization), then the polls of [`device`] | RFC 8628 |
//! | token exchange | [`Client::token_exchange`](crate::Client::token_exchange) | RFC 8693 |
//! | JWT bearer | [`Client::jwt_bearer`](crate::Client::jwt_bearer) | RFC 7523 §2.1 |
//! | identity assertion | [`Client::identity_assertion`](crate::Client::identity_assertion), then [`Client::redeem`](crate::Client::redeem) | draft-ietf-oauth-identity-assertion-authz-grant |
//! | any other | [`Client::extension_grant`](crate::Client::extension_grant) | RFC 6749 §4.5 |
//!
//! A grant that the server is known not to support is a misuse, before any request exists.

pub(crate) mod added;
mod bearer;
pub(crate) mod client_credentials;
pub mod device;
mod exchange;
mod extension;
mod identity_assertion;
pub(crate) mod refresh;
mod reply;
pub mod token_type;

pub use self::bearer::JwtBearerRequest;
pub use self::client_credentials::{ClientCredentials, ClientCredentialsRequest};
pub use self::exchange::{ExchangedToken, TokenExchangeRequest};
pub use self::extension::ExtensionGrantRequest;
pub use self::identity_assertion::{IdentityAssertion, IdentityAssertionRequest};
pub use self::refresh::{Refresh, RefreshRequest};
pub use self::reply::Grant;
