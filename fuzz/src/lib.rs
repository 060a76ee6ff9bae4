//! Helpers of the fuzz targets: fixed, visibly fake clients, a parser for the lines of an input, and a model of
//! the rules for token responses.

use std::fmt::Debug;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use oauth2_proto::{
    AuthorizationServer, Call, Client, ClientAuth, Entropy, Error, PendingAuthorization, TokenResponse,
    server::Leniency,
};
use serde_json::{Map, Value};

/// The `state` of [`stored_pending`]; short, so that a fuzzer can guess it.
pub const STATE: &str = "fake-state";

/// The code of [`code_call`].
pub const CODE: &str = "fake-code";

/// The client secret of [`server`]'s client; it contains characters that a faulty encoding loses.
pub const CLIENT_SECRET: &str = "fake secret:&=+%41?";

/// The placeholder for a server's text that repeats a secret of the request.
pub const WITHHELD: &str = "[withheld: it repeats a secret of the request]";

/// The issuer of a target's server, if it has one.
pub const ISSUER: &str = "https://as.example";

/// Returns a fixed time in 2023.
pub fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

/// Returns the same random bytes for each sign-in: only one is pending at a time.
pub fn entropy() -> Entropy {
    Entropy::from_bytes([7; 128])
}

/// Returns a server with known endpoints and no other settings.
pub fn server() -> AuthorizationServer {
    static SERVER: LazyLock<AuthorizationServer> = LazyLock::new(|| {
        AuthorizationServer::new("https://as.example/authorize", "https://as.example/token").unwrap()
    });
    SERVER.clone()
}

/// Returns a client that authenticates with HTTP Basic.
pub fn client(server: AuthorizationServer) -> Client {
    Client::new(server, "fake-client", ClientAuth::basic(CLIENT_SECRET)).unwrap()
}

/// Returns the stored form of a pending authorization that waits for [`STATE`]. Make it once, and restore it
/// for each input.
pub fn stored_pending(client: &Client) -> String {
    let request = client.authorize("https://app.example/callback");
    let (_, pending) = request.start_with(entropy(), now()).unwrap();
    let mut stored = serde_json::to_value(pending).unwrap();
    stored["state"] = STATE.into();
    stored.to_string()
}

/// Returns the call for [`CODE`], made by a client of [`server`].
pub fn code_call(client: &Client) -> Call<TokenResponse> {
    // The stored form depends neither on the client authentication nor on leniencies.
    static STORED: LazyLock<String> = LazyLock::new(|| stored_pending(&self::client(server())));
    let mut pending: PendingAuthorization = serde_json::from_str(&STORED).unwrap();
    let callback = format!("code={CODE}&state={STATE}");
    pending.receive(client, callback.as_str(), now()).unwrap()
}

/// Splits an input into its first `N` lines, as text, and the bytes after them.
pub fn lines<const N: usize>(mut data: &[u8]) -> Option<([&str; N], &[u8])> {
    let mut lines = [""; N];
    for line in &mut lines {
        let end = data.iter().position(|byte| *byte == b'\n')?;
        *line = std::str::from_utf8(&data[..end]).ok()?;
        data = &data[end + 1..];
    }
    Some((lines, data))
}

/// Reads a JSON object with `serde_json`, after an optional byte-order mark.
pub fn json_object(body: &[u8]) -> Option<Map<String, Value>> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    serde_json::from_slice(body).ok()
}

/// Returns a server with the leniencies whose letters `options` holds.
pub fn tolerating(server: AuthorizationServer, options: &str) -> AuthorizationServer {
    let chosen = LENIENCIES.into_iter().filter(|(letter, _)| options.contains(*letter));
    chosen.fold(server, |server, (_, leniency)| server.tolerate(leniency))
}

const LENIENCIES: [(char, Leniency); 7] = [
    ('m', Leniency::MissingTokenType),
    ('t', Leniency::AnyTokenType),
    ('a', Leniency::ScopeArray),
    ('c', Leniency::ScopeComma),
    ('f', Leniency::FormEncoded),
    ('z', Leniency::ZeroMeansNeverExpires),
    ('n', Leniency::NegativeMeansNeverExpires),
];

/// Returns whether the members form a token response, by the rules and the leniencies that `options` choose.
/// `token_types` are the known ones, in lower case.
pub fn is_token_response(object: &Map<String, Value>, options: &str, token_types: &[&str]) -> bool {
    let has = |letter| options.contains(letter);
    let member = |name: &str| object.get(name).unwrap_or(&Value::Null);
    let is_token = |text: &str| !text.contains(char::is_control);

    let access_token = member("access_token").as_str().is_some_and(|text| !text.is_empty() && is_token(text));
    let refresh_token = match member("refresh_token") {
        Value::Null => true,
        Value::String(text) => is_token(text),
        _ => false,
    };
    let token_type = match member("token_type") {
        Value::Null => has('m'),
        Value::String(name) if name.is_empty() => has('m'),
        Value::String(name) => {
            token_types.contains(&&*name.to_ascii_lowercase()) || (has('t') && is_token(name))
        }
        _ => false,
    };
    let scope = match member("scope") {
        Value::Null | Value::String(_) => true,
        Value::Array(values) => has('a') && values.iter().all(Value::is_string),
        _ => false,
    };
    let expires_in = member("expires_in");
    let expires_in =
        expires_in.is_null() || seconds(expires_in).is_some() || (has('n') && is_negative(expires_in));
    is_no_error(member("error")) && access_token && refresh_token && token_type && scope && expires_in
}

/// Returns whether a member `error` is missing or empty.
pub fn is_no_error(error: &Value) -> bool {
    error.is_null() || error.as_str() == Some("")
}

fn is_negative(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.as_f64().is_some_and(|seconds| seconds < 0.0),
        Value::String(text) => text.strip_prefix('-').is_some_and(|digits| {
            digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.bytes().any(|byte| byte != b'0')
        }),
        _ => false,
    }
}

/// Reads a number of seconds in any form that servers send.
pub fn seconds(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) if number.is_f64() => {
            number.as_f64().filter(|seconds| *seconds >= 0.0).map(|seconds| seconds as u64)
        }
        Value::Number(number) => number.as_u64(),
        Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() => {
            // A number that does not fit becomes the largest one.
            Some(text.parse().unwrap_or(u64::MAX))
        }
        _ => None,
    }
}

/// Asserts that a text contains no control characters, which could move a cursor or forge a log line.
pub fn assert_shows_safely(text: &str) {
    assert!(!text.contains(char::is_control), "control characters in {text:?}");
}

/// Asserts that `show` returns the same text for a stored form and for a copy with other secrets. `secrets`
/// gives each secret's name, and its position in a form without names.
///
/// The comparison works for every input. A search for the secret would fail on a secret like `damaged`, which
/// is also a word of the messages.
pub fn assert_hides(one: Value, secrets: &[(&str, usize)], show: impl Fn(&str) -> String) {
    let mut other = one.clone();
    match &mut other {
        Value::Object(members) => {
            for (name, _) in secrets {
                members.get_mut(*name).map(mask);
            }
        }
        Value::Array(members) => {
            for (_, index) in secrets {
                members.get_mut(*index).map(mask);
            }
        }
        // A string may be the whole form, encoded twice.
        text => mask(text),
    }
    let [one, other] = [one, other].map(|value| show(&value.to_string()));
    assert_eq!(one, other);
    assert_shows_safely(&one);
}

/// Replaces letters and digits, which keeps the length and the validity of a form.
fn mask(value: &mut Value) {
    if let Value::String(text) = value {
        *text = text.replace(|sign: char| sign.is_ascii_alphanumeric(), "x");
    }
}

/// Asserts that the printed outcome is the same for a copy of the members with other secrets.
///
/// The comparison works for every input. A search for the token would fail on a token like `Bearer`, which is
/// also a word of the printed text.
pub fn check_printing<T: Debug>(
    read: impl Fn(&[u8]) -> Result<T, Error>,
    object: &Map<String, Value>,
    also_shown: &[&str],
) {
    let shown = ["token_type", "expires_in", "scope", "error", "error_description", "error_uri", "interval"];
    let is_shown = |name: &str| shown.contains(&name) || also_shown.contains(&name);
    let mut twin = object.clone();
    for (name, value) in twin.iter_mut().filter(|(name, _)| !is_shown(name)) {
        // An invalid token stays, because the error mentions the fault.
        let is_token = matches!(name.as_str(), "access_token" | "refresh_token");
        let sound = value.as_str().is_some_and(|text| !text.is_empty() && !text.contains(char::is_control));
        if sound || !is_token {
            *value = "fake-other-secret".into();
        }
    }
    let print = |object| match read(serde_json::to_string(object).unwrap().as_bytes()) {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("{error}\n{error:?}"),
    };
    assert_eq!(print(object), print(&twin));
}

/// Returns whether the type of a token says that it is of another kind than the one of this type (RFC 8725
/// §3.11).
pub fn is_of_another_kind(typ: &Value, own: &str) -> bool {
    const KINDS: [&str; 9] = [
        "at+jwt",
        "client-authentication+jwt",
        "dpop+jwt",
        "id_token+jwt",
        "logout+jwt",
        "oauth-authz-req+jwt",
        "oauth-authz-resp+jwt",
        "secevent+jwt",
        "token-introspection+jwt",
    ];
    let typ = typ.as_str().unwrap_or_default().to_ascii_lowercase();
    let typ = typ.strip_prefix("application/").unwrap_or(&typ);
    typ != own && KINDS.contains(&typ)
}
