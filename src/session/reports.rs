//! The reports of outcomes to a [`Session`]: saves, answers, sign-ins and ends, each a transition.

use std::time::SystemTime;

use crate::call::{Call, Response};
use crate::error::Error;
use crate::session::phase::{Hand, Phase, Seen};
use crate::session::record::{Record, State};
use crate::session::refresh::{Attempt, SessionContext};
use crate::session::source::Source;
use crate::session::trouble::Failure;
use crate::session::{Reason, RefreshPolicy, Save, Session, SessionRefresh, Snapshot, TroubleKind};
use crate::text::secret::Secret;
use crate::text::time::later;
use crate::token::{Extras, TokenResponse};

impl Session {
    /// Records that the store accepted `save`. If no row changed, call [`adopt`](Self::adopt) instead.
    pub fn saved(&mut self, save: Save) {
        let Save { snapshot, claims } = save;
        let record = *snapshot.0;
        let is_next = record.revision == self.record.revision.saturating_add(1);
        // Another task that shares this session may have adopted the save before this report.
        let is_adopted = !matches!(self.hand, Hand::Claim { .. } | Hand::Request { .. })
            && record.revision == self.record.revision
            && record.state == self.record.state
            && record.generation == self.record.generation;
        if record.authorization != self.record.authorization || !(is_next || is_adopted) {
            return;
        }
        self.settle(&record);
        if let (Hand::Nothing, State::Claimed(claim), true) = (&self.hand, record.state, claims)
            // The clock was set back since the claim was made, so its remaining time is unknown.
            && !self.policy.is_in_the_future(claim.since, self.clock.latest())
        {
            self.hand = Hand::Claim { claim, has_nonce: false };
        }
        self.replace(record);
    }

    /// Takes a snapshot from the store, after a save that the store refused or while waiting. Returns whether
    /// the snapshot is newer than what this holder knows; an older one changes nothing.
    ///
    /// If the store refuses a save and then has nothing newer, it lags behind or has lost a write: do not
    /// poll in a loop, and see [`roll_back`](Self::roll_back).
    ///
    /// # Errors
    ///
    /// Misuse: the snapshot belongs to another authorization (check the key that it is stored under), or a
    /// later revision has earlier tokens (another program changed the stored snapshot). When a user signs in
    /// again, call [`reauthorized`](Self::reauthorized) on the same session.
    pub fn adopt(&mut self, snapshot: Snapshot, now: SystemTime) -> Result<bool, Error> {
        self.observe(now);
        let mut record = *snapshot.0;
        if record.authorization != self.record.authorization {
            if self.record.is_stored() {
                return Err(Error::misuse(
                    "this snapshot belongs to another authorization: check the key; when a user signs in again, \
                     restore what is stored and call reauthorized",
                ));
            }
            // Two first sign-ins were made at once, and the other one is stored: ours replaces it if it is
            // later.
            let keeps = match self.hand {
                Hand::SignIn { keeps, .. } => keeps,
                _ => matches!(self.record.source, Source::SignIn),
            };
            let ours = Record { authorization: record.authorization, ..self.newest().clone() };
            // A refresh token from elsewhere is no sign-in, and what is stored is later.
            self.hand = match ours.signed_in_at {
                0 => Hand::Nothing,
                _ => Hand::SignIn { record: Box::new(ours), keeps },
            };
            self.settle(&record);
            self.replace(record);
            return Ok(true);
        }
        if record.revision <= self.record.revision {
            return Ok(false);
        }
        if record.generation < self.record.generation {
            return Err(Error::misuse(
                "this snapshot brings back earlier tokens under a later revision: if the store has lost a write, \
                 call roll_back; otherwise find out who changed the store",
            ));
        }
        record.ends_together |= self.record.ends_together;
        record.issued_to = self.holder.recognise(record.issued_to);
        self.settle(&record);
        self.replace(record);
        Ok(true)
    }

    /// Takes a snapshot from the store although this holder knows a later revision, because the store has
    /// lost a write. [`poll`](Self::poll) then saves again what the store lacks.
    ///
    /// Call it only if the store refused a save, [`adopt`](Self::adopt) found nothing newer or said that
    /// earlier tokens came back, and reading the store again returned the same revision.
    ///
    /// # Errors
    ///
    /// Misuse: the snapshot belongs to another authorization.
    pub fn roll_back(&mut self, snapshot: Snapshot, now: SystemTime) -> Result<(), Error> {
        self.observe(now);
        let mut record = *snapshot.0;
        if record.authorization != self.record.authorization {
            return Err(Error::misuse("this snapshot belongs to another authorization: check the key"));
        }
        record.issued_to = self.holder.recognise(record.issued_to);
        // What the store has lost is known to this holder alone: a sign-in, or an outcome within it.
        let is_another_sign_in = self.record.sign_in() != record.sign_in();
        if self.record.is_stored() && !matches!(self.hand, Hand::SignIn { .. }) {
            let known = Box::new(self.newest().clone());
            self.hand = match is_another_sign_in {
                true => Hand::SignIn { record: known, keeps: false },
                false => Hand::Outcome(known),
            };
        }
        self.settle(&record);
        self.replace(record);
        Ok(())
    }

    /// Compares what is in hand with the stored record, and keeps only an outcome that supersedes it.
    fn settle(&mut self, stored: &Record) {
        let stored_is_from_the_future =
            self.policy.is_in_the_future(stored.signed_in_at, self.clock.latest());
        let known = &self.record;
        let outcome = |record: Record| Hand::Outcome(Box::new(record));
        let settled = match std::mem::replace(&mut self.hand, Hand::Nothing) {
            // An earlier form of the sign-in is stored; it was ended, or its kept token rotated, meanwhile.
            Hand::SignIn { record, .. } if record.sign_in() == stored.sign_in() => {
                record.outcome_over(stored).map(outcome)
            }
            Hand::SignIn { record, keeps } => {
                let record = if keeps { record.keeping(stored) } else { *record };
                let record = record.sign_in_over(stored, stored_is_from_the_future);
                record.map(|record| Hand::SignIn { record: Box::new(record), keeps })
            }
            Hand::Outcome(record) => {
                let rotated =
                    stored.with_rotated(known.source.refresh_token(), record.source.refresh_token());
                record.outcome_over(stored).or(rotated).map(outcome)
            }
            Hand::Nothing | Hand::Claim { .. } | Hand::Request { .. } => None,
        };
        self.hand = settled.unwrap_or(Hand::Nothing);
    }

    pub(super) fn replace(&mut self, record: Record) {
        if (record.authorization, record.generation) != (self.record.authorization, self.record.generation) {
            self.seen = Seen::Valid;
            self.resting_until = 0;
        }
        self.record = record;
    }

    /// Takes the answer to a call, whatever its HTTP status. A late answer changes nothing, unless its tokens
    /// are later than those this holder knows.
    ///
    /// Send each call once, whatever the error advises: [`poll`](Self::poll) makes the next one. Do not
    /// cancel the task that sends, because the answer may be the only copy of the tokens.
    ///
    /// Returns the members of the response that this crate does not read, and the
    /// [ID token](Extras::id_token) to check, if there is one. The session keeps the other tokens.
    ///
    /// # Errors
    ///
    /// The errors of [`Call::read`], to log: the session has recorded the failure, and [`poll`](Self::poll)
    /// returns the next step. Only the first `use_dpop_nonce` under a claim is no failure: the next step is
    /// to send again, with the nonce. The session keeps the new refresh token of a success, even if nothing
    /// else is readable. Misuse: the call belongs to another session.
    pub fn received(
        &mut self,
        call: Call<SessionRefresh>,
        response: Response<'_>,
        now: SystemTime,
    ) -> Result<Extras, Error> {
        call.learn_nonce(&response);
        let SessionContext { sent: request, attempt } = &call.context;
        if attempt.authorization != self.record.authorization {
            return Err(Error::misuse("this call belongs to another session; give that one the answer"));
        }
        let Response { status, retry_after, .. } = response;
        let sent = request.refresh_token();
        let unread = match request.read(response) {
            Ok(mut tokens) => {
                let extras = tokens.take_extras();
                let new = tokens.refresh_token().cloned();
                self.learn_tokens(*attempt, (sent, new.as_ref()), now, |record, now, policy| {
                    record.refreshed(tokens, attempt.sent_at.min(now), now, policy)
                });
                return Ok(extras);
            }
            Err(unread) => unread,
        };
        let error = call.complete(unread.error, status, retry_after);
        if call.asks_for_nonce(&error) && self.sends_again(*attempt, now) {
            return Err(error);
        }
        let failure = Failure::of(&error, unread.shape);
        match unread.refresh_token.filter(|token| Some(token) != sent) {
            Some(new) => self.learn_tokens(*attempt, (sent, Some(&new)), now, |record, now, policy| {
                record.rotated(new.clone(), &failure, now, policy)
            }),
            None => self.fail(*attempt, &failure, now),
        }
        Err(error)
    }

    /// Records that no answer came: the connection failed, or the answer was not there in time. The server
    /// may have rotated the tokens, so a token can be lost here.
    pub fn no_response(&mut self, call: Call<SessionRefresh>, now: SystemTime) {
        self.fail(call.context.attempt, &Failure::without_answer(TroubleKind::NoAnswer), now);
    }

    /// Records that the API answered 401 to this access token (RFC 6750 §3.1), so that the session replaces
    /// it early. A token other than the current one changes nothing. Poll afterwards.
    pub fn access_token_rejected(&mut self, access_token: &Secret) {
        if *access_token == self.record.access_token {
            self.seen = Seen::Rejected;
        }
    }

    /// Takes the tokens of a new sign-in, which may be another client's. The session continues under the same
    /// key and revision, so that no other holder restores the old tokens.
    ///
    /// Verify that the same user signed in (through the API or an ID token): another user's tokens belong
    /// under another key. Where the new tokens bring no refresh token, the stored one stays, unless it was
    /// refused or ended, or was issued to another client. Of two sign-ins the later one wins, on every
    /// holder.
    pub fn reauthorized(&mut self, tokens: TokenResponse, now: SystemTime) {
        let now = self.observe(now);
        self.holder = tokens.holder.clone();
        let brought_none = matches!(Source::of(&tokens), Source::SignIn);
        let newest = self.newest();
        let record = newest.signed_in_again(tokens, now, &self.policy);
        let record = if brought_none { record.keeping(newest) } else { record };
        // A refresh token that is not in the store yet is not kept from there.
        let keeps = brought_none
            && record.source.refresh_token().is_some()
            && record.source.refresh_token() == self.record.source.refresh_token();
        self.hand = Hand::SignIn { record: Box::new(record), keeps };
    }

    /// Ends the authorization, for a disconnect or a sign-out. Poll and save; then every holder sees the end,
    /// and none refreshes. Afterwards [revoke](crate::Client::revoke) the
    /// [`refresh_token`](Self::refresh_token) at the server. A new sign-in continues with
    /// [`reauthorized`](Self::reauthorized).
    ///
    /// ```
    /// use oauth2_proto::session::Reason;
    /// use oauth2_proto::{Secret, Session, Step};
    ///
    /// # use oauth2_proto::{Client, ClientAuth, RefreshPolicy, TokenResponse, pleo};
    /// # let (policy, now) = (RefreshPolicy::default(), std::time::SystemTime::UNIX_EPOCH);
    /// # let client = Client::new(pleo::staging(), "client-id", ClientAuth::basic("fake"))?;
    /// # let json = r#"{"access_token":"fake-1","token_type":"Bearer","refresh_token":"fake-2"}"#;
    /// # let mut session = Session::new(TokenResponse::for_test(&client, json)?, policy, now);
    /// # let Step::Save(save) = session.poll(now) else { panic!() };
    /// # session.saved(save);
    /// session.end(now);
    /// assert_eq!(session.access_token(now), None);
    /// let Step::Save(save) = session.poll(now) else { panic!() };
    /// session.saved(save); // it is in the store
    /// assert!(matches!(session.poll(now), Step::Reauthorize(Reason::Ended)));
    /// // Revoke this token at the server: `client.revoke(token)`.
    /// assert_eq!(session.refresh_token().map(Secret::expose), Some("fake-2"));
    /// # Ok::<(), oauth2_proto::Error>(())
    /// ```
    pub fn end(&mut self, now: SystemTime) {
        self.observe(now);
        if let Hand::SignIn { record, .. } = &mut self.hand {
            **record = record.ended();
        } else if self.newest().state != State::Ended {
            self.hand = Hand::Outcome(Box::new(self.newest().ended()));
        }
    }

    /// Makes a refresh due at once and restarts both limits, after [`GaveUp`](Reason::GaveUp) or during a
    /// pause. Call it when the cause is fixed. In any other phase it changes nothing.
    pub fn resume(&mut self, now: SystemTime) {
        let now = self.observe(now);
        let can_resume = match self.phase(now) {
            Phase::Backoff { .. } | Phase::Ended(Reason::GaveUp) => true,
            Phase::Due { .. } => matches!(self.record.state, State::Backoff(_)),
            _ => false,
        };
        if can_resume {
            self.resting_until = 0;
            self.hand = Hand::Outcome(Box::new(self.record.resumed(now)));
        }
    }

    /// Takes the tokens of an answer if no later ones are known. Otherwise takes only the refresh token that
    /// replaced `sent`, if `sent` is still in use.
    fn learn_tokens(
        &mut self,
        attempt: Attempt,
        (sent, new): (Option<&Secret>, Option<&Secret>),
        now: SystemTime,
        take: impl FnOnce(&Record, u64, &RefreshPolicy) -> Record,
    ) {
        let now = self.observe(now);
        self.braked_until = later(now, self.policy.min_interval);
        let newest = self.newest();
        if attempt.generation == newest.generation {
            let learned = Record { issued_to: newest.issued_to, ..take(&self.record, now, &self.policy) };
            let learned = if newest.state == State::Ended { learned.ended() } else { learned };
            self.hand = Hand::Outcome(Box::new(learned));
        } else if let Some(rotated) = newest.with_rotated(sent, new) {
            let record = Box::new(rotated);
            self.hand = match self.hand {
                Hand::SignIn { .. } => Hand::SignIn { record, keeps: false },
                _ => Hand::Outcome(record),
            };
        }
    }

    /// Goes back to the claim of an attempt that the server asks to repeat with a nonce. Returns whether it
    /// does: once under each claim, while there is time to send.
    fn sends_again(&mut self, attempt: Attempt, now: SystemTime) -> bool {
        let now = self.observe(now);
        match self.hand {
            Hand::Request { claim, has_nonce: false } if self.is_current(attempt) && now < claim.middle() => {
                self.hand = Hand::Claim { claim, has_nonce: true };
                true
            }
            _ => false,
        }
    }

    /// Returns whether an attempt is the last one that this holder made for the stored record.
    fn is_current(&self, attempt: Attempt) -> bool {
        let is_last = match self.hand {
            Hand::Claim { has_nonce, .. } | Hand::Request { has_nonce, .. } => has_nonce == attempt.has_nonce,
            Hand::Nothing | Hand::Outcome(_) | Hand::SignIn { .. } => true,
        };
        attempt.authorization == self.record.authorization
            && attempt.revision == self.record.revision
            && is_last
    }

    /// Records that an attempt failed, if this holder waits for its answer.
    fn fail(&mut self, attempt: Attempt, failure: &Failure<'_>, now: SystemTime) {
        let now = self.observe(now);
        if !self.is_current(attempt) {
            return;
        }
        match &mut self.hand {
            Hand::Outcome(_) => {}
            // The refresh token that the sign-in keeps is dead.
            Hand::SignIn { record, keeps } if *keeps && failure.kind == TroubleKind::Refused => {
                let refused = self.record.failed(failure, now, &self.policy);
                **record = Record { state: State::Quiet, ..record.keeping(&refused) };
                *keeps = false;
            }
            Hand::SignIn { .. } => {}
            Hand::Nothing | Hand::Claim { .. } | Hand::Request { .. } => {
                let failed = self.record.failed(failure, now, &self.policy);
                if let State::Backoff(pause) = failed.state {
                    self.resting_until = pause.until;
                }
                self.hand = Hand::Outcome(Box::new(failed));
            }
        }
    }
}
