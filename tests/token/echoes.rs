//! Server texts that repeat a secret of the request.

use oauth2_proto::{AuthorizationServer, Call, Client, ClientAuth, Response, Secret, grants::Refresh};
use std::time::SystemTime;

use crate::support::client;

const WITHHELD: &str = "[withheld: it repeats a secret of the request]";

/// Returns what `Display` shows of an error with this description.
#[track_caller]
fn shown(call: &Call<Refresh>, description: &str) -> (String, String) {
    let body = serde_json::json!({
        "error": "invalid_grant",
        "error_description": description,
        "error_uri": format!("https://as.example/{description}"),
    });
    let error = call.read(Response::new(400, [("a", "b")], body.to_string().as_bytes())).unwrap_err();
    (format!("{error} {error:?}"), error.description().unwrap().to_owned())
}

#[test]
fn a_spelling_that_nobody_foresaw_is_not_shown() {
    let call = client().refresh(&Secret::new("planted+ключ/Tok3n")).start(SystemTime::UNIX_EPOCH).unwrap();
    for echo in [
        r"planted\u002b\u043a\u043b\u044e\u0447",
        "planted&plus;&#x0043a;&#1083;",
        "planted&#x0002B;&amp;",
        "706c616e7465642b",
        "70 6c 61 6e 74 65 64",
        "OBWGC3TUMVSCX",
        "cGxhbnRlZCvQutC7",
        "=70=6C=61=6E",
        "+AHAAbABhAG4-",
        "pLaNtEd",
        "p/l/a/n/t/e/d",
    ] {
        let (shown, _) = shown(&call, &format!("token {echo} is gone"));
        assert!(!shown.contains(echo), "{shown}");
        assert!(shown.contains("is gone") || shown.contains("withheld"), "{shown}");
    }
}

#[test]
fn what_the_caller_adds_counts_as_a_secret() {
    let mut call = client().refresh(&Secret::new("fake-refresh")).start(SystemTime::UNIX_EPOCH).unwrap();
    let request = call.request_mut();
    request.push_form("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    request.push_form("client_assertion", "planted.claims+1");
    request.push_form("tenant", "planted tenant");
    request.push_form("short", "planned");
    request.set_header("X-Key", "planted-header");
    request.set_header("X-Trace", "trace");
    for echo in
        ["planted.claims+1", "planted.claims%2B1", "planted tenant", "planted+tenant", "planted-header"]
    {
        let (shown, description) = shown(&call, &format!("bad {echo} here"));
        assert_eq!(description, WITHHELD, "{echo}");
        assert!(!shown.contains("planted"), "{shown}");
    }
    for harmless in ["the client assertion is bad", "planned", "trace", "no refresh token"] {
        assert_eq!(shown(&call, harmless).1, harmless);
    }
}

#[test]
fn the_query_of_an_endpoint_is_not_printed() {
    let server = AuthorizationServer::new(
        "https://as.example/authorize?key=planted",
        "https://as.example/token?key=planted",
    );
    let client = Client::new(server.unwrap(), "fake-client", ClientAuth::none()).unwrap();
    let call = client.refresh(&Secret::new("fake-refresh")).start(SystemTime::UNIX_EPOCH).unwrap();
    let printed = format!("{client:?} {call:?} {:?}", call.request());
    assert!(!printed.contains("planted") && printed.contains("https://as.example/token"), "{printed}");
    assert_eq!(call.request().url(), "https://as.example/token?key=planted");
}

/// An earlier search took 9 seconds and 208 MiB; the bench `growth` measures time and memory.
#[test]
fn a_long_secret_is_searched_for_in_a_time_by_its_length() {
    let token: String =
        (0..8_000_u32).map(|number| format!("{:08x}", number.wrapping_mul(0x9e37_79b9))).collect();
    let call = client().refresh(&Secret::new(&*token)).start(SystemTime::UNIX_EPOCH).unwrap();
    let (_, harmless) = shown(&call, &"a harmless text. ".repeat(4_000));
    assert!(harmless.starts_with("a harmless text. "), "{harmless}");
    assert_eq!(shown(&call, &token[60_000..60_008]).1, WITHHELD);
}
