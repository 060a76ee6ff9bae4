//! The metadata of a client (RFC 7591 §2).

use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::authorization::callback::RESPONSE_PARAMETERS;
use crate::error::Error;
use crate::jose::PublicKey;
use crate::registration::Members;
use crate::text::json::Extras;
use crate::text::scope::Scope;
use crate::text::secret::Secret;
use crate::text::uri::RedirectUri;

/// The metadata of a client: what it asks a server to register (RFC 7591 §2), and what a client ID metadata
/// document says.
///
/// Each use of the metadata checks it first, and returns a misuse
///
/// - if a redirect URI is not one that an authorization accepts, or the authorization code grant is asked for
///   without one (RFC 7591 §2; without [`grant_types`](Self::grant_types) the server assumes this grant),
/// - if a scope is not one token of RFC 6749 §3.3,
/// - if there are both `jwks_uri` and `jwks`, or the latter holds a private key,
/// - if a member is there that only the server gives, such as `client_secret`.
///
/// It serializes as the JSON object that is sent. `Debug` shows the names of its members only.
///
/// ```
/// use oauth2_proto::registration::ClientMetadata;
///
/// let metadata = ClientMetadata::new()
///     .client_name("Fake App")
///     .redirect_uris(["com.example.app:/callback"])
///     .member("client_name#de", "Falsche App");
/// assert_eq!(
///     serde_json::to_value(&metadata).unwrap(),
///     serde_json::json!({
///         "application_type": "native",
///         "client_name": "Fake App",
///         "client_name#de": "Falsche App",
///         "redirect_uris": ["com.example.app:/callback"],
///     })
/// );
/// ```
#[derive(Clone, Debug, Default)]
pub struct ClientMetadata {
    members: Extras,
    /// The first scope that was refused; each use of the metadata returns it.
    misuse: Option<Error>,
}

/// The kind of an application (OpenID Connect Dynamic Client Registration §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApplicationType {
    /// Runs on a web server, and has `https` redirect URIs.
    Web,
    /// Runs on the user's device: its redirect URIs lead to a loopback address or have the app's own scheme.
    Native,
}

impl ClientMetadata {
    /// Makes metadata without members.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the addresses that the browser may come back to.
    ///
    /// A server that follows RFC 8252 §7.3 accepts every port of a registered `http://127.0.0.1/callback`.
    pub fn redirect_uris(self, uris: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.list(REDIRECT_URIS, uris)
    }

    /// Sets how the client authenticates itself, such as `none`, in a way that the server
    /// [supports](crate::discovery::Metadata::supports_auth_method); the default of RFC 7591 §2 is
    /// `client_secret_basic`.
    pub fn token_endpoint_auth_method(self, method: impl Into<String>) -> Self {
        self.text(AUTH_METHOD, method)
    }

    /// Sets the grants that the client uses; the default of RFC 7591 §2 is `authorization_code` alone, so
    /// add `refresh_token` to get refresh tokens, if the server
    /// [supports it](crate::discovery::Metadata::supports_grant_type).
    pub fn grant_types(self, grant_types: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.list(GRANT_TYPES, grant_types)
    }

    /// Sets the response types that the client uses; the default of RFC 7591 §2 is `code`.
    pub fn response_types(self, response_types: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.list("response_types", response_types)
    }

    /// Sets the name that the server shows to users.
    pub fn client_name(self, name: impl Into<String>) -> Self {
        self.text("client_name", name)
    }

    /// Sets the address of a page about the client.
    pub fn client_uri(self, uri: impl Into<String>) -> Self {
        self.text("client_uri", uri)
    }

    /// Sets the address of the client's logo.
    pub fn logo_uri(self, uri: impl Into<String>) -> Self {
        self.text("logo_uri", uri)
    }

    /// Sets the scopes that the client may ask for.
    pub fn scopes(mut self, scopes: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let mut scope = Scope::default();
        if let Err(refused) = scope.extend(scopes) {
            self.misuse.get_or_insert_with(|| Error::misuse(format!("the scope {refused}")));
        }
        self.text("scope", scope.as_str())
    }

    /// Sets how to reach the people who are responsible for the client, such as mail addresses.
    pub fn contacts(self, contacts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.list("contacts", contacts)
    }

    /// Sets the address of the terms of service.
    pub fn tos_uri(self, uri: impl Into<String>) -> Self {
        self.text("tos_uri", uri)
    }

    /// Sets the address of the privacy policy.
    pub fn policy_uri(self, uri: impl Into<String>) -> Self {
        self.text("policy_uri", uri)
    }

    /// Sets the algorithm of the client's assertions, for `private_key_jwt` and `client_secret_jwt`; without
    /// it the server accepts each that it supports (OpenID Connect Dynamic Client Registration §2).
    pub fn token_endpoint_auth_signing_alg(self, algorithm: impl Into<String>) -> Self {
        self.text(AUTH_ALGORITHM, algorithm)
    }

    /// Sets the subject of the client's certificate, for `tls_client_auth`, as RFC 4514 writes it (RFC 8705
    /// §2.1.2).
    pub fn tls_client_auth_subject_dn(self, subject: impl Into<String>) -> Self {
        self.text("tls_client_auth_subject_dn", subject)
    }

    /// Sets the client's public keys (RFC 7517 §5), for `private_key_jwt`; give each a
    /// [`kid`](PublicKey::with_key_id). Use [`jwks_uri`](Self::jwks_uri) instead if the keys change.
    ///
    /// ```
    /// use oauth2_proto::{jose::PublicKey, registration::ClientMetadata};
    ///
    /// let key = PublicKey::from_jwk(
    ///     r#"{"kty":"OKP","crv":"Ed25519","kid":"fake-1",
    ///         "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
    /// )?;
    /// let metadata = ClientMetadata::new()
    ///     .redirect_uris(["https://app.example/callback"])
    ///     .token_endpoint_auth_method("private_key_jwt")
    ///     .jwks([&key]);
    /// # assert_eq!(
    /// #     serde_json::to_value(&metadata).unwrap()["jwks"]["keys"][0],
    /// #     serde_json::json!({
    /// #         "kty": "OKP", "crv": "Ed25519", "kid": "fake-1", "use": "sig",
    /// #         "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    /// #     })
    /// # );
    /// # Ok::<(), oauth2_proto::Error>(())
    /// ```
    pub fn jwks<'a>(self, keys: impl IntoIterator<Item = &'a PublicKey>) -> Self {
        let keys: Vec<Value> = keys.into_iter().map(PublicKey::to_jwk).collect();
        self.member("jwks", serde_json::json!({ "keys": keys }))
    }

    /// Sets the address of the client's public keys (RFC 7517 §5).
    pub fn jwks_uri(self, uri: impl Into<String>) -> Self {
        self.text("jwks_uri", uri)
    }

    /// Sets an identifier that all instances and versions of the software share.
    pub fn software_id(self, id: impl Into<String>) -> Self {
        self.text("software_id", id)
    }

    /// Sets the version of the software.
    pub fn software_version(self, version: impl Into<String>) -> Self {
        self.text("software_version", version)
    }

    /// Sets a software statement: metadata that a third party signed (RFC 7591 §2.3).
    pub fn software_statement(self, statement: &Secret) -> Self {
        self.text("software_statement", statement.expose())
    }

    /// Sets the kind of the application.
    ///
    /// Without this call the redirect URIs decide: [`Native`](ApplicationType::Native) if one of them leads
    /// to a loopback address or has an app's scheme, otherwise [`Web`](ApplicationType::Web). A value that is
    /// set is sent with any redirect URIs: OpenID Connect restricts those of web clients for the implicit
    /// grant only, and RFC 8252 §7.2 gives native apps `https` ones.
    pub fn application_type(self, application_type: ApplicationType) -> Self {
        self.text(APPLICATION_TYPE, application_type.name())
    }

    /// Sets any member, such as `client_name#fr`, and replaces one of the same name.
    ///
    /// A `null` leaves the member out, and an [update](super::Registered::update) removes it.
    pub fn member(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.members.insert(name.into(), value.into());
        self
    }

    fn text(self, name: &str, text: impl Into<String>) -> Self {
        self.member(name, text.into())
    }

    fn list(self, name: &str, texts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.member(name, texts.into_iter().map(Into::into).collect::<Vec<String>>())
    }

    /// Checks this metadata, and returns the members of `base` with those of this metadata in their place.
    pub(super) fn over(&self, base: Extras) -> Result<Extras, Error> {
        if let Some(misuse) = &self.misuse {
            return Err(misuse.clone());
        }
        let mut members = base;
        for (name, value) in self.members.iter() {
            check_member(name, value)?;
            match value {
                Value::Null => members.remove(name),
                value => members.insert(name.to_owned(), value.clone()),
            }
        }
        if self.members.get(APPLICATION_TYPE).is_none()
            && let Some(derived) = ApplicationType::of(&self.members)
        {
            members.insert(APPLICATION_TYPE.to_owned(), derived.name().into());
        }
        check_together(&members)?;
        Ok(members)
    }
}

/// Writes the JSON object that is sent; fails on metadata with a fault.
impl Serialize for ClientMetadata {
    fn serialize<S: Serializer>(&self, target: S) -> Result<S::Ok, S::Error> {
        let members = self.over(Extras::default()).map_err(S::Error::custom)?;
        Members(&members).serialize(target)
    }
}

impl ApplicationType {
    /// Returns the kind of application that has these redirect URIs; `None` without one.
    fn of(members: &Extras) -> Option<Self> {
        let mut uris = texts(members, REDIRECT_URIS).peekable();
        uris.peek()?;
        let is_native = |uri| RedirectUri::parse(uri, &[]).is_ok_and(|uri| uri.stays_on_the_device());
        Some(if uris.any(is_native) { Self::Native } else { Self::Web })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Native => "native",
        }
    }
}

/// Refuses a member that only the server gives, and an unsound redirect URI or scope.
fn check_member(name: &str, value: &Value) -> Result<(), Error> {
    match (name, value) {
        (_, Value::Null) => Ok(()),
        (name, _) if ISSUED.contains(&name) => {
            Err(Error::misuse(format!("the metadata holds {name}, which only the server gives; remove it")))
        }
        (REDIRECT_URIS | GRANT_TYPES, value) if !is_list_of_texts(value) => {
            Err(Error::misuse(format!("{name} is no list of texts; make it one")))
        }
        ("scope" | AUTH_METHOD | AUTH_ALGORITHM, value) if !value.is_string() => {
            Err(Error::misuse(format!("{name} is no text; make it one")))
        }
        (REDIRECT_URIS, Value::Array(uris)) => uris.iter().filter_map(Value::as_str).try_for_each(|uri| {
            let parsed = RedirectUri::parse(uri, RESPONSE_PARAMETERS);
            parsed.map(|_| ()).map_err(|refused| Error::misuse(format!("the redirect URI {refused}")))
        }),
        // A private key is the graver fault, and refused later.
        ("jwks", jwks) if !is_key_set(jwks) && !holds_private_key(jwks) => Err(Error::misuse(
            "jwks is no set of keys; make it an object with a list of keys (RFC 7517 section 5)",
        )),
        ("scope", Value::String(scope)) => {
            let parsed = Scope::parse(scope.clone());
            parsed.map(|_| ()).map_err(|refused| Error::misuse(format!("the scope {refused}")))
        }
        _ => Ok(()),
    }
}

fn is_list_of_texts(value: &Value) -> bool {
    value.as_array().is_some_and(|values| values.iter().all(Value::is_string))
}

/// Returns whether a value has the form of a set of keys (RFC 7517 §5).
fn is_key_set(jwks: &Value) -> bool {
    let keys = jwks.get("keys").and_then(Value::as_array);
    keys.is_some_and(|keys| keys.iter().all(Value::is_object))
}

/// Refuses members that exclude each other, and the authorization code grant without a redirect URI.
fn check_together(members: &Extras) -> Result<(), Error> {
    if members.get("jwks").is_some() && members.get("jwks_uri").is_some() {
        return Err(Error::misuse(
            "the metadata holds both jwks and jwks_uri; give the keys in one way (RFC 7591 section 2)",
        ));
    }
    if members.get("jwks").is_some_and(holds_private_key) {
        return Err(Error::misuse(
            "the metadata holds a private key in jwks; remove its private members (RFC 7591 section 2)",
        ));
    }
    let is_redirected = match members.get(GRANT_TYPES) {
        None => true,
        Some(_) => grant_types(members).any(|grant_type| grant_type == "authorization_code"),
    };
    // The signed metadata may hold the redirect URIs.
    let is_stated = members.get("software_statement").is_some();
    if is_redirected && !is_stated && texts(members, REDIRECT_URIS).next().is_none() {
        return Err(Error::misuse(
            "the metadata has no redirect_uris, which the authorization code grant needs; set them, or set \
             grant_types to the grants that the client uses (RFC 7591 section 2)",
        ));
    }
    Ok(())
}

/// Returns whether a key of a set has a member of a private or symmetric key (RFC 7518 §6).
pub(super) fn holds_private_key(jwks: &Value) -> bool {
    const PRIVATE: &[&str] = &["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
    // A single key in place of a set is a mistake that must not publish it.
    let keys = jwks.get("keys").and_then(Value::as_array).into_iter().flatten().chain([jwks]);
    keys.filter_map(Value::as_object).any(|key| PRIVATE.iter().any(|name| key.contains_key(*name)))
}

/// Returns whether a client authentication method needs a client secret.
pub(super) fn uses_secret(method: &str) -> bool {
    method.starts_with("client_secret_")
}

pub(super) fn grant_types(members: &Extras) -> impl Iterator<Item = &str> {
    texts(members, GRANT_TYPES)
}

fn texts<'a>(members: &'a Extras, name: &str) -> impl Iterator<Item = &'a str> {
    members.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

pub(super) const AUTH_METHOD: &str = "token_endpoint_auth_method";

pub(super) const AUTH_ALGORITHM: &str = "token_endpoint_auth_signing_alg";

pub(super) const REDIRECT_URIS: &str = "redirect_uris";

const APPLICATION_TYPE: &str = "application_type";

const GRANT_TYPES: &str = "grant_types";

/// The members that only the server gives (RFC 7591 §3.2.1 and RFC 7592 §3).
pub(super) const ISSUED: &[&str] = &[
    "client_id",
    "client_secret",
    "client_id_issued_at",
    "client_secret_expires_at",
    "registration_access_token",
    "registration_client_uri",
];
