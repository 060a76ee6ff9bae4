//! What the fuzz targets share: fixed, visibly fake clients and a way to split an input into lines.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use oauth2_proto::{
    AuthorizationServer, Call, Client, ClientAuth, Entropy, PendingAuthorization, TokenResponse,
};
use serde_json::Value;

/// The `state` of [`stored_pending`]; short, so that a fuzzer gets past it.
pub const STATE: &str = "fake-state";

/// The code of [`code_call`].
pub const CODE: &str = "fake-code";

/// The client secret of [`server`]'s client; the signs are those that an encoding may lose.
pub const CLIENT_SECRET: &str = "fake secret:&=+%41?";

/// What stands in place of a text of the server that repeats a secret of the request.
pub const WITHHELD: &str = "[withheld: it repeats a secret of the request]";

/// The issuer that a target may give its server.
pub const ISSUER: &str = "https://as.example";

/// Some moment in 2023.
pub fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

/// The same for each sign-in, of which there is one at a time.
pub fn entropy() -> Entropy {
    Entropy::from_bytes([7; 128])
}

/// A server about which nothing is known but its endpoints.
pub fn server() -> AuthorizationServer {
    static SERVER: LazyLock<AuthorizationServer> = LazyLock::new(|| {
        AuthorizationServer::new("https://as.example/authorize", "https://as.example/token").unwrap()
    });
    SERVER.clone()
}

/// A client with HTTP Basic.
pub fn client(server: AuthorizationServer) -> Client {
    Client::new(server, "fake-client", ClientAuth::basic(CLIENT_SECRET)).unwrap()
}

/// An authorization under way that waits for [`STATE`], as it is stored; to be made once and restored for each
/// input.
pub fn stored_pending(client: &Client) -> String {
    let request = client.authorize("https://app.example/callback");
    let (_, pending) = request.start_with(entropy(), now()).unwrap();
    let mut stored = serde_json::to_value(pending).unwrap();
    stored["state"] = STATE.into();
    stored.to_string()
}

/// A token request with [`CODE`], of a client of [`server`]'s.
pub fn code_call(client: &Client) -> Call<TokenResponse> {
    // It does not depend on how the client authenticates, nor on what it tolerates.
    static STORED: LazyLock<String> = LazyLock::new(|| stored_pending(&self::client(server())));
    let mut pending: PendingAuthorization = serde_json::from_str(&STORED).unwrap();
    let callback = format!("code={CODE}&state={STATE}");
    pending.receive(client, callback.as_str(), now()).unwrap()
}

/// The first `N` lines as text, and the bytes after them; a header part that a person can read and write.
pub fn lines<const N: usize>(mut data: &[u8]) -> Option<([&str; N], &[u8])> {
    let mut lines = [""; N];
    for line in &mut lines {
        let end = data.iter().position(|byte| *byte == b'\n')?;
        *line = std::str::from_utf8(&data[..end]).ok()?;
        data = &data[end + 1..];
    }
    Some((lines, data))
}

/// A JSON object as `serde_json` reads it, after one byte-order mark.
pub fn json_object(body: &[u8]) -> Option<serde_json::Map<String, Value>> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    serde_json::from_slice(body).ok()
}

/// Fails if a text would move a terminal's cursor or start a line of a log.
pub fn assert_shows_safely(text: &str) {
    assert!(!text.contains(char::is_control), "control characters in {text:?}");
}

/// Shows what comes of a stored form, and of the same form with other secrets: whoever reads it cannot tell the two
/// apart. The secrets are given by name, and by their place in a form without names.
///
/// That holds for every input, where a search for the secret would stumble over one like `damaged`.
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
        // Perhaps the whole form, encoded twice.
        text => mask(text),
    }
    let [one, other] = [one, other].map(|value| show(&value.to_string()));
    assert_eq!(one, other);
    assert_shows_safely(&one);
}

/// Replaces letters and digits, which keeps the length and what a form allows.
fn mask(value: &mut Value) {
    if let Value::String(text) = value {
        *text = text.replace(|sign: char| sign.is_ascii_alphanumeric(), "x");
    }
}
