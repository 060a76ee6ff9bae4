//! The reader of the device authorization response (RFC 8628 §3.2): what the user sees must be safe to show.

use std::time::Duration;

use crate::answer;
use crate::call::{Readable, Reply, Response, sealed};
use crate::client::StartedBy;
use crate::error::Error;
use crate::grants::device::DeviceAuthorization;
use crate::text::foreign::Foreign;
use crate::text::json::Member;
use crate::text::scope::Scope;
use crate::text::uri::{PageAddress, Resource};

/// The context that the reader of a device authorization needs.
pub struct DeviceContext {
    pub(super) started_by: StartedBy,
    pub(super) scope: Option<Scope>,
    pub(super) resources: Vec<Resource<'static>>,
}

impl Reply for DeviceAuthorization {}

impl sealed::Reply for DeviceAuthorization {
    type Context = DeviceContext;
}

impl Readable for DeviceAuthorization {
    type Output = Self;

    fn read(response: Response<'_>, context: &DeviceContext) -> Result<Self, Error> {
        let (members, extras) = answer::read(&response, NAMES).map_err(Error::without_grant)?;
        let [device_code, user_code, uri, url, complete, expires_in, interval] = members;
        let device_code =
            answer::secret("device_code", device_code)?.ok_or_else(|| answer::missing("device_code"))?;
        let user_code = answer::text("user_code", user_code)?.ok_or_else(|| answer::missing("user_code"))?;
        let user_code = UserCode::parse(user_code).map_err(Error::invalid)?;
        let address = match optional_address("verification_uri", uri)? {
            Some(address) => Some(address),
            // The name in early drafts, which Google still uses.
            None => optional_address("verification_url", url)?,
        };
        let expires_in = answer::seconds("expires_in", expires_in)?;
        let interval = answer::seconds("interval", interval)?;
        Ok(Self {
            started_by: context.started_by,
            scope: context.scope.clone(),
            resources: context.resources.clone(),
            device_code,
            user_code,
            verification_uri: address.ok_or_else(|| answer::missing("verification_uri"))?,
            // Its path may hold the user code, so the message does not show it.
            verification_uri_complete: optional_address("verification_uri_complete", complete).map_err(
                |_| {
                    Error::invalid(
                        "the verification_uri_complete is no text with a sound https or http address",
                    )
                },
            )?,
            expires_in: expires_in.ok_or_else(|| answer::missing("expires_in"))?,
            interval: interval.filter(|interval| !interval.is_zero()).unwrap_or(DEFAULT_INTERVAL),
            extras,
        })
    }
}

/// Reads an address that the user opens; an empty text counts as absent.
fn optional_address(name: &str, member: Member<'_>) -> Result<Option<PageAddress>, Error> {
    if matches!(&member, Member::Text(text) if text.is_empty()) {
        return Ok(None);
    }
    let Some(text) = answer::text(name, member)? else { return Ok(None) };
    parse_address(text).map(Some).map_err(|refused| Error::invalid(format!("the {name} {refused}")))
}

/// Parses an address that the user opens: a sound web address that is not too long for a QR code.
pub(super) fn parse_address(text: String) -> Result<PageAddress, String> {
    if text.len() > MAX_ADDRESS {
        return Err(format!("is longer than {MAX_ADDRESS} bytes"));
    }
    PageAddress::parse(text).map_err(|refused| refused.to_string())
}

/// A code that a person can read and type.
pub(super) struct UserCode(pub(super) String);

impl UserCode {
    /// Parses a code of letters, digits, spaces and the visible signs of ASCII. Other characters, such as
    /// those that reverse the direction of the text, could change what the user sees (RFC 8628 §6.1).
    pub(super) fn parse(text: String) -> Result<Self, String> {
        // Unicode counts the fillers of Hangul as letters, and they show nothing.
        let is_filler = |character| matches!(character, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}');
        let is_visible = |character: char| {
            character.is_ascii_graphic() || character.is_alphanumeric() && !is_filler(character)
        };
        if text.chars().count() > MAX_USER_CODE {
            return Err(format!("the user_code is longer than {MAX_USER_CODE} characters"));
        }
        if !text.chars().any(is_visible) {
            return Err("the user_code is empty".to_owned());
        }
        match text.chars().find(|character| !is_visible(*character) && *character != ' ') {
            None => Ok(Self(text)),
            Some(other) => Err(format!(
                "the user_code holds a character that cannot be shown: {}",
                Foreign(other.encode_utf8(&mut [0; 4]))
            )),
        }
    }
}

/// The members of the answer that this crate reads.
const NAMES: &[&str; 7] = &[
    "device_code",
    "user_code",
    "verification_uri",
    "verification_url",
    "verification_uri_complete",
    "expires_in",
    "interval",
];

const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);

/// The maximum length of a user code, in characters. People type codes of 6 to 12 (RFC 8628 §6.1).
const MAX_USER_CODE: usize = 128;

/// The maximum length of an address that the user opens, in bytes. Browsers and QR codes take as much.
const MAX_ADDRESS: usize = 2048;
