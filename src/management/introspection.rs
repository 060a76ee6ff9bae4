//! The introspection of a token (RFC 7662).

use std::fmt;
use std::iter;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;

use crate::answer;
use crate::call::{Call, Readable, Reply, Request, Response, sealed};
use crate::client::Client;
use crate::client_auth::authorization_header;
use crate::error::Error;
use crate::management::{TokenKind, parameters};
use crate::server::Leniencies;
use crate::text::json::{Extras, Member};
use crate::text::scope::Scope;
use crate::text::secret::Secret;
use crate::token::{check_token, reader};

impl Client {
    /// Starts the introspection of a token (RFC 7662 §2.1): the server says whether the token is active, for
    /// whom, and for which scopes.
    ///
    /// ```
    /// use oauth2_proto::{Client, ClientAuth, Response, Secret, pleo};
    /// use std::time::{Duration, SystemTime};
    ///
    /// # fn main() -> Result<(), oauth2_proto::Error> {
    /// let auth = ClientAuth::basic("fake-secret");
    /// let client = Client::new(pleo::staging(), "client-id", auth)?;
    /// let token = Secret::new("fake-access-token");
    /// let call = client.introspect(&token).start(SystemTime::now())?;
    /// let url = "https://auth.staging.pleo.io/oauth/token/introspect";
    /// assert_eq!(call.request().url(), url);
    /// assert_eq!(call.request().body(), "token=fake-access-token");
    ///
    /// let json = [("content-type", "application/json")];
    /// let body = br#"{"active":true,"aud":"api","scope":"users:read","exp":1700003600,
    ///     "urn:pleo:params:oauth:subject_urn":"urn:pleo:company:17"}"#;
    /// let token = call.read(Response::new(200, json, body))?;
    /// assert!(token.is_active());
    /// assert_eq!(token.scopes().collect::<Vec<_>>(), ["users:read"]);
    /// assert_eq!(token.audience(), ["api"]);
    /// let end = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_003_600);
    /// assert_eq!(token.expires_at(), Some(end));
    /// assert_eq!(pleo::subject_urn(&token), Some("urn:pleo:company:17"));
    ///
    /// let gone = call.read(Response::new(200, json, br#"{"active":false}"#))?;
    /// assert!(!gone.is_active());
    /// # Ok(())
    /// # }
    /// ```
    pub fn introspect<'a>(&'a self, token: &'a Secret) -> IntrospectionRequest<'a> {
        IntrospectionRequest { client: self, token, kind: None, bearer: None }
    }
}

/// An introspection about to be sent (RFC 7662 §2.1); made by [`Client::introspect`].
#[must_use = "call `start` to make the request"]
pub struct IntrospectionRequest<'a> {
    client: &'a Client,
    token: &'a Secret,
    kind: Option<TokenKind>,
    bearer: Option<&'a Secret>,
}

impl<'a> IntrospectionRequest<'a> {
    /// Tells the server what kind of token it is, so that it finds the token faster. The server also looks
    /// for the other kinds.
    pub fn hint(mut self, kind: TokenKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Authorizes the request by an access token of your own, in place of the client authentication, as some
    /// servers require (RFC 7662 §2.1).
    pub fn authorize_with(mut self, access_token: &'a Secret) -> Self {
        self.bearer = Some(access_token);
        self
    }

    /// Makes the request, with the client authentication of the token endpoint unless
    /// [`authorize_with`](Self::authorize_with) replaces it.
    ///
    /// # Errors
    ///
    /// Misuse: the server has no introspection endpoint, does not support this client authentication there or
    /// the algorithm of its key, a key of the client did not sign ([`Client::signing`]), or a token is empty
    /// or holds control characters (such as the line break of a file).
    pub fn start(self, now: SystemTime) -> Result<Call<Introspection>, Error> {
        let server = &self.client.server;
        let endpoint = self.client.endpoint(&server.introspection_endpoint, INTROSPECTION_ENDPOINT)?;
        let parameters = parameters(self.token, self.kind)?;
        let request = match self.bearer {
            None => {
                server.check_auth_at(
                    INTROSPECTION_ENDPOINT,
                    server.introspection_endpoint_auth_methods_supported.as_deref(),
                    server.introspection_endpoint_auth_signing_alg_values_supported.as_deref(),
                    &self.client.auth,
                )?;
                self.client.request(endpoint, &parameters, iter::empty(), now)?
            }
            Some(bearer) => {
                check_token("access token that authorizes the request", bearer.expose())?;
                let authorization = Some(Arc::new(authorization_header("Bearer", bearer)));
                Request::form_of(endpoint.to_shared(), parameters, authorization)
            }
        };
        Ok(Call::new(request, IntrospectionContext { leniencies: server.leniencies }))
    }
}

/// The server's report on a token (RFC 7662 §2.2).
///
/// Unless the token [is active](Self::is_active), nothing else is reported, even if the answer holds more.
///
/// The answer is true for the moment in which it was given. If you keep it to save requests, keep it for a
/// short time, and never beyond [`expires_at`](Self::expires_at) (RFC 7662 §4).
///
/// The server chose all texts; escape them before you show them. `Debug` shows none that may name the user.
#[derive(Clone, Default)]
pub struct Introspection {
    is_active: bool,
    scope: Option<Scope>,
    client_id: Option<String>,
    username: Option<String>,
    token_type: Option<String>,
    expires_at: Option<SystemTime>,
    issued_at: Option<SystemTime>,
    not_before: Option<SystemTime>,
    subject: Option<String>,
    audience: Vec<String>,
    issuer: Option<String>,
    token_id: Option<String>,
    extras: Extras,
}

impl Introspection {
    /// Returns whether the token works (`active`). It may be meant for other services: compare
    /// [`audience`](Self::audience) and [`scopes`](Self::scopes) before you grant access.
    pub fn is_active(&self) -> bool {
        self.is_active
    }

    /// Returns the scopes of the token (`scope`).
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scope.iter().flat_map(Scope::tokens)
    }

    /// Returns the client that the token was issued to (`client_id`).
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// Returns a name of the user for people to read (`username`). It may change; identify users by
    /// [`subject`](Self::subject).
    pub fn username(&self) -> Option<&str> {
        self.username.as_deref()
    }

    /// Returns the type of the token (`token_type`), such as `Bearer`, as the server wrote it.
    pub fn token_type(&self) -> Option<&str> {
        self.token_type.as_deref()
    }

    /// Returns the end of the token (`exp`). A time after the year 9999 counts as its end.
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at
    }

    /// Returns the time at which the token was issued (`iat`).
    pub fn issued_at(&self) -> Option<SystemTime> {
        self.issued_at
    }

    /// Returns the time from which the token works (`nbf`).
    pub fn not_before(&self) -> Option<SystemTime> {
        self.not_before
    }

    /// Returns the subject (`sub`): mostly the server's identifier of the user.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// Returns the services that the token is meant for (`aud`, a text or a list); empty if the server names
    /// none.
    pub fn audience(&self) -> &[String] {
        &self.audience
    }

    /// Returns the issuer of the token (`iss`).
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// Returns the identifier of the token (`jti`).
    pub fn token_id(&self) -> Option<&str> {
        self.token_id.as_deref()
    }

    /// Returns a member of the answer that this crate does not read.
    pub fn extra(&self, name: &str) -> Option<&Value> {
        self.extras.get(name)
    }

    /// Returns all members of the answer that this crate does not read.
    pub fn extras(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.extras.iter()
    }
}

/// The context that the reader of an introspection needs.
pub struct IntrospectionContext {
    /// The server's accepted deviations; those for scopes count here.
    leniencies: Leniencies,
}

impl Reply for Introspection {}

impl sealed::Reply for Introspection {
    type Context = IntrospectionContext;
}

impl Readable for Introspection {
    type Output = Self;

    fn read(response: Response<'_>, context: &IntrospectionContext) -> Result<Self, Error> {
        let (members, extras) = answer::read(&response, MEMBERS).map_err(Error::without_grant)?;
        let [active, scope, client_id, username, token_type, exp, iat, nbf, sub, aud, iss, jti] = members;
        let is_active = answer::boolean("active", active)?.ok_or_else(|| answer::missing("active"))?;
        if !is_active {
            return Ok(Self::default());
        }
        Ok(Self {
            is_active,
            scope: reader::read_scope(scope, context.leniencies)?,
            client_id: text("client_id", client_id)?,
            username: text("username", username)?,
            token_type: text("token_type", token_type)?,
            expires_at: answer::time("exp", exp)?,
            issued_at: answer::time("iat", iat)?,
            not_before: answer::time("nbf", nbf)?,
            subject: text("sub", sub)?,
            audience: audience(aud)?,
            issuer: text("iss", iss)?,
            token_id: text("jti", jti)?,
            extras,
        })
    }
}

/// Shows neither the user nor the token's identifier, which may be as good as the token.
impl fmt::Debug for Introspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspection")
            .field("is_active", &self.is_active)
            .field("scope", &self.scope)
            .field("expires_at", &self.expires_at)
            .field("extras", &self.extras)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for IntrospectionRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntrospectionRequest").field("hint", &self.kind).finish_non_exhaustive()
    }
}

/// Reads a text; an empty one counts as absent.
fn text(name: &str, member: Member<'_>) -> Result<Option<String>, Error> {
    match member {
        Member::Text(text) if text.is_empty() => Ok(None),
        member => answer::text(name, member),
    }
}

/// Reads `aud`, which is a text or a list of them (RFC 7519 §4.1.3).
fn audience(member: Member<'_>) -> Result<Vec<String>, Error> {
    match member {
        Member::Array(_) => Ok(answer::texts("aud", member)?.unwrap_or_default()),
        member => Ok(text("aud", member)?.into_iter().collect()),
    }
}

const INTROSPECTION_ENDPOINT: &str = "introspection endpoint";

/// The members of RFC 7662 §2.2, in its order.
const MEMBERS: &[&str; 12] = &[
    "active",
    "scope",
    "client_id",
    "username",
    "token_type",
    "exp",
    "iat",
    "nbf",
    "sub",
    "aud",
    "iss",
    "jti",
];
