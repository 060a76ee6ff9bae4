//! Token exchange (RFC 8693).

use std::fmt;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::answer;
use crate::call::{Call, Readable, Reply, Request, Response, sealed};
use crate::client::Client;
use crate::error::Error;
use crate::grants::token_type;
use crate::text::json::Member;
use crate::text::scope::Scope;
use crate::text::secret::Secret;
use crate::token::reader::{self, Access, TokenContext};
use crate::token::wanted::Wanted;
use crate::token::{TokenResponse, TokenType, check_token};

impl Client {
    /// Exchanges a token for another one (RFC 8693 §2.1); [`token_type`] has the usual types.
    ///
    /// Add a parameter that only one server knows with [`request_mut`](Call::request_mut). After
    /// [`Reauthorize`](crate::Advice::Reauthorize), obtain a new subject token. A server that follows
    /// RFC 8693 §2.2.2 answers `invalid_request` to one that it does not accept, such as an expired one, and
    /// also to a wrong request; the advice is [`FixConfiguration`](crate::Advice::FixConfiguration). If the
    /// subject token may be too old, try once with a new one.
    ///
    /// ```
    /// use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Response, Secret};
    /// use oauth2_proto::grants::token_type;
    /// use std::time::SystemTime;
    ///
    /// # fn main() -> Result<(), oauth2_proto::Error> {
    /// let server =
    ///     AuthorizationServer::without_authorization_endpoint("https://as.example/token")?;
    /// let client = Client::new(server, "client-id", ClientAuth::basic("fake-secret"))?;
    /// let received = Secret::new("fake-token-of-a-request");
    /// let call = client
    ///     .token_exchange(&received, token_type::ACCESS_TOKEN)
    ///     .resource("https://backend.example/api")
    ///     .start(SystemTime::now())?;
    ///
    /// let json = [("content-type", "application/json")];
    /// let body = br#"{"access_token":"fake-backend","token_type":"Bearer","expires_in":60,
    ///     "issued_token_type":"urn:ietf:params:oauth:token-type:access_token"}"#;
    /// let exchanged = call.read(Response::new(200, json, body))?;
    /// assert_eq!(exchanged.token().expose(), "fake-backend");
    /// assert_eq!(exchanged.issued_token_type(), token_type::ACCESS_TOKEN);
    /// assert!(exchanged.access_tokens().is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub fn token_exchange<'a>(
        &'a self,
        subject_token: &'a Secret,
        subject_token_type: &'a str,
    ) -> TokenExchangeRequest<'a> {
        TokenExchangeRequest {
            client: self,
            subject_token,
            subject_token_type,
            actor: None,
            requested_token_type: None,
            audiences: Vec::new(),
            wanted: Wanted::default(),
        }
    }
}

/// A token exchange about to be sent (RFC 8693 §2.1); made by [`Client::token_exchange`].
#[must_use = "call `start` to make the request"]
pub struct TokenExchangeRequest<'a> {
    pub(super) client: &'a Client,
    subject_token: &'a Secret,
    pub(super) subject_token_type: &'a str,
    actor: Option<(&'a Secret, &'a str)>,
    requested_token_type: Option<&'a str>,
    audiences: Vec<&'a str>,
    pub(super) wanted: Wanted<'a>,
}

impl<'a> TokenExchangeRequest<'a> {
    /// Names the party that acts for the subject: its token and the type of that token (RFC 8693 §2.1).
    pub fn actor_token(mut self, actor_token: &'a Secret, actor_token_type: &'a str) -> Self {
        self.actor = Some((actor_token, actor_token_type));
        self
    }

    /// Asks for a token of this type. Without this call the server chooses.
    pub fn requested_token_type(mut self, requested_token_type: &'a str) -> Self {
        self.requested_token_type = Some(requested_token_type);
        self
    }

    /// Names a service that the new token is for, by a name that the server knows; repeatable.
    pub fn audience(mut self, audience: &'a str) -> Self {
        self.audiences.push(audience);
        self
    }

    /// Names a resource that the new token is for, by its URI (RFC 8693 §2.1); repeatable.
    pub fn resource(mut self, resource: &'a str) -> Self {
        self.wanted.add_resource(resource);
        self
    }

    /// Asks for scopes, each passed by itself (RFC 6749 §3.3); repeatable.
    pub fn scopes(mut self, scopes: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.wanted.add_scopes(scopes);
        self
    }

    /// Makes the request.
    ///
    /// # Errors
    ///
    /// Misuse, if
    ///
    /// - the server does not support token exchange;
    /// - a token or its type is empty or holds control characters, such as the line break of a file;
    /// - an audience is empty, or a scope or a resource is not well-formed;
    /// - the requested type is [`token_type::ID_JAG`]: use
    ///   [`Client::identity_assertion`], which also checks what comes back.
    pub fn start(self, now: SystemTime) -> Result<Call<ExchangedToken>, Error> {
        if self.requested_token_type == Some(token_type::ID_JAG) {
            return Err(Error::misuse(
                "the requested token type is that of an identity assertion; use Client::identity_assertion, \
                 which also checks what comes back",
            ));
        }
        let (request, context) = self.into_parts(now)?;
        Ok(Call::new(request, context))
    }

    /// Makes the request, and the context of its reader.
    pub(super) fn into_parts(mut self, now: SystemTime) -> Result<(Request, TokenContext), Error> {
        self.wanted.check()?;
        self.client.server.check_grant_type(GRANT_TYPE)?;
        check_token("subject token", self.subject_token.expose())?;
        check_token("type of the subject token", self.subject_token_type)?;
        if let Some((actor_token, actor_token_type)) = self.actor {
            check_token("actor token", actor_token.expose())?;
            check_token("type of the actor token", actor_token_type)?;
        }
        if let Some(requested_token_type) = self.requested_token_type {
            check_token("requested token type", requested_token_type)?;
        }
        // An empty audience would be left out, and the token would be valid at more services.
        self.audiences.iter().try_for_each(|audience| check_token("audience", audience))?;

        let (actor_token, actor_token_type) =
            self.actor.map_or(("", ""), |(token, token_type)| (token.expose(), token_type));
        let parameters = [
            ("grant_type", GRANT_TYPE),
            ("requested_token_type", self.requested_token_type.unwrap_or_default()),
            ("subject_token", self.subject_token.expose()),
            ("subject_token_type", self.subject_token_type),
            ("actor_token", actor_token),
            ("actor_token_type", actor_token_type),
            ("scope", self.wanted.scope.as_str()),
        ];
        let audiences = self.audiences.iter().map(|audience| ("audience", *audience));
        let client = self.client;
        let request =
            client.token_request(&parameters, self.wanted.resource_parameters().chain(audiences), now)?;
        Ok((request, self.wanted.into_context(client)))
    }
}

/// The name of the grant (RFC 8693 §2.1).
pub(super) const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// The token that a token exchange issued (RFC 8693 §2.2.1). It need not be an access token.
///
/// The server chooses the type, which may differ from the requested one: compare
/// [`issued_token_type`](Self::issued_token_type) if your program depends on it.
#[derive(Clone)]
pub struct ExchangedToken {
    tokens: TokenResponse,
    issued_token_type: String,
}

impl ExchangedToken {
    /// Returns the issued token, whatever its type.
    pub fn token(&self) -> &Secret {
        self.tokens.access_token()
    }

    /// Returns the type of the issued token, usually one of [`token_type`]. Escape it before you show it.
    pub fn issued_token_type(&self) -> &str {
        &self.issued_token_type
    }

    /// Returns how to send the issued token as an access token;
    /// [`NotApplicable`](TokenType::NotApplicable) if it is none.
    pub fn token_type(&self) -> &TokenType {
        self.tokens.token_type()
    }

    /// Returns the lifetime of the issued token from the response on; see [`TokenResponse::expires_in`].
    pub fn expires_in(&self) -> Option<Duration> {
        self.tokens.expires_in()
    }

    /// Returns the `scope` member; `None` where the response has none, which means as requested.
    pub fn scope(&self) -> Option<impl Iterator<Item = &str>> {
        self.tokens.scope()
    }

    /// Returns the granted scopes: those in the response or, where it names none, those requested.
    pub fn granted_scopes(&self) -> impl Iterator<Item = &str> {
        self.tokens.granted_scopes()
    }

    /// Returns the refresh token, which a server may add to a token for a short-lived subject token.
    pub fn refresh_token(&self) -> Option<&Secret> {
        self.tokens.refresh_token()
    }

    /// Returns a member of the response that this crate does not read.
    pub fn extra(&self, name: &str) -> Option<&Value> {
        self.tokens.extra(name)
    }

    /// Returns all members of the response that this crate does not read.
    pub fn extras(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.tokens.extras()
    }

    pub(super) fn granted(&self) -> Option<&Scope> {
        self.tokens.granted()
    }

    /// Returns the tokens of a [`Session`](crate::Session) or a [keeper](crate::keeper), if the issued token
    /// is an access token; `None` if it is of another kind.
    ///
    /// Without a refresh token, such a session ends with the access token. Then exchange the subject token
    /// again.
    pub fn access_tokens(&self) -> Option<&TokenResponse> {
        let is_other_kind = *self.tokens.token_type() == TokenType::NotApplicable
            || NO_ACCESS_TOKEN.contains(&self.issued_token_type.as_str());
        (!is_other_kind).then_some(&self.tokens)
    }
}

/// The known token types that no API takes as an access token, whatever the `token_type` says.
const NO_ACCESS_TOKEN: &[&str] = &[
    token_type::REFRESH_TOKEN,
    token_type::ID_TOKEN,
    token_type::SAML1,
    token_type::SAML2,
    token_type::ID_JAG,
];

impl Reply for ExchangedToken {}

impl sealed::Reply for ExchangedToken {
    type Context = TokenContext;
}

impl Readable for ExchangedToken {
    type Output = Self;

    /// Reads the members of a token response, and `issued_token_type` (RFC 8693 §2.2.1).
    fn read(response: Response<'_>, context: &TokenContext) -> Result<Self, Error> {
        let (members, extras) = answer::read(&response, NAMES)?;
        let [token, issued_token_type, token_type, expires_in, scope, refresh_token] = members;
        let access = Access {
            token: reader::read_token("access_token", token)?
                .ok_or_else(|| answer::missing("access_token"))?,
            token_type: read_token_type(token_type, context)?,
            expires_in: reader::read_expires_in(expires_in, context.leniencies)?,
            scope: reader::read_scope(scope, context.leniencies)?,
        };
        let issued_token_type = answer::text("issued_token_type", issued_token_type)?
            .ok_or_else(|| answer::missing("issued_token_type"))?;
        let refresh_token = reader::read_token("refresh_token", refresh_token)?;
        Ok(Self { tokens: access.into_response(refresh_token, extras, context), issued_token_type })
    }
}

const NAMES: &[&str; 6] =
    &["access_token", "issued_token_type", "token_type", "expires_in", "scope", "refresh_token"];

fn read_token_type(member: Member<'_>, context: &TokenContext) -> Result<TokenType, Error> {
    match member {
        Member::Text(text) if text.eq_ignore_ascii_case("n_a") => Ok(TokenType::NotApplicable),
        other => reader::read_token_type(other, context),
    }
}

impl fmt::Debug for ExchangedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Another text may repeat a secret of the request.
        let issued = token_type::ALL.iter().find(|known| **known == self.issued_token_type);
        f.debug_struct("ExchangedToken")
            .field("issued_token_type", issued.unwrap_or(&"another"))
            .field("tokens", &self.tokens)
            .finish()
    }
}

impl fmt::Debug for TokenExchangeRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenExchangeRequest")
            .field("requested_token_type", &self.requested_token_type)
            .field("audiences", &self.audiences)
            .field("scope", &self.wanted.scope)
            .finish_non_exhaustive()
    }
}
