//! The members of an error response that this crate does not read.

use oauth2_proto::{Client, ClientAuth, Error, Response, error::ErrorKind};
use serde_json::{Value, json};

use crate::support::{client, server, token_call};

#[track_caller]
fn answer(client: &Client, status: u16, body: &str) -> Error {
    let json = [("content-type", "application/json")];
    token_call(client).read(Response::new(status, json, body.as_bytes())).unwrap_err()
}

#[test]
fn members_beside_the_error_are_read_by_name() {
    for (status, body, kind, extras) in [
        // Entra asks for a claims challenge, Auth0 for another factor, Shopify and others explain.
        (
            400,
            json!({"error": "interaction_required", "claims": "{\"access_token\":{}}", "error_codes": [50079]}),
            ErrorKind::Refused,
            json!({"claims": "{\"access_token\":{}}", "error_codes": [50079]}),
        ),
        (
            403,
            json!({"error": "mfa_required", "error_description": "no", "mfa_token": "fake"}),
            ErrorKind::Refused,
            json!({"mfa_token": "fake"}),
        ),
        (
            200,
            json!({"error": "x", "reason": null, "ok": false}),
            ErrorKind::Refused,
            json!({"reason": null, "ok": false}),
        ),
        (
            400,
            json!({"error": {"message": "code was used", "code": 100}, "trace": "fake"}),
            ErrorKind::Invalid,
            json!({"error": {"message": "code was used", "code": 100}, "trace": "fake"}),
        ),
        (400, json!({"error": ["a", 1]}), ErrorKind::Invalid, json!({"error": ["a", 1]})),
        (
            400,
            json!({"error": true, "message": "no"}),
            ErrorKind::Invalid,
            json!({"error": true, "message": "no"}),
        ),
        (400, json!({"error": 42}), ErrorKind::Invalid, json!({"error": 42})),
        (400, json!({"error": -1}), ErrorKind::Invalid, json!({"error": -1})),
        (200, json!({"error": {"message": "no"}}), ErrorKind::Invalid, json!({"error": {"message": "no"}})),
        (404, json!({"message": "no such route"}), ErrorKind::Invalid, json!({"message": "no such route"})),
        (
            400,
            json!({"errors": [{"errorType": "invalid_grant"}]}),
            ErrorKind::Invalid,
            json!({"errors": [{"errorType": "invalid_grant"}]}),
        ),
        (503, json!({"message": "busy"}), ErrorKind::Invalid, json!({"message": "busy"})),
        (400, json!({}), ErrorKind::Invalid, json!({})),
    ] {
        let error = answer(&client(), status, &body.to_string());
        assert_eq!(error.kind(), kind, "{body}");
        let found: Value = error.extras().map(|(name, value)| (name.to_owned(), value.clone())).collect();
        assert_eq!(found, extras, "{body}");
        for (name, value) in extras.as_object().unwrap() {
            assert_eq!(error.extra(name), Some(value), "{body}");
        }
        assert_eq!(error.extra("nothing"), None);
    }
    for body in ["", "<html>", "[1]", "\"x\"", "{\"a\":1"] {
        assert_eq!(answer(&client(), 400, body).extras().count(), 0, "{body}");
    }
}

#[test]
fn members_are_printed_by_name_only() {
    for body in [
        r#"{"error":"x","mfa_token":"planted","list":["planted"]}"#,
        r#"{"error":{"message":"planted"},"mfa_token":"planted","list":{"planted":1}}"#,
        r#"{"mfa_token":"planted","list":[{"planted":"planted"}]}"#,
    ] {
        let error = answer(&client(), 403, body);
        let shown = format!("{error} {error:?} {error:#?}");
        assert!(shown.contains("mfa_token") && !shown.contains("planted"), "{shown}");
    }
}

#[test]
fn members_that_repeat_a_secret_of_the_request_are_withheld() {
    let client = Client::new(server(), "fake-client", ClientAuth::post("planted-client-secret")).unwrap();
    for (body, left) in [
        (
            json!({"error": "x", "message": "bad planted-client-secret", "a": "kept"}),
            json!({"message": null, "a": "kept"}),
        ),
        (json!({"error": {"sent": ["planted-client-secret"]}, "a": 1}), json!({"error": null, "a": 1})),
        (json!({"deep": [{"planted-client-secret": 1}], "a": "kept"}), json!({"deep": null, "a": "kept"})),
        (json!({"error": "x", "planted-client-secret": "x", "a": "kept"}), json!({"a": "kept"})),
        // The code of the callback, in base64.
        (json!({"error": "x", "hint": "ZmFrZS1jb2Rl"}), json!({"hint": null})),
    ] {
        let error = answer(&client, 400, &body.to_string());
        let names: Vec<_> = error.extras().map(|(name, _)| name).collect();
        assert_eq!(names, left.as_object().unwrap().keys().collect::<Vec<_>>(), "{body}");
        for (name, value) in error.extras() {
            match &left[name] {
                Value::Null => assert!(value.as_str().unwrap().contains("withheld"), "{body}: {value}"),
                kept => assert_eq!(value, kept, "{body}"),
            }
        }
        assert!(!format!("{error:?}").contains("planted-client-secret"), "{error:?}");
    }
    let many: serde_json::Map<_, _> =
        (0..1000).map(|index| (format!("x{index}"), json!("planted-client-secret"))).collect();
    assert_eq!(answer(&client, 400, &Value::Object(many).to_string()).extras().count(), 0);
}
