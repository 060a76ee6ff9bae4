//! A session that keeps the client's own tokens (RFC 6749 §4.4).

use std::time::SystemTime;

use crate::client::Client;
use crate::error::Error;
use crate::grants::client_credentials::{Asked, ClientCredentialsRequest};
use crate::session::record::Record;
use crate::session::source::Source;
use crate::session::{RefreshPolicy, Session};
use crate::text::time::unix;

impl Session {
    /// Makes a session of the client's own tokens (RFC 6749 §4.4), which asks for a new token where another
    /// session refreshes. The first request is due at once.
    ///
    /// All holders of the stored snapshot share one token, and one of them asks for the next. Store one
    /// session for each set of scopes and resources, each under its own key. If the store already has a
    /// snapshot under the key, [`restore`](Self::restore) it.
    ///
    /// No user can sign in for it: see [Client credentials](Session#client-credentials).
    ///
    /// ```
    /// use oauth2_proto::{AuthorizationServer, Client, ClientAuth};
    /// use oauth2_proto::{RefreshPolicy, Session, Step};
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
}
