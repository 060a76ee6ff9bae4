//! A response to a token exchange yields a token exactly if a model of the rules accepts it; the token equals
//! the one that another JSON reader finds. An identity assertion comes of such a response only if both types
//! say so, and is then sent as it came. No printed text depends on a secret.
//!
//! Input: lines with the status and a letter for each leniency, then the body.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oauth2_proto::grants::{ExchangedToken, IdentityAssertion, token_type};
use oauth2_proto::token::TokenType;
use oauth2_proto::{Error, Response, Secret};
use oauth2_proto_fuzz::{
    assert_shows_safely, check_printing, client, is_token_response, json_object, lines, server, tolerating,
};
use serde_json::{Map, Value};
use std::time::SystemTime;

const AUDIENCE: &str = "https://as.example/";

fuzz_target!(|data: &[u8]| {
    let Some(([status, options], body)) = lines(data) else { return };
    let Ok(status) = status.parse::<u16>() else { return };
    let client = client(tolerating(server().issuer(AUDIENCE).unwrap(), options));
    let subject = Secret::new("fake-subject-token");
    let exchange =
        client.token_exchange(&subject, token_type::ACCESS_TOKEN).start(SystemTime::UNIX_EPOCH).unwrap();
    let assertion = client.identity_assertion(&subject, AUDIENCE).start(SystemTime::UNIX_EPOCH).unwrap();
    let headers = [("Content-Type", "application/json")];
    let read = |body: &[u8]| exchange.read(Response::new(status, headers, body));
    let read_assertion = |body: &[u8]| assertion.read(Response::new(status, headers, body));

    let (exchanged, asserted) = (read(body), read_assertion(body));
    let object = json_object(body);
    match (&exchanged, &object) {
        (Ok(exchanged), Some(object)) => check_json(exchanged, object),
        (Ok(_), None) => assert!((200..=299).contains(&status)),
        (Err(error), _) => {
            assert_eq!(error.status(), Some(status));
            assert_shows_safely(&error.to_string());
        }
    }
    check_assertion(&exchanged, &asserted);
    if let Ok(asserted) = &asserted {
        let form = client.redeem(asserted, SystemTime::UNIX_EPOCH).unwrap().request().form();
        let [grant_type, sent] = form.as_slice() else { panic!("{form:?}") };
        assert_eq!(grant_type.1, "urn:ietf:params:oauth:grant-type:jwt-bearer");
        assert_eq!(sent, &("assertion".to_owned(), asserted.assertion().expose().to_owned()));
    }
    if let Some(object) = object {
        // Serialized again, so that no member is repeated.
        let again = serde_json::to_vec(&object).unwrap();
        let accepted = read(&again);
        let is_acceptable = (200..=299).contains(&status) && is_acceptable(&object, options);
        assert_eq!(accepted.is_ok(), is_acceptable, "{object:?}");
        check_assertion(&accepted, &read_assertion(&again));
        check_printing(read, &object, &["issued_token_type"]);
        check_printing(read_assertion, &object, &["issued_token_type"]);
    }
});

/// Both types make an identity assertion of an exchanged token.
fn check_assertion(exchanged: &Result<ExchangedToken, Error>, asserted: &Result<IdentityAssertion, Error>) {
    let is_assertion = exchanged.as_ref().is_ok_and(|exchanged| {
        exchanged.issued_token_type() == token_type::ID_JAG
            && *exchanged.token_type() == TokenType::NotApplicable
    });
    assert_eq!(asserted.is_ok(), is_assertion);
    if let (Ok(exchanged), Ok(asserted)) = (exchanged, asserted) {
        assert_eq!((asserted.assertion(), asserted.audience()), (exchanged.token(), AUDIENCE));
        assert_eq!(asserted.expires_in(), exchanged.expires_in());
        assert!(exchanged.access_tokens().is_none());
    }
}

/// Returns whether the members form the response to a token exchange, by the rules and the chosen leniencies.
fn is_acceptable(object: &Map<String, Value>, options: &str) -> bool {
    let issued_token_type = object.get("issued_token_type").and_then(Value::as_str);
    is_token_response(object, options, &["bearer", "dpop", "n_a"])
        && issued_token_type.is_some_and(|text| !text.is_empty())
}

fn check_json(exchanged: &ExchangedToken, object: &Map<String, Value>) {
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    assert_eq!(text("access_token"), Some(exchanged.token().expose()));
    assert_eq!(text("issued_token_type"), Some(exchanged.issued_token_type()));
    let refresh_token = text("refresh_token").filter(|token| !token.is_empty());
    assert_eq!(exchanged.refresh_token().map(Secret::expose), refresh_token);
    let is_none = text("token_type").is_some_and(|name| name.eq_ignore_ascii_case("n_a"));
    assert_eq!(*exchanged.token_type() == TokenType::NotApplicable, is_none);
    assert!(!is_none || exchanged.access_tokens().is_none());
    for (name, value) in exchanged.extras() {
        assert_eq!(object.get(name), Some(value), "{name}");
    }
}
