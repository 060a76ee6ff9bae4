//! The [`Client`]: where every operation starts.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::call::Request;
use crate::client_auth::{ClientAuth, Method, Signatures};
use crate::dpop::DpopKey;
use crate::error::Error;
use crate::server::AuthorizationServer;
use crate::text::form;
use crate::text::secret::Secret;
use crate::text::uri::{Endpoint, Issuer};

/// A client that is registered at one authorization server.
///
/// A client is immutable and can be shared; its operations return the values that change.
///
/// ```
/// use oauth2_proto::{Client, ClientAuth, Secret, pleo};
/// use std::time::SystemTime;
///
/// # fn main() -> Result<(), oauth2_proto::Error> {
/// let auth = ClientAuth::basic("fake-secret");
/// let client = Client::new(pleo::staging(), "client-id", auth)?;
/// let call = client.refresh(&Secret::new("fake-refresh-token")).start(SystemTime::now())?;
/// assert_eq!(call.request().url(), "https://auth.staging.pleo.io/oauth/token");
///
/// let error = Client::new(pleo::staging(), "", ClientAuth::basic("fake")).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "misuse: the client_id is empty; pass the one that the server gave you"
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    pub(crate) server: AuthorizationServer,
    client_id: String,
    pub(crate) auth: ClientAuth,
    /// True if the program's connections present a certificate.
    presents_certificate: bool,
    /// Where token requests go.
    pub(crate) token_endpoint: Endpoint,
    /// The key that tokens are bound to.
    pub(crate) dpop: Option<DpopKey>,
    /// Signatures that were made elsewhere, for one request.
    pub(crate) signatures: Option<Arc<Signatures>>,
    /// The `Authorization` header of every token request.
    authorization: Option<Arc<Secret>>,
    credentials_are_encoded: bool,
    /// The part of the authorization URL that every request shares.
    pub(crate) authorization_url_start: String,
    pub(crate) started_by: StartedBy,
    /// The digest over the endpoints as they are written, which earlier versions stored.
    started_by_as_written: StartedBy,
    /// Shared with all sessions of this client.
    pub(crate) holder: Arc<Holder>,
}

impl Client {
    /// Makes a client from its server, its `client_id` and its way to authenticate itself.
    ///
    /// # Errors
    ///
    /// - Misuse: the server does not support this authentication or the algorithm of its key; its assertions
    ///   are for an issuer that is not set, or have no lifetime; it presents a certificate, and the server's
    ///   metadata names an unsound token endpoint for such connections; the `client_id` is empty or cannot be
    ///   sent with this authentication; it or the secret holds a control character (such as the line break at
    ///   the end of a file); or the server is said to send `iss` and its issuer is not set.
    /// - Unsupported: the server lists its code challenge methods, and `S256` is not among them.
    pub fn new(
        server: AuthorizationServer,
        client_id: impl Into<String>,
        auth: ClientAuth,
    ) -> Result<Self, Error> {
        let client_id = client_id.into();
        if client_id.is_empty() {
            return Err(Error::misuse("the client_id is empty; pass the one that the server gave you"));
        }
        if comes_with_a_line_break(&client_id) {
            return Err(Error::misuse(
                "the client_id holds a line break, or begins or ends with another control character, as the text \
                 of a file does; remove it (RFC 6749 appendix A.1)",
            ));
        }
        if auth.secret().is_some_and(|secret| comes_with_a_line_break(secret.expose())) {
            return Err(Error::misuse(
                "the client secret holds a line break, or begins or ends with another control character, as the \
                 text of a file does; remove it (RFC 6749 appendix A.2)",
            ));
        }
        server.check_auth_method(auth.method()).map_err(|refused| name_another_auth(&refused, &server))?;
        if let Some(methods) = &server.code_challenge_methods_supported
            && !methods.iter().any(|method| method == "S256")
        {
            return Err(Error::unsupported("PKCE with S256, which every authorization of this crate uses"));
        }
        if server.authorization_response_iss_parameter_supported && server.issuer.is_none() {
            return Err(Error::misuse(
                "the server is said to send iss, and there is no issuer to compare it with; set \
                 AuthorizationServer::issuer",
            ));
        }
        if matches!(auth, ClientAuth(Method::BasicUnencoded(_))) && client_id.contains(':') {
            return Err(Error::misuse(
                "the client_id holds a colon, which unencoded Basic cannot send (RFC 7617 section 2); use \
                 another client authentication",
            ));
        }
        if let Some(assertions) = auth.assertions() {
            server.check_auth_algorithm(&auth)?;
            assertions.check(&server)?;
        }
        let presents_certificate = auth.presents_certificate();
        let token_endpoint = server.token_endpoint_for(presents_certificate)?.clone();
        let digests = Digests::of(&server, &token_endpoint, &client_id, presents_certificate);
        Ok(Self {
            presents_certificate,
            token_endpoint,
            dpop: None,
            signatures: None,
            authorization: auth.authorization(&client_id).map(Arc::new),
            credentials_are_encoded: auth.encodes(&client_id),
            authorization_url_start: server
                .authorization_endpoint
                .as_ref()
                .map(|endpoint| authorization_url_start(endpoint, &client_id))
                .unwrap_or_default(),
            started_by: digests.started_by,
            started_by_as_written: digests.started_by_as_written,
            holder: Arc::new(Holder {
                issued_to: digests.issued_to,
                also_issued_to: digests.also_issued_to,
                refreshes: server.check_grant_type("refresh_token").is_ok(),
                has_own_tokens: !matches!(auth.0, Method::None)
                    && server.check_grant_type("client_credentials").is_ok(),
                is_public: matches!(auth.0, Method::None),
                bound_to: None,
            }),
            server,
            client_id,
            auth,
        })
    }

    /// Returns this client with a key that its tokens are bound to (RFC 9449): each token request holds a
    /// proof of the key, an authorization request names the key (`dpop_jkt`, §10), and an answer with tokens
    /// of another type than `DPoP` is refused as invalid.
    ///
    /// The [`dpop`](crate::dpop) module has an example. A refresh token of a client without credentials works
    /// with this key only (§5), so keep the key as long as its tokens. Call it before
    /// [`signing`](Self::signing): what was signed for the client as it was is dropped.
    pub fn dpop(mut self, key: DpopKey) -> Self {
        self.signatures = None;
        let holder = Holder { bound_to: Some(key.digest()), ..*self.holder };
        self.holder = Arc::new(holder);
        self.dpop = Some(key);
        self
    }

    /// Returns this client for connections that present a certificate, to which the server binds its tokens
    /// (RFC 8705 §3 and §4): its requests go to the
    /// [addresses for such connections](AuthorizationServer::mtls_endpoint_alias), where the server has them
    /// (RFC 8705 §5).
    ///
    /// [`ClientAuth::tls_client_auth`] and [`ClientAuth::self_signed_tls_client_auth`] imply it. Call it for
    /// another authentication, or for a public client. The certificate belongs to your HTTP client; show it
    /// to the API, too.
    ///
    /// Where the server has such an address for its token endpoint, sign-ins and tokens belong to that
    /// address: [`rebind`](crate::Session::rebind) sessions of a client that presented no certificate. Where
    /// it has none, they go on, and a session that this client has saved is no longer one of a client without
    /// a certificate, whose refresh the server would refuse.
    ///
    /// ```
    /// use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Secret};
    /// use std::time::SystemTime;
    ///
    /// # fn main() -> Result<(), oauth2_proto::Error> {
    /// let server = AuthorizationServer::new(
    ///     "https://as.example/authorize",
    ///     "https://as.example/token",
    /// )?
    /// .mtls_endpoint_alias("token_endpoint", "https://mtls.as.example/token")?;
    /// let client = Client::new(server, "client-id", ClientAuth::none())?.presents_certificate()?;
    /// let call = client.refresh(&Secret::new("fake")).start(SystemTime::now())?;
    /// assert_eq!(call.request().url(), "https://mtls.as.example/token");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Misuse: the server's metadata names an unsound token endpoint for such connections.
    pub fn presents_certificate(mut self) -> Result<Self, Error> {
        // A proof names the address that it is for.
        self.signatures = None;
        self.presents_certificate = true;
        self.token_endpoint = self.server.token_endpoint_for(true)?.clone();
        let digests = Digests::of(&self.server, &self.token_endpoint, &self.client_id, true);
        self.started_by = digests.started_by;
        self.started_by_as_written = digests.started_by_as_written;
        let Digests { issued_to, also_issued_to, .. } = digests;
        self.holder = Arc::new(Holder { issued_to, also_issued_to, ..*self.holder });
        Ok(self)
    }

    /// Returns the server that this client is registered at; its [`metadata`](AuthorizationServer::metadata)
    /// names the issuer, and what the server supports.
    ///
    /// ```
    /// use oauth2_proto::{Client, ClientAuth, pleo};
    ///
    /// # fn main() -> Result<(), oauth2_proto::Error> {
    /// let client = Client::new(pleo::staging(), "client-id", ClientAuth::basic("fake-secret"))?;
    /// let metadata = client.server().metadata();
    /// assert_eq!(metadata.token_endpoint(), "https://auth.staging.pleo.io/oauth/token");
    /// assert_eq!(client.client_id(), "client-id");
    /// # Ok(())
    /// # }
    /// ```
    pub fn server(&self) -> &AuthorizationServer {
        &self.server
    }

    /// Returns the identifier that the server gave this client.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Returns this client with signatures that were made elsewhere.
    pub(crate) fn with_signatures(&self, signatures: Signatures) -> Self {
        Self { signatures: Some(Arc::new(signatures)), ..self.clone() }
    }

    /// Returns where this client sends requests for an endpoint that not every server has; `what` is its name
    /// in a message.
    pub(crate) fn endpoint<'a>(
        &'a self,
        endpoint: &'a Option<Endpoint>,
        what: &str,
    ) -> Result<&'a Endpoint, Error> {
        let alias = if self.presents_certificate { self.server.mtls_alias(what)? } else { None };
        alias.map_or_else(|| self.server.require(endpoint, what), Ok)
    }

    /// Refuses to sign a request of another client: its server could send what was signed to ours. A client
    /// with another key for proofs is another one, too, because tokens would be bound to a key that the
    /// reader of the answer does not know.
    pub(crate) fn check_is_ours(&self, request: &Request) -> Result<(), Error> {
        let aliases = self.server.mtls_endpoint_aliases.iter().flat_map(|aliases| aliases.iter());
        let endpoints = self.server.endpoints().into_iter().filter_map(|(_, endpoint)| endpoint);
        let mut endpoints = endpoints.chain(aliases.map(|(_, alias)| alias));
        // A proof is of use at its own address only; an assertion, wherever it arrives.
        let is_our_address =
            self.auth.assertions().is_none() || endpoints.any(|endpoint| endpoint.as_str() == request.url());
        let named = request.form().into_iter().find(|(name, _)| name == "client_id");
        let is_our_name = named.is_none_or(|(_, client_id)| client_id == self.client_id);
        let is_ours = |key: &DpopKey| self.dpop.as_ref().is_some_and(|own| own.digest() == key.digest());
        let is_our_key = request.dpop().is_none_or(is_ours);
        match is_our_name && is_our_key && is_our_address {
            true => Ok(()),
            false => Err(not_ours()),
        }
    }

    /// Returns whether this client started an authorization, also by the digest that an earlier version
    /// stored.
    pub(crate) fn has_started(&self, started_by: StartedBy) -> bool {
        started_by == self.started_by || started_by == self.started_by_as_written
    }

    /// Returns the `client_id` for a body that names it although a header authenticates the client; empty
    /// where [`request`](Self::request) adds it anyway.
    pub(crate) fn client_id_for_body(&self) -> &str {
        if self.authorization.is_some() { &self.client_id } else { "" }
    }

    /// Returns whether this client has keys that sign its requests.
    pub(crate) fn signs(&self) -> bool {
        self.auth.assertions().is_some() || self.dpop.is_some()
    }

    /// Signs a request anew that this client has made, and changes it only if all is signed.
    pub(crate) fn renew(&self, request: &mut Request, now: SystemTime) -> Result<(), Error> {
        let has_assertion = request.form().iter().any(|(name, _)| name == ASSERTION_TYPE.0);
        if !has_assertion && !request.has_proof() {
            return Ok(());
        }
        self.check_is_ours(request)?;
        let assertion = match has_assertion {
            true => Some(self.assertion(now)?.ok_or_else(not_ours)?),
            false => None,
        };
        let proof = if request.has_proof() { self.proof(request, now)? } else { None };
        if let Some(assertion) = assertion {
            request.set_form_parameter("client_assertion", assertion.expose());
        }
        if let Some(proof) = proof {
            request.set_proof(proof);
        }
        Ok(())
    }

    /// Returns whether this client has no credentials (RFC 6749 §2.1).
    pub(crate) fn is_public(&self) -> bool {
        matches!(self.auth.0, Method::None)
    }

    /// Makes a request to the token endpoint with this client's authentication (RFC 6749 §2.3 and §3.2), and
    /// with a proof of its key, if it has one (RFC 9449 §5). Each name must need no escaping.
    ///
    /// Leaves out a parameter with an empty value, which counts as absent (RFC 6749 §3.2).
    pub(crate) fn token_request<'a>(
        &self,
        parameters: &[(&str, &str)],
        more: impl Iterator<Item = (&'a str, &'a str)> + Clone,
        now: SystemTime,
    ) -> Result<Request, Error> {
        let mut request = self.request(&self.token_endpoint, parameters, more, now)?;
        self.prove(&mut request, now)?;
        Ok(request)
    }

    /// Adds a proof of this client's key to a token request, or to a request with a token that is bound to
    /// the key, if the client has one (RFC 9449 §5 and §7.1).
    pub(crate) fn prove(&self, request: &mut Request, now: SystemTime) -> Result<(), Error> {
        if let Some(proof) = self.proof(request, now)? {
            request.set_proof(proof);
        }
        Ok(())
    }

    fn proof(&self, request: &Request, now: SystemTime) -> Result<Option<Secret>, Error> {
        let Some(key) = &self.dpop else { return Ok(None) };
        self.check_proofs(key)?;
        let token = request.header("authorization").and_then(|header| header.strip_prefix("DPoP "));
        match (token.map(Secret::new), &self.signatures) {
            (None, Some(signatures)) => {
                // A proof that was signed elsewhere names this method and this address.
                if (request.method(), request.url()) != ("POST", self.token_endpoint.as_str()) {
                    return Err(Error::misuse(
                        "the proof was signed for a request to the token endpoint, and method or address were \
                         changed; renew the call before you change it",
                    ));
                }
                signatures.take_proof().map(Some)
            }
            (token, _) => key.proof(request.method(), request.url(), token.as_ref(), now)?.sign().map(Some),
        }
    }

    /// Refuses a key whose algorithm the server does not list for proofs (RFC 9449 §5.1).
    pub(crate) fn check_proofs(&self, key: &DpopKey) -> Result<(), Error> {
        let listed = "dpop_signing_alg_values_supported";
        self.server.check_listed("algorithms of proofs", listed, key.key().algorithm().name())
    }

    /// Makes a request to any endpoint with this client's authentication: the parameters, then `more` of
    /// them. Each name must need no escaping.
    ///
    /// Leaves out a parameter with an empty value, which counts as absent (RFC 6749 §3.2).
    pub(crate) fn request<'a>(
        &self,
        endpoint: &Endpoint,
        parameters: &[(&str, &str)],
        more: impl Iterator<Item = (&'a str, &'a str)> + Clone,
        now: SystemTime,
    ) -> Result<Request, Error> {
        let assertion = self.assertion(now)?;
        let client_id = ("client_id", self.client_id.as_str());
        let credentials: &[(&str, &str)] = match (&self.auth.0, &assertion) {
            (Method::Basic(_) | Method::BasicUnencoded(_), _) => &[],
            (Method::Post(secret), _) => &[client_id, ("client_secret", secret.expose())],
            (_, Some(assertion)) => {
                &[client_id, (ASSERTION_TYPE.0, ASSERTION_TYPE.1), ("client_assertion", assertion.expose())]
            }
            (_, None) => &[client_id],
        };
        let more = more.map(|pair| pair as (&str, &str));
        let pairs = parameters.iter().chain(credentials).copied().chain(more);
        let mut request = Request::form_of(endpoint.to_shared(), pairs, self.authorization.clone());
        request.credentials_are_encoded = self.credentials_are_encoded;
        request.set_dpop(self.dpop.as_ref());
        Ok(request)
    }

    /// Returns a new assertion, if this client authenticates with assertions.
    pub(crate) fn assertion(&self, now: SystemTime) -> Result<Option<Secret>, Error> {
        match (self.auth.assertions(), &self.signatures) {
            (None, _) => Ok(None),
            (Some(_), Some(signatures)) => signatures.take_assertion().map(Some),
            (Some(assertions), None) => assertions.next(&self.server, &self.client_id, now)?.sign().map(Some),
        }
    }
}

fn not_ours() -> Error {
    Error::misuse(
        "another client made this call, or one with another key, or its address was changed; renew it by the client \
         that made it, before you change it",
    )
}

/// The parameter that says what kind of assertion there is (RFC 7523 §2.2).
pub(crate) const ASSERTION_TYPE: (&str, &str) =
    ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("server", &self.server)
            .field("client_id", &self.client_id)
            .field("auth", &self.auth)
            .field("dpop", &self.dpop)
            .finish_non_exhaustive()
    }
}

/// The digests that a client is recognised by.
struct Digests {
    started_by: StartedBy,
    started_by_as_written: StartedBy,
    issued_to: IssuedTo,
    also_issued_to: [IssuedTo; 3],
}

impl Digests {
    /// Takes the address that token requests go to.
    fn of(
        server: &AuthorizationServer,
        token_endpoint: &Endpoint,
        client_id: &str,
        presents_certificate: bool,
    ) -> Self {
        let issuer = server.issuer.as_ref().map_or("", Issuer::as_str);
        let started_by = |spell: fn(&Endpoint) -> String| {
            let authorization_endpoint =
                server.authorization_endpoint.as_ref().map(spell).unwrap_or_default();
            StartedBy(sha256([issuer, &authorization_endpoint, &spell(token_endpoint), client_id]))
        };
        let issued_to = |spell: fn(&Endpoint) -> String, presents_certificate: bool| {
            let endpoint = spell(token_endpoint);
            let certificate = presents_certificate.then_some("certificate");
            IssuedTo(digest([endpoint.as_str(), client_id].into_iter().chain(certificate)))
        };
        Self {
            started_by: started_by(Endpoint::normalized),
            started_by_as_written: started_by(written),
            issued_to: issued_to(Endpoint::normalized, presents_certificate),
            also_issued_to: [
                issued_to(written, presents_certificate),
                issued_to(Endpoint::normalized, false),
                issued_to(written, false),
            ],
        }
    }
}

/// The client that an authorization was started by: a digest of issuer, both endpoints and `client_id`.
///
/// These values decide where the user and the code are sent, so the callback needs the same ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StartedBy(pub(crate) [u8; 32]);

/// The client that tokens were issued to: a digest of token endpoint and `client_id`, and of whether its
/// connections present a certificate, to which a server binds the tokens.
///
/// These values decide where a refresh token is sent, and how; the rest of the configuration may change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct IssuedTo(pub(crate) [u8; 16]);

/// What a session must know about the client that holds it.
#[derive(Debug, Default)]
pub(crate) struct Holder {
    pub(crate) issued_to: IssuedTo,
    /// The digest of an earlier version, which took the token endpoint as it is written; where that is in
    /// normal form, both digests are one. Then those of a client without a certificate, whose tokens one with
    /// a certificate takes over.
    also_issued_to: [IssuedTo; 3],
    /// Whether the server is not known to refuse refreshes.
    pub(crate) refreshes: bool,
    /// Whether the client has credentials, and the server is not known to refuse tokens for them.
    pub(crate) has_own_tokens: bool,
    /// Whether the client has no credentials (RFC 6749 §2.1).
    pub(crate) is_public: bool,
    /// The thumbprint of the key that the client's tokens are bound to (RFC 9449 §6.1).
    pub(crate) bound_to: Option<[u8; 32]>,
}

impl Holder {
    /// Returns the digest in place of one that an earlier version stored for this client, or that it had
    /// before it presented a certificate; other digests stay.
    pub(crate) fn recognise(&self, stored: IssuedTo) -> IssuedTo {
        if self.also_issued_to.contains(&stored) { self.issued_to } else { stored }
    }
}

/// Adds to a refused client authentication those that the server supports, by their constructors.
fn name_another_auth(refused: &Error, server: &AuthorizationServer) -> Error {
    let constructors = [
        ("client_secret_basic", "ClientAuth::basic"),
        ("client_secret_post", "ClientAuth::post"),
        ("private_key_jwt", "ClientAuth::private_key_jwt"),
        ("client_secret_jwt", "ClientAuth::client_secret_jwt"),
        ("tls_client_auth", "ClientAuth::tls_client_auth"),
        ("self_signed_tls_client_auth", "ClientAuth::self_signed_tls_client_auth"),
        ("none", "ClientAuth::none"),
    ];
    let supported = constructors.into_iter().filter(|(method, _)| server.check_auth_method(method).is_ok());
    let names: Vec<&str> = supported.map(|(_, constructor)| constructor).collect();
    Error::misuse(match names.is_empty() {
        true => format!("{}; this crate has none of these", refused.message()),
        false => format!("{}; use {}", refused.message(), names.join(" or ")),
    })
}

fn written(endpoint: &Endpoint) -> String {
    endpoint.as_str().to_owned()
}

/// First 16 bytes of SHA-256 over 0xff-terminated parts.
pub(crate) fn digest<'a>(parts: impl IntoIterator<Item = &'a str>) -> [u8; 16] {
    sha256(parts).as_chunks().0.first().copied().unwrap_or_default()
}

/// SHA-256 over 0xff-terminated parts; UTF-8 never holds that byte, so no two lists of parts read alike.
fn sha256<'a>(parts: impl IntoIterator<Item = &'a str>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0xff]);
    }
    hash.finalize().into()
}

/// Returns whether a text holds a line break or a NUL, or a control character at one of its ends: signs of a
/// file that was read as a whole. Other control characters inside it are encoded wherever they are sent.
fn comes_with_a_line_break(text: &str) -> bool {
    text.contains(['\r', '\n', '\0'])
        || text.starts_with(char::is_control)
        || text.ends_with(char::is_control)
}

/// Builds the endpoint with its own query and the parameters that every request shares.
fn authorization_url_start(endpoint: &Endpoint, client_id: &str) -> String {
    let (address, query) = endpoint.as_str().split_once('?').unwrap_or((endpoint.as_str(), ""));
    let mut query = query.to_owned();
    form::push_pair(&mut query, "response_type", "code");
    form::push_pair(&mut query, "client_id", client_id);
    form::push_pair(&mut query, "code_challenge_method", "S256");
    format!("{address}?{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(authorization_endpoint: &str, token_endpoint: &str) -> Client {
        let server = AuthorizationServer::new(authorization_endpoint, token_endpoint).unwrap();
        let server = server.issuer("https://as.example").unwrap();
        Client::new(server, "fake-client", ClientAuth::none()).unwrap()
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn a_refused_authentication_names_those_that_the_server_supports() {
        let server =
            AuthorizationServer::new("https://as.example/authorize", "https://as.example/token").unwrap();
        for (supported, advice) in [
            (&["client_secret_post"][..], "not client_secret_basic; use ClientAuth::post"),
            (&["none", "client_secret_post"], "; use ClientAuth::post or ClientAuth::none"),
            (&["private_key_jwt"], "not client_secret_basic; use ClientAuth::private_key_jwt"),
            (
                &["client_secret_jwt", "self_signed_tls_client_auth", "tls_client_auth"],
                "; use ClientAuth::client_secret_jwt or ClientAuth::tls_client_auth or \
                 ClientAuth::self_signed_tls_client_auth",
            ),
            (&["spiffe_jwt"], "not client_secret_basic; this crate has none of these"),
        ] {
            let server = server.clone().token_endpoint_auth_methods_supported(supported.iter().copied());
            let refused = Client::new(server, "fake-client", ClientAuth::basic("fake-secret")).unwrap_err();
            assert!(refused.to_string().ends_with(advice), "{refused}");
        }
    }

    /// Stored sessions and pending authorizations hold these digests.
    #[test]
    fn a_client_is_recognised_by_the_same_digests_for_good() {
        let client = client("https://as.example/authorize?tenant=A", "https://as.example:8443/Token");
        assert_eq!(
            hex(&client.started_by.0),
            "9584ab597e3143be79a276543a1d7a2dfc6f40224d4bb9d6d6fc9a17fb3cc67d"
        );
        assert_eq!(hex(&client.holder.issued_to.0), "6b26a3e512497a84b7efe40cef44ecd2");
    }

    /// Version 1 of the stored forms was written with endpoints as they are configured.
    #[test]
    fn a_client_is_recognised_by_the_digests_of_endpoints_as_written() {
        let client = client("HTTPS://AS.example/authorize", "https://as.example:443/token");
        let started_by = StartedBy(sha256([
            "https://as.example",
            "HTTPS://AS.example/authorize",
            "https://as.example:443/token",
            "fake-client",
        ]));
        let issued_to = IssuedTo(digest(["https://as.example:443/token", "fake-client"]));
        assert_ne!((started_by, issued_to), (client.started_by, client.holder.issued_to));
        assert!(client.has_started(started_by) && client.has_started(client.started_by));
        assert_eq!(client.holder.recognise(issued_to), client.holder.issued_to);
        let foreign = IssuedTo(digest(["https://as.example:444/token", "fake-client"]));
        assert_eq!(client.holder.recognise(foreign), foreign);
        assert!(!client.has_started(StartedBy([0; 32])));
    }

    #[test]
    fn an_endpoint_without_a_path_is_the_one_with_a_slash() {
        let one = client("https://as.example", "https://as.example?tenant=a");
        let other = client("https://as.example/", "https://as.example/?tenant=a");
        assert_eq!((one.started_by, one.holder.issued_to), (other.started_by, other.holder.issued_to));
    }

    #[test]
    fn two_spellings_of_one_endpoint_are_one_client_and_requests_keep_their_own() {
        let one = client("https://as.example/authorize", "https://as.example/token");
        let other = client("HTTPS://AS.example:443/authorize", "https://As.Example:443/token");
        assert_eq!((one.started_by, one.holder.issued_to), (other.started_by, other.holder.issued_to));
        assert!(other.authorization_url_start.starts_with("HTTPS://AS.example:443/authorize?"));
        let call = other.refresh(&Secret::new("fake-refresh-token")).start(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(call.request().url(), "https://As.Example:443/token");

        let elsewhere = client("https://as.example/Authorize", "https://as.example/token?");
        assert_ne!(
            (one.started_by, one.holder.issued_to),
            (elsewhere.started_by, elsewhere.holder.issued_to)
        );
        assert_ne!(one.holder.issued_to, elsewhere.holder.issued_to);
    }
}
