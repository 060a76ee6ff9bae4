//! Pleo offers none of these grants, which its client says before any request.

use oauth2_proto::error::ErrorKind;
use oauth2_proto::grants::token_type;
use oauth2_proto::{Client, ClientAuth, Secret, pleo};
use std::time::SystemTime;

use crate::responses::json;
use crate::support;

#[test]
fn a_client_of_pleo_refuses_every_grant_but_refresh() {
    let client = Client::new(pleo::staging(), "fake-client", ClientAuth::basic("fake-secret")).unwrap();
    let token = Secret::new("fake-token");
    for (grant, error) in [
        ("client credentials", client.client_credentials().start(SystemTime::UNIX_EPOCH).err()),
        (
            "token exchange",
            client.token_exchange(&token, token_type::ACCESS_TOKEN).start(SystemTime::UNIX_EPOCH).err(),
        ),
        ("JWT bearer", client.jwt_bearer(&token).start(SystemTime::UNIX_EPOCH).err()),
        (
            "identity assertion",
            client.identity_assertion(&token, "https://as.example").start(SystemTime::UNIX_EPOCH).err(),
        ),
        ("its second step", client.redeem(&identity_assertion(), SystemTime::UNIX_EPOCH).err()),
        ("extension grant", client.extension_grant("urn:example:grant").start(SystemTime::UNIX_EPOCH).err()),
    ] {
        let error = error.unwrap_or_else(|| panic!("{grant}: there is a request"));
        assert_eq!(error.kind(), ErrorKind::Misuse, "{grant}");
        let says = "Pleo supports the grant types \"authorization_code\" and \"refresh_token\", not";
        assert!(error.to_string().contains(says), "{grant}: {error}");
    }
}

#[track_caller]
fn identity_assertion() -> oauth2_proto::grants::IdentityAssertion {
    let client = support::client();
    let call = client
        .identity_assertion(&Secret::new("fake.id.token"), "https://as.example")
        .start(SystemTime::UNIX_EPOCH)
        .unwrap();
    let body = format!(
        r#"{{"access_token":"fake.id.jag","token_type":"N_A","issued_token_type":"{}"}}"#,
        token_type::ID_JAG
    );
    call.read(json(&body)).unwrap()
}
