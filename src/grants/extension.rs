//! Any other grant, by its name (RFC 6749 §4.5).

use std::fmt;
use std::time::SystemTime;

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;
use crate::grants::added::Added;
use crate::grants::reply::Grant;
use crate::grants::{bearer, client_credentials, device, exchange};
use crate::text::foreign::Foreign;
use crate::text::uri::is_uri_character;
use crate::token::wanted::Wanted;

impl Client {
    /// Asks for a token by a grant that this crate has no method for (RFC 6749 §4.5).
    ///
    /// ```
    /// use oauth2_proto::{AuthorizationServer, Client, ClientAuth};
    /// use std::time::SystemTime;
    ///
    /// # fn main() -> Result<(), oauth2_proto::Error> {
    /// let server =
    ///     AuthorizationServer::without_authorization_endpoint("https://as.example/token")?;
    /// let client = Client::new(server, "client-id", ClientAuth::basic("fake-secret"))?;
    /// let call = client
    ///     .extension_grant("urn:ietf:params:oauth:grant-type:saml2-bearer")
    ///     .parameter("assertion", "fake-assertion")
    ///     .start(SystemTime::now())?;
    /// assert_eq!(
    ///     call.request().body(),
    ///     "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Asaml2-bearer\
    ///      &assertion=fake-assertion"
    /// );
    /// # Ok(())
    /// # }
    /// ```
    pub fn extension_grant<'a>(&'a self, grant_type: &'a str) -> ExtensionGrantRequest<'a> {
        ExtensionGrantRequest { client: self, grant_type, wanted: Wanted::default(), added: Added::default() }
    }
}

/// A request for a token by an extension grant, about to be sent (RFC 6749 §4.5); made by
/// [`Client::extension_grant`].
#[must_use = "call `start` to make the request"]
pub struct ExtensionGrantRequest<'a> {
    client: &'a Client,
    grant_type: &'a str,
    wanted: Wanted<'a>,
    added: Added<'a>,
}

impl<'a> ExtensionGrantRequest<'a> {
    /// Adds a parameter of the grant. A value of 8 bytes or more counts as a secret, like an assertion.
    pub fn parameter(mut self, name: &'a str, value: &'a str) -> Self {
        self.added.push(name, value);
        self
    }

    /// Asks for scopes, each passed by itself (RFC 6749 §3.3); repeatable.
    pub fn scopes(mut self, scopes: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.wanted.add_scopes(scopes);
        self
    }

    /// Names a resource that the access token is for (RFC 8707 §2.2); repeatable.
    pub fn resource(mut self, resource: &'a str) -> Self {
        self.wanted.add_resource(resource);
        self
    }

    /// Makes the request.
    ///
    /// # Errors
    ///
    /// Misuse, if
    ///
    /// - the grant type is empty, holds a character that no URI has, is one that this crate has a method for,
    ///   or is the password or the implicit grant, which this crate does not offer (RFC 9700 §2.1.2 and
    ///   §2.4);
    /// - the server does not support the grant;
    /// - a scope or a resource is not well-formed;
    /// - a parameter has a name that RFC 6749 §8.2 does not allow, is given twice, is one that this crate
    ///   sets, or is in the token endpoint's own query.
    pub fn start(mut self, now: SystemTime) -> Result<Call<Grant>, Error> {
        self.wanted.check()?;
        if let Some(why) = why_refused(self.grant_type) {
            return Err(Error::misuse(format!("the grant type {} {why}", Foreign(self.grant_type))));
        }
        let Self { client, grant_type, wanted, added } = self;
        client.server.check_grant_type(grant_type)?;
        added.check(client)?;
        let parameters = [("grant_type", grant_type), ("scope", wanted.scope.as_str())];
        let request =
            client.token_request(&parameters, added.iter().chain(wanted.resource_parameters()), now)?;
        Ok(Call::new(request, wanted.into_context(client)))
    }
}

/// Returns why a grant must not be asked for by its name; `None` if it may be.
fn why_refused(grant_type: &str) -> Option<&'static str> {
    let is_readable = grant_type.bytes().all(|byte| is_uri_character(byte) || byte == b'#');
    match grant_type.to_ascii_lowercase().as_str() {
        "" => Some("is empty; name the grant"),
        _ if !is_readable => {
            Some("holds a character that no URI has; write it as the server's documentation does")
        }
        "authorization_code" => Some("needs checks that only a callback passes; use Client::authorize"),
        "refresh_token" => Some("has a method of its own; use Client::refresh"),
        "password" => Some("gives the user's password to the client, which RFC 9700 section 2.4 forbids"),
        "implicit" => Some("gives tokens to the page, which RFC 9700 section 2.1.2 forbids"),
        client_credentials::GRANT_TYPE => Some("has a method of its own; use Client::client_credentials"),
        exchange::GRANT_TYPE => Some("has a method of its own; use Client::token_exchange"),
        bearer::GRANT_TYPE => Some("has a method of its own; use Client::jwt_bearer"),
        device::GRANT_TYPE => Some("has a method of its own; use Client::device_authorization"),
        _ => None,
    }
}

impl fmt::Debug for ExtensionGrantRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExtensionGrantRequest")
            .field("grant_type", &self.grant_type)
            .field("scope", &self.wanted.scope)
            .finish_non_exhaustive()
    }
}
