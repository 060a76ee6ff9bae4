//! Step-up: the demands of an API that the next authorization request passes on.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::challenge::{Challenge, debug_some};
use crate::error::echo::PlainCode;
use crate::error::{Error, Refusal};
use crate::text::scope::Scope;

/// The demands that an API made and no sign-in has met yet: more scopes (RFC 6750 §3.1), or a stronger or
/// newer authentication of the user (RFC 9470).
///
/// Keep one for each user and API, with the session. [`demanded`](Self::demanded) adds a demand,
/// [`AuthorizationRequest::step_up`] asks for it, and [`reset`](Self::reset) ends it. It serialises with
/// serde, so that its count survives a restart; the form has a version and holds no secret.
///
/// [`AuthorizationRequest::step_up`]: crate::authorization::AuthorizationRequest::step_up
///
/// ```
/// use oauth2_proto::challenge::{Challenges, StepUp, StepUpPolicy};
///
/// let policy = StepUpPolicy::within(["files:read", "files:write"]);
/// let mut step_up = StepUp::default();
/// let challenges =
///     Challenges::parse([r#"Bearer error="insufficient_scope", scope="files:write""#]);
/// step_up.demanded(challenges.bearer().unwrap(), ["files:read"], &policy)?;
/// assert_eq!(step_up.scopes().collect::<Vec<_>>(), ["files:read", "files:write"]);
///
/// // The user signed in, and the API demands the same.
/// let granted = ["files:read", "files:write"];
/// let again = challenges.bearer().unwrap();
/// let error = step_up.demanded(again, granted, &policy).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "refused by the server: \"insufficient_scope\"; the API demands nothing that was \
///      not asked for already"
/// );
/// # Ok::<(), oauth2_proto::Error>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StepUp {
    /// The scopes that were granted, and those that were demanded.
    scope: Scope,
    /// Empty if none were demanded.
    acr_values: String,
    /// A number of seconds; empty if none was demanded.
    max_age: String,
    /// The number of demands.
    attempts: u32,
}

impl StepUp {
    /// Adds the demand of a challenge with `insufficient_scope` or `insufficient_user_authentication`. Then
    /// send the user to sign in.
    ///
    /// The next authorization request asks for the scopes that are `granted` now, those demanded earlier, and
    /// those of the challenge, so that no permission is lost. New `acr_values` replace earlier ones, and the
    /// smallest `max_age` counts. `granted` may include scopes that servers do not list, such as
    /// `offline_access`.
    ///
    /// # Errors
    ///
    /// An error changes nothing. Report it: another sign-in does not help.
    ///
    /// - Refused: the API demands nothing that was not asked for already, or the demands reached
    ///   [`max_attempts`](StepUpPolicy::max_attempts).
    /// - Suspect: the policy does not allow one of the scopes.
    /// - Invalid: the challenge names nothing to ask for, or more than 4096 bytes of it.
    /// - Misuse: the challenge has another error code.
    pub fn demanded(
        &mut self,
        challenge: &Challenge,
        granted: impl IntoIterator<Item = impl AsRef<str>>,
        policy: &StepUpPolicy,
    ) -> Result<(), Error> {
        let granted: Vec<_> = granted.into_iter().collect();
        let mut scope = Scope::default();
        scope.add_missing(granted.iter().map(AsRef::as_ref).chain(self.scope.tokens()));
        let next = self.next(challenge, scope, policy)?;
        *self = next;
        Ok(())
    }

    /// Forgets all demands. Call it after the API accepted a request, and when the user starts again by hand
    /// after an error or an abandoned sign-in.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Returns the scopes to ask for: those that were granted, then those that were demanded.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scope.tokens()
    }

    /// Returns the demanded ways to authenticate, the preferred one first.
    pub fn acr_values(&self) -> impl Iterator<Item = &str> {
        self.acr_values.split(' ').filter(|value| !value.is_empty())
    }

    /// Returns the maximum age of the user's authentication, in whole seconds.
    pub fn max_age(&self) -> Option<Duration> {
        self.max_age.parse().ok().map(Duration::from_secs)
    }

    /// Returns the number of demands since the last [`reset`](Self::reset).
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Returns the parameters for the authorization request (RFC 9470 §4).
    pub(crate) fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        let parameters = [("acr_values", self.acr_values.as_str()), ("max_age", self.max_age.as_str())];
        parameters.into_iter().filter(|(_, value)| !value.is_empty())
    }

    /// Returns the demands after this challenge; `scope` holds the scopes that were granted or demanded
    /// earlier.
    fn next(&self, challenge: &Challenge, mut scope: Scope, policy: &StepUpPolicy) -> Result<Self, Error> {
        let code = match challenge.error() {
            Some(code @ ("insufficient_scope" | "insufficient_user_authentication")) => code,
            _ => {
                return Err(Error::misuse(
                    "the challenge demands neither scopes nor another sign-in; pass the one of Verdict::StepUp",
                ));
            }
        };
        let acr_values = challenge.acr_values().collect::<Vec<_>>().join(" ");
        let max_age = challenge.max_age();
        let demanded = || challenge.scopes();
        if demanded().next().is_none() && acr_values.is_empty() && max_age.is_none() {
            return Err(Error::invalid(
                "the API's challenge names no scope, no acr_values and no max_age to ask for",
            ));
        }
        if demanded().map(str::len).sum::<usize>() + acr_values.len() > MAX_DEMAND {
            return Err(Error::invalid("the API's challenge demands more than fits into a URL"));
        }
        let known: BTreeSet<_> = scope.tokens().collect();
        let is_new = |token: &&str| !known.contains(token);
        if let Some(refused) = demanded().filter(is_new).find(|token| !policy.allows(token)) {
            return Err(Error::untrusted(format!(
                "the API demands the scope {}, which the program does not let it demand; see StepUpPolicy::within",
                PlainCode(refused)
            )));
        }
        let has_new_acr_values = !acr_values.is_empty() && acr_values != self.acr_values;
        let newest = max_age.filter(|max_age| self.max_age().is_none_or(|earlier| *max_age < earlier));
        if !demanded().any(|token| is_new(&token)) && !has_new_acr_values && newest.is_none() {
            return Err(refused(code, "the API demands nothing that was not asked for already"));
        }
        if self.attempts >= policy.max_attempts {
            return Err(refused(code, "the user was sent to sign in as often as the policy allows"));
        }
        scope.add_missing(demanded());
        Ok(Self {
            scope,
            acr_values: if has_new_acr_values { acr_values } else { self.acr_values.clone() },
            max_age: newest.map_or_else(|| self.max_age.clone(), |max_age| max_age.as_secs().to_string()),
            attempts: self.attempts.saturating_add(1),
        })
    }
}

/// The scopes that your program lets an API demand, and how often.
///
/// Users see each scope before they grant it, and many grant all of them. So your program decides which
/// scopes it may ask for, and not the API.
#[derive(Clone)]
pub struct StepUpPolicy {
    /// `None` for all scopes.
    allowed: Option<BTreeSet<String>>,
    max_attempts: u32,
}

impl StepUpPolicy {
    /// Lets an API demand these scopes, and no others.
    pub fn within(scopes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let allowed = scopes.into_iter().map(Into::into).collect();
        Self { allowed: Some(allowed), max_attempts: Self::MAX_ATTEMPTS }
    }

    /// Lets an API demand any scope.
    ///
    /// Use it in programs that do not know their APIs, such as MCP clients. The user's consent is then the
    /// only limit: show them which API asks.
    pub fn any_scope() -> Self {
        Self { allowed: None, max_attempts: Self::MAX_ATTEMPTS }
    }

    /// Sets how often the user is sent to sign in before [`StepUp::reset`], instead of 3 times.
    pub fn max_attempts(mut self, max_attempts: u32) -> Self {
        self.max_attempts = max_attempts;
        self
    }

    const MAX_ATTEMPTS: u32 = 3;

    fn allows(&self, scope: &str) -> bool {
        self.allowed.as_ref().is_none_or(|allowed| allowed.contains(scope))
    }
}

impl fmt::Debug for StepUpPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepUpPolicy")
            .field("allowed", &self.allowed)
            .field("max_attempts", &self.max_attempts)
            .finish()
    }
}

impl fmt::Debug for StepUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepUp")
            .field("scopes", &Shown(self.scope.as_str()))
            .field("acr_values", &Shown(&self.acr_values))
            .field("max_age", &self.max_age())
            .field("attempts", &self.attempts)
            .finish()
    }
}

/// A space-separated list from an API, which may repeat the token that it received.
struct Shown<'a>(&'a str);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<_> = self.0.split(' ').filter(|text| !text.is_empty()).map(PlainCode).collect();
        debug_some(f, texts)
    }
}

impl Serialize for StepUp {
    fn serialize<S: Serializer>(&self, target: S) -> Result<S::Ok, S::Error> {
        let Self { scope, acr_values, max_age, attempts } = self.clone();
        let stored =
            Stored { version: VERSION, scope: scope.as_str().to_owned(), acr_values, max_age, attempts };
        stored.serialize(target)
    }
}

impl<'de> Deserialize<'de> for StepUp {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        // The format's own error may quote what it found.
        let damaged =
            || D::Error::custom("not a stored step-up, or a damaged one; begin with StepUp::default");
        let Stored { version, scope, acr_values, max_age, attempts } =
            Stored::deserialize(source).map_err(|_| damaged())?;
        if version != 0 && version != VERSION {
            return Err(D::Error::custom(format!(
                "this step-up has the form of version {version}, and this version of the crate reads version \
                 {VERSION}; begin with StepUp::default"
            )));
        }
        let is_sound = version == VERSION
            && acr_values.bytes().all(|byte| matches!(byte, b' '..=b'~'))
            && (max_age.is_empty()
                || max_age.parse::<u64>().is_ok_and(|number| number.to_string() == max_age));
        match Scope::parse(scope) {
            Ok(scope) if is_sound => Ok(Self { scope, acr_values, max_age, attempts }),
            _ => Err(damaged()),
        }
    }
}

/// Every member has a default, so that a form of another version fails on its version and not on its members.
/// No form has version 0.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Stored {
    version: u32,
    scope: String,
    acr_values: String,
    max_age: String,
    attempts: u32,
}

/// The version of the stored form.
const VERSION: u32 = 1;

/// The maximum length of scopes and `acr_values` in one demand, in bytes. Servers accept URLs of 8 KiB or
/// more.
const MAX_DEMAND: usize = 4096;

fn refused(code: &str, why: &'static str) -> Error {
    Error::refused(Refusal { code: Some(code.to_owned()), ..Refusal::default() }).with_hint(Some(why.into()))
}
