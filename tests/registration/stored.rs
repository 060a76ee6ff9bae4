//! The stored form of a registration.

use oauth2_proto::Secret;
use oauth2_proto::registration::{self, Registered, SecretExpiry};
use serde_json::{Value, json};

use crate::support::{MANAGEMENT, at, managed, management, metadata, registered, secret, server};

/// A form as version 1 wrote it; it is read for good.
const VERSION_1: &str = r#"{"version":1,"issuer":"https://as.example","token_endpoint":"https://as.example/token",
    "client_id":"fake-client","client_secret":"planted-secret","token_endpoint_auth_method":"client_secret_post",
    "registration_client_uri":"https://as.example/register?client_id=fake-client",
    "registration_access_token":"planted-token","changed":["scope"],
    "metadata":"{\"client_secret_expires_at\":1700000000,\"planted\":\"planted\",\"scope\":\"read\"}"}"#;

#[track_caller]
fn restore(stored: &str) -> Registered {
    serde_json::from_str(stored).unwrap()
}

/// Changes one member of the stored form, and returns the error of reading it.
#[track_caller]
fn damaged(name: &str, value: Value) -> String {
    let mut stored: Value = serde_json::from_str(VERSION_1).unwrap();
    stored[name] = value;
    serde_json::from_value::<Registered>(stored).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn version_1_is_read_for_good() {
    let registered = restore(VERSION_1);
    assert_eq!((registered.client_id(), secret(&registered)), ("fake-client", Some("planted-secret")));
    assert_eq!(registered.token_endpoint_auth_method(), "client_secret_post");
    assert_eq!(registered.client_secret_expiry(), SecretExpiry::At(at(1_700_000_000)));
    assert_eq!(management(&registered), Some(("planted-token", MANAGEMENT)));
    assert_eq!(
        (registered.changed(), registered.get("scope")),
        (&["scope".to_owned()][..], Some(&json!("read")))
    );
    assert!(registered.client(server()).is_ok());
    let written: Value = serde_json::to_value(&registered).unwrap();
    assert_eq!(written, serde_json::from_str::<Value>(VERSION_1).unwrap());
}

#[test]
fn a_registration_is_stored_with_all_that_it_knows() {
    let public = registered(r#"{"client_id":"fake-client","x":[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]}"#);
    for registered in [managed(), public] {
        let stored = serde_json::to_string(&registered).unwrap();
        let restored = restore(&stored);
        assert_eq!(format!("{restored:?}"), format!("{registered:?}"));
        assert_eq!(serde_json::to_string(&restored).unwrap(), stored);
        assert!(restored.members().eq(registered.members()));
        assert_eq!(restored.issuer(), Some("https://as.example"));
        assert_eq!(management(&restored), management(&registered));
    }
}

#[test]
fn a_number_stays_the_same_in_the_store() {
    // Fast ways to read a fraction miss these by the last bit.
    for number in ["15277777777777777777.5", "3.1622776601683795e-5", "122.416294033786585"] {
        let registered = registered(&format!(r#"{{"client_id":"fake-client","x":[{number}]}}"#));
        let read = |registered: &Registered| registered.get("x").and_then(|x| x[0].as_f64());
        assert_eq!(read(&registered), number.parse().ok());
        let stored = serde_json::to_string(&registered).unwrap();
        assert_eq!(read(&restore(&stored)), number.parse().ok(), "{stored}");
    }
}

#[test]
fn a_damaged_form_is_refused_by_the_name_of_the_member_and_quotes_nothing() {
    for (name, value) in [
        ("issuer", json!("planted")),
        ("token_endpoint", json!("http://planted.example")),
        ("client_secret", json!("planted\n")),
        ("registration_client_uri", json!("planted")),
        ("registration_client_uri", json!("")),
        ("registration_access_token", json!("planted\n")),
        ("registration_access_token", json!("")),
        ("metadata", json!("planted")),
        ("metadata", json!("")),
        ("metadata", json!("[\"planted\"]")),
    ] {
        let error = damaged(name, value);
        assert!(error.contains(&format!("{name} of the stored registration")), "{error}");
        assert!(!error.contains("planted"), "{error}");
    }
    for (name, value) in [
        ("version", json!(0)),
        ("version", json!("planted")),
        ("client_id", json!("")),
        ("client_id", json!(["planted"])),
        ("changed", json!("planted")),
        ("metadata", json!({"planted": 1})),
    ] {
        let error = damaged(name, value);
        assert!(error.contains("not a stored registration") && !error.contains("planted"), "{error}");
    }
    let error = damaged("version", json!(2));
    assert!(error.contains("version 2") && error.contains("version 1"), "{error}");
    for other in ["{}", "[]", "1", r#"{"version":1}"#] {
        assert!(serde_json::from_str::<Registered>(other).is_err(), "{other}");
    }
}

#[test]
fn a_registration_is_printed_with_what_is_no_secret() {
    let printed = format!("{:?}", managed());
    for shown in ["fake-client", "https://as.example/register", "client_secret_basic", "At(", "[redacted]"] {
        assert!(printed.contains(shown), "{printed}");
    }
    assert!(!printed.contains("fake-secret") && !printed.contains("fake-token"), "{printed}");

    let (server, metadata, token) = (server(), metadata(), Secret::new("planted"));
    let request = registration::register(&server, &metadata).initial_access_token(&token);
    let printed = format!("{request:?}");
    assert!(printed.contains("client_name") && !printed.contains("planted"), "{printed}");
}
