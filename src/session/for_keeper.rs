//! The methods of a session that only a [`keeper`](crate::keeper) calls.

use std::time::SystemTime;

use crate::client::Client;
use crate::error::Error;
use crate::session::phase::{Hand, Phase, Seen};
use crate::session::record::State;
use crate::session::{RefreshPolicy, Session, Snapshot, check_holder};
use crate::text::time::system_time;
use crate::token::AccessToken;

/// The next event for the tokens of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outlook {
    /// Nothing.
    Calm,
    /// A step of this holder.
    Step,
    /// A step of this holder that ends the access token.
    EndOfToken,
    /// Another holder's refresh.
    NewsOfAnother,
}

impl Session {
    /// Makes a holder like [`restore`](Self::restore), without its checks.
    pub(crate) fn of_stored(
        client: &Client,
        snapshot: Snapshot,
        policy: RefreshPolicy,
        now: SystemTime,
    ) -> Self {
        Self::with(*snapshot.0, client.holder.clone(), policy, now)
    }

    /// Checks that the tokens were issued to this client, and are bound to no key but its own.
    pub(crate) fn check_issued_to(&self, client: &Client) -> Result<(), Error> {
        check_holder(self.newest(), &client.holder)
    }

    /// Returns the access token with its type if it is usable at `now`.
    pub(crate) fn typed_access_token(&self, now: SystemTime) -> Option<AccessToken> {
        self.access_token(now).map(|token| AccessToken::new(token.clone(), self.token_type().clone()))
    }

    /// Makes this client the holder.
    pub(crate) fn hold_for(&mut self, client: &Client) {
        self.holder = client.holder.clone();
    }

    /// Binds the tokens to this client, whatever client they were issued to.
    pub(crate) fn move_to(&mut self, client: &Client) {
        let moved = self.newest().moved_to(&client.holder);
        self.hold_for(client);
        self.hand = match self.hand {
            Hand::SignIn { keeps, .. } => Hand::SignIn { record: Box::new(moved), keeps },
            _ => Hand::Outcome(Box::new(moved)),
        };
    }

    /// Returns whether the store has all that this holder knows, as far as this holder knows.
    pub(crate) fn is_saved(&self) -> bool {
        self.record.is_stored() && !matches!(self.hand, Hand::Outcome(_) | Hand::SignIn { .. })
    }

    /// Returns what is about to happen to the tokens.
    pub(crate) fn outlook(&mut self, now: SystemTime) -> Outlook {
        let now = self.observe(now);
        match self.phase(now) {
            Phase::Due { .. } | Phase::ClaimedByUs { .. } if self.record.ends_together => Outlook::EndOfToken,
            Phase::Due { .. } | Phase::ClaimedByUs { .. } => Outlook::Step,
            Phase::Unsaved(_) | Phase::Learned(_) | Phase::Misdated { .. } => Outlook::Step,
            Phase::ClaimedByAnother { .. } => Outlook::NewsOfAnother,
            _ => Outlook::Calm,
        }
    }

    /// Makes another holder, which knows what is stored and nothing else.
    pub(crate) fn another_holder(&self) -> Self {
        let now = system_time(self.clock.latest());
        Self::with(self.record.clone(), self.holder.clone(), *self.policy, now)
    }

    /// Returns what tells the latest sign-in apart from other ones.
    pub(crate) fn sign_in(&self) -> ([u8; 16], (u64, u32)) {
        let newest = self.newest();
        (newest.authorization, newest.sign_in())
    }

    /// Returns whether the program has ended the authorization.
    pub(crate) fn is_ended(&self) -> bool {
        self.newest().state == State::Ended
    }

    /// Returns whether the API has rejected the access token, which only this holder knows.
    pub(crate) fn is_rejected(&self) -> bool {
        self.seen == Seen::Rejected
    }

    /// Returns whether the snapshot belongs to the same authorization as this session.
    pub(crate) fn is_of(&self, snapshot: &Snapshot) -> bool {
        self.record.authorization == snapshot.0.authorization
    }

    /// Makes a first sign-in of the unsaved one in hand, because the stored snapshot was deleted. Returns
    /// whether there is one.
    pub(crate) fn begin_anew(&mut self) -> bool {
        if !self.record.is_stored() {
            return true;
        }
        let Hand::SignIn { record, .. } = std::mem::replace(&mut self.hand, Hand::Nothing) else {
            return false;
        };
        self.replace(record.as_first_sign_in());
        true
    }
}
