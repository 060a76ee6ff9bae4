//! The document of an authorization server (RFC 8414 §2): its reader, its stored form, and a view of it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::Error as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::answer;
use crate::error::Error;
use crate::server::{
    AuthorizationServer, Leniency, MtlsAliases, UNNAMED, parse_authorization_endpoint,
    parse_end_session_endpoint, parse_endpoint,
};
use crate::text::json::{self, Extras, Member};
use crate::text::secret::is_printable;
use crate::text::uri::{Endpoint, Issuer};

/// A view of the metadata of an [`AuthorizationServer`], made by [`AuthorizationServer::metadata`].
///
/// ```
/// use oauth2_proto::AuthorizationServer;
///
/// let server: AuthorizationServer = serde_json::from_str(
///     r#"{"issuer":"https://as.example","token_endpoint":"https://as.example/token",
///         "scopes_supported":["read"],"x_vendor":{"tier":1}}"#,
/// )
/// .unwrap();
/// let metadata = server.metadata();
/// assert_eq!(metadata.token_endpoint(), "https://as.example/token");
/// assert_eq!(metadata.authorization_endpoint(), None);
/// assert!(metadata.scopes_supported().unwrap().eq(["read"]));
/// assert!(metadata.grant_types_supported().is_none());
/// assert_eq!(metadata.get("x_vendor").unwrap()["tier"], 1);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Metadata<'a>(&'a AuthorizationServer);

impl AuthorizationServer {
    /// Returns a view of this server's metadata, under the names of RFC 8414 §2.
    pub fn metadata(&self) -> Metadata<'_> {
        Metadata(self)
    }
}

impl<'a> Metadata<'a> {
    /// Returns the issuer identifier.
    pub fn issuer(&self) -> Option<&'a str> {
        self.0.issuer.as_ref().map(Issuer::as_str)
    }

    /// Returns the authorization endpoint.
    pub fn authorization_endpoint(&self) -> Option<&'a str> {
        self.0.authorization_endpoint.as_ref().map(Endpoint::as_str)
    }

    /// Returns the token endpoint.
    pub fn token_endpoint(&self) -> &'a str {
        self.0.token_endpoint.as_str()
    }

    /// Returns the device authorization endpoint (RFC 8628 §4).
    pub fn device_authorization_endpoint(&self) -> Option<&'a str> {
        self.0.device_authorization_endpoint.as_ref().map(Endpoint::as_str)
    }

    /// Returns the introspection endpoint.
    pub fn introspection_endpoint(&self) -> Option<&'a str> {
        self.0.introspection_endpoint.as_ref().map(Endpoint::as_str)
    }

    /// Returns the pushed authorization request endpoint (RFC 9126 §5).
    pub fn pushed_authorization_request_endpoint(&self) -> Option<&'a str> {
        self.0.pushed_authorization_request_endpoint.as_ref().map(Endpoint::as_str)
    }

    /// Returns the registration endpoint.
    pub fn registration_endpoint(&self) -> Option<&'a str> {
        self.0.registration_endpoint.as_ref().map(Endpoint::as_str)
    }

    /// Returns the revocation endpoint.
    pub fn revocation_endpoint(&self) -> Option<&'a str> {
        self.0.revocation_endpoint.as_ref().map(Endpoint::as_str)
    }

    /// Returns the address of the server's public keys.
    pub fn jwks_uri(&self) -> Option<&'a str> {
        self.0.jwks_uri.as_ref().map(Endpoint::as_str)
    }

    /// Returns the UserInfo endpoint (OpenID Connect Discovery §3).
    pub fn userinfo_endpoint(&self) -> Option<&'a str> {
        self.0.userinfo_endpoint.as_ref().map(Endpoint::as_str)
    }

    /// Returns the end session endpoint (OpenID Connect RP-Initiated Logout §2.1).
    pub fn end_session_endpoint(&self) -> Option<&'a str> {
        self.0.end_session_endpoint.as_ref().map(Endpoint::as_str)
    }

    /// Returns the algorithms of the server's ID tokens; `None` means unknown.
    pub fn id_token_signing_alg_values_supported(&self) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        texts(&self.0.id_token_signing_alg_values_supported)
    }

    /// Returns the scopes; `None` means unknown. The server may support others, too.
    pub fn scopes_supported(&self) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        self.list("scopes_supported")
    }

    /// Returns the response types; `None` means unknown.
    pub fn response_types_supported(&self) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        self.list("response_types_supported")
    }

    /// Returns the response modes; `None` means unknown.
    pub fn response_modes_supported(&self) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        self.list("response_modes_supported")
    }

    /// Returns the algorithms of signed authorization requests (RFC 9101 §10.5); `None` means unknown.
    pub fn request_object_signing_alg_values_supported(
        &self,
    ) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        self.list("request_object_signing_alg_values_supported")
    }

    /// Returns the algorithms of signed authorization responses (JARM §4); `None` means unknown.
    pub fn authorization_signing_alg_values_supported(
        &self,
    ) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        self.list("authorization_signing_alg_values_supported")
    }

    /// Returns the grant types; `None` means unknown.
    pub fn grant_types_supported(&self) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        texts(&self.0.grant_types_supported)
    }

    /// Returns the client authentication methods; `None` means unknown.
    pub fn token_endpoint_auth_methods_supported(&self) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        texts(&self.0.token_endpoint_auth_methods_supported)
    }

    /// Returns the client authentication methods at the revocation endpoint; `None` means unknown.
    pub fn revocation_endpoint_auth_methods_supported(
        &self,
    ) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        texts(&self.0.revocation_endpoint_auth_methods_supported)
    }

    /// Returns the client authentication methods at the introspection endpoint; `None` means unknown.
    pub fn introspection_endpoint_auth_methods_supported(
        &self,
    ) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        texts(&self.0.introspection_endpoint_auth_methods_supported)
    }

    /// Returns the algorithms of assertions that authenticate a client; `None` means unknown.
    pub fn token_endpoint_auth_signing_alg_values_supported(
        &self,
    ) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        texts(&self.0.token_endpoint_auth_signing_alg_values_supported)
    }

    /// Returns the algorithms of assertions at the revocation endpoint; `None` means unknown.
    pub fn revocation_endpoint_auth_signing_alg_values_supported(
        &self,
    ) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        texts(&self.0.revocation_endpoint_auth_signing_alg_values_supported)
    }

    /// Returns the algorithms of assertions at the introspection endpoint; `None` means unknown.
    pub fn introspection_endpoint_auth_signing_alg_values_supported(
        &self,
    ) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        texts(&self.0.introspection_endpoint_auth_signing_alg_values_supported)
    }

    /// Returns the address of an endpoint, such as `token_endpoint`, for clients that present a certificate
    /// (RFC 8705 §5).
    pub fn mtls_endpoint_alias(&self, endpoint: &str) -> Option<&'a str> {
        let mut aliases = self.0.mtls_endpoint_aliases.as_deref()?.iter();
        aliases.find(|(name, _)| *name == endpoint).map(|(_, alias)| alias.as_str())
    }

    /// Returns the code challenge methods; `None` means that PKCE is not announced.
    pub fn code_challenge_methods_supported(&self) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        texts(&self.0.code_challenge_methods_supported)
    }

    /// Returns whether the server sends `iss` with every callback (RFC 9207 §3).
    pub fn authorization_response_iss_parameter_supported(&self) -> bool {
        self.0.authorization_response_iss_parameter_supported
    }

    /// Returns whether the server takes pushed authorization requests only (RFC 9126 §5).
    pub fn require_pushed_authorization_requests(&self) -> bool {
        self.0.require_pushed_authorization_requests
    }

    /// Returns whether the server takes signed authorization requests only (RFC 9101 §10.5).
    pub fn require_signed_request_object(&self) -> bool {
        self.0.require_signed_request_object
    }

    /// Returns whether the server takes the URL of a client ID metadata document as `client_id` (draft
    /// client-id-metadata-document §5).
    pub fn client_id_metadata_document_supported(&self) -> bool {
        self.0.client_id_metadata_document_supported == Some(true)
    }

    /// Returns whether to try this grant type: `false` only where the server lists its grant types and this
    /// one is not among them.
    pub fn supports_grant_type(&self, grant_type: &str) -> bool {
        self.0.check_grant_type(grant_type).is_ok()
    }

    /// Returns whether to try this client authentication at the token endpoint: `false` only where the server
    /// lists its methods and this one is not among them.
    ///
    /// Choose the client's authentication, and what to register, by what a discovered server supports:
    ///
    /// ```
    /// use oauth2_proto::{AuthorizationServer, Client, ClientAuth};
    ///
    /// fn auth(server: &AuthorizationServer, secret: &str) -> ClientAuth {
    ///     match server.metadata().supports_auth_method("client_secret_basic") {
    ///         true => ClientAuth::basic(secret),
    ///         false => ClientAuth::post(secret),
    ///     }
    /// }
    ///
    /// # fn main() -> Result<(), oauth2_proto::Error> {
    /// let server = AuthorizationServer::new(
    ///     "https://as.example/authorize",
    ///     "https://as.example/token",
    /// )?;
    /// assert!(server.metadata().supports_grant_type("refresh_token"));
    ///
    /// let server = server.token_endpoint_auth_methods_supported(["client_secret_post"]);
    /// assert!(!server.metadata().supports_auth_method("none"));
    /// let auth = auth(&server, "fake-secret");
    /// assert!(Client::new(server, "client-id", auth).is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn supports_auth_method(&self, method: &str) -> bool {
        self.0.check_auth_method(method).is_ok()
    }

    /// Returns a member of the server's document that this crate does not act on, such as `claims_supported`
    /// or `ui_locales_supported`, as the server sent it. A member that is `null` is absent.
    ///
    /// The value is unchecked. It may be an endpoint that was left out because its address is unsound.
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.0.extras.as_deref()?.get(name)
    }

    fn list(&self, name: &str) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        Some(self.get(name)?.as_array()?.iter().filter_map(Value::as_str))
    }
}

fn texts<'a>(list: &'a Option<Vec<Cow<'static, str>>>) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
    Some(list.as_ref()?.iter().map(|text| &**text))
}

/// The members of a document that have a fixed kind, in the order in which [`read`] takes them apart.
pub(super) const NAMES: &[&str; 28] = &[
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "device_authorization_endpoint",
    "introspection_endpoint",
    "pushed_authorization_request_endpoint",
    "registration_endpoint",
    "revocation_endpoint",
    "jwks_uri",
    "userinfo_endpoint",
    "end_session_endpoint",
    "scopes_supported",
    "response_types_supported",
    "grant_types_supported",
    "token_endpoint_auth_methods_supported",
    "revocation_endpoint_auth_methods_supported",
    "introspection_endpoint_auth_methods_supported",
    "token_endpoint_auth_signing_alg_values_supported",
    "revocation_endpoint_auth_signing_alg_values_supported",
    "introspection_endpoint_auth_signing_alg_values_supported",
    MTLS_ENDPOINT_ALIASES,
    "code_challenge_methods_supported",
    "id_token_signing_alg_values_supported",
    "authorization_response_iss_parameter_supported",
    REQUIRES_PUSHED,
    REQUIRES_SIGNED,
    CLIENT_ID_METADATA_DOCUMENT,
    SETTINGS,
];

const MTLS_ENDPOINT_ALIASES: &str = "mtls_endpoint_aliases";

const REQUIRES_PUSHED: &str = "require_pushed_authorization_requests";

const REQUIRES_SIGNED: &str = "require_signed_request_object";

const CLIENT_ID_METADATA_DOCUMENT: &str = "client_id_metadata_document_supported";

/// The member for the settings of this crate that RFC 8414 does not define. Only a stored document may hold
/// it: a server must not switch on its own leniencies.
const SETTINGS: &str = "oauth2_proto";

/// A document as read. The caller checks the issuer and the settings before it adds them to the server.
pub(super) struct Document<'a> {
    pub(super) server: AuthorizationServer,
    pub(super) issuer: Option<String>,
    settings: Member<'a>,
}

/// Builds a server from the members of its document.
///
/// # Errors
///
/// Invalid: a member is of the wrong kind, there is no token endpoint, or the address of the token or the
/// authorization endpoint is unsound.
pub(super) fn read<'a>(members: [Member<'a>; 28], mut extras: Extras) -> Result<Document<'a>, Error> {
    let [
        issuer,
        authorization_endpoint,
        token_endpoint,
        device_authorization_endpoint,
        introspection_endpoint,
        pushed_authorization_request_endpoint,
        registration_endpoint,
        revocation_endpoint,
        jwks_uri,
        userinfo_endpoint,
        end_session_endpoint,
        scopes,
        response_types,
        grant_types,
        auth_methods,
        revocation_auth_methods,
        introspection_auth_methods,
        auth_algorithms,
        revocation_auth_algorithms,
        introspection_auth_algorithms,
        mtls_aliases,
        challenge_methods,
        id_token_algorithms,
        sends_iss,
        requires_pushed,
        requires_signed,
        takes_client_documents,
        settings,
    ] = members;
    extras.keep_storable();
    let issuer = answer::text("issuer", issuer)?;
    let authorization_endpoint = answer::text("authorization_endpoint", authorization_endpoint)?
        .map(|url| parse_authorization_endpoint(&url).map_err(Error::of_answer))
        .transpose()?;
    let token_endpoint =
        answer::text("token_endpoint", token_endpoint)?.ok_or_else(|| answer::missing("token_endpoint"))?;
    let token_endpoint = parse_endpoint("token endpoint", &token_endpoint).map_err(Error::of_answer)?;
    let mut server = AuthorizationServer::with_endpoints(authorization_endpoint, token_endpoint);
    for (name, member, endpoint) in [
        (
            "device_authorization_endpoint",
            device_authorization_endpoint,
            &mut server.device_authorization_endpoint,
        ),
        ("introspection_endpoint", introspection_endpoint, &mut server.introspection_endpoint),
        (
            "pushed_authorization_request_endpoint",
            pushed_authorization_request_endpoint,
            &mut server.pushed_authorization_request_endpoint,
        ),
        ("registration_endpoint", registration_endpoint, &mut server.registration_endpoint),
        ("revocation_endpoint", revocation_endpoint, &mut server.revocation_endpoint),
        ("jwks_uri", jwks_uri, &mut server.jwks_uri),
        ("userinfo_endpoint", userinfo_endpoint, &mut server.userinfo_endpoint),
    ] {
        let parse = |url: &str| parse_endpoint(name, url);
        *endpoint = optional_endpoint(name, member, parse, &mut extras)?;
    }
    server.end_session_endpoint = optional_endpoint(
        "end_session_endpoint",
        end_session_endpoint,
        parse_end_session_endpoint,
        &mut extras,
    )?;
    for (name, member) in [("scopes_supported", scopes), ("response_types_supported", response_types)] {
        if let Some(list) = answer::texts(name, member)? {
            extras.insert(name.to_owned(), list.into());
        }
    }
    for (name, member, list) in [
        ("grant_types_supported", grant_types, &mut server.grant_types_supported),
        (
            "token_endpoint_auth_methods_supported",
            auth_methods,
            &mut server.token_endpoint_auth_methods_supported,
        ),
        (
            "revocation_endpoint_auth_methods_supported",
            revocation_auth_methods,
            &mut server.revocation_endpoint_auth_methods_supported,
        ),
        (
            "introspection_endpoint_auth_methods_supported",
            introspection_auth_methods,
            &mut server.introspection_endpoint_auth_methods_supported,
        ),
        (
            "token_endpoint_auth_signing_alg_values_supported",
            auth_algorithms,
            &mut server.token_endpoint_auth_signing_alg_values_supported,
        ),
        (
            "revocation_endpoint_auth_signing_alg_values_supported",
            revocation_auth_algorithms,
            &mut server.revocation_endpoint_auth_signing_alg_values_supported,
        ),
        (
            "introspection_endpoint_auth_signing_alg_values_supported",
            introspection_auth_algorithms,
            &mut server.introspection_endpoint_auth_signing_alg_values_supported,
        ),
        ("code_challenge_methods_supported", challenge_methods, &mut server.code_challenge_methods_supported),
        (
            "id_token_signing_alg_values_supported",
            id_token_algorithms,
            &mut server.id_token_signing_alg_values_supported,
        ),
    ] {
        let texts = answer::texts(name, member)?;
        *list = texts.map(|texts| texts.into_iter().map(Cow::Owned).collect());
    }
    server.mtls_endpoint_aliases = mtls_endpoint_aliases(mtls_aliases)?.map(Arc::new);
    server.authorization_response_iss_parameter_supported =
        answer::boolean("authorization_response_iss_parameter_supported", sends_iss)?.unwrap_or_default();
    server.require_pushed_authorization_requests =
        answer::boolean(REQUIRES_PUSHED, requires_pushed)?.unwrap_or_default();
    server.require_signed_request_object =
        answer::boolean(REQUIRES_SIGNED, requires_signed)?.unwrap_or_default();
    server.client_id_metadata_document_supported =
        answer::boolean(CLIENT_ID_METADATA_DOCUMENT, takes_client_documents)?;
    server.extras = Some(Arc::new(extras)).filter(|extras| extras.iter().next().is_some());
    Ok(Document { server, issuer, settings })
}

/// Reads an endpoint that a server may lack. One with an unsound address counts as missing, and its text is
/// kept among the other members: `AuthorizationServer::require` then says what is wrong with it.
fn optional_endpoint(
    name: &str,
    member: Member<'_>,
    parse: impl Fn(&str) -> Result<Endpoint, Error>,
    extras: &mut Extras,
) -> Result<Option<Endpoint>, Error> {
    match member {
        Member::Absent => Ok(None),
        Member::Text(url) => match parse(&url) {
            Ok(endpoint) => Ok(Some(endpoint)),
            Err(_) => {
                extras.insert(name.to_owned(), (*url).into());
                Ok(None)
            }
        },
        _ => Err(Error::invalid(format!("{name} is no text, or there twice"))),
    }
}

/// Reads the addresses of endpoints for clients that present a certificate (RFC 8705 §5).
fn mtls_endpoint_aliases(member: Member<'_>) -> Result<Option<MtlsAliases>, Error> {
    let members = match member {
        Member::Absent => return Ok(None),
        member => match member.into_value() {
            Some(Value::Object(members)) => members,
            _ => return Err(Error::invalid("mtls_endpoint_aliases is no object, or there twice")),
        },
    };
    let mut aliases = MtlsAliases::default();
    for (name, value) in members {
        let known = MtlsAliases::NAMES.into_iter().find(|known| *known == name);
        match (known, &value) {
            (_, Value::Null) => {}
            (Some(known), Value::String(url)) => match parse_endpoint(known, url) {
                Ok(alias) => aliases.set(known, alias),
                // `MtlsAliases::of` says what is wrong with it.
                Err(_) => aliases.others.insert(name, value),
            },
            (Some(known), _) => {
                return Err(Error::invalid(format!("{known} in mtls_endpoint_aliases is no text")));
            }
            (None, Value::String(_)) => aliases.others.insert(name, value),
            // No address.
            (None, _) => {}
        }
    }
    Ok(Some(aliases))
}

/// Writes the document of RFC 8414 §2, with the settings that this RFC does not define under `oauth2_proto`.
impl Serialize for AuthorizationServer {
    fn serialize<S: Serializer>(&self, target: S) -> Result<S::Ok, S::Error> {
        let lists = [
            ("grant_types_supported", &self.grant_types_supported),
            ("token_endpoint_auth_methods_supported", &self.token_endpoint_auth_methods_supported),
            ("revocation_endpoint_auth_methods_supported", &self.revocation_endpoint_auth_methods_supported),
            (
                "introspection_endpoint_auth_methods_supported",
                &self.introspection_endpoint_auth_methods_supported,
            ),
            (
                "token_endpoint_auth_signing_alg_values_supported",
                &self.token_endpoint_auth_signing_alg_values_supported,
            ),
            (
                "revocation_endpoint_auth_signing_alg_values_supported",
                &self.revocation_endpoint_auth_signing_alg_values_supported,
            ),
            (
                "introspection_endpoint_auth_signing_alg_values_supported",
                &self.introspection_endpoint_auth_signing_alg_values_supported,
            ),
            ("code_challenge_methods_supported", &self.code_challenge_methods_supported),
            ("id_token_signing_alg_values_supported", &self.id_token_signing_alg_values_supported),
        ];
        let mut document = target.serialize_map(None)?;
        if let Some(issuer) = &self.issuer {
            document.serialize_entry("issuer", issuer.as_str())?;
        }
        let endpoints = self.endpoints().map(|(name, endpoint)| (name, endpoint.map(Endpoint::as_str)));
        for (name, endpoint) in endpoints {
            if let Some(url) = endpoint {
                document.serialize_entry(name, url)?;
            }
        }
        for (name, list) in lists {
            if let Some(list) = list {
                document.serialize_entry(name, list)?;
            }
        }
        if let Some(aliases) = &self.mtls_endpoint_aliases {
            let known = aliases.iter().map(|(name, alias)| (name, Value::from(alias.as_str())));
            let others = aliases.others.iter().map(|(name, value)| (name, value.clone()));
            let members: BTreeMap<&str, Value> = known.chain(others).collect();
            document.serialize_entry(MTLS_ENDPOINT_ALIASES, &members)?;
        }
        if self.authorization_response_iss_parameter_supported {
            document.serialize_entry("authorization_response_iss_parameter_supported", &true)?;
        }
        for (name, required) in [
            (REQUIRES_PUSHED, self.require_pushed_authorization_requests),
            (REQUIRES_SIGNED, self.require_signed_request_object),
        ] {
            if required {
                document.serialize_entry(name, &true)?;
            }
        }
        if let Some(takes) = self.client_id_metadata_document_supported {
            document.serialize_entry(CLIENT_ID_METADATA_DOCUMENT, &takes)?;
        }
        for (name, value) in self.extras.iter().flat_map(|extras| extras.iter()) {
            // The endpoint was left out as unsound, and then set by hand.
            let is_replaced = endpoints.iter().any(|(known, endpoint)| *known == name && endpoint.is_some());
            if !is_replaced {
                document.serialize_entry(name, value)?;
            }
        }
        let settings = settings(self);
        if !settings.is_empty() {
            document.serialize_entry(SETTINGS, &settings)?;
        }
        document.end()
    }
}

/// Reads a server that was serialized, or that you wrote as a document of RFC 8414 §2 yourself. Its token
/// endpoint is required, and its endpoints must obey the rules of [`AuthorizationServer::new`].
///
/// Use [`ServerDiscovery`](crate::discovery::ServerDiscovery) for a document from a server: it compares the
/// issuer, and takes no leniency from the document.
impl<'de> Deserialize<'de> for AuthorizationServer {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let mut members = [const { Member::Absent }; NAMES.len()];
        // The format's own error may quote what it found, such as a key in an address.
        let extras = json::read_from(source, NAMES, &mut members).map_err(|_| {
            D::Error::custom("an authorization server is an object, and this is none, or a broken one")
        })?;
        let refused =
            |error: Error| D::Error::custom(format!("in the authorization server: {}", error.message()));
        let stored = read(members, extras).map_err(refused)?;
        let server = match stored.issuer {
            Some(issuer) => stored.server.issuer(&issuer).map_err(refused)?,
            None => stored.server,
        };
        with_settings(server, stored.settings).map_err(refused)
    }
}

/// Returns the settings that differ from those of a new server.
fn settings(server: &AuthorizationServer) -> Map<String, Value> {
    let mut settings = Map::new();
    if server.name != UNNAMED {
        settings.insert("name".to_owned(), (*server.name).into());
    }
    if let Some(instead) = &server.instead_of_revocation {
        settings.insert("instead_of_revocation".to_owned(), (**instead).into());
    }
    for (name, value) in [
        ("https_redirect_uris_only", server.https_redirect_uris_only),
        ("access_tokens_end_with_refresh", server.access_tokens_end_with_refresh),
        ("refresh_repeats_scope", server.refresh_repeats_scope),
        ("refresh_repeats_resources", server.refresh_repeats_resources),
    ] {
        if value {
            settings.insert(name.to_owned(), true.into());
        }
    }
    if let Some(codes) = &server.invalid_grant_codes {
        settings.insert("invalid_grant_codes".to_owned(), codes.to_vec().into());
    }
    let tolerated = Leniency::ALL.into_iter().filter(|leniency| server.leniencies.has(*leniency));
    let tolerated: Vec<&str> = tolerated.map(Leniency::name).collect();
    if !tolerated.is_empty() {
        settings.insert("tolerate".to_owned(), tolerated.into());
    }
    settings
}

/// Applies stored settings.
///
/// # Errors
///
/// Invalid: a setting is unknown or of the wrong kind. Ignoring it could drop a check.
fn with_settings(
    mut server: AuthorizationServer,
    settings: Member<'_>,
) -> Result<AuthorizationServer, Error> {
    let settings = match settings {
        Member::Absent => return Ok(server),
        settings => settings.into_value(),
    };
    let Some(Value::Object(settings)) = settings else {
        return Err(Error::invalid("oauth2_proto is no object, or there twice"));
    };
    for (name, value) in settings {
        if !apply(&mut server, &name, &value) {
            return Err(Error::invalid(
                "oauth2_proto holds a setting or a value that this version of the crate does not know",
            ));
        }
    }
    Ok(server)
}

/// Applies one stored setting. Returns whether its name and its value are known.
fn apply(server: &mut AuthorizationServer, name: &str, value: &Value) -> bool {
    match (name, value) {
        // Messages show both as they are.
        ("name" | "instead_of_revocation", Value::String(text)) if !is_printable(text) => return false,
        ("name", Value::String(name)) => server.name = Cow::Owned(name.clone()),
        ("instead_of_revocation", Value::String(instead)) => {
            server.instead_of_revocation = Some(Cow::Owned(instead.clone()));
        }
        ("https_redirect_uris_only", Value::Bool(value)) => server.https_redirect_uris_only = *value,
        ("access_tokens_end_with_refresh", Value::Bool(value)) => {
            server.access_tokens_end_with_refresh = *value;
        }
        ("refresh_repeats_scope", Value::Bool(value)) => server.refresh_repeats_scope = *value,
        ("refresh_repeats_resources", Value::Bool(value)) => server.refresh_repeats_resources = *value,
        ("invalid_grant_codes", codes) => {
            let Some(codes) = list(codes) else { return false };
            server.invalid_grant_codes = Some(codes.into());
        }
        ("tolerate", names) => {
            let known = |name: String| Leniency::ALL.into_iter().find(|leniency| leniency.name() == name);
            let leniencies = list(names).and_then(|names| names.into_iter().map(known).collect());
            let Some::<Vec<_>>(leniencies) = leniencies else { return false };
            leniencies.into_iter().for_each(|leniency| server.leniencies.insert(leniency));
        }
        _ => return false,
    }
    true
}

/// Returns the texts of a list that holds nothing else.
fn list(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
}
