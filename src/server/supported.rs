//! What a server is known to support, and the refusal of what it is known not to.

use std::borrow::Cow;

use serde_json::Value;

use crate::client_auth::ClientAuth;
use crate::error::Error;
use crate::server::AuthorizationServer;
use crate::text::foreign::Foreign;

impl AuthorizationServer {
    /// Refuses a grant type that the server is known not to support.
    pub(crate) fn check_grant_type(&self, grant_type: &str) -> Result<(), Error> {
        self.check_supported("grant types", self.grant_types_supported.as_deref(), grant_type)
    }

    /// Refuses a client authentication method that the server is known not to support.
    pub(crate) fn check_auth_method(&self, method: &str) -> Result<(), Error> {
        self.check_supported(
            "client authentication methods",
            self.token_endpoint_auth_methods_supported.as_deref(),
            method,
        )
    }

    /// Refuses an algorithm of assertions that the server is known not to accept at the token endpoint.
    pub(crate) fn check_auth_algorithm(&self, auth: &ClientAuth) -> Result<(), Error> {
        let supported = self.token_endpoint_auth_signing_alg_values_supported.as_deref();
        auth.algorithm().map_or(Ok(()), |algorithm| {
            self.check_supported("algorithms of assertions", supported, algorithm)
        })
    }

    /// Refuses a client authentication that another endpoint is known not to support.
    pub(crate) fn check_auth_at(
        &self,
        endpoint: &str,
        methods: Option<&[Cow<'static, str>]>,
        algorithms: Option<&[Cow<'static, str>]>,
        auth: &ClientAuth,
    ) -> Result<(), Error> {
        let what = format!("client authentication methods of the {endpoint}");
        self.check_supported(&what, methods, auth.method())?;
        let what = format!("algorithms of assertions of the {endpoint}");
        auth.algorithm().map_or(Ok(()), |algorithm| self.check_supported(&what, algorithms, algorithm))
    }

    /// Refuses a value that a list of the server's document is known not to hold; `what` names the list in a
    /// message.
    pub(crate) fn check_listed(&self, what: &str, name: &str, wanted: &str) -> Result<(), Error> {
        let texts = |listed: &Vec<Value>| {
            listed.iter().filter_map(Value::as_str).map(|value| value.to_owned().into()).collect::<Vec<_>>()
        };
        self.check_supported(what, self.list_of(name).map(texts).as_deref(), wanted)
    }

    /// Refuses the algorithm of a token that came from the server, if its document has a list without it.
    pub(crate) fn check_signed_by(&self, what: &str, name: &str, algorithm: &str) -> Result<(), Error> {
        self.check_listed(what, name, algorithm).map_err(|refused| {
            Error::untrusted(format!("the signature is refused: {}", refused.message())).about("alg")
        })
    }

    /// Returns whether a list of the server's document holds a value.
    pub(crate) fn lists(&self, name: &str, wanted: &str) -> bool {
        self.list_of(name).into_iter().flatten().any(|value| value.as_str() == Some(wanted))
    }

    /// Returns what the server's document says of a feature, if it says anything.
    pub(crate) fn says_of(&self, name: &str) -> Option<bool> {
        self.extras.as_ref()?.get(name)?.as_bool()
    }

    fn list_of(&self, name: &str) -> Option<&Vec<Value>> {
        self.extras.as_ref()?.get(name)?.as_array()
    }

    fn check_supported(
        &self,
        what: &str,
        supported: Option<&[Cow<'static, str>]>,
        wanted: &str,
    ) -> Result<(), Error> {
        match supported {
            Some(supported) if !supported.iter().any(|known| known == wanted) => Err(Error::misuse(format!(
                "{} supports the {what} {}, not {wanted}",
                self.name,
                list(supported)
            ))),
            _ => Ok(()),
        }
    }
}

/// Lists names in a message: escaped and cut, as they come from the server's metadata.
fn list(names: &[Cow<'static, str>]) -> String {
    const MOST: usize = 10;
    let shown: Vec<String> = names.iter().take(MOST).map(|name| Foreign(name).to_string()).collect();
    let more = if names.len() > MOST { " and others" } else { "" };
    format!("{}{more}", shown.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_lists_ten_names_and_says_whether_there_are_more() {
        for (number, has_more) in [(9, false), (10, false), (11, true)] {
            let names: Vec<_> = (1..=number).map(|index| Cow::Owned(format!("a{index}"))).collect();
            let listed = list(&names);
            assert_eq!(listed.matches("\"a").count(), number.min(10), "{listed}");
            assert_eq!(listed.ends_with(" and others"), has_more, "{listed}");
        }
    }
}
