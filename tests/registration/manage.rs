//! Reading, updating and deleting a registration (RFC 7592 §2 and §3).

use oauth2_proto::error::ErrorKind;
use oauth2_proto::registration::{ClientMetadata, Registered, SecretExpiry};
use oauth2_proto::{Advice, AuthorizationServer, Error};
use serde_json::{Value, json as value};

use crate::support::{MANAGEMENT, at, json, managed, management, metadata, register_at, secret, server};

const TOKEN: &str = "Bearer fake-token";

#[track_caller]
fn read(registered: &Registered, answer: &str) -> Result<Registered, Error> {
    registered.read().unwrap().read(json(200, answer))
}

#[test]
fn rfc7592_section_2_1_a_read_carries_the_token_and_no_body() {
    let call = managed().read().unwrap();
    let request = call.request();
    assert_eq!((request.method(), request.url(), request.body()), ("GET", MANAGEMENT, ""));
    assert_eq!(
        request.headers().collect::<Vec<_>>(),
        [("accept", "application/json"), ("authorization", TOKEN)]
    );
}

#[test]
fn rfc7592_section_2_1_the_client_discards_a_secret_and_a_token_that_were_replaced() {
    let new = read(
        &managed(),
        r#"{"client_id":"fake-client","client_secret":"fake-new","client_secret_expires_at":0,
            "registration_access_token":"fake-new-token","registration_client_uri":"https://as.example/new"}"#,
    )
    .unwrap();
    assert_eq!(secret(&new), Some("fake-new"));
    assert_eq!(new.client_secret_expiry(), SecretExpiry::Never);
    assert_eq!(management(&new), Some(("fake-new-token", "https://as.example/new")));
    let call = new.read().unwrap();
    assert_eq!(call.request().header("authorization"), Some("Bearer fake-new-token"));
    assert_eq!(call.request().url(), "https://as.example/new");
    assert!(new.client(server()).is_ok());
    assert!(new.changed().is_empty());
}

#[test]
fn what_an_answer_leaves_out_of_the_credentials_stays() {
    let kept = read(&managed(), r#"{"client_id":"fake-client"}"#).unwrap();
    assert_eq!((secret(&kept), management(&kept)), (Some("fake-secret"), Some(("fake-token", MANAGEMENT))));
    assert_eq!(kept.client_secret_expiry(), SecretExpiry::At(at(1_700_000_000)));
    assert_eq!(kept.get("client_name"), None, "the rest is as answered");
    for (answer, manages) in [
        (r#""registration_access_token":"fake-2""#, ("fake-2", MANAGEMENT)),
        (r#""registration_client_uri":"https://as.example/2""#, ("fake-token", "https://as.example/2")),
    ] {
        let new = read(&managed(), &format!(r#"{{"client_id":"fake-client",{answer}}}"#)).unwrap();
        assert_eq!(management(&new), Some(manages));
    }

    // The expiry belongs to the secret.
    for (answer, known, expiry) in [
        (r#""client_secret":"fake-new""#, Some("fake-new"), SecretExpiry::Unknown),
        (r#""client_secret_expires_at":5"#, Some("fake-secret"), SecretExpiry::At(at(5))),
        (
            r#""token_endpoint_auth_method":"client_secret_post""#,
            Some("fake-secret"),
            SecretExpiry::At(at(1_700_000_000)),
        ),
        (r#""token_endpoint_auth_method":"none""#, None, SecretExpiry::Unknown),
    ] {
        let new = read(&managed(), &format!(r#"{{"client_id":"fake-client",{answer}}}"#)).unwrap();
        assert_eq!((secret(&new), new.client_secret_expiry()), (known, expiry), "{answer}");
    }
}

#[test]
fn the_authentication_stays_where_an_answer_names_none() {
    let answer = format!(
        r#"{{"client_id":"fake-client","registration_access_token":"fake-token",
            "registration_client_uri":"{MANAGEMENT}"}}"#
    );
    let public = register_at(&server(), &metadata().token_endpoint_auth_method("none"), &answer).unwrap();
    let again = read(&public, r#"{"client_id":"fake-client"}"#).unwrap();
    assert_eq!(again.token_endpoint_auth_method(), "none");
    let call = again.update(&metadata()).unwrap();
    let sent: Value = serde_json::from_str(call.request().body()).unwrap();
    assert_eq!(sent["token_endpoint_auth_method"], "none");
    let call = again.update(&metadata().token_endpoint_auth_method("client_secret_post")).unwrap();
    let new = call.read(json(200, r#"{"client_id":"fake-client"}"#)).unwrap();
    assert_eq!(new.token_endpoint_auth_method(), "client_secret_post");
}

#[test]
fn an_answer_that_cannot_be_read_leaves_the_registration_as_it_was() {
    let registered = managed();
    let before = serde_json::to_string(&registered).unwrap();
    for (status, answer, kind, advice) in [
        (200, r#"{"client_id":"fake-other"}"#, ErrorKind::Suspect, Advice::Stop),
        (200, r#"{"client_id":"Fake-client"}"#, ErrorKind::Suspect, Advice::Stop),
        (200, r#"{"client_secret":"fake-new"}"#, ErrorKind::Invalid, Advice::Stop),
        (
            200,
            r#"{"client_id":"fake-client","registration_client_uri":"http://as.example/r"}"#,
            ErrorKind::Invalid,
            Advice::Stop,
        ),
        (401, r#"{"error":"invalid_token"}"#, ErrorKind::Refused, Advice::Stop),
        (503, "", ErrorKind::Invalid, Advice::RetryLater),
        (302, "", ErrorKind::Invalid, Advice::Stop),
    ] {
        for call in [registered.read().unwrap(), registered.update(&metadata()).unwrap()] {
            let error = call.read(json(status, answer)).unwrap_err();
            assert_eq!((error.kind(), error.advice()), (kind, advice), "{answer}: {error}");
        }
        assert_eq!(serde_json::to_string(&registered).unwrap(), before);
    }
}

#[test]
fn rfc7592_section_2_2_the_example_sends_every_member_and_the_current_secret() {
    let answer = r#"{"registration_access_token":"reg-23410913-abewfq.123483",
        "registration_client_uri":"https://server.example.com/register/s6BhdRkqt3",
        "client_id":"s6BhdRkqt3","client_secret":"cf136dc3c1fc93f31185e5885805d",
        "client_id_issued_at":2893256800,"client_secret_expires_at":2893276800,
        "client_name":"My Example Client","client_name#ja-Jpan-JP":"クライアント名",
        "redirect_uris":["https://client.example.org/callback","https://client.example.org/callback2"],
        "grant_types":["authorization_code","refresh_token"],
        "token_endpoint_auth_method":"client_secret_basic",
        "logo_uri":"https://client.example.org/logo.png",
        "jwks_uri":"https://client.example.org/my_public_keys.jwks"}"#;
    let registered = register_at(&server(), &metadata(), answer).unwrap();
    let call = registered
        .update(
            &ClientMetadata::new()
                .redirect_uris(["https://client.example.org/callback", "https://client.example.org/alt"])
                .client_name("My New Example")
                .member("client_name#fr", "Mon Nouvel Exemple")
                .member("client_name#ja-Jpan-JP", Value::Null)
                .logo_uri("https://client.example.org/newlogo.png")
                .member("logo_uri#fr", "https://client.example.org/fr/newlogo.png"),
        )
        .unwrap();
    let request = call.request();
    assert_eq!(
        (request.method(), request.url(), request.header("authorization"), request.header("content-type")),
        (
            "PUT",
            "https://server.example.com/register/s6BhdRkqt3",
            Some("Bearer reg-23410913-abewfq.123483"),
            Some("application/json"),
        )
    );
    assert_eq!(
        serde_json::from_str::<Value>(request.body()).unwrap(),
        value!({
            "client_id": "s6BhdRkqt3",
            "client_secret": "cf136dc3c1fc93f31185e5885805d",
            "redirect_uris": ["https://client.example.org/callback", "https://client.example.org/alt"],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "client_secret_basic",
            "jwks_uri": "https://client.example.org/my_public_keys.jwks",
            "client_name": "My New Example",
            "client_name#fr": "Mon Nouvel Exemple",
            "logo_uri": "https://client.example.org/newlogo.png",
            "logo_uri#fr": "https://client.example.org/fr/newlogo.png",
            "application_type": "web",
        })
    );
}

#[test]
fn rfc7592_section_2_2_an_update_sends_neither_the_management_nor_times_nor_nulls() {
    let call = managed().update(&ClientMetadata::new().client_name("New")).unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(call.request().body()).unwrap(),
        value!({
            "client_id": "fake-client",
            "client_secret": "fake-secret",
            "client_name": "New",
            "scope": "read",
            "redirect_uris": ["https://app.example/callback"],
        })
    );
    let answer =
        r#"{"client_id":"fake-client","client_name":"new","scope":"write","client_secret":"fake-2"}"#;
    let new = call.read(json(200, answer)).unwrap();
    assert_eq!(new.changed(), ["client_name", "scope"]);
    assert_eq!((secret(&new), management(&new)), (Some("fake-2"), Some(("fake-token", MANAGEMENT))));
}

#[test]
fn rfc7592_section_2_2_a_public_client_sends_no_secret() {
    let answer = r#"{"client_id":"fake-client","token_endpoint_auth_method":"none","registration_access_token":"fake",
        "registration_client_uri":"https://as.example/r"}"#;
    let public = register_at(&server(), &metadata(), answer).unwrap();
    let call = public.update(&metadata()).unwrap();
    assert!(!call.request().body().contains("client_secret"), "{}", call.request().body());
}

#[test]
fn rfc7592_section_2_3_a_deletion_is_done_after_any_success() {
    let call = managed().delete().unwrap();
    let request = call.request();
    assert_eq!(
        (request.method(), request.url(), request.header("authorization"), request.body()),
        ("DELETE", MANAGEMENT, Some(TOKEN), "")
    );
    for (status, body, done) in [
        (204, "", true),
        (200, "{}", true),
        (202, "<html>gone</html>", true),
        (200, r#"{"error":"temporarily_unavailable"}"#, false),
        (401, "", false),
        (403, "{}", false),
        (302, "", false),
        (405, "", false),
    ] {
        assert_eq!(call.read(json(status, body)).is_ok(), done, "{status} {body}");
    }
}

/// The token and, with an update, the secret would go to any local service.
#[test]
fn a_registration_is_not_managed_on_this_machine_unless_the_server_is_there() {
    for home in ["http://127.0.0.1:9200/x", "http://localhost/x", "https://[::1]/x"] {
        let answer = format!(
            r#"{{"client_id":"fake-client","registration_access_token":"t","registration_client_uri":"{home}"}}"#
        );
        let error = register_at(&server(), &metadata(), &answer).unwrap_err();
        assert_eq!((error.kind(), error.advice()), (ErrorKind::Suspect, Advice::Stop), "{error}");
        let error = managed().read().unwrap().read(json(200, &answer)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Suspect, "{error}");

        let local = AuthorizationServer::without_authorization_endpoint("http://localhost:8080/token");
        let local = local.unwrap().registration_endpoint("http://localhost:8080/register").unwrap();
        assert!(register_at(&local, &metadata(), &answer).is_ok());
    }
}
