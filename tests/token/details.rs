//! The authorization details of a token response.

use oauth2_proto::TokenResponse;
use oauth2_proto::error::ErrorKind;
use serde_json::{Value, json};

use crate::support::client;

#[track_caller]
fn tokens(details: &str) -> TokenResponse {
    let body = format!(
        r#"{{"access_token":"2YotnFZFEjr1zCsicMWpAA","token_type":"Bearer","expires_in":3600,
             "refresh_token":"tGzv3JOkF0XG5Qx2TlKWIA"{details}}}"#
    );
    TokenResponse::for_test(&client(), &body).unwrap()
}

#[test]
fn rfc9396_section_7_token_response() {
    let tokens = tokens(
        r#","authorization_details": [{
            "type": "payment_initiation",
            "actions": ["initiate", "status", "cancel"],
            "locations": ["https://example.com/payments"],
            "instructedAmount": {"currency": "EUR", "amount": "123.50"},
            "creditorName": "Merchant A",
            "creditorAccount": {"iban": "DE02100100109307118603"},
            "remittanceInformationUnstructured": "Ref Number Merchant"
        }]"#,
    );
    let details = tokens.authorization_details().unwrap();
    let [detail] = details[..] else { panic!("{details:?}") };
    assert_eq!(detail.type_name(), "payment_initiation");
    assert_eq!(detail.get("actions"), Some(&json!(["initiate", "status", "cancel"])));
    assert_eq!(detail.get("instructedAmount"), Some(&json!({"currency": "EUR", "amount": "123.50"})));
    assert_eq!(detail.get("identifier"), None);
    assert_eq!(format!("{detail:?}"), "AuthorizationDetail { type: \"payment_initiation\", .. }");
}

#[test]
fn rfc9396_section_7_1_enriched_details() {
    let tokens = tokens(
        r#","authorization_details":[{"type":"account_information","recurringIndicator":true,
            "access":{"accounts":[{"iban":"DE2310010010123456789"},{"maskedPan":"123456xxxxxx1234"}]}}]"#,
    );
    let access = tokens.authorization_details().unwrap()[0].get("access").unwrap();
    assert_eq!(access["accounts"][1]["maskedPan"], "123456xxxxxx1234");
}

#[test]
fn a_response_without_details_has_none() {
    for none in ["", r#","authorization_details":null"#, r#","authorization_details":[]"#] {
        assert!(tokens(none).authorization_details().unwrap().is_empty(), "{none}");
    }
}

#[test]
fn broken_details_take_no_token_away() {
    for broken in
        [r#""planted""#, "{}", r#"[{"type":"a"},{}]"#, r#"[{"type":""}]"#, r#"[{"type":7}]"#, "[[]]"]
    {
        let tokens = tokens(&format!(r#","authorization_details":{broken}"#));
        assert_eq!(tokens.access_token().expose(), "2YotnFZFEjr1zCsicMWpAA");
        let error = tokens.authorization_details().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(!error.to_string().contains("planted"), "{error}");
        assert!(matches!(
            tokens.extra("authorization_details"),
            Some(Value::String(_) | Value::Object(_) | Value::Array(_))
        ));
    }
}
