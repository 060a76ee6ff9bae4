//! What a [`Session`](crate::Session) keeps in its caller's store: the record, and its serialised form.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::client::IssuedTo;
use crate::error::{Advice, Error, ErrorKind};
use crate::session::policy::{Dice, RefreshPolicy};
use crate::text::scope::Scope;
use crate::text::secret::{self, Secret, is_sound};
use crate::text::time::{END, Span, later, milliseconds, system_time};
use crate::token::{TokenResponse, TokenType};

/// One saved state of a [`Session`](crate::Session), to be kept in a store under one key for each
/// authorization.
///
/// It serialises with serde, to JSON for example. The form holds both tokens, so it is a secret: protect the
/// store, and wipe copies where you can. It is versioned: a version of this crate that does not know a form
/// refuses it with an error that says so, and leaves what is stored as it is. Times in it are milliseconds of
/// Unix time.
#[derive(Clone)]
pub struct Snapshot(pub(crate) Box<Record>);

impl Snapshot {
    /// The number of this state: each save makes it larger by one, from 1 on.
    ///
    /// Keep it in a column of its own, for it is what
    /// [`Save::expected_revision`](crate::session::Save::expected_revision) is compared with.
    pub fn revision(&self) -> u64 {
        self.0.revision
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Snapshot").field(&self.0).finish()
    }
}

/// All that the holders of an authorization share.
#[derive(Clone)]
pub(crate) struct Record {
    /// A digest of the first tokens, which tells authorizations apart.
    pub(crate) authorization: [u8; 16],
    /// Where the refresh token goes, and for whom.
    pub(crate) issued_to: IssuedTo,
    /// 0 before the first save.
    pub(crate) revision: u64,
    /// How many tokens came before these.
    pub(crate) generation: u64,
    pub(crate) access_token: Secret,
    pub(crate) token_type: TokenType,
    pub(crate) refresh_token: Option<Secret>,
    /// What is known to be granted.
    pub(crate) scope: Option<Scope>,
    /// Milliseconds of Unix time, like all times here.
    pub(crate) issued_at: u64,
    pub(crate) expires_at: Option<u64>,
    pub(crate) refresh_at: Option<u64>,
    /// Claims since a token last served for its whole life.
    pub(crate) attempts: u32,
    pub(crate) state: State,
}

/// What is going on with the refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing.
    Quiet,
    /// A holder has it for itself.
    Claimed(Span),
    /// A refresh failed, and the next one waits.
    Backoff(Span),
    /// The server refuses it for good.
    Refused,
}

impl Record {
    /// The first one, with a refresh due at once.
    pub(crate) fn without_tokens(authorization: [u8; 16], issued_to: IssuedTo, now: u64) -> Self {
        Self {
            authorization,
            issued_to,
            revision: 0,
            generation: 0,
            access_token: Secret::new(""),
            token_type: TokenType::Bearer,
            refresh_token: None,
            scope: None,
            issued_at: now,
            expires_at: Some(now),
            refresh_at: Some(now),
            attempts: 0,
            state: State::Quiet,
        }
    }

    /// Makes room for the tokens of a new sign-in by a client.
    pub(crate) fn begin_again(&mut self, issued_to: IssuedTo) {
        // Past all the refreshes that may be under way with older tokens.
        const SIGN_IN: u64 = 1 << 32;
        self.generation = (self.generation / SIGN_IN).saturating_add(1).saturating_mul(SIGN_IN);
        (self.issued_to, self.attempts, self.scope) = (issued_to, 0, None);
    }

    /// Takes over the tokens of a response to a request that was sent at `sent_at`, from when on they are
    /// counted: too early rather than too late. It came at `now`.
    pub(crate) fn take(&mut self, tokens: TokenResponse, sent_at: u64, now: u64, policy: &RefreshPolicy) {
        let lifetime = tokens.expires_in().map(milliseconds);
        // Dead on arrival, whatever it says.
        let lifetime = lifetime.map(|lifetime| if later(sent_at, lifetime) <= now { 0 } else { lifetime });
        self.access_token = tokens.access_token().clone();
        self.token_type = tokens.token_type().clone();
        self.refresh_token = tokens.refresh_token().cloned();
        self.scope = tokens.granted().cloned().or(self.scope.take());
        self.issued_at = sent_at;
        self.expires_at = lifetime.map(|lifetime| later(sent_at, lifetime));
        let mut dice = self.dice(self.generation);
        self.refresh_at = lifetime.map(|lifetime| match lifetime {
            // The next attempt waits as after a failure.
            0 => later(now, policy.pause(self.attempts, &mut dice)),
            _ => later(sent_at, policy.refresh_after(lifetime, self.attempts != 1, &mut dice)),
        });
        self.state = State::Quiet;
    }

    /// Takes over a refresh token that came without a usable access token: the old one has been replaced.
    pub(crate) fn take_refresh_token(&mut self, refresh_token: Secret, now: u64, policy: &RefreshPolicy) {
        self.refresh_token = Some(refresh_token);
        self.expires_at = Some(self.issued_at);
        self.refresh_at = Some(self.issued_at);
        self.fail(None, now, policy);
    }

    /// What follows from a failed attempt; without an error no answer came.
    pub(crate) fn fail(&mut self, error: Option<&Error>, now: u64, policy: &RefreshPolicy) {
        let mut dice = self.dice(self.revision);
        self.state = match error.map(Error::advice) {
            Some(Advice::Reauthorize) => State::Refused,
            // It is the configuration that must change, which takes a person some time.
            Some(Advice::FixConfiguration | Advice::Stop)
                if error.is_some_and(|error| error.kind() == ErrorKind::Refused) =>
            {
                State::Backoff(Span::new(now, policy.longest_pause(&mut dice)))
            }
            _ => {
                let wish = error.and_then(|error| error.retry_after(system_time(now)));
                let wish = wish.map(|wish| policy.retry_after(wish)).unwrap_or_default();
                let pause = policy.pause(self.attempts, &mut dice);
                State::Backoff(Span::new(now, wish.saturating_add(pause)))
            }
        };
    }

    /// Whether this is to be saved over that: later tokens win, and then a refusal, for it is final.
    pub(crate) fn outranks(&self, other: &Self) -> bool {
        let rank = |record: &Self| (record.generation, record.state == State::Refused);
        rank(self) > rank(other)
    }

    /// Whether the access token never was of use.
    pub(crate) fn was_born_dead(&self) -> bool {
        self.expires_at == Some(self.issued_at)
    }

    pub(crate) fn dice(&self, turn: u64) -> Dice {
        let [seed, _] = self.authorization.as_chunks().0 else { return Dice::new(0, turn) };
        Dice::new(u64::from_le_bytes(*seed), turn)
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("revision", &self.revision)
            .field("generation", &self.generation)
            .field("issued_at", &self.issued_at)
            .field("expires_at", &self.expires_at)
            .field("refresh_at", &self.refresh_at)
            .field("attempts", &self.attempts)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// The version of the serialised form.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Stored<'a> {
    version: u32,
    authorization: String,
    client: String,
    revision: u64,
    generation: u64,
    access_token: &'a str,
    token_type: &'a str,
    refresh_token: Option<&'a str>,
    scope: Option<&'a str>,
    issued_at: u64,
    expires_at: Option<u64>,
    refresh_at: Option<u64>,
    attempts: u32,
    state: &'a str,
    since: u64,
    until: u64,
}

impl Serialize for Snapshot {
    fn serialize<S: Serializer>(&self, target: S) -> Result<S::Ok, S::Error> {
        let record = &*self.0;
        let (state, span) = match record.state {
            State::Quiet => ("quiet", Span::new(0, 0)),
            State::Claimed(span) => ("claimed", span),
            State::Backoff(span) => ("backoff", span),
            State::Refused => ("refused", Span::new(0, 0)),
        };
        Stored {
            version: VERSION,
            authorization: URL_SAFE_NO_PAD.encode(record.authorization),
            client: URL_SAFE_NO_PAD.encode(record.issued_to.0),
            revision: record.revision,
            generation: record.generation,
            access_token: record.access_token.expose(),
            token_type: record.token_type.name(),
            refresh_token: record.refresh_token.as_ref().map(Secret::expose),
            scope: record.scope.as_ref().map(Scope::as_str),
            issued_at: record.issued_at,
            expires_at: record.expires_at,
            refresh_at: record.refresh_at,
            attempts: record.attempts,
            state,
            since: span.since,
            until: span.until,
        }
        .serialize(target)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Restored {
    version: u32,
    authorization: String,
    client: String,
    revision: u64,
    generation: u64,
    #[serde(deserialize_with = "secret::deserialize")]
    access_token: Secret,
    token_type: String,
    #[serde(deserialize_with = "present")]
    refresh_token: Option<Token>,
    #[serde(deserialize_with = "present")]
    scope: Option<String>,
    issued_at: u64,
    #[serde(deserialize_with = "present")]
    expires_at: Option<u64>,
    #[serde(deserialize_with = "present")]
    refresh_at: Option<u64>,
    attempts: u32,
    state: String,
    since: u64,
    until: u64,
}

/// A member that may be `null` and must be there.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(source: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(source)
}

#[derive(Deserialize)]
struct Token(#[serde(deserialize_with = "secret::deserialize")] Secret);

impl<'de> Deserialize<'de> for Snapshot {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        // A format's own error may quote what it found, and that may be a token.
        let restored = Restored::deserialize(source).map_err(|_| {
            D::Error::custom(format!(
                "this is no session snapshot of version {VERSION}: it is damaged, or a newer version of the \
                 crate stored it; keep it as it is and read it with that version"
            ))
        })?;
        if restored.version != VERSION {
            return Err(D::Error::custom(format!(
                "this session snapshot has the form of version {}, and this version of the crate reads \
                 version {VERSION}; keep it as it is and read it with the version that stored it",
                restored.version
            )));
        }
        let damaged = |what: &str| {
            D::Error::custom(format!("{what} of the session snapshot is damaged; keep it as it is and look"))
        };
        let digest = |text: &str| URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        let in_range = |time: &u64| *time <= END;
        let span = Some(Span { since: restored.since, until: restored.until })
            .filter(|span| span.since <= span.until && in_range(&span.until))
            .ok_or_else(|| damaged("the span"))?;
        let times = [Some(restored.issued_at), restored.expires_at, restored.refresh_at];
        if !times.iter().flatten().all(in_range)
            || restored.expires_at.is_some() != restored.refresh_at.is_some()
        {
            return Err(damaged("a time"));
        }
        // No number is ever near this, and most databases have no larger ones.
        let most = i64::MAX.unsigned_abs();
        if restored.revision == 0 || restored.revision > most || restored.generation > most {
            return Err(damaged("revision or generation"));
        }
        // An imported session has no access token yet.
        let imported =
            restored.access_token.expose().is_empty() && restored.expires_at == Some(restored.issued_at);
        let access_token = Some(restored.access_token.expose()).filter(|_| !imported);
        let refresh_token = restored.refresh_token.as_ref().map(|token| token.0.expose());
        let texts = [access_token, refresh_token, Some(&restored.token_type)];
        if !texts.into_iter().flatten().all(is_sound) {
            return Err(damaged("a token"));
        }
        Ok(Self(Box::new(Record {
            authorization: digest(&restored.authorization).ok_or_else(|| damaged("authorization"))?,
            issued_to: digest(&restored.client).map(IssuedTo).ok_or_else(|| damaged("client"))?,
            revision: restored.revision,
            generation: restored.generation,
            access_token: restored.access_token,
            token_type: TokenType::from_name(restored.token_type),
            refresh_token: restored.refresh_token.map(|token| token.0),
            scope: restored.scope.map(Scope::from_text),
            issued_at: restored.issued_at,
            expires_at: restored.expires_at,
            refresh_at: restored.refresh_at,
            attempts: restored.attempts,
            state: match restored.state.as_str() {
                "quiet" => State::Quiet,
                "claimed" => State::Claimed(span),
                "backoff" => State::Backoff(span),
                "refused" => State::Refused,
                _ => return Err(damaged("state")),
            },
        })))
    }
}
