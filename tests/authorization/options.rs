//! What an authorization request asks for beyond scopes, and the callback that comes as a form.

use std::time::Duration;

use oauth2_proto::authorization::AuthorizationRequest;
use oauth2_proto::error::ErrorKind;
use oauth2_proto::{AuthorizationServer, Callback, Client, Error};
use serde_json::{Value, json};

use crate::support::{REDIRECT_URI, client, client_of, entropy, now, start};

type Ask = for<'a> fn(AuthorizationRequest<'a>) -> AuthorizationRequest<'a>;

/// Returns the parameters of the URL after those of every request.
#[track_caller]
fn asked(client: &Client, ask: Ask) -> Result<Vec<(String, String)>, Error> {
    let (plain, _) = client.authorize(REDIRECT_URI).start_with(entropy(), now())?;
    let (url, _) = ask(client.authorize(REDIRECT_URI)).start_with(entropy(), now())?;
    let added = url.strip_prefix(&plain).expect("the other parameters come first");
    Ok(serde_urlencoded::from_str(added.trim_start_matches('&')).unwrap())
}

#[track_caller]
fn assert_asks(ask: Ask, expected: &[(&str, &str)]) {
    let asked = asked(&client(), ask).unwrap();
    let asked: Vec<_> = asked.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(asked, expected);
}

#[track_caller]
fn assert_misuse(ask: Ask, why: &str) {
    let error = asked(&client(), ask).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse);
    assert!(error.to_string().contains(why), "{error}");
}

/// RFC 9396 §2, "a Combined Request".
fn combined() -> [Value; 2] {
    [
        json!({
            "type": "account_information",
            "actions": ["list_accounts", "read_balances", "read_transactions"],
            "locations": ["https://example.com/accounts"]
        }),
        json!({
            "type": "payment_initiation",
            "actions": ["initiate", "status", "cancel"],
            "locations": ["https://example.com/payments"],
            "instructedAmount": {"currency": "EUR", "amount": "123.50"},
            "creditorName": "Merchant A",
            "creditorAccount": {"iban": "DE02100100109307118603"},
            "remittanceInformationUnstructured": "Ref Number Merchant"
        }),
    ]
}

#[test]
fn openid_connect_core_section_3_1_2_1_prompt() {
    assert_asks(|request| request.prompt(["none"]), &[("prompt", "none")]);
    assert_asks(|request| request.prompt(["login", "consent"]), &[("prompt", "login consent")]);
    assert_asks(|request| request.prompt(["create"]), &[("prompt", "create")]);
    assert_asks(|request| request.prompt([""; 0]), &[]);
}

#[test]
fn openid_connect_core_section_3_1_2_1_prompt_none_stands_alone() {
    for ask in [(|request| request.prompt(["none", "login"])) as Ask, |r| r.prompt(["consent", "none"])] {
        assert_misuse(ask, "none and another value");
    }
}

#[test]
fn openid_connect_core_section_3_1_2_1_max_age_acr_values_and_login_hint() {
    assert_asks(|request| request.max_age(Duration::from_millis(1999)), &[("max_age", "1")]);
    assert_asks(|request| request.max_age(Duration::ZERO), &[("max_age", "0")]);
    assert_asks(|request| request.acr_values(["urn:a", "b"]), &[("acr_values", "urn:a b")]);
    assert_asks(|request| request.login_hint("a b&c"), &[("login_hint", "a b&c")]);
    assert_asks(|request| request.acr_values([""; 0]).login_hint(""), &[]);
}

#[test]
fn a_value_with_a_space_would_be_two() {
    for ask in [
        (|request| request.prompt(["login consent"])) as Ask,
        |request| request.prompt([""]),
        |request| request.acr_values(["a", "b\tc"]),
        |request| request.acr_values(["a\u{0}"]),
    ] {
        assert_misuse(ask, "pass each value by itself");
    }
}

#[test]
fn openid_connect_core_section_5_5_claims_is_an_object() {
    let claims = json!({"userinfo": {"email": null}, "id_token": {"acr": {"values": ["a"]}}});
    let asked = asked(&client(), |request| {
        request.claims(&json!({"userinfo": {"email": null}, "id_token": {"acr": {"values": ["a"]}}}))
    });
    let asked = asked.unwrap();
    assert_eq!(asked[0].0, "claims");
    assert_eq!(serde_json::from_str::<Value>(&asked[0].1).unwrap(), claims);

    assert_asks(|request| request.claims(&json!({"id_token": null})), &[("claims", r#"{"id_token":null}"#)]);
    for ask in [
        (|request| request.claims(&json!(["email"]))) as Ask,
        |request| request.claims(&json!("email")),
        |request| request.claims(&json!({"id_token": ["email"]})),
        |request| request.claims(&json!({"userinfo": "email"})),
    ] {
        assert_misuse(ask, "the claims are no JSON object");
    }
}

#[test]
fn rfc9396_section_3_authorization_details_in_an_authorization_request() {
    let asked = asked(&client(), |request| request.authorization_details(&combined())).unwrap();
    let [(name, value)] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!(name, "authorization_details");
    assert_eq!(serde_json::from_str::<Value>(value).unwrap(), json!(combined()));
}

#[test]
fn rfc9396_section_2_entries_of_the_same_type_may_repeat() {
    assert_asks(
        |request| request.authorization_details(&[json!({"type": "a"}), json!({"type": "a"})]),
        &[("authorization_details", r#"[{"type":"a"},{"type":"a"}]"#)],
    );
    assert_asks(|request| request.authorization_details(&[]), &[]);
}

#[test]
fn rfc9396_section_2_type_is_required() {
    for (ask, index) in [
        ((|request| request.authorization_details(&[json!({})])) as Ask, 0),
        (|request| request.authorization_details(&[json!({"type": "a"}), json!({"type": 1})]), 1),
        (|request| request.authorization_details(&[json!({"type": ""})]), 0),
        (|request| request.authorization_details(&[json!("type")]), 0),
        (|request| request.authorization_details(&[json!([{"type": "a"}])]), 0),
    ] {
        assert_misuse(ask, &format!("at index {index} "));
    }
}

#[test]
fn rfc9396_sections_3_1_and_3_2_details_go_with_scopes_and_resources() {
    let client = client();
    let details = [json!({"type": "a"})];
    let request = client.authorize(REDIRECT_URI).scopes(["read"]).resource("https://api.example/");
    let (url, _) = request.authorization_details(&details).start_with(entropy(), now()).unwrap();
    for part in ["&scope=read&", "&resource=https%3A%2F%2Fapi.example%2F&", "&authorization_details=%5B%7B"] {
        assert!(url.contains(part), "{part} is not in {url}");
    }
}

#[test]
fn a_parameter_with_a_method_of_its_own_names_the_method() {
    for (ask, method) in [
        ((|request| request.parameter("response_mode", "jwt")) as Ask, "`signed_response`"),
        (|request| request.parameter("response_mode", "query.jwt"), "`signed_response`"),
        (|request| request.parameter("request", "fake"), "`signed`"),
        (|request| request.parameter("request_uri", "urn:fake"), "`push`"),
        (|request| request.parameter("resource", "https://api.example"), "`resource`"),
    ] {
        assert_misuse(ask, method);
    }
}

#[test]
fn rfc6749_section_3_1_no_parameter_is_given_twice() {
    for ask in [
        (|request| request.prompt(["login"]).prompt(["consent"])) as Ask,
        |request| request.prompt(["login"]).parameter("prompt", "consent"),
        |request| request.parameter("max_age", "1").max_age(Duration::ZERO),
        |request| request.acr_values(["a"]).parameter("acr_values", "b"),
        |request| request.login_hint("a").parameter("login_hint", "a"),
        |request| request.claims(&json!({})).parameter("claims", "{}"),
        |request| request.parameter("authorization_details", "[]").authorization_details(&combined()),
        |request| request.form_post().parameter("response_mode", "query"),
    ] {
        assert_misuse(ask, "is there twice");
    }
    let endpoint = "https://as.example/authorize?prompt=login";
    let server = AuthorizationServer::new(endpoint, "https://as.example/token").unwrap();
    let error = asked(&client_of(server), |request| request.prompt(["login"])).unwrap_err();
    assert!(error.to_string().contains("in the authorization endpoint's query too"), "{error}");
}

#[test]
fn form_post_response_mode_the_callback_is_the_body_of_a_form() {
    assert_asks(|request| request.form_post(), &[("response_mode", "form_post")]);

    let client = client();
    let (_, mut pending) = start(&client);
    let body = format!("code=fake+code&state={}&a=%23", pending.state());
    let call = pending.receive(&client, Callback::form(&body), now()).unwrap();
    assert!(call.request().body().contains("code=fake+code&"));
}

#[test]
fn a_form_is_read_to_its_end_and_has_no_question_mark() {
    let client = client();
    let (_, mut pending) = start(&client);
    let state = pending.state().to_owned();
    let repeated = format!("code=a#&state={state}&code=b");
    let error = pending.receive(&client, Callback::form(&repeated), now()).unwrap_err();
    assert!(error.to_string().contains("the parameter code is repeated"), "{error}");
    let marked = format!("?state={state}&code=a");
    let error = pending.receive(&client, Callback::form(&marked), now()).unwrap_err();
    assert!(error.to_string().contains("state is missing"), "{error}");
}
