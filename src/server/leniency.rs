//! The deviations of a server that a program accepts.

/// A deviation from the specifications that servers are known for.
///
/// Each is refused unless [`AuthorizationServer::tolerate`](crate::AuthorizationServer::tolerate) accepts it:
///
/// ```
/// use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Response, Secret};
/// use oauth2_proto::server::Leniency;
/// use std::time::SystemTime;
///
/// # fn main() -> Result<(), oauth2_proto::Error> {
/// let strict = AuthorizationServer::new(
///     "https://as.example/authorize",
///     "https://as.example/token",
/// )?;
/// let lenient = strict.clone().tolerate(Leniency::MissingTokenType);
/// for (server, accepted) in [(strict, false), (lenient, true)] {
///     let client = Client::new(server, "client-id", ClientAuth::none())?;
///     let call = client.refresh(&Secret::new("fake-refresh-token")).start(SystemTime::now())?;
///     let json = [("content-type", "application/json")];
///     let answer = Response::new(200, json, br#"{"access_token":"fake"}"#);
///     assert_eq!(call.read(answer).is_ok(), accepted);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Leniency {
    /// Reads a token response whose `token_type` is missing or empty as one of type `Bearer`.
    MissingTokenType,
    /// Passes on a `token_type` other than `Bearer` and `DPoP`; RFC 6749 §7.1 forbids a client to use a type
    /// that it does not understand.
    AnyTokenType,
    /// Reads a `scope` that is an array of strings.
    ScopeArray,
    /// Reads a `scope` that is separated by commas, and compares it with requested scopes that are.
    ScopeComma,
    /// Reads a form-encoded token response or error whose content type is a form or any text.
    FormEncoded,
    /// Reads an `expires_in` of 0 as a token that never expires, instead of one that has expired already.
    ZeroMeansNeverExpires,
    /// Reads a negative `expires_in`, such as -1, as a token that never expires.
    NegativeMeansNeverExpires,
}

impl Leniency {
    /// All deviations, in the order of their declaration.
    pub(crate) const ALL: [Self; 7] = [
        Self::MissingTokenType,
        Self::AnyTokenType,
        Self::ScopeArray,
        Self::ScopeComma,
        Self::FormEncoded,
        Self::ZeroMeansNeverExpires,
        Self::NegativeMeansNeverExpires,
    ];

    /// Returns the name in the stored form of a server.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::MissingTokenType => "missing_token_type",
            Self::AnyTokenType => "any_token_type",
            Self::ScopeArray => "scope_array",
            Self::ScopeComma => "scope_comma",
            Self::FormEncoded => "form_encoded",
            Self::ZeroMeansNeverExpires => "zero_means_never_expires",
            Self::NegativeMeansNeverExpires => "negative_means_never_expires",
        }
    }
}

/// A set of [`Leniency`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Leniencies(u8);

impl Leniencies {
    pub(crate) fn insert(&mut self, leniency: Leniency) {
        self.0 |= 1 << leniency as u8;
    }

    pub(crate) fn has(self, leniency: Leniency) -> bool {
        self.0 & 1 << leniency as u8 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AuthorizationServer;

    #[test]
    fn every_leniency_has_a_name_of_its_own() {
        for (bit, leniency) in Leniency::ALL.into_iter().enumerate() {
            assert_eq!(leniency as usize, bit);
            assert_eq!(Leniency::ALL.iter().filter(|other| other.name() == leniency.name()).count(), 1);
        }
    }

    #[test]
    fn leniencies_are_apart() {
        let server = AuthorizationServer::new("https://as.example/a", "https://as.example/t").unwrap();
        let server = server.tolerate(Leniency::ScopeComma).tolerate(Leniency::ScopeComma);
        assert!(server.leniencies.has(Leniency::ScopeComma));
        assert!(!server.leniencies.has(Leniency::ScopeArray));
        assert!(!server.leniencies.has(Leniency::MissingTokenType));
    }
}
