//! The record of an authorization: all that its holders share, and how an answer changes it.

use std::fmt;

use crate::client::{self, IssuedTo};
use crate::error::{Advice, Error, ErrorKind};
use crate::session::jitter::Jitter;
use crate::session::policy::{RefreshPolicy, Rhythm};
use crate::text::scope::Scope;
use crate::text::secret::Secret;
use crate::text::time::{Span, later, milliseconds, system_time};
use crate::token::{TokenResponse, TokenType};

/// What the holders of an authorization share. All times are milliseconds of Unix time.
#[derive(Clone)]
pub(crate) struct Record {
    /// First 16 bytes of a digest of the first tokens; tells authorizations apart.
    pub(crate) authorization: [u8; 16],
    pub(crate) issued_to: IssuedTo,
    /// The number of saves; 0 before the first one.
    pub(crate) revision: u64,
    pub(crate) generation: Generation,
    pub(crate) access_token: Secret,
    pub(crate) token_type: TokenType,
    pub(crate) refresh_token: Option<Secret>,
    /// The scopes that are known to be granted.
    pub(crate) scope: Option<Scope>,
    /// When the request for the tokens was sent, from which their lifetime is counted.
    pub(crate) issued_at: u64,
    pub(crate) validity: Validity,
    /// Claims since a token last served for its whole life.
    pub(crate) attempts: u32,
    pub(crate) state: State,
}

/// The state of the refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nobody refreshes.
    Quiet,
    /// A holder refreshes, or has died while it did.
    Claimed(Span),
    /// A refresh failed, and the next one waits.
    Backoff(Span),
    /// The server refused the refresh token for good.
    Refused,
}

/// How long the access token is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Validity {
    /// Until the API rejects it: the server names no lifetime.
    UntilRejected,
    /// Until `expires_at`; its replacement is due at `refresh_at`.
    Until { expires_at: u64, refresh_at: u64 },
    /// Never: it expired before it arrived, or there is none. A refresh is due at `refresh_at`.
    Never { refresh_at: u64 },
}

/// How many tokens came before these: new sign-ins, and refreshes since the last one. Later tokens are greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Generation {
    pub(crate) sign_ins: u32,
    pub(crate) refreshes: u32,
}

impl Generation {
    /// Reads the number that the stored form keeps.
    pub(crate) fn from_u64(number: u64) -> Self {
        Self { sign_ins: (number >> 32) as u32, refreshes: number as u32 }
    }

    /// Returns the number that the stored form keeps: the sign-ins are its upper half.
    pub(crate) fn to_u64(self) -> u64 {
        u64::from(self.sign_ins) << 32 | u64::from(self.refreshes)
    }

    fn after_refresh(self) -> Self {
        Self { refreshes: self.refreshes.saturating_add(1), ..self }
    }

    fn after_sign_in(self) -> Self {
        Self { sign_ins: self.sign_ins.saturating_add(1), refreshes: 0 }
    }
}

impl Record {
    /// Makes the record of a first sign-in, whose tokens arrived at `now`.
    pub(crate) fn of_sign_in(tokens: TokenResponse, now: u64, policy: &RefreshPolicy) -> Self {
        let refresh_token = tokens.refresh_token().map(Secret::expose).unwrap_or_default();
        let authorization = client::digest([tokens.access_token().expose(), refresh_token]);
        let mut record = Self::without_tokens(authorization, tokens.issued_to, now);
        record.take(tokens, now, now, policy);
        record
    }

    /// Makes the record of a refresh token alone, with a refresh due at once.
    pub(crate) fn of_refresh_token(refresh_token: Secret, issued_to: IssuedTo, now: u64) -> Self {
        let authorization = client::digest(["", refresh_token.expose()]);
        Self { refresh_token: Some(refresh_token), ..Self::without_tokens(authorization, issued_to, now) }
    }

    fn without_tokens(authorization: [u8; 16], issued_to: IssuedTo, now: u64) -> Self {
        Self {
            authorization,
            issued_to,
            revision: 0,
            generation: Generation::default(),
            access_token: Secret::new(""),
            token_type: TokenType::Bearer,
            refresh_token: None,
            scope: None,
            issued_at: now,
            validity: Validity::Never { refresh_at: now },
            attempts: 0,
            state: State::Quiet,
        }
    }

    /// Returns the record after a refresh whose request was sent at `sent_at` and whose tokens arrived at `now`.
    pub(crate) fn refreshed(
        &self,
        tokens: TokenResponse,
        sent_at: u64,
        now: u64,
        policy: &RefreshPolicy,
    ) -> Self {
        let mut next = Self { generation: self.generation.after_refresh(), ..self.clone() };
        next.take(tokens, sent_at, now, policy);
        next
    }

    /// Returns the record after a refresh of whose answer only the new refresh token is readable. The access token
    /// is no longer used, because the server may have ended it with the rotation.
    pub(crate) fn rotated(&self, refresh_token: Secret, now: u64, policy: &RefreshPolicy) -> Self {
        let next = Self {
            generation: self.generation.after_refresh(),
            refresh_token: Some(refresh_token),
            validity: Validity::Never { refresh_at: self.issued_at },
            ..self.clone()
        };
        next.failed(None, now, policy)
    }

    /// Returns the record after a new sign-in, whose tokens arrived at `now`.
    pub(crate) fn signed_in_again(&self, tokens: TokenResponse, now: u64, policy: &RefreshPolicy) -> Self {
        let mut next = Self {
            issued_to: tokens.issued_to,
            generation: self.generation.after_sign_in(),
            attempts: 0,
            scope: None,
            ..self.clone()
        };
        next.take(tokens, now, now, policy);
        next
    }

    /// Returns the record with a claim on this attempt.
    pub(crate) fn claimed(&self, attempt: u32, now: u64, policy: &RefreshPolicy) -> Self {
        let claim = Span::new(now, policy.claim_duration);
        Self { attempts: attempt, state: State::Claimed(claim), ..self.clone() }
    }

    /// Returns the record after a failed attempt; without an error, no answer came.
    pub(crate) fn failed(&self, error: Option<&Error>, now: u64, policy: &RefreshPolicy) -> Self {
        let mut jitter = self.jitter(self.revision);
        let state = match error.map(|error| (error.kind(), error.advice())) {
            Some((_, Advice::Reauthorize)) => State::Refused,
            // A person must change the configuration, which takes time.
            Some((ErrorKind::Refused, Advice::FixConfiguration | Advice::Stop)) => {
                State::Backoff(Span::new(now, policy.longest_pause(&mut jitter)))
            }
            _ => {
                let asked = error.and_then(|error| error.retry_after(system_time(now)));
                let asked = asked.map(|delay| policy.retry_after(delay)).unwrap_or_default();
                let pause = policy.pause(self.attempts, &mut jitter);
                State::Backoff(Span::new(now, asked.saturating_add(pause)))
            }
        };
        Self { state, ..self.clone() }
    }

    /// Returns the record with all attempts ahead, and one due at `now`.
    pub(crate) fn resumed(&self, now: u64) -> Self {
        Self { attempts: 0, state: State::Backoff(Span::new(now, 0)), ..self.clone() }
    }

    /// Takes the tokens of a response. Their lifetime counts from `sent_at`: too early rather than too late.
    fn take(&mut self, tokens: TokenResponse, sent_at: u64, now: u64, policy: &RefreshPolicy) {
        self.access_token = tokens.access_token().clone();
        self.token_type = tokens.token_type().clone();
        self.refresh_token = tokens.refresh_token().cloned();
        self.scope = tokens.granted().cloned().or(self.scope.take());
        self.issued_at = sent_at;
        self.state = State::Quiet;
        let mut jitter = self.jitter(self.generation.to_u64());
        // A refresh that succeeded at its first attempt keeps the rhythm of those before it.
        let rhythm = if self.attempts == 1 { Rhythm::Steady } else { Rhythm::First };
        self.validity = match tokens.expires_in().map(milliseconds) {
            None => Validity::UntilRejected,
            Some(lifetime) if later(sent_at, lifetime) <= now => {
                // The next attempt waits as after a failure.
                Validity::Never { refresh_at: later(now, policy.pause(self.attempts, &mut jitter)) }
            }
            Some(lifetime) => Validity::Until {
                expires_at: later(sent_at, lifetime),
                refresh_at: later(sent_at, policy.refresh_after(lifetime, rhythm, &mut jitter)),
            },
        };
    }

    /// Returns whether this record may be saved over `other`: later tokens win, and then a refusal, which is final.
    pub(crate) fn supersedes(&self, other: &Self) -> bool {
        let rank = |record: &Self| (record.generation, record.state == State::Refused);
        rank(self) > rank(other)
    }

    /// Returns whether a holder has saved it.
    pub(crate) fn is_stored(&self) -> bool {
        self.revision > 0
    }

    /// Returns when the access token expires; one that was never valid has expired when it was issued.
    pub(crate) fn expires_at(&self) -> Option<u64> {
        match self.validity {
            Validity::UntilRejected => None,
            Validity::Until { expires_at, .. } => Some(expires_at),
            Validity::Never { .. } => Some(self.issued_at),
        }
    }

    /// Returns when a refresh is due by the access token's lifetime.
    pub(crate) fn refresh_at(&self) -> Option<u64> {
        match self.validity {
            Validity::UntilRejected => None,
            Validity::Until { refresh_at, .. } | Validity::Never { refresh_at } => Some(refresh_at),
        }
    }

    /// Returns the numbers of this authorization for one `turn`.
    pub(crate) fn jitter(&self, turn: u64) -> Jitter {
        let [seed, _] = self.authorization.as_chunks().0 else { return Jitter::new(0, turn) };
        Jitter::new(u64::from_le_bytes(*seed), turn)
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("revision", &self.revision)
            .field("generation", &self.generation)
            .field("issued_at", &self.issued_at)
            .field("validity", &self.validity)
            .field("attempts", &self.attempts)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
