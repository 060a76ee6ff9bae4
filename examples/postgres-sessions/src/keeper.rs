//! Keeps an authorization alive. Copy this file, and replace the store and the HTTP by your own.

use std::time::{Duration, SystemTime};

use oauth2_proto::{
    Client, RefreshPolicy, Request, Response, Secret, Session, Step, TokenResponse, session::Reason,
};

use crate::Failure;
use crate::store::Store;

/// The interval between loads of the store while another holder refreshes.
const LOAD_EVERY: Duration = Duration::from_millis(50);

/// Sends a request, without following redirects, and returns its response, or `None` if no response has
/// arrived by the given time.
pub type Send<'a> = dyn Fn(&Request, SystemTime) -> Option<Answer> + Sync + 'a;

/// The status, the headers and the body of a response.
pub type Answer = (u16, Vec<(String, Vec<u8>)>, Vec<u8>);

/// The client, the policy and the HTTP of a holder.
#[derive(Clone, Copy)]
pub struct Tools<'a> {
    pub client: &'a Client,
    pub policy: RefreshPolicy,
    pub send: &'a Send<'a>,
}

/// One holder of an authorization. A process may have several, even for one authorization.
pub struct Keeper<'a> {
    session: Session,
    store: Store,
    tools: Tools<'a>,
}

/// The next action after [`Keeper::tend`].
#[derive(Debug)]
pub enum Next {
    /// Call [`Keeper::tend`] again at this time, or at once after [`Keeper::access_token_rejected`].
    At(SystemTime),
    /// Let the user sign in again, then call [`Keeper::signed_in`]. Another holder may do so first: call
    /// [`Keeper::tend`] from time to time.
    SignIn(Reason),
}

impl<'a> Keeper<'a> {
    /// Opens a holder of the stored authorization; returns `None` if the user has never signed in.
    pub fn open(tools: Tools<'a>, mut store: Store) -> Result<Option<Self>, Failure> {
        let snapshot = store.load()?;
        let Some(snapshot) = snapshot else { return Ok(None) };
        let session = Session::restore(tools.client, snapshot, tools.policy, SystemTime::now())?;
        Ok(Some(Self { session, store, tools }))
    }

    /// Makes a holder from the tokens of a sign-in, the first or a later one; [`Keeper::tend`] saves them.
    pub fn signed_in(tools: Tools<'a>, mut store: Store, tokens: TokenResponse) -> Result<Self, Failure> {
        let now = SystemTime::now();
        let session = match store.load()? {
            None => Session::new(tokens, tools.policy, now),
            Some(snapshot) => {
                let mut session = Session::restore(tools.client, snapshot, tools.policy, now)?;
                session.reauthorized(tokens, now);
                session
            }
        };
        Ok(Self { session, store, tools })
    }

    /// Carries out every step that is due, and returns when to call again.
    ///
    /// After an error, call `tend` again a little later on the same keeper. Keep the keeper until a call
    /// succeeds: it may hold tokens that are not saved yet.
    pub fn tend(&mut self) -> Result<Next, Failure> {
        loop {
            let now = SystemTime::now();
            match self.session.poll(now) {
                Step::Idle(until) => return Ok(Next::At(until.unwrap_or(now + Duration::from_secs(60)))),
                Step::Wait { until, .. } => {
                    if !self.adopt_stored()? {
                        return Ok(Next::At(until.min(now + LOAD_EVERY)));
                    }
                }
                Step::Save(save) => {
                    if self.store.compare_and_swap(&save)? {
                        self.session.saved(save);
                    } else if !self.adopt_stored()? {
                        return Err("the store refused a save and has nothing newer".into());
                    }
                }
                Step::Send { until } => self.refresh(until)?,
                Step::Reauthorize(reason) => {
                    if !self.adopt_stored()? {
                        return Ok(Next::SignIn(reason));
                    }
                }
            }
        }
    }

    /// Returns the access token if it is valid now. Call this for each request to the API.
    pub fn access_token(&self) -> Option<&Secret> {
        self.session.access_token(SystemTime::now())
    }

    /// Returns when the access token expires, if the server gave a lifetime.
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.session.expires_at()
    }

    /// Records that the API answered 401 to this access token.
    pub fn access_token_rejected(&mut self, access_token: &Secret) {
        self.session.access_token_rejected(access_token);
    }

    fn refresh(&mut self, until: SystemTime) -> Result<(), Failure> {
        let Some(call) = self.session.send(self.tools.client, SystemTime::now())? else { return Ok(()) };
        match (self.tools.send)(call.request(), until) {
            Some((status, headers, body)) => {
                let headers = headers.iter().map(|(name, value)| (name.as_str(), value));
                let response = Response::new(status, headers, &body);
                if let Err(error) = self.session.received(call, response, SystemTime::now()) {
                    eprintln!("refresh: {error}");
                }
            }
            None => self.session.no_response(call, SystemTime::now()),
        }
        Ok(())
    }

    /// Adopts the stored snapshot, and returns whether it was newer.
    fn adopt_stored(&mut self) -> Result<bool, Failure> {
        let stored = self.store.load()?.ok_or("the row of this authorization is gone")?;
        Ok(self.session.adopt(stored, SystemTime::now())?)
    }
}
