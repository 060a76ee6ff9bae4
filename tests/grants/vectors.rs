//! The cases of `token_exchange.json`.

use oauth2_proto::error::ErrorKind;
use oauth2_proto::grants::{ExchangedToken, IdentityAssertion};
use oauth2_proto::{Call, Client, Error, Request, Response, Secret};
use serde_json::{Value, json};
use std::time::SystemTime;

use crate::support::{client, client_of, server};

#[test]
fn rfc8693_token_exchange_and_the_identity_assertion_grant() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("../vectors/token_exchange.json")).unwrap();
    for case in &cases {
        match text(&case["kind"]) {
            "request" => request(case),
            "response" => response(case),
            "id-jag" => id_jag(case),
            other => panic!("unknown kind {other}"),
        }
    }
    assert_eq!(cases.len(), 18);
}

#[track_caller]
fn request(case: &Value) {
    let (id, client) = (&case["id"], client());
    let started = exchange(&client, case, case["requested_token_type"].as_str());
    check_request(id, &case["expect"], started.map(|call| call.request().clone()));
}

#[track_caller]
fn response(case: &Value) {
    let (id, expect, client) = (&case["id"], &case["expect"], client());
    let subject = json!({"subject_token": "fake-subject", "subject_token_type": "urn:x"});
    let call = exchange(&client, &subject, case["requested_token_type"].as_str()).unwrap();
    match (expect.get("ok"), call.read(answer(case))) {
        (Some(ok), Ok(exchanged)) => {
            assert_eq!(exchanged.token().expose(), text(&ok["access_token"]), "{id}");
            assert_eq!(exchanged.issued_token_type(), text(&ok["issued_token_type"]), "{id}");
            assert_eq!(exchanged.token_type().to_string(), text(&ok["token_type"]), "{id}");
            let lifetime = exchanged.expires_in().map(|lifetime| lifetime.as_secs());
            assert_eq!(lifetime, ok["expires_in"].as_u64(), "{id}");
            let scope = exchanged.scope().map(|scope| scope.map(Value::from).collect::<Value>());
            assert_eq!(scope.unwrap_or_default(), ok["scope"], "{id}");
            let refresh_token = exchanged.refresh_token().map(Secret::expose);
            assert_eq!(refresh_token, ok["refresh_token"].as_str(), "{id}");
        }
        (None, Err(error)) => check_error(id, &expect["error"], &error),
        (_, result) => panic!("{id}: {result:?}"),
    }
}

#[track_caller]
fn id_jag(case: &Value) {
    let (id, expect, provider) = (&case["id"], &case["expect"], client());
    let subject = Secret::new(text(&case["subject_token"]));
    let audiences = texts(&case["audience"]);
    // The audience is one argument, so no other number can be passed.
    let [audience] = audiences.as_slice() else { return assert_eq!(expect, "misuse", "{id}") };
    let request = provider
        .identity_assertion(&subject, audience)
        .subject_token_type(text(&case["subject_token_type"]))
        .scopes(texts(&case["scope"]));
    let request = texts(&case["resource"]).into_iter().fold(request, |request, it| request.resource(it));
    let started: Result<Call<IdentityAssertion>, Error> = request.start(SystemTime::UNIX_EPOCH);
    check_request(id, &json!({"ok": expect["exchange"]}), started.as_ref().map(|it| it.request().clone()));

    let resource_client = client_of(server().issuer(audience).unwrap());
    match (expect["grant"].get("error"), started.unwrap().read(answer(&case["answer"]))) {
        (None, Ok(assertion)) => {
            let call = resource_client.redeem(&assertion, SystemTime::UNIX_EPOCH);
            check_request(id, &json!({"ok": expect["grant"]}), call.map(|call| call.request().clone()));
        }
        (Some(expected), Err(error)) => check_error(id, expected, &error),
        (_, result) => panic!("{id}: {result:?}"),
    }
}

fn exchange(client: &Client, case: &Value, requested: Option<&str>) -> Result<Call<ExchangedToken>, Error> {
    let subject = Secret::new(text(&case["subject_token"]));
    let actor = Secret::new(case["actor_token"].as_str().unwrap_or_default());
    let actor_type = case["actor_token_type"].as_str();
    let mut request = client.token_exchange(&subject, text(&case["subject_token_type"]));
    if actor_type.is_some() || case["actor_token"].is_string() {
        request = request.actor_token(&actor, actor_type.unwrap_or_default());
    }
    if let Some(requested) = requested {
        request = request.requested_token_type(requested);
    }
    for resource in texts(&case["resource"]) {
        request = request.resource(resource);
    }
    for audience in texts(&case["audience"]) {
        request = request.audience(audience);
    }
    request.scopes(texts(&case["scope"])).start(SystemTime::UNIX_EPOCH)
}

/// Compares the form; names may come in any order, and the values of one name keep theirs.
#[track_caller]
fn check_request<E: std::borrow::Borrow<Error>>(id: &Value, expect: &Value, started: Result<Request, E>) {
    match (expect.get("ok"), started) {
        (Some(ok), Ok(request)) => {
            let mut form = request.form();
            let pairs = ok["form"].as_array().unwrap().iter();
            let mut expected: Vec<_> =
                pairs.map(|pair| (text(&pair[0]).to_owned(), text(&pair[1]).to_owned())).collect();
            form.sort_by(|one, other| one.0.cmp(&other.0));
            expected.sort_by(|one, other| one.0.cmp(&other.0));
            assert_eq!(form, expected, "{id}");
        }
        (None, Err(error)) => {
            assert_eq!(expect, "misuse", "{id}");
            assert_eq!(error.borrow().kind(), ErrorKind::Misuse, "{id}: {}", error.borrow());
        }
        (_, started) => panic!("{id}: expected {expect}, got {:?}", started.map_err(|_| "an error")),
    }
}

#[track_caller]
fn check_error(id: &Value, expected: &Value, error: &Error) {
    let kind = match text(&expected["class"]) {
        "refused" => ErrorKind::Refused,
        "invalid" => ErrorKind::Invalid,
        other => panic!("{id}: unknown class {other}"),
    };
    assert_eq!(error.kind(), kind, "{id}: {error}");
    assert_eq!(error.code(), expected["code"].as_str(), "{id}");
    assert_eq!(error.status().map(u64::from), expected["status"].as_u64(), "{id}");
}

#[track_caller]
fn answer(case: &Value) -> Response<'_> {
    let headers = case["headers"].as_array().unwrap().iter();
    let headers = headers.map(|pair| (text(&pair[0]), text(&pair[1])));
    let status = u16::try_from(case["status"].as_u64().unwrap()).unwrap();
    Response::new(status, headers, text(&case["body"]).as_bytes())
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[track_caller]
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}
