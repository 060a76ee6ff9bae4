//! The addresses of endpoints for connections with a certificate (RFC 8705 §5).

use serde_json::Value;

use crate::error::Error;
use crate::server::parse_endpoint;
use crate::text::json::Extras;
use crate::text::uri::Endpoint;

/// The addresses of endpoints for clients that present a certificate (RFC 8705 §5).
#[derive(Clone, Debug, Default)]
pub(crate) struct MtlsAliases {
    /// The sound addresses of endpoints that this crate sends requests to.
    endpoints: Vec<(&'static str, Endpoint)>,
    /// The other members, as the server sent them.
    pub(crate) others: Extras,
}

impl MtlsAliases {
    /// The endpoints that a client sends credentials or bound tokens to.
    pub(crate) const NAMES: [&'static str; 6] = [
        "token_endpoint",
        "revocation_endpoint",
        "introspection_endpoint",
        "device_authorization_endpoint",
        "pushed_authorization_request_endpoint",
        "userinfo_endpoint",
    ];

    /// Sets the alias of one of the `NAMES`.
    pub(crate) fn set(&mut self, name: &'static str, alias: Endpoint) {
        self.others.remove(name);
        self.endpoints.retain(|(known, _)| *known != name);
        self.endpoints.push((name, alias));
    }

    /// Returns the sound aliases.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &Endpoint)> {
        self.endpoints.iter().map(|(name, alias)| (*name, alias))
    }

    /// Returns the alias of an endpoint; `what` is its name in a message.
    ///
    /// # Errors
    ///
    /// Misuse: the server's document names an unsound one. Its own address would not ask for the certificate.
    pub(super) fn of(&self, what: &str) -> Result<Option<&Endpoint>, Error> {
        let named = what.replace(' ', "_");
        if let Some(url) = self.others.get(&named).and_then(Value::as_str) {
            return parse_endpoint(&format!("alias of the {what} in the server's metadata"), url)
                .map(|_| None);
        }
        Ok(self.iter().find(|(name, _)| *name == named).map(|(_, alias)| alias))
    }
}
