//! The parameters that a program adds to a request for tokens.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::client::Client;
use crate::error::Error;
use crate::text::foreign::Foreign;
use crate::text::secret::Secret;
use crate::token::Parameters;

/// The parameters that a program adds to a request under construction.
#[derive(Clone, Default)]
pub(super) struct Added<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Added<'a> {
    pub(super) fn push(&mut self, name: &'a str, value: &'a str) {
        self.0.push((name, value));
    }

    /// Refuses the first parameter that must not be sent.
    pub(super) fn check(&self, client: &Client) -> Result<(), Error> {
        let endpoint = client.token_endpoint.parameters();
        let mut sent: BTreeSet<Cow<'_, str>> = endpoint.map(|(name, _)| name).collect();
        for (name, _) in &self.0 {
            let is_repeated = !sent.insert(Cow::Borrowed(name));
            let why = why_refused(name).or(is_repeated.then_some(
                "is there twice, also counting the token endpoint's query, which RFC 6749 section 3.2 forbids; \
                 remove one",
            ));
            if let Some(why) = why {
                return Err(Error::misuse(format!("the extra parameter {} {why}", Foreign(name))));
            }
        }
        Ok(())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.0.iter().copied()
    }

    /// Returns copies for later requests.
    pub(super) fn to_owned(&self) -> Parameters {
        self.iter().map(|(name, value)| (name.to_owned(), Secret::new(value))).collect()
    }
}

/// Returns whether stored parameters can be sent, whatever the client.
pub(crate) fn can_be_sent(parameters: &Parameters) -> bool {
    let mut sent = BTreeSet::new();
    parameters.iter().all(|(name, _)| sent.insert(name) && why_refused(name).is_none())
}

/// Returns why a parameter must not be sent; `None` if it may be sent.
fn why_refused(name: &str) -> Option<&'static str> {
    match name {
        "scope" => Some("has a method of its own, `scopes`"),
        "resource" => Some("has a method of its own, `resource`"),
        _ if SET_BY_THIS_CRATE.contains(&name) => Some("is one that this crate sets; remove it"),
        _ if !is_parameter_name(name) => {
            Some("has a name that RFC 6749 section 8.2 does not allow; use A-Z a-z 0-9 - . _ only")
        }
        _ => None,
    }
}

/// Returns whether a text can be the name of a parameter (RFC 6749 §8.2). Such a name needs no escaping.
fn is_parameter_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    !name.is_empty() && name.bytes().all(is_allowed)
}

/// The grant type, and the parameters of client authentication (RFC 6749 §2.3.1, RFC 7521 §4.2).
const SET_BY_THIS_CRATE: &[&str] =
    &["grant_type", "client_id", "client_secret", "client_assertion", "client_assertion_type"];
