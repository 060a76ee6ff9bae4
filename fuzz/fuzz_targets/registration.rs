//! A registration is read exactly if its answer is a success with sound members; its values equal those that
//! another JSON reader finds. A read keeps the `client_id`. A stored registration is restored to the same
//! form, an update never sends what the server alone gives, and no printed text depends on a secret.
//!
//! Input: the line `register`, `read`, `update`, `delete` or `stored`, a line with the status, and the body
//! or the stored form.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use oauth2_proto::registration::{self, ClientMetadata, Registered};
use oauth2_proto::{AuthorizationServer, Error, Response};
use oauth2_proto_fuzz::{assert_hides, assert_shows_safely, json_object, lines, now, server};
use serde_json::{Map, Value};
use url::{Host, Url};

fuzz_target!(|data: &[u8]| {
    let Some(([operation, status], body)) = lines::<2>(data) else { return };
    let Ok(status) = status.parse::<u16>() else { return };
    if operation == "stored" {
        if let Ok(registered) = serde_json::from_slice::<Registered>(body) {
            check(&registered);
        }
        if let Ok(stored) = serde_json::from_slice::<Value>(body) {
            assert_hides(stored, &[("client_secret", 4), ("registration_access_token", 7)], |stored| {
                match serde_json::from_str::<Registered>(stored) {
                    Ok(registered) => format!("{registered:?}"),
                    Err(error) => error.to_string(),
                }
            });
        }
        return;
    }
    if operation == "delete" {
        match KNOWN.delete().unwrap().read(response(status, body)) {
            Ok(()) => assert!(matches!(status, 200..=299)),
            Err(error) => check_error(&error),
        }
        return;
    }
    match read(operation, status, body) {
        None => {}
        Some(Ok(registered)) => {
            assert!(matches!(status, 200..=299));
            if let Some(object) = sole_members(body) {
                compare(&registered, &object, operation != "register");
            }
            check(&registered);
        }
        Some(Err(error)) => {
            check_error(&error);
            if let Some(object) = sole_members(body) {
                assert!(!is_plainly_sound(status, &object, operation), "{error}");
            }
        }
    }
    if let Ok(answer @ Value::Object(_)) = serde_json::from_slice::<Value>(body) {
        let secrets = [("client_secret", 0), ("registration_access_token", 0), ("software_statement", 0)];
        assert_hides(answer, &secrets, |answer| match read(operation, status, answer.as_bytes()) {
            Some(Ok(registered)) => format!("{registered:?}"),
            Some(Err(error)) => format!("{error} {error:?}"),
            None => String::new(),
        });
    }
});

static SERVER: LazyLock<AuthorizationServer> = LazyLock::new(|| {
    let server = server().issuer("https://as.example").unwrap();
    server.registration_endpoint("https://as.example/register").unwrap()
});

static METADATA: LazyLock<ClientMetadata> =
    LazyLock::new(|| ClientMetadata::new().redirect_uris(["http://127.0.0.1/cb"]).scopes(["read", "write"]));

/// A registration that can be managed.
static KNOWN: LazyLock<Registered> = LazyLock::new(|| {
    let body = br#"{"client_id":"fake-client","client_secret":"fake-secret","registration_access_token":"fake-token",
        "registration_client_uri":"https://as.example/r"}"#;
    read("register", 201, body).unwrap().unwrap()
});

fn response(status: u16, body: &[u8]) -> Response<'_> {
    Response::new(status, [("content-type", "application/json")], body)
}

fn read(operation: &str, status: u16, body: &[u8]) -> Option<Result<Registered, Error>> {
    let call = match operation {
        "register" => registration::register(&SERVER, &METADATA).start(),
        "read" => KNOWN.read(),
        "update" => KNOWN.update(&METADATA),
        _ => return None,
    };
    Some(call.unwrap().read(response(status, body)))
}

/// Returns the members of an object; none if this reader cannot tell whether one of them is there twice.
fn sole_members(body: &[u8]) -> Option<Map<String, Value>> {
    let object = json_object(body)?;
    let text = std::str::from_utf8(body).ok()?;
    let is_sole = |name: &str| text.matches(name).count() <= 1;
    (!text.contains('\\') && NAMES.iter().all(|name| is_sole(&format!("\"{name}\"")))).then_some(object)
}

/// Compares a registration with the members that another reader found.
fn compare(registered: &Registered, object: &Map<String, Value>, is_managed: bool) {
    let text = |name| object.get(name).and_then(Value::as_str);
    assert_eq!(Some(registered.client_id()), text("client_id"));
    if is_managed {
        assert_eq!(registered.client_id(), "fake-client");
        assert!(registered.registration_client_uri().is_some());
    }
    if let Some(secret) = text("client_secret") {
        assert_eq!(registered.client_secret().unwrap().expose(), secret);
    }
    if let Some(method) = text("token_endpoint_auth_method") {
        assert_eq!(registered.token_endpoint_auth_method(), method);
    }
    if let (Some(uri), Some(token)) = (text("registration_client_uri"), text("registration_access_token")) {
        assert_eq!(registered.registration_client_uri(), Some(uri));
        assert_eq!(registered.registration_access_token().unwrap().expose(), token);
    }
    for (name, value) in object {
        if !NAMES.contains(&name.as_str()) {
            assert!(registered.get(name) == Some(value) || value.is_number(), "{name}");
        }
    }
    for name in registered.changed() {
        assert!(object.contains_key(name), "{name} was not answered");
    }
}

/// Returns whether an answer holds no more than sound texts, so that it must be read.
fn is_plainly_sound(status: u16, object: &Map<String, Value>, operation: &str) -> bool {
    let is_plain = |value: &Value| {
        value.as_str().is_some_and(|text| !text.is_empty() && text.chars().all(|it| it.is_ascii_graphic()))
    };
    matches!(status, 200..=299)
        && object.get("client_id").is_some_and(is_plain)
        && (operation == "register" || object["client_id"] == "fake-client")
        && object.iter().all(|(name, value)| match name.as_str() {
            "client_secret_expires_at" | "client_id_issued_at" => value.is_u64() || value.is_null(),
            "redirect_uris" => value.as_array().is_some_and(|uris| uris.iter().all(is_plain)),
            "registration_client_uri" => value == "https://as.example/r",
            "error" => value.is_null(),
            _ => is_plain(value) || value.is_null() && name != "client_id",
        })
}

/// Checks what holds for every registration, wherever it came from.
fn check(registered: &Registered) {
    let stored = serde_json::to_string(registered).unwrap();
    let restored: Registered = serde_json::from_str(&stored).expect("the stored form is valid");
    assert_eq!(serde_json::to_string(&restored).unwrap(), stored);
    assert_eq!(format!("{restored:?}"), format!("{registered:?}"));
    let uri = registered.registration_client_uri();
    assert_eq!(uri.is_some(), registered.registration_access_token().is_some());
    if let Some(uri) = uri {
        let url = Url::parse(uri).unwrap();
        let is_loopback = match url.host().unwrap() {
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
            Host::Domain(name) => name == "localhost",
        };
        assert!(url.scheme() == "https" || url.scheme() == "http" && is_loopback, "{uri}");
        let call = registered.update(&METADATA).unwrap();
        let sent: Map<String, Value> = serde_json::from_str(call.request().body()).unwrap();
        for name in GIVEN {
            assert!(!sent.contains_key(name), "an update sends {name}");
        }
        assert_eq!(sent["client_id"], registered.client_id());
        assert_eq!(
            sent.get("client_secret").and_then(Value::as_str),
            registered.client_secret().map(|secret| secret.expose())
        );
    }
    let _ = registered.is_secret_expired(now());
    if let Err(error) = registered.client(SERVER.clone()) {
        assert_shows_safely(&format!("{error} {error:?}"));
    }
}

fn check_error(error: &Error) {
    assert_shows_safely(&format!("{error} {error:?}"));
}

const GIVEN: [&str; 4] = [
    "client_id_issued_at",
    "client_secret_expires_at",
    "registration_access_token",
    "registration_client_uri",
];

/// The members that the crate reads.
const NAMES: [&str; 8] = [
    "client_id",
    "client_secret",
    "client_secret_expires_at",
    "client_id_issued_at",
    "token_endpoint_auth_method",
    "registration_access_token",
    "registration_client_uri",
    "redirect_uris",
];
