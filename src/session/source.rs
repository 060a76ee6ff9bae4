//! Where the next tokens of a session come from: a refresh token, or the client's own credentials.

use std::time::SystemTime;

use crate::call::Call;
use crate::client::{Client, Holder};
use crate::error::Error;
use crate::grants::client_credentials::{Asked, ClientCredentialsRequest};
use crate::session::record::{Record, Terms};
use crate::session::refresh::{Attempt, Sent, SessionContext, SessionRefresh};
use crate::session::{RefreshPolicy, Session};
use crate::text::scope::Scope;
use crate::text::secret::Secret;
use crate::text::time::unix;
use crate::text::uri::Resource;
use crate::token::TokenResponse;

/// The source of the next tokens.
#[derive(Clone)]
pub(crate) enum Source {
    /// The user's next sign-in, because there is no refresh token.
    SignIn,
    /// A refresh (RFC 6749 §6).
    RefreshToken(Secret),
    /// A request for a token of the client's own, which needs no user (RFC 6749 §4.4). [`Terms`] has what it
    /// asks for.
    ClientCredentials,
}

impl Source {
    /// Returns the source that a token response leaves. A refresh token of client credentials is of no use.
    pub(crate) fn of(tokens: &TokenResponse) -> Self {
        match &tokens.client_credentials {
            Some(_) => Self::ClientCredentials,
            None => tokens.refresh_token().cloned().into(),
        }
    }

    pub(crate) fn refresh_token(&self) -> Option<&Secret> {
        match self {
            Self::RefreshToken(token) => Some(token),
            Self::SignIn | Self::ClientCredentials => None,
        }
    }

    /// Returns whether this holder's client can ask for the next tokens.
    pub(crate) fn serves(&self, holder: &Holder) -> bool {
        match self {
            Self::SignIn => false,
            Self::RefreshToken(_) => holder.refreshes,
            Self::ClientCredentials => holder.has_own_tokens,
        }
    }
}

impl From<Option<Secret>> for Source {
    fn from(refresh_token: Option<Secret>) -> Self {
        refresh_token.map_or(Self::SignIn, Self::RefreshToken)
    }
}

impl Session {
    /// Makes a session of tokens of the client's own (RFC 6749 §4.4), which asks for a new one where another
    /// session refreshes. The first request is due at once.
    ///
    /// All holders of the stored snapshot share one token, and one of them asks for the next. Store one
    /// session for each set of scopes and resources, under a key of its own. If the store already has a
    /// snapshot under the key, [`restore`](Self::restore) that one.
    ///
    /// There is no user: see [Client credentials](Session#client-credentials).
    ///
    /// ```
    /// use oauth2_proto::{AuthorizationServer, Client, ClientAuth, RefreshPolicy, Session, Step};
    /// use std::time::SystemTime;
    ///
    /// # fn main() -> Result<(), oauth2_proto::Error> {
    /// let server =
    ///     AuthorizationServer::without_authorization_endpoint("https://as.example/token")?;
    /// let client = Client::new(server, "client-id", ClientAuth::basic("fake-secret"))?;
    /// let (policy, now) = (RefreshPolicy::default(), SystemTime::UNIX_EPOCH);
    /// let request = client.client_credentials().scopes(["reports:read"]);
    /// let mut session = Session::from_client_credentials(request, policy, now)?;
    ///
    /// let Step::Save(save) = session.poll(now) else { panic!() };
    /// session.saved(save); // it is in the store
    /// let Step::Save(claim) = session.poll(now) else { panic!() };
    /// session.saved(claim);
    /// let call = session.send(&client, now)?.unwrap();
    /// assert_eq!(call.request().body(), "grant_type=client_credentials&scope=reports%3Aread");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of [`ClientCredentialsRequest::start`].
    pub fn from_client_credentials(
        request: ClientCredentialsRequest<'_>,
        policy: RefreshPolicy,
        now: SystemTime,
    ) -> Result<Self, Error> {
        let client = request.client();
        Ok(Self::of_asked(client, request.into_asked(client)?, policy, now))
    }

    /// Makes a session like [`from_client_credentials`](Self::from_client_credentials).
    pub(crate) fn of_asked(client: &Client, asked: Asked, policy: RefreshPolicy, now: SystemTime) -> Self {
        Self::with(
            Record::of_client_credentials(asked, client, unix(now)),
            client.holder.clone(),
            policy,
            now,
        )
    }

    /// Returns whether a user can sign in for these tokens.
    pub(crate) fn has_user(&self) -> bool {
        !matches!(self.newest().source, Source::ClientCredentials)
    }

    /// Makes the call for the next tokens; `None` if only a sign-in brings some.
    pub(super) fn call(
        &self,
        client: &Client,
        attempt: Attempt,
    ) -> Result<Option<Call<SessionRefresh>>, Error> {
        let terms = &self.record.terms;
        match &self.record.source {
            Source::SignIn => Ok(None),
            Source::RefreshToken(token) => refresh(client, token, terms, attempt).map(Some),
            Source::ClientCredentials => client_credentials(client, terms, attempt).map(Some),
        }
    }
}

fn refresh(
    client: &Client,
    refresh_token: &Secret,
    terms: &Terms,
    attempt: Attempt,
) -> Result<Call<SessionRefresh>, Error> {
    let mut request = client.refresh(refresh_token);
    if client.server.refresh_repeats_scope {
        request = request.scopes(terms.asked_scope.iter().flat_map(Scope::tokens));
    }
    if client.server.refresh_repeats_resources {
        request =
            terms.asked_resources.iter().map(Resource::as_str).fold(request, |it, one| it.resource(one));
    }
    request.start_as(|context| SessionContext { sent: Sent::Refresh(context), attempt })
}

fn client_credentials(
    client: &Client,
    terms: &Terms,
    attempt: Attempt,
) -> Result<Call<SessionRefresh>, Error> {
    let request = client.client_credentials().scopes(terms.asked_scope.iter().flat_map(Scope::tokens));
    let resources = terms.asked_resources.iter().map(Resource::as_str);
    let request = resources.fold(request, |request, resource| request.resource(resource));
    let parameters = terms.asked_parameters.iter();
    let request = parameters.fold(request, |request, (name, value)| request.parameter(name, value.expose()));
    request.start_as(|context| SessionContext { sent: Sent::ClientCredentials(context), attempt })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program may keep a million sessions.
    #[test]
    fn a_source_takes_no_more_room_than_a_refresh_token() {
        assert_eq!(size_of::<Source>(), size_of::<Secret>());
        assert!(size_of::<Session>() <= 256, "{}", size_of::<Session>());
    }
}
