//! What a [`Session`](crate::Session) keeps in its caller's store: the snapshot, and its serialised form.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::client::IssuedTo;
use crate::session::record::{Generation, Record, State, Validity};
use crate::text::scope::Scope;
use crate::text::secret::{self, Secret, is_sound};
use crate::text::time::{END, Span};
use crate::token::TokenType;

/// One saved state of a [`Session`](crate::Session), to keep in a store under one key for each authorization.
///
/// It serialises with serde, to JSON for example. The form holds both tokens, so it is a secret: protect the
/// store, and wipe copies where you can. The form has a version: a crate that does not know it refuses it with an
/// error that says so, and leaves what is stored unchanged. Times in it are milliseconds of Unix time.
#[derive(Clone)]
pub struct Snapshot(pub(crate) Box<Record>);

impl Snapshot {
    /// Returns the number of this state: 1 for the first save, and one more for each later one.
    ///
    /// Keep it in a column of its own: your compare-and-swap compares it with
    /// [`Save::expected_revision`](crate::session::Save::expected_revision).
    pub fn revision(&self) -> u64 {
        self.0.revision
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Snapshot").field(&self.0).finish()
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
            generation: record.generation.to_u64(),
            access_token: record.access_token.expose(),
            token_type: record.token_type.name(),
            refresh_token: record.refresh_token.as_ref().map(Secret::expose),
            scope: record.scope.as_ref().map(Scope::as_str),
            issued_at: record.issued_at,
            expires_at: record.expires_at(),
            refresh_at: record.refresh_at(),
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

/// Reads a member that must be present and may be `null`.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(source: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(source)
}

#[derive(Deserialize)]
struct Token(#[serde(deserialize_with = "secret::deserialize")] Secret);

impl<'de> Deserialize<'de> for Snapshot {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        // The format's own error may quote a token.
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
            D::Error::custom(format!(
                "{what} of the session snapshot is damaged; keep it as it is and find out who wrote it"
            ))
        };
        let digest = |text: &str| URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        let in_range = |time: &u64| *time <= END;
        let span = Some(Span { since: restored.since, until: restored.until })
            .filter(|span| span.since <= span.until && in_range(&span.until))
            .ok_or_else(|| damaged("the span"))?;
        let times = [Some(restored.issued_at), restored.expires_at, restored.refresh_at];
        if !times.iter().flatten().all(in_range) {
            return Err(damaged("a time"));
        }
        let validity = match (restored.expires_at, restored.refresh_at) {
            (None, None) => Validity::UntilRejected,
            (Some(end), Some(refresh_at)) if end == restored.issued_at => Validity::Never { refresh_at },
            (Some(expires_at), Some(refresh_at)) => Validity::Until { expires_at, refresh_at },
            _ => return Err(damaged("a time")),
        };
        // Most databases have no larger numbers.
        let max = i64::MAX.unsigned_abs();
        if restored.revision == 0 || restored.revision > max || restored.generation > max {
            return Err(damaged("revision or generation"));
        }
        // A session made from a refresh token has no access token yet.
        let is_absent =
            restored.access_token.expose().is_empty() && matches!(validity, Validity::Never { .. });
        let access_token = Some(restored.access_token.expose()).filter(|_| !is_absent);
        let refresh_token = restored.refresh_token.as_ref().map(|token| token.0.expose());
        let texts = [access_token, refresh_token, Some(&restored.token_type)];
        if !texts.into_iter().flatten().all(is_sound) {
            return Err(damaged("a token"));
        }
        Ok(Self(Box::new(Record {
            authorization: digest(&restored.authorization).ok_or_else(|| damaged("authorization"))?,
            issued_to: IssuedTo(digest(&restored.client).ok_or_else(|| damaged("client"))?),
            revision: restored.revision,
            generation: Generation::from_u64(restored.generation),
            access_token: restored.access_token,
            token_type: TokenType::from_name(restored.token_type),
            refresh_token: restored.refresh_token.map(|token| token.0),
            scope: restored.scope.map(Scope::from_text),
            issued_at: restored.issued_at,
            validity,
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
