//! Helpers of the fuzz targets: fixed, visibly fake clients, and a parser for the lines of an input.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use oauth2_proto::{
    AuthorizationServer, Call, Client, ClientAuth, Entropy, PendingAuthorization, TokenResponse,
};
use serde_json::Value;

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
pub fn json_object(body: &[u8]) -> Option<serde_json::Map<String, Value>> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    serde_json::from_slice(body).ok()
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
