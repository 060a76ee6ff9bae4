//! The snapshot of a [`Session`](crate::Session) for your program's store, and its serialised form.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::client::IssuedTo;
use crate::grants::added;
use crate::session::record::{Generation, Record, State, Terms, Validity};
use crate::session::source::Source;
use crate::session::trouble::{MAX_CODE, Trouble, TroubleKind};
use crate::text::scope::Scope;
use crate::text::secret::{self, Secret, is_sound};
use crate::text::time::{END, Span};
use crate::text::uri::Resource;
use crate::token::{Parameters, TokenType};

/// One saved state of a [`Session`](crate::Session), to keep in a store under one key for each authorization.
///
/// A snapshot serialises with serde, to JSON for example. The form holds both tokens, so it is a secret:
/// protect the store, and wipe copies where you can. The form has a version: this crate writes version 2,
/// version 3 for tokens of client credentials, or version 4 for tokens that are bound to a key, and reads
/// versions 1 to 4. It refuses any other version with an error that says so, and changes nothing in the store.
/// Times in it are milliseconds of Unix time.
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

/// The latest version of the serialised form, which is written for tokens that are bound to a key: earlier
/// versions of this crate must not send them without its proofs.
const VERSION: u32 = 4;

/// The version that is written for other client credentials: still earlier versions of this crate must not
/// take such a session for one that has ended.
const VERSION_OF_CLIENT_CREDENTIALS: u32 = 3;

/// The version that is written for all other sessions. Version 1 is also read.
const VERSION_OF_SIGN_INS: u32 = 2;

#[derive(Serialize)]
struct Stored<'a> {
    version: u32,
    authorization: String,
    issued_to: String,
    revision: u64,
    generation: u64,
    signed_in_at: u64,
    access_token: &'a str,
    token_type: &'a str,
    refresh_token: Option<&'a str>,
    refresh_token_expires_at: Option<u64>,
    scope: Option<&'a str>,
    asked_scope: Option<&'a str>,
    asked_resources: Vec<&'a str>,
    ends_together: bool,
    issued_at: u64,
    expires_at: Option<u64>,
    refresh_at: Option<u64>,
    attempts: u32,
    trouble: Option<StoredTrouble<'a>>,
    state: &'a str,
    since: u64,
    until: u64,
    /// The added parameters of a client credentials request; only versions 3 and 4 have this member.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_credentials: Option<Vec<(&'a str, &'a str)>>,
    /// The thumbprint of the key that the tokens are bound to; only version 4 has this member.
    #[serde(skip_serializing_if = "Option::is_none")]
    bound_to: Option<String>,
}

#[derive(Serialize)]
struct StoredTrouble<'a> {
    since: u64,
    failures: u32,
    unclear_refusals: u32,
    kind: &'a str,
    status: Option<u16>,
    code: Option<&'a str>,
}

impl Serialize for Snapshot {
    fn serialize<S: Serializer>(&self, target: S) -> Result<S::Ok, S::Error> {
        let record = &*self.0;
        let terms = &*record.terms;
        let (state, span) = match record.state {
            State::Quiet => ("quiet", Span::new(0, 0)),
            State::Claimed(span) => ("claimed", span),
            State::Backoff(span) => ("backoff", span),
            State::Refused => ("refused", Span::new(0, 0)),
            State::Ended => ("ended", Span::new(0, 0)),
        };
        let parameters =
            || terms.asked_parameters.iter().map(|(name, value)| (name.as_str(), value.expose()));
        let client_credentials = match record.source {
            Source::ClientCredentials => Some(parameters().collect()),
            Source::SignIn | Source::RefreshToken(_) => None,
        };
        Stored {
            version: version(client_credentials.is_some(), terms.bound_to.is_some()),
            authorization: URL_SAFE_NO_PAD.encode(record.authorization),
            issued_to: URL_SAFE_NO_PAD.encode(record.issued_to.0),
            revision: record.revision,
            generation: record.generation.to_u64(),
            signed_in_at: record.signed_in_at,
            access_token: record.access_token.expose(),
            token_type: terms.token_type.name(),
            refresh_token: record.source.refresh_token().map(Secret::expose),
            refresh_token_expires_at: terms.refresh_token_expires_at,
            scope: terms.scope.as_ref().map(Scope::as_str),
            asked_scope: terms.asked_scope.as_ref().map(Scope::as_str),
            asked_resources: terms.asked_resources.iter().map(AsRef::as_ref).collect(),
            ends_together: record.ends_together,
            issued_at: record.issued_at,
            expires_at: record.expires_at(),
            refresh_at: record.refresh_at(),
            attempts: record.attempts,
            trouble: record.trouble.as_deref().map(|trouble| StoredTrouble {
                since: trouble.since,
                failures: trouble.failures,
                unclear_refusals: trouble.unclear_refusals,
                kind: name_of(trouble.kind),
                status: trouble.status,
                code: trouble.code.as_deref(),
            }),
            state,
            since: span.since,
            until: span.until,
            client_credentials,
            bound_to: terms.bound_to.map(|key| URL_SAFE_NO_PAD.encode(key)),
        }
        .serialize(target)
    }
}

/// Returns the version that is written.
fn version(has_client_credentials: bool, is_bound: bool) -> u32 {
    match (is_bound, has_client_credentials) {
        (true, _) => VERSION,
        (false, true) => VERSION_OF_CLIENT_CREDENTIALS,
        (false, false) => VERSION_OF_SIGN_INS,
    }
}

const KINDS: &[(TroubleKind, &str)] = &[
    (TroubleKind::NoAnswer, "no_answer"),
    (TroubleKind::Unavailable, "unavailable"),
    (TroubleKind::Unreadable, "unreadable"),
    (TroubleKind::UnusableToken, "unusable_token"),
    (TroubleKind::NotTheServer, "not_the_server"),
    (TroubleKind::ClientRejected, "client_rejected"),
    (TroubleKind::UnclearRefusal, "unclear_refusal"),
    (TroubleKind::Refused, "refused"),
];

fn name_of(kind: TroubleKind) -> &'static str {
    KINDS.iter().find(|(known, _)| *known == kind).map_or("", |(_, name)| name)
}

fn kind_of(name: &str) -> Option<TroubleKind> {
    KINDS.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
}

/// The members of versions 1 to 4; those with a default are new in version 2, and the last two in versions 3
/// and 4.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Restored {
    version: u32,
    authorization: String,
    #[serde(alias = "client")]
    issued_to: String,
    revision: u64,
    generation: u64,
    #[serde(default)]
    signed_in_at: u64,
    #[serde(deserialize_with = "secret::deserialize")]
    access_token: Secret,
    token_type: String,
    #[serde(deserialize_with = "present")]
    refresh_token: Option<Token>,
    #[serde(default)]
    refresh_token_expires_at: Option<u64>,
    #[serde(deserialize_with = "present")]
    scope: Option<String>,
    #[serde(default)]
    asked_scope: Option<String>,
    #[serde(default)]
    asked_resources: Vec<String>,
    #[serde(default)]
    ends_together: bool,
    issued_at: u64,
    #[serde(deserialize_with = "present")]
    expires_at: Option<u64>,
    #[serde(deserialize_with = "present")]
    refresh_at: Option<u64>,
    attempts: u32,
    #[serde(default)]
    trouble: Option<RestoredTrouble>,
    state: String,
    since: u64,
    until: u64,
    #[serde(default, deserialize_with = "some")]
    client_credentials: Option<Vec<(String, Token)>>,
    #[serde(default, deserialize_with = "some")]
    bound_to: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RestoredTrouble {
    since: u64,
    failures: u32,
    unclear_refusals: u32,
    kind: String,
    status: Option<u16>,
    code: Option<String>,
}

/// Reads a member that must be present and may be `null`.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(source: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(source)
}

/// Reads a member that may be missing and must not be `null`.
fn some<'de, D: Deserializer<'de>, T: Deserialize<'de>>(source: D) -> Result<Option<T>, D::Error> {
    T::deserialize(source).map(Some)
}

#[derive(Deserialize)]
struct Token(#[serde(deserialize_with = "secret::deserialize")] Secret);

impl<'de> Deserialize<'de> for Snapshot {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        // The format's own error may quote a token.
        let restored = Restored::deserialize(source).map_err(|_| {
            D::Error::custom(format!(
                "this is no session snapshot of version 1 to {VERSION}: it is damaged, or a newer version of the \
                 crate stored it; keep it as it is and read it with that version"
            ))
        })?;
        if !(1..=VERSION).contains(&restored.version) {
            return Err(D::Error::custom(format!(
                "this session snapshot has the form of version {}, and this version of the crate reads version 1 \
                 to {VERSION}; keep it as it is and read it with the version that stored it",
                restored.version
            )));
        }
        let record = restored.into_record().map_err(|what| {
            D::Error::custom(format!(
                "{what} of the session snapshot is damaged; keep it as it is and find out who wrote it"
            ))
        })?;
        Ok(Self(Box::new(record)))
    }
}

impl Restored {
    /// Checks every member. The error names the damaged one.
    fn into_record(self) -> Result<Record, &'static str> {
        let times = [
            Some(self.issued_at),
            Some(self.signed_in_at),
            Some(self.until),
            self.expires_at,
            self.refresh_at,
            self.refresh_token_expires_at,
        ];
        if times.into_iter().flatten().any(|time| time > END) || self.since > self.until {
            return Err("a time");
        }
        // Most databases have no larger numbers.
        let max = i64::MAX.unsigned_abs();
        if self.revision == 0 || self.revision > max || self.generation > max {
            return Err("revision or generation");
        }
        let (validity, state) = self.validity_and_state()?;
        let written = version(self.client_credentials.is_some(), self.bound_to.is_some());
        if (self.version != written && (self.version, written) != (1, VERSION_OF_SIGN_INS))
            || (self.client_credentials.is_some() && self.refresh_token.is_some())
        {
            return Err("the source of the tokens, or their key,");
        }
        let bound_to = self.bound_to.as_deref().map(|key| digest(key).ok_or("the key"));
        // A session made from a refresh token has no access token yet.
        let is_absent = self.access_token.expose().is_empty() && validity == Validity::Never;
        let access_token = Some(self.access_token.expose()).filter(|_| !is_absent);
        let refresh_token = self.refresh_token.as_ref().map(|token| token.0.expose());
        let texts = [access_token, refresh_token, Some(&self.token_type)];
        if !texts.into_iter().flatten().all(is_sound) {
            return Err("a token");
        }
        let resources = self.asked_resources.iter();
        let resources =
            resources.map(|it| Resource::parse(it).map(Resource::into_owned).map_err(|_| "a resource"));
        let is_asked_again = self.client_credentials.is_some();
        let source = match is_asked_again {
            true => Source::ClientCredentials,
            false => self.refresh_token.map(|token| token.0).into(),
        };
        let asked_parameters = self.client_credentials.into_iter().flatten();
        let asked_parameters: Parameters = asked_parameters.map(|(name, value)| (name, value.0)).collect();
        if !added::can_be_sent(&asked_parameters) {
            return Err("a parameter");
        }
        let terms = Terms {
            token_type: TokenType::from_name(self.token_type),
            refresh_token_expires_at: self.refresh_token_expires_at,
            scope: self.scope.map(Scope::from_text),
            asked_scope: match self.asked_scope {
                Some(scope) if is_asked_again => Some(Scope::parse(scope).map_err(|_| "a scope")?),
                scope => scope.map(Scope::from_text),
            },
            asked_resources: resources.collect::<Result<_, _>>()?,
            asked_parameters,
            bound_to: bound_to.transpose()?,
        };
        Ok(Record {
            authorization: digest(&self.authorization).ok_or("authorization")?,
            issued_to: IssuedTo(digest(&self.issued_to).ok_or("issued_to")?),
            revision: self.revision,
            generation: Generation::from_u64(self.generation),
            signed_in_at: self.signed_in_at,
            access_token: self.access_token,
            source,
            terms: terms.into(),
            ends_together: self.ends_together,
            issued_at: self.issued_at,
            validity,
            attempts: self.attempts,
            trouble: self.trouble.map(RestoredTrouble::into_trouble).transpose()?.map(Box::new),
            state,
        })
    }

    fn validity_and_state(&self) -> Result<(Validity, State), &'static str> {
        let is_first_version = self.version == 1;
        let span = Span { since: self.since, until: self.until };
        let state = match self.state.as_str() {
            "quiet" => State::Quiet,
            "claimed" => State::Claimed(span),
            "backoff" => State::Backoff(span),
            "refused" => State::Refused,
            "ended" if !is_first_version => State::Ended,
            _ => return Err("state"),
        };
        match (self.expires_at, self.refresh_at) {
            // Without the refresh token's end there is nothing to refresh in time for.
            (None, Some(_)) if self.refresh_token_expires_at.is_none() => Err("a time"),
            (None, refresh_at) => Ok((Validity::UntilRejected { refresh_at }, state)),
            // Version 1 kept the pause after a token that was dead on arrival as the time of its refresh.
            (Some(end), Some(until)) if end == self.issued_at && is_first_version => match state {
                State::Quiet if until > self.issued_at => {
                    // A wrong clock may have stored any time, and no such pause was meant to last longer.
                    const HOUR: u64 = 3_600_000;
                    let length = until.saturating_sub(self.issued_at).min(HOUR);
                    Ok((Validity::Never, State::Backoff(Span::new(self.issued_at, length))))
                }
                _ => Ok((Validity::Never, state)),
            },
            (Some(end), None) if end == self.issued_at && !is_first_version => Ok((Validity::Never, state)),
            (Some(expires_at), Some(refresh_at)) => Ok((Validity::Until { expires_at, refresh_at }, state)),
            (Some(_), None) => Err("a time"),
        }
    }
}

impl RestoredTrouble {
    fn into_trouble(self) -> Result<Trouble, &'static str> {
        let is_sound_code =
            |code: &String| code.len() <= MAX_CODE && code.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if self.since > END || !self.code.iter().all(is_sound_code) {
            return Err("trouble");
        }
        Ok(Trouble {
            since: self.since,
            failures: self.failures,
            unclear_refusals: self.unclear_refusals,
            kind: kind_of(&self.kind).ok_or("trouble")?,
            status: self.status,
            code: self.code.map(String::into_boxed_str),
        })
    }
}

fn digest<const N: usize>(text: &str) -> Option<[u8; N]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}
