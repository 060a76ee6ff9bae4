//! The loop that keeps an authorization alive: copy this file, and replace what it uses by what you have.

use std::time::{Duration, SystemTime};

use oauth2_proto::{Client, RefreshPolicy, Request, Response, Secret, Session, Step, TokenResponse, session::Reason};

use crate::Failure;
use crate::store::Store;

/// How often to look into the store while another holder refreshes.
const LOOK: Duration = Duration::from_millis(50);

/// Sends a request, without following redirects, and returns the status, the headers and the body; nothing if
/// they are not there by the given time.
pub type Send<'a> = dyn Fn(&Request, SystemTime) -> Option<Answer> + Sync + 'a;

/// A status, header pairs and a body.
pub type Answer = (u16, Vec<(String, Vec<u8>)>, Vec<u8>);

/// What a holder works with.
#[derive(Clone, Copy)]
pub struct Tools<'a> {
    pub client: &'a Client,
    pub policy: RefreshPolicy,
    pub send: &'a Send<'a>,
}

/// One holder of an authorization; a process may have many, for one authorization too.
pub struct Keeper<'a> {
    session: Session,
    store: Store,
    tools: Tools<'a>,
}

/// When to call [`Keeper::tend`] again.
#[derive(Debug)]
pub enum Next {
    /// At this time, or at once after [`Keeper::rejected`].
    At(SystemTime),
    /// Now and then, for another holder may sign the user in. To do it here, call [`Keeper::signed_in`].
    SignIn(Reason),
}

impl<'a> Keeper<'a> {
    /// A holder of what is stored; `None` if the user never signed in.
    pub fn open(tools: Tools<'a>, mut store: Store) -> Result<Option<Self>, Failure> {
        let snapshot = store.load()?;
        Ok(snapshot.map(|snapshot| {
            let session = Session::restore(snapshot, tools.policy, SystemTime::now());
            Self { session, store, tools }
        }))
    }

    /// A holder with the tokens of a sign-in, the first or a later one; [`Keeper::tend`] saves them.
    pub fn signed_in(tools: Tools<'a>, mut store: Store, tokens: TokenResponse) -> Result<Self, Failure> {
        let now = SystemTime::now();
        let session = match store.load()? {
            None => Session::new(tokens, tools.policy, now),
            Some(snapshot) => {
                let mut session = Session::restore(snapshot, tools.policy, now);
                session.reauthorized(tokens, now);
                session
            }
        };
        Ok(Self { session, store, tools })
    }

    /// Does what is to be done now, and says when to come back.
    ///
    /// After an error call it again a little later, with the same keeper: it may have tokens that are not saved
    /// yet. Never drop one in that state if it can be helped.
    pub fn tend(&mut self) -> Result<Next, Failure> {
        loop {
            let now = SystemTime::now();
            match self.session.poll(now) {
                Step::Idle(until) => return Ok(Next::At(until.unwrap_or(now + Duration::from_secs(60)))),
                Step::Wait(until) => {
                    if !self.look()? {
                        return Ok(Next::At(until.min(now + LOOK)));
                    }
                }
                Step::Save(save) => {
                    if self.store.compare_and_swap(&save)? {
                        self.session.saved(save);
                    } else if !self.look()? {
                        return Err("the store refused a save and has nothing newer".into());
                    }
                }
                Step::Send { until } => self.refresh(until)?,
                Step::Reauthorize(reason) => {
                    if !self.look()? {
                        return Ok(Next::SignIn(reason));
                    }
                }
            }
        }
    }

    /// The access token, if it may be used now; ask for each request to the API.
    pub fn access_token(&self) -> Option<&Secret> {
        self.session.access_token(SystemTime::now())
    }

    /// When the access token expires, if the server said so.
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.session.expires_at()
    }

    /// The API answered 401 to this access token.
    pub fn rejected(&mut self, access_token: &Secret) {
        self.session.rejected(access_token);
    }

    fn refresh(&mut self, until: SystemTime) -> Result<(), Failure> {
        let Some(call) = self.session.send(self.tools.client, SystemTime::now())? else { return Ok(()) };
        match (self.tools.send)(call.request(), until) {
            Some((status, headers, body)) => {
                let headers = headers.iter().map(|(name, value)| (name.as_str(), value));
                let answer = Response::new(status, headers, &body);
                if let Err(error) = self.session.received(call, answer, SystemTime::now()) {
                    eprintln!("refresh: {error}");
                }
            }
            None => self.session.no_response(call, SystemTime::now()),
        }
        Ok(())
    }

    /// Adopts what is stored, and says whether it was newer.
    fn look(&mut self) -> Result<bool, Failure> {
        let stored = self.store.load()?.ok_or("the row of this authorization is gone")?;
        Ok(self.session.adopt(stored, SystemTime::now())?)
    }
}
