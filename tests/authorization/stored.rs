//! The stored form of a pending authorization: what is read again, and what is refused.

use oauth2_proto::PendingAuthorization;

use crate::support::{client, later, start};

#[test]
fn a_pending_authorization_survives_its_store() {
    let client = client();
    let (_, pending) = start(&client);
    let stored = serde_json::to_value(&pending).unwrap();
    let mut restored: PendingAuthorization = serde_json::from_value(stored.clone()).unwrap();
    assert_eq!(serde_json::to_value(&restored).unwrap(), stored);
    assert_eq!(restored.expires_at(), later(600));
    let callback = format!("code=fake&state={}", pending.state());
    let call = restored.receive(&client, callback.as_str(), later(10)).unwrap();
    assert!(call.request().body().contains("code_verifier=BwcHBwcH"));
}

#[test]
fn a_stored_form_that_is_not_understood_says_so() {
    let stored = serde_json::to_value(start(&client()).1).unwrap();
    let changed = |member: &str, value: serde_json::Value| {
        let mut stored = stored.clone();
        stored[member] = value;
        serde_json::from_value::<PendingAuthorization>(stored).unwrap_err().to_string()
    };
    assert!(changed("version", 2.into()).contains("version 2"));
    for (member, value) in [
        ("state", ""),
        ("code_verifier", "short"),
        ("redirect_uri", "/callback"),
        ("client", "AAAA"),
        ("client", "?"),
    ] {
        let message = changed(member, value.into());
        assert!(message.contains(member) && message.contains("start again"), "{message}");
    }
    let nothing = serde_json::from_str::<PendingAuthorization>("{}").unwrap_err().to_string();
    assert!(nothing.contains("version 0"), "{nothing}");
}
