//! The record of an authorization: the state that its holders share, and how an answer changes it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::client::{self, Client, Holder, IssuedTo};
use crate::grants::client_credentials::Asked;
use crate::session::jitter::Jitter;
use crate::session::policy::{RefreshPolicy, Rhythm};
use crate::session::source::Source;
use crate::session::sparse::{Sparse, Usual};
use crate::session::trouble::{Failure, Trouble, TroubleKind};
use crate::text::scope::Scope;
use crate::text::secret::Secret;
use crate::text::time::{Span, later, milliseconds, system_time};
use crate::text::uri::Resource;
use crate::token::{Parameters, TokenResponse, TokenType};

/// The state that the holders of an authorization share. All times are milliseconds of Unix time.
#[derive(Clone)]
pub(crate) struct Record {
    /// First 16 bytes of a digest of the first tokens; tells authorizations apart.
    pub(crate) authorization: [u8; 16],
    pub(crate) issued_to: IssuedTo,
    /// The number of saves; 0 before the first one.
    pub(crate) revision: u64,
    pub(crate) generation: Generation,
    /// The time of the sign-in, by the clock of the holder that received its tokens; 0 if unknown.
    pub(crate) signed_in_at: u64,
    pub(crate) access_token: Secret,
    pub(crate) source: Source,
    pub(crate) terms: Sparse<Terms>,
    /// True if the server ends an access token together with its refresh token.
    pub(crate) ends_together: bool,
    /// The time at which the request for the tokens was sent. Their lifetimes count from it.
    pub(crate) issued_at: u64,
    pub(crate) validity: Validity,
    /// The number of claims since an access token was last usable.
    pub(crate) attempts: u32,
    /// The failures since the last successful refresh.
    pub(crate) trouble: Option<Box<Trouble>>,
    pub(crate) state: State,
}

/// The terms of the tokens, beyond the lifetime of the access token.
#[derive(Clone, PartialEq)]
pub(crate) struct Terms {
    pub(crate) token_type: TokenType,
    /// The expiry of the refresh token, where the server announces it.
    pub(crate) refresh_token_expires_at: Option<u64>,
    /// The scopes that are known to be granted.
    pub(crate) scope: Option<Scope>,
    /// The scopes and resources of the authorization request, which a refresh repeats at some servers, and a
    /// client credentials request everywhere.
    pub(crate) asked_scope: Option<Scope>,
    pub(crate) asked_resources: Vec<Resource<'static>>,
    /// The added parameters of a client credentials request.
    pub(crate) asked_parameters: Parameters,
    /// The thumbprint of the key that the tokens are bound to (RFC 9449 §6.1).
    pub(crate) bound_to: Option<[u8; 32]>,
}

impl Usual for Terms {
    const USUAL: &'static Self = &Self {
        token_type: TokenType::Bearer,
        refresh_token_expires_at: None,
        scope: None,
        asked_scope: None,
        asked_resources: Vec::new(),
        asked_parameters: Vec::new(),
        bound_to: None,
    };
}

/// The state of the refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nobody refreshes.
    Quiet,
    /// A holder refreshes, or died during a refresh.
    Claimed(Span),
    /// A refresh failed, and the next one waits.
    Backoff(Span),
    /// The server refused the refresh token for good.
    Refused,
    /// The program ended the authorization.
    Ended,
}

/// The validity of the access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Validity {
    /// Valid until the API rejects it, because the server names no lifetime. Its replacement is due at
    /// `refresh_at` if the refresh token has a lifetime.
    UntilRejected { refresh_at: Option<u64> },
    /// Valid until `expires_at`; its replacement is due at `refresh_at`.
    Until { expires_at: u64, refresh_at: u64 },
    /// Never valid: it expired before it arrived, or there is none.
    Never,
}

/// The place of the tokens in the history of their authorization: sign-ins after the first one, and refreshes
/// since the last sign-in. Later tokens compare greater.
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
        let authorization = authorization_of(tokens.access_token(), tokens.refresh_token());
        let mut record = Self::without_tokens(authorization, tokens.holder.issued_to, now);
        record.begin(&tokens, now);
        record.take(tokens, now, now, policy);
        record
    }

    /// Makes an unsaved first sign-in of a later one.
    pub(crate) fn as_first_sign_in(&self) -> Self {
        let authorization = authorization_of(&self.access_token, self.source.refresh_token());
        Self { authorization, revision: 0, ..self.clone() }
    }

    /// Makes the record of a refresh token alone, with a refresh due at once.
    pub(crate) fn of_refresh_token(refresh_token: Secret, client: &Client, now: u64) -> Self {
        let authorization = authorization_of(&Secret::new(""), Some(&refresh_token));
        let mut record = Self {
            source: Source::RefreshToken(refresh_token),
            ends_together: client.server.access_tokens_end_with_refresh,
            ..Self::without_tokens(authorization, client.holder.issued_to, now)
        };
        record.bind_to(client.holder.bound_to);
        record
    }

    /// Makes the record of client credentials alone, with a request due at once.
    pub(crate) fn of_client_credentials(asked: Asked, client: &Client, now: u64) -> Self {
        let Asked { scope, resources, parameters } = asked;
        // Two processes that begin at once with the same request have the same authorization.
        let issued_to = URL_SAFE_NO_PAD.encode(client.holder.issued_to.0);
        let parts = ["client_credentials", &issued_to, scope.as_ref().map_or("", Scope::as_str)].into_iter();
        let parts = parts.chain(resources.iter().map(Resource::as_str));
        let added = parameters.iter().flat_map(|(name, value)| [name.as_str(), value.expose()]);
        let authorization = client::digest(parts.chain(added));
        let mut record = Self {
            source: Source::ClientCredentials,
            ..Self::without_tokens(authorization, client.holder.issued_to, now)
        };
        record.terms.change(|terms| {
            terms.asked_scope = scope;
            terms.asked_resources = resources;
            terms.asked_parameters = parameters;
        });
        record.bind_to(client.holder.bound_to);
        record
    }

    fn without_tokens(authorization: [u8; 16], issued_to: IssuedTo, now: u64) -> Self {
        Self {
            authorization,
            issued_to,
            revision: 0,
            generation: Generation::default(),
            signed_in_at: 0,
            access_token: Secret::new(""),
            source: Source::SignIn,
            terms: Sparse::default(),
            ends_together: false,
            issued_at: now,
            validity: Validity::Never,
            attempts: 0,
            trouble: None,
            state: State::Quiet,
        }
    }

    /// Returns the record after a refresh whose request was sent at `sent_at` and whose tokens arrived at
    /// `now`.
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

    /// Returns the record after a refresh whose answer has nothing readable but the new refresh token. The
    /// access token is no longer used, because the server may have ended it with the rotation.
    pub(crate) fn rotated(
        &self,
        refresh_token: Secret,
        failure: &Failure<'_>,
        now: u64,
        policy: &RefreshPolicy,
    ) -> Self {
        let mut next =
            Self { generation: self.generation.after_refresh(), validity: Validity::Never, ..self.clone() };
        next.set_refresh_token(Some(refresh_token), None);
        // The server has rotated the token, so the authorization is alive, whatever else the answer says.
        let kind = TroubleKind::Unreadable;
        next.failed(&Failure { kind, ..*failure }, now, policy)
    }

    /// Returns the record after a new sign-in, whose tokens arrived at `now`.
    pub(crate) fn signed_in_again(&self, tokens: TokenResponse, now: u64, policy: &RefreshPolicy) -> Self {
        let mut next = Self {
            issued_to: tokens.holder.issued_to,
            generation: self.generation.after_sign_in(),
            terms: Sparse::default(),
            attempts: 0,
            trouble: None,
            ..self.clone()
        };
        // It is no earlier than the one that is known, whatever the clock says.
        next.begin(&tokens, now.max(self.signed_in_at));
        next.take(tokens, now, now, policy);
        next
    }

    /// Returns the record of a sign-in that brought no refresh token, with the one of `stored`, unless that
    /// was refused or ended, or is another client's or another key's. A claim on the kept token stays,
    /// because its holder may be sending it. A user who signs in never continues with tokens of the client's
    /// own.
    pub(crate) fn keeping(&self, stored: &Self) -> Self {
        let keeps = stored.issued_to == self.issued_to
            && stored.terms.bound_to.is_none_or(|key| Some(key) == self.terms.bound_to)
            && !matches!(stored.state, State::Refused | State::Ended)
            && !matches!(stored.source, Source::ClientCredentials);
        let kept = Some(stored).filter(|_| keeps);
        let state = match kept.map(|kept| kept.state) {
            Some(claim @ State::Claimed(_)) if self.state == State::Quiet => claim,
            _ => self.state,
        };
        let mut next = Self { state, ..self.clone() };
        next.set_refresh_token(
            kept.and_then(|kept| kept.source.refresh_token().cloned()),
            kept.and_then(|kept| kept.terms.refresh_token_expires_at),
        );
        next
    }

    /// Returns the record with a claim on this attempt.
    pub(crate) fn claimed(&self, attempt: u32, now: u64, policy: &RefreshPolicy) -> Self {
        // Nobody recorded a failure of the previous attempt: its holder died, or its token was unusable.
        let unnoticed = match self.state {
            State::Claimed(_) => Some(TroubleKind::NoAnswer),
            State::Quiet if attempt > 1 => Some(TroubleKind::UnusableToken),
            _ => None,
        };
        let mut next = Self { attempts: attempt, ..self.clone() };
        if let Some(kind) = unnoticed {
            next.note(&Failure::without_answer(kind), now);
        }
        next.state = State::Claimed(Span::new(now, policy.claim_duration));
        next
    }

    /// Returns the record with the other holder's claim moved to `now`, because its date is in the future.
    pub(crate) fn redated(&self, claim: Span, now: u64, policy: &RefreshPolicy) -> Self {
        let length = claim.length().min(policy.longest_claim());
        Self { state: State::Claimed(Span::new(now, length)), ..self.clone() }
    }

    /// Returns the record after a failed attempt.
    pub(crate) fn failed(&self, failure: &Failure<'_>, now: u64, policy: &RefreshPolicy) -> Self {
        let mut next = self.clone();
        let trouble = next.note(failure, now);
        let (kind, unclear_refusals) = (trouble.kind, trouble.unclear_refusals);
        let mut jitter = self.jitter(self.revision);
        let pause = match kind {
            TroubleKind::Refused => {
                next.state = State::Refused;
                return next;
            }
            TroubleKind::ClientRejected => {
                // Only an operator can fix this, so the session never asks the user.
                next.attempts = 0;
                policy.longest_pause(&mut jitter)
            }
            TroubleKind::UnclearRefusal => policy.pause_after_refusal(unclear_refusals, &mut jitter),
            _ => {
                let asked = failure.error.and_then(|error| error.retry_after(system_time(now)));
                let asked = asked.map(|delay| policy.retry_after(delay)).unwrap_or_default();
                asked.saturating_add(policy.pause(self.attempts, &mut jitter))
            }
        };
        next.state = State::Backoff(Span::new(now, pause));
        next
    }

    /// Returns the record with the `new` refresh token, if it still holds the one that was `sent`: a sign-in
    /// that brought none kept it during a refresh.
    pub(crate) fn with_rotated(&self, sent: Option<&Secret>, new: Option<&Secret>) -> Option<Self> {
        let (sent, new) = sent.zip(new)?;
        if self.source.refresh_token() != Some(sent) || new == sent {
            return None;
        }
        let mut next = Self {
            generation: self.generation.after_refresh(),
            validity: match self.validity {
                Validity::UntilRejected { .. } => Validity::UntilRejected { refresh_at: None },
                validity => validity,
            },
            state: match self.state {
                State::Claimed(_) => State::Quiet,
                state => state,
            },
            ..self.clone()
        };
        next.set_refresh_token(Some(new.clone()), None);
        Some(next)
    }

    /// Returns the record with both limits restarted and an attempt due at `now`.
    pub(crate) fn resumed(&self, now: u64) -> Self {
        let mut next = Self { attempts: 0, state: State::Backoff(Span::new(now, 0)), ..self.clone() };
        if let Some(trouble) = &mut next.trouble {
            trouble.unclear_refusals = 0;
        }
        next
    }

    /// Returns the record after the program ended the authorization.
    pub(crate) fn ended(&self) -> Self {
        Self { state: State::Ended, trouble: None, ..self.clone() }
    }

    /// Adds a failure to the trouble and returns the trouble.
    fn note(&mut self, failure: &Failure<'_>, now: u64) -> &Trouble {
        let trouble = Trouble::after(self.trouble.as_deref(), failure, now);
        self.trouble.insert(Box::new(trouble))
    }

    /// Sets what a sign-in determines for all its tokens: its time, scopes and resources.
    fn begin(&mut self, tokens: &TokenResponse, now: u64) {
        self.signed_in_at = now;
        self.terms.change(|terms| {
            terms.asked_scope = tokens.requested_scope().cloned();
            terms.asked_resources = tokens.resources.clone();
            terms.asked_parameters = tokens.client_credentials.clone().unwrap_or_default();
        });
    }

    /// Returns whether this client has the key that the tokens are bound to, if they are bound to one.
    pub(crate) fn is_bound_to(&self, holder: &Holder) -> bool {
        self.terms.bound_to.is_none_or(|key| Some(key) == holder.bound_to)
    }

    fn bind_to(&mut self, key: Option<[u8; 32]>) {
        if self.terms.bound_to != key {
            self.terms.change(|terms| terms.bound_to = key);
        }
    }

    /// Returns the record with this client as the one that the tokens were issued to. Its key takes the place
    /// of another one: the access token is of no use then, so a refresh is due at once. The refresh token of
    /// a client without credentials works with its key only (RFC 9449 §5), so that it counts as refused.
    pub(crate) fn moved_to(&self, holder: &Holder) -> Self {
        let mut moved = Self { issued_to: holder.issued_to, ..self.clone() };
        if !self.is_bound_to(holder) {
            moved.bind_anew(holder.bound_to);
            let has_refresh_token = moved.source.refresh_token().is_some();
            if holder.is_public && has_refresh_token && moved.state != State::Ended {
                moved.state = State::Refused;
            }
        }
        moved
    }

    /// Returns the outcome of a refresh that was under way when another holder moved the tokens to its
    /// client, whose key takes the place of ours.
    fn moved_with(self, stored: &Self) -> Self {
        let mut moved = Self { issued_to: stored.issued_to, ..self };
        if stored.terms.bound_to.is_some_and(|key| moved.terms.bound_to.is_some_and(|ours| ours != key)) {
            moved.bind_anew(stored.terms.bound_to);
        }
        moved
    }

    fn bind_anew(&mut self, key: Option<[u8; 32]>) {
        self.bind_to(key);
        self.validity = Validity::Never;
    }

    fn set_refresh_token(&mut self, refresh_token: Option<Secret>, expires_at: Option<u64>) {
        self.source = refresh_token.into();
        self.terms.change(|terms| terms.refresh_token_expires_at = expires_at);
    }

    /// Takes the tokens of a response. Their lifetimes count from `sent_at`, so that they end too early
    /// rather than too late.
    fn take(&mut self, tokens: TokenResponse, sent_at: u64, now: u64, policy: &RefreshPolicy) {
        self.access_token = tokens.access_token().clone();
        self.source = Source::of(&tokens);
        self.terms.change(|terms| {
            terms.token_type = tokens.token_type().clone();
            terms.bound_to = tokens.holder.bound_to;
            terms.scope = tokens.granted().cloned().or(terms.scope.take());
            if tokens.refresh_token_is_new() || tokens.refresh_token_expires_in.is_some() {
                let lifetime = tokens.refresh_token_expires_in.map(milliseconds);
                terms.refresh_token_expires_at = lifetime.map(|lifetime| later(sent_at, lifetime));
            }
        });
        self.ends_together = tokens.ends_together;
        self.issued_at = sent_at;
        let mut jitter = self.jitter(self.generation.to_u64());
        // A refresh that succeeded at its first attempt keeps the rhythm of those before it.
        let rhythm = if self.attempts == 1 { Rhythm::Steady } else { Rhythm::First };
        let lifetime = tokens.expires_in().map(milliseconds);
        if lifetime.is_some_and(|lifetime| later(sent_at, lifetime) <= now) {
            self.validity = Validity::Never;
            self.note(&Failure::without_answer(TroubleKind::UnusableToken), now);
            self.state = State::Backoff(Span::new(now, policy.pause(self.attempts, &mut jitter)));
            return;
        }
        self.state = State::Quiet;
        self.trouble = None;
        // The refresh token must be used before it expires, too.
        let refresh_lifetime = self.terms.refresh_token_expires_at.map(|end| end.saturating_sub(sent_at));
        let shorter = lifetime.into_iter().chain(refresh_lifetime).min();
        let refresh_at =
            shorter.map(|lifetime| later(sent_at, policy.refresh_after(lifetime, rhythm, &mut jitter)));
        self.validity = match (lifetime.map(|lifetime| later(sent_at, lifetime)), refresh_at) {
            (Some(expires_at), Some(refresh_at)) => Validity::Until { expires_at, refresh_at },
            (_, refresh_at) => Validity::UntilRejected { refresh_at },
        };
    }

    /// Returns the record of an unsaved sign-in to save over `stored`, after the store refused to save it;
    /// `None` if `stored` is a later sign-in. Each sign-in is dated by the clock of its holder; one from the
    /// future was dated by a wrong clock.
    pub(crate) fn sign_in_over(self, stored: &Self, stored_is_from_the_future: bool) -> Option<Self> {
        let is_later = self.sign_in() > stored.sign_in()
            || (stored_is_from_the_future
                && self.sign_in() != stored.sign_in()
                && self.generation.sign_ins >= stored.generation.sign_ins);
        // Two refreshes of this sign-in stay in their order.
        let sign_ins = self.generation.sign_ins.max(stored.generation.sign_ins.saturating_add(1));
        let generation = Generation { sign_ins, ..self.generation };
        is_later.then_some(Self { generation, ..self })
    }

    /// Returns the outcome of a refresh, or an end, to save over `stored`, after the store refused to save
    /// it; `None` if `stored` supersedes it, as another sign-in does. An end wins and keeps the later tokens.
    /// Then later tokens win over earlier ones, and then a refusal wins.
    pub(crate) fn outcome_over(self, stored: &Self) -> Option<Self> {
        if self.sign_in() != stored.sign_in() {
            return None;
        }
        let is_later = self.generation > stored.generation;
        // Within one sign-in the clients differ only if the stored record was rebound to another one.
        let this = self.moved_with(stored);
        match (this.state == State::Ended, stored.state == State::Ended) {
            (true, true) if !is_later => None,
            (true, _) if is_later || this.generation == stored.generation => Some(this),
            (true, _) => Some(stored.ended()),
            (false, true) => is_later.then(|| this.ended()),
            (false, false) => {
                let rank = |record: &Self| (record.generation, record.state == State::Refused);
                (rank(&this) > rank(stored)).then_some(this)
            }
        }
    }

    /// Returns how long the tokens live, by the shorter of their lifetimes that are known, in milliseconds.
    pub(crate) fn lifetime(&self) -> u64 {
        let end = self.expires_at().into_iter().chain(self.terms.refresh_token_expires_at).min();
        end.map_or(u64::MAX, |end| end.saturating_sub(self.issued_at))
    }

    /// Returns what tells sign-ins apart and orders them.
    pub(crate) fn sign_in(&self) -> (u64, u32) {
        (self.signed_in_at, self.generation.sign_ins)
    }

    /// Returns whether a holder has saved this record.
    pub(crate) fn is_stored(&self) -> bool {
        self.revision > 0
    }

    /// Returns when the access token expires; a token that was never valid expired when it was issued.
    pub(crate) fn expires_at(&self) -> Option<u64> {
        match self.validity {
            Validity::UntilRejected { .. } => None,
            Validity::Until { expires_at, .. } => Some(expires_at),
            Validity::Never => Some(self.issued_at),
        }
    }

    /// Returns when a refresh is due by the lifetimes of the tokens.
    pub(crate) fn refresh_at(&self) -> Option<u64> {
        match self.validity {
            Validity::UntilRejected { refresh_at } => refresh_at,
            Validity::Until { refresh_at, .. } => Some(refresh_at),
            Validity::Never => None,
        }
    }

    /// Returns the jitter of this authorization for one `turn`.
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
            .field("trouble", &self.trouble)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// Returns the first 16 bytes of a digest of the first tokens, which tells authorizations apart.
fn authorization_of(access_token: &Secret, refresh_token: Option<&Secret>) -> [u8; 16] {
    client::digest([access_token.expose(), refresh_token.map(Secret::expose).unwrap_or_default()])
}
