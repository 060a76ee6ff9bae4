//! The stored form of a pending device.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::client::StartedBy;
use crate::grants::device::DeviceAuthorization;
use crate::grants::device::answer::{UserCode, parse_address};
use crate::grants::device::pending::{PendingDevice, Phase, Timer};
use crate::text::scope::Scope;
use crate::text::secret::{self, Secret, is_sound};
use crate::text::uri::{PageAddress, Resource};
use crate::token::Extras;

/// Fails after the end: a used device code must not come back from a store.
impl Serialize for PendingDevice {
    fn serialize<S: Serializer>(&self, target: S) -> Result<S::Ok, S::Error> {
        if matches!(self.phase, Phase::Ended(_)) {
            return Err(S::Error::custom("this device authorization has ended; remove it from the store"));
        }
        let authorization = &self.authorization;
        Stored {
            version: VERSION,
            client: URL_SAFE_NO_PAD.encode(authorization.started_by.0),
            device_code: authorization.device_code.expose(),
            user_code: authorization.user_code(),
            verification_uri: authorization.verification_uri(),
            verification_uri_complete: authorization.verification_uri_complete(),
            scope: authorization.scope.as_ref().map_or("", Scope::as_str),
            resources: authorization.resources.iter().map(Resource::as_str).collect(),
            started_at: self.lifetime.since,
            lifetime: self.lifetime.length,
            interval: self.interval,
            pause_since: self.pause.since,
            // The nonce of a poll that is due at once is not stored.
            pause: self.pause.length.max(self.interval),
            waited: self.waited,
            polls: self.polls,
            failures: self.failures,
        }
        .serialize(target)
    }
}

impl<'de> Deserialize<'de> for PendingDevice {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        // The format's own error may quote what it found, such as the device code.
        let not_stored = || {
            D::Error::custom("not a stored device authorization, or a damaged one; let the user start again")
        };
        let restored = Restored::deserialize(source).map_err(|_| not_stored())?;
        // Other JSON may have a version, too; every pending device has a device code.
        if restored.version == 0 || restored.device_code.expose().is_empty() {
            return Err(not_stored());
        }
        if restored.version != VERSION {
            return Err(D::Error::custom(format!(
                "this device authorization has the form of version {}, and this version of the crate reads \
                 version {VERSION}; let the user start again",
                restored.version
            )));
        }
        let damaged = |what: &str| {
            D::Error::custom(format!(
                "{what} of the stored device authorization is damaged; let the user start again"
            ))
        };
        let started_by =
            URL_SAFE_NO_PAD.decode(&restored.client).ok().and_then(|bytes| bytes.try_into().ok());
        let complete = restored.verification_uri_complete.map(parse_address).transpose();
        let complete: Option<PageAddress> = complete.map_err(|_| damaged("verification_uri_complete"))?;
        let scope = Scope::parse(restored.scope).map_err(|_| damaged("scope"))?;
        let resources = restored.resources.into_iter().map(Resource::parse).collect::<Result<_, _>>();
        if !is_sound(restored.device_code.expose()) {
            return Err(damaged("device_code"));
        }
        // A shorter pause would poll faster than any server allows.
        if restored.interval < MIN_INTERVAL || restored.pause < restored.interval {
            return Err(damaged("interval"));
        }
        let authorization = DeviceAuthorization {
            started_by: started_by.map(StartedBy).ok_or_else(|| damaged("client"))?,
            scope: Some(scope).filter(|scope| !scope.as_str().is_empty()),
            resources: resources.map_err(|_| damaged("a resource"))?,
            device_code: restored.device_code,
            user_code: UserCode::parse(restored.user_code).map_err(|_| damaged("user_code"))?,
            verification_uri: parse_address(restored.verification_uri)
                .map_err(|_| damaged("verification_uri"))?,
            verification_uri_complete: complete,
            expires_in: Duration::from_millis(restored.lifetime),
            interval: Duration::from_millis(restored.interval),
            extras: Extras::default(),
        };
        Ok(Self {
            authorization,
            lifetime: Timer::new(restored.started_at, restored.lifetime),
            interval: restored.interval,
            pause: Timer::new(restored.pause_since, restored.pause),
            waited: restored.waited,
            polls: restored.polls,
            failures: restored.failures,
            has_asked_for_nonce: false,
            phase: Phase::Waiting,
            last_error: None,
        })
    }
}

/// Times and lengths are milliseconds.
#[derive(Serialize)]
struct Stored<'a> {
    version: u32,
    client: String,
    device_code: &'a str,
    user_code: &'a str,
    verification_uri: &'a str,
    verification_uri_complete: Option<&'a str>,
    scope: &'a str,
    resources: Vec<&'a str>,
    started_at: u64,
    lifetime: u64,
    interval: u64,
    pause_since: u64,
    pause: u64,
    waited: u64,
    polls: u64,
    failures: u32,
}

/// Every member has a default, so that a form of another version fails on its version and not on its members.
/// No form has version 0.
#[derive(Deserialize)]
#[serde(default)]
struct Restored {
    version: u32,
    client: String,
    #[serde(deserialize_with = "secret::deserialize")]
    device_code: Secret,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    scope: String,
    resources: Vec<String>,
    started_at: u64,
    lifetime: u64,
    interval: u64,
    pause_since: u64,
    pause: u64,
    waited: u64,
    polls: u64,
    failures: u32,
}

impl Default for Restored {
    fn default() -> Self {
        Self {
            version: 0,
            client: String::new(),
            device_code: Secret::new(""),
            user_code: String::new(),
            verification_uri: String::new(),
            verification_uri_complete: None,
            scope: String::new(),
            resources: Vec::new(),
            started_at: 0,
            lifetime: 0,
            interval: 0,
            pause_since: 0,
            pause: 0,
            waited: 0,
            polls: 0,
            failures: 0,
        }
    }
}

/// The version of the stored form.
const VERSION: u32 = 1;

/// The server's interval is in whole seconds, and not 0.
const MIN_INTERVAL: u64 = 1_000;
