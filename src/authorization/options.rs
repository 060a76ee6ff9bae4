//! The options of an authorization request (OpenID Connect Core §3.1.2.1, RFC 9396).

use std::borrow::Cow;
use std::time::Duration;

use serde_json::Value;

use crate::authorization::request::AuthorizationRequest;

/// Parameters that some servers support. Each method checks its value.
///
/// ```
/// use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Entropy};
/// use serde_json::json;
/// use std::time::{Duration, SystemTime};
///
/// # fn main() -> Result<(), oauth2_proto::Error> {
/// # let server = AuthorizationServer::new(
/// #     "https://as.example/authorize",
/// #     "https://as.example/token",
/// # )?;
/// # let client = Client::new(server, "client-id", ClientAuth::none())?;
/// # let (entropy, now) = (Entropy::from_bytes([1; 128]), SystemTime::UNIX_EPOCH);
/// let (url, _pending) = client
///     .authorize("https://app.example/callback")
///     .prompt(["login", "consent"])
///     .max_age(Duration::from_secs(300))
///     .acr_values(["phr"])
///     .login_hint("someone@example.com")
///     .authorization_details(&[json!({"type": "account_information"})])
///     .start_with(entropy, now)?;
/// assert!(url.ends_with(
///     "&prompt=login+consent&max_age=300&acr_values=phr&login_hint=someone%40example.com\
///      &authorization_details=%5B%7B%22type%22%3A%22account_information%22%7D%5D"
/// ));
/// # Ok(())
/// # }
/// ```
impl<'a> AuthorizationRequest<'a> {
    /// Sets what the server asks the user (OpenID Connect Core §3.1.2.1): `login`, `consent`,
    /// `select_account`, a value of another specification such as `create`, or `none` alone.
    ///
    /// With `none` the server asks nothing. Where it would have to, the callback brings an error whose advice
    /// is [`Reauthorize`](crate::Advice::Reauthorize): start again without `none`.
    pub fn prompt(mut self, values: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let prompt = self.joined("prompt", values);
        let mut values = prompt.split(' ');
        if values.any(|value| value == "none") && prompt != "none" {
            self.wanted.refuse(|| {
                "the prompt holds none and another value, which contradict each other; remove one (OpenID \
                 Connect Core section 3.1.2.1)"
                    .to_owned()
            });
        }
        self.option("prompt", prompt)
    }

    /// Asks the server to have the user sign in again where the last time is longer ago (OpenID Connect Core
    /// §3.1.2.1), in whole seconds; a fraction is cut off.
    ///
    /// Only `auth_time` in an ID token shows whether the server did so.
    pub fn max_age(self, max_age: Duration) -> Self {
        self.option("max_age", max_age.as_secs().to_string())
    }

    /// Asks for one of these levels of authentication, in order of preference (OpenID Connect Core §3.1.2.1).
    ///
    /// The server may choose another level. Only `acr` in an ID token, or the API's answer (RFC 9470 §3),
    /// shows which.
    pub fn acr_values(mut self, values: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let values = self.joined("acr_values", values);
        self.option("acr_values", values)
    }

    /// Tells the server who is about to sign in, for example by an email address (OpenID Connect Core
    /// §3.1.2.1). The user may still sign in as someone else.
    pub fn login_hint(self, hint: &'a str) -> Self {
        self.option("login_hint", hint)
    }

    /// Asks for single claims, as an object with `id_token` or `userinfo` (OpenID Connect Core §5.5).
    pub fn claims(mut self, claims: &Value) -> Self {
        let is_request = |value: &Value| value.is_object() || value.is_null();
        let is_sound = claims.is_object()
            && ["id_token", "userinfo"].iter().all(|name| claims.get(name).is_none_or(is_request));
        if !is_sound {
            self.wanted.refuse(|| {
                "the claims are no JSON object, or id_token or userinfo in it is none (OpenID Connect Core \
                 section 5.5)"
                    .to_owned()
            });
        }
        self.option("claims", claims.to_string())
    }

    /// Asks for authorization details (RFC 9396 §2): objects, each with a text `type` and the fields that the
    /// API defines for this type.
    ///
    /// [`TokenResponse::authorization_details`](crate::TokenResponse::authorization_details) returns the
    /// granted details, which may be fewer. The server refuses details that it does not understand with the
    /// code `invalid_authorization_details` (§5). The user can read and change the details in the browser's
    /// URL (§12).
    pub fn authorization_details(mut self, details: &[Value]) -> Self {
        let has_type =
            |detail: &Value| detail.get("type").and_then(Value::as_str).is_some_and(|name| !name.is_empty());
        if let Some(index) = details.iter().position(|detail| !has_type(detail)) {
            self.wanted.refuse(|| {
                format!(
                    "the authorization detail at index {index} is no JSON object with a text `type` (RFC \
                     9396 section 2)"
                )
            });
        }
        let mut list = String::new();
        for detail in details {
            list.push_str(if list.is_empty() { "[" } else { "," });
            list.push_str(&detail.to_string());
        }
        if !list.is_empty() {
            list.push(']');
        }
        self.option("authorization_details", list)
    }

    /// Asks for the callback in a form that the browser posts to the redirect URI (OAuth 2.0 Form Post
    /// Response Mode), which keeps the code out of the browser's history and out of logs of URLs.
    ///
    /// Your session cookie is usually missing from that post: [`Callback::form`](crate::Callback::form) says
    /// what to do.
    pub fn form_post(self) -> Self {
        self.option("response_mode", "form_post")
    }

    /// Joins values with spaces, the form in which a list is sent.
    fn joined(&mut self, name: &str, values: impl IntoIterator<Item = impl AsRef<str>>) -> String {
        let mut list = String::new();
        for value in values {
            let value = value.as_ref();
            if value.is_empty() || value.contains(|char: char| char.is_whitespace() || char.is_control()) {
                self.wanted.refuse(|| {
                    format!("a value of {name} is empty or holds a space; pass each value by itself")
                });
            }
            if !list.is_empty() {
                list.push(' ');
            }
            list.push_str(value);
        }
        list
    }

    /// Adds a parameter. Leaves out an empty one, which counts as absent (RFC 6749 §3.1).
    fn option(mut self, name: &'static str, value: impl Into<Cow<'a, str>>) -> Self {
        let value = value.into();
        if !value.is_empty() {
            self.parameters.push((name, value));
        }
        self
    }
}
