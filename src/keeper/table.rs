//! The table of a keeper: for each key its `Errands`, and the callers that wait for an outcome.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::Waker;
use std::time::SystemTime;

use crate::client::Client;
use crate::keeper::errands::{Errand, Errands};
use crate::keeper::error::KeeperError;
use crate::session::{Reason, RefreshPolicy, Session};
use crate::token::AccessToken;

/// The authorizations that a keeper knows, by key.
pub(super) struct Table {
    client: Arc<Client>,
    policy: RefreshPolicy,
    entries: HashMap<String, Entry>,
    /// The number of entries at which the idle ones are forgotten.
    sweep_at: usize,
}

impl Table {
    pub(super) fn new(client: Arc<Client>, policy: RefreshPolicy) -> Self {
        Self { client, policy, entries: HashMap::new(), sweep_at: MAX_IDLE }
    }

    /// Returns the entry of a key; makes one if there is none.
    pub(super) fn entry(&mut self, key: &str) -> &mut Entry {
        if self.entries.len() >= self.sweep_at {
            self.sweep();
        }
        self.entries.entry(key.to_owned()).or_insert_with(|| Entry {
            errands: Errands::new(self.client.clone(), self.policy),
            is_served: false,
            job: None,
            has_order: false,
            wants_token: false,
            outcomes: 0,
            outcome: None,
            waiting: HashMap::new(),
        })
    }

    /// Returns the wakers of all waiting callers.
    pub(super) fn waiting(&self) -> Vec<Waker> {
        self.entries.values().flat_map(Entry::waiting).collect()
    }

    /// Drops the idle entries, because the store has everything that they know.
    fn sweep(&mut self) {
        self.entries.retain(|_, entry| !entry.is_idle());
        self.sweep_at = self.entries.len().saturating_mul(2).max(MAX_IDLE);
    }
}

/// One authorization: its `Errands`, its job and its callers.
pub(super) struct Entry {
    pub(super) errands: Errands,
    /// True while a job carries out errands; there is one at a time.
    pub(super) is_served: bool,
    /// The waker of the job, while the job waits for a time or for an answer.
    pub(super) job: Option<Waker>,
    /// True if the keeper has asked for something since the job last checked.
    pub(super) has_order: bool,
    /// True if a caller wants a token. Otherwise the job ends as soon as the errands are settled.
    wants_token: bool,
    /// The number of outcomes so far, by which a caller detects a new one.
    outcomes: u64,
    /// The last outcome.
    outcome: Option<Result<AccessToken, KeeperError>>,
    /// The callers that wait, by their number.
    waiting: HashMap<u64, Waker>,
}

/// A caller's question to an entry. The number is that of the outcomes when the caller last asked.
pub(super) type Ask<T> = fn(&mut Entry, &mut Option<u64>, SystemTime) -> Answer<T>;

/// The reply to a caller's question.
pub(super) struct Answer<T> {
    /// The answer; `None` if the caller must wait for the next outcome.
    pub(super) value: Option<Result<T, KeeperError>>,
    /// True if a job has something to do.
    pub(super) has_errand: bool,
}

impl Entry {
    /// Answers a caller who wants a token. `known` is the number of outcomes when the caller last asked.
    pub(super) fn token(&mut self, known: &mut Option<u64>, now: SystemTime) -> Answer<AccessToken> {
        let outcome = self.outcome_since(known);
        // The job may still wait for an answer to a request that was sent before the end.
        if self.is_served && self.errands.is_settled(now) && self.errands.is_ended() {
            let ended = self.errands.no_token(Reason::Ended);
            return Answer { value: Some(Err(ended)), has_errand: false };
        }
        let (token, has_errand) = self.errands.at_once(now);
        let value = match (token, outcome) {
            (Some(token), _) => Some(Ok(token)),
            // The store failed, so it is unknown whether another holder ended the authorization. The token
            // may still work until it expires. A key that does not sign ends no token.
            (None, Some(Err(error @ (KeeperError::Store(_) | KeeperError::Signing(_))))) => {
                Some(self.errands.access_token(now).ok_or(error))
            }
            (None, Some(Err(error))) => Some(Err(error)),
            // The caller was polled late, and the token has ended meanwhile.
            (None, Some(Ok(token))) if self.errands.access_token(now).as_ref() != Some(&token) => None,
            (None, outcome) => outcome,
        };
        // A caller who goes away with an error wants no more.
        let has_errand = has_errand && !matches!(value, Some(Err(_)));
        self.wants_token |= has_errand;
        Answer { value, has_errand }
    }

    /// Answers a caller who waits until everything that was reported is stored. The answer is a new holder of
    /// the stored session.
    pub(super) fn session(&mut self, known: &mut Option<u64>, now: SystemTime) -> Answer<Option<Session>> {
        let outcome = self.outcome_since(known);
        if self.errands.is_settled(now) {
            let session = self.errands.session().map(Session::another_holder);
            return Answer { value: Some(Ok(session)), has_errand: false };
        }
        let value = match outcome {
            Some(Err(error @ (KeeperError::Store(_) | KeeperError::Panicked))) => Some(Err(error)),
            _ => None,
        };
        let has_errand = value.is_none();
        Answer { value, has_errand }
    }

    fn outcome_since(&self, known: &mut Option<u64>) -> Option<Result<AccessToken, KeeperError>> {
        let is_news = known.is_some_and(|known| known != self.outcomes);
        *known = Some(self.outcomes);
        if is_news { self.outcome.clone() } else { None }
    }

    /// Returns the next errand of the job. Returns `None`, and ends the job, if there is an outcome or if no
    /// caller waits for one.
    pub(super) fn next(&mut self, now: SystemTime, is_awaited: bool) -> Option<Errand> {
        let is_enough = !self.wants_token && self.errands.is_settled(now);
        if is_enough {
            self.end_job();
            return None;
        }
        match self.errands.next(now) {
            Errand::Token(token) => self.publish(Ok(token)),
            Errand::NoToken(error) => self.publish(Err(error)),
            Errand::Sleep(_) if !is_awaited && self.errands.is_saved() => {}
            errand => return Some(errand),
        }
        self.end_job();
        None
    }

    fn end_job(&mut self) {
        (self.is_served, self.wants_token) = (false, false);
        self.errands.stop_waiting();
    }

    /// Publishes a failure of the job. Returns whether the job must try again, because something is not
    /// stored yet.
    pub(super) fn failed(&mut self, error: KeeperError) -> bool {
        self.publish(Err(error));
        self.end_job();
        self.is_served = !self.errands.is_saved();
        self.is_served
    }

    fn publish(&mut self, outcome: Result<AccessToken, KeeperError>) {
        self.outcomes = self.outcomes.wrapping_add(1);
        self.outcome = Some(outcome);
    }

    /// Registers a waiting caller. Returns its earlier waker, to drop it when the table is unlocked.
    pub(super) fn wait(&mut self, caller: u64, waker: &Waker) -> Option<Waker> {
        self.waiting.insert(caller, waker.clone())
    }

    /// Removes a caller. Returns its waker, to drop it when the table is unlocked.
    pub(super) fn leave(&mut self, caller: u64) -> Option<Waker> {
        self.waiting.remove(&caller)
    }

    pub(super) fn is_awaited(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn is_idle(&self) -> bool {
        !self.is_served && !self.is_awaited() && self.errands.is_forgettable()
    }

    /// Changes the entry. Returns whether the waiting callers should ask again, because there is an outcome
    /// or the errands have become settled.
    pub(super) fn change<T>(
        &mut self,
        change: impl FnOnce(&mut Self, SystemTime) -> T,
        now: SystemTime,
    ) -> (T, bool) {
        let (outcomes, was_settled) = (self.outcomes, self.errands.is_settled(now));
        let value = change(self, now);
        (value, self.outcomes != outcomes || (!was_settled && self.errands.is_settled(now)))
    }

    /// Returns the wakers of the waiting callers. The callers stay registered until they have an
    /// answer or are dropped.
    pub(super) fn waiting(&self) -> Vec<Waker> {
        self.waiting.values().cloned().collect()
    }
}

/// The number of entries up to which idle ones are kept.
const MAX_IDLE: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClientAuth, pleo};

    #[test]
    fn idle_entries_are_forgotten_when_there_are_many_and_busy_ones_never() {
        let client = Client::new(pleo::staging(), "fake-client", ClientAuth::basic("fake-secret")).unwrap();
        let mut table = Table::new(client.into(), RefreshPolicy::default());
        table.entry("served").is_served = true;
        table.entry("unsaved").errands.end();
        drop(table.entry("awaited").wait(1, Waker::noop()));
        for user in 0..2 * MAX_IDLE {
            table.entry(&user.to_string());
            assert!(table.entries.len() <= MAX_IDLE + 3);
        }
        assert!(table.entry("served").is_served);
        assert!(!table.entry("unsaved").errands.is_saved());
        assert_eq!(table.waiting().len(), 1);
    }
}
