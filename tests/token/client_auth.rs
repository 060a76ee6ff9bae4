//! Client authentication at the token endpoint.

use oauth2_proto::{Client, ClientAuth, error::ErrorKind};

use crate::support::{server, token_call};

#[test]
fn rfc6749_section_2_3_one_authentication_method_per_request() {
    for (auth, basic, in_body) in [
        (ClientAuth::basic("fake"), true, &[] as &[&str]),
        (ClientAuth::basic_unencoded("fake"), true, &[]),
        (ClientAuth::post("fake"), false, &["client_id", "client_secret"]),
        (ClientAuth::post(""), false, &["client_id"]),
        (ClientAuth::none(), false, &["client_id"]),
    ] {
        let client = Client::new(server(), "fake-client", auth).unwrap();
        let call = token_call(&client);
        assert_eq!(call.request().header("authorization").is_some(), basic);
        let form = call.request().form();
        let credentials: Vec<_> =
            form.iter().map(|(name, _)| name.as_str()).filter(|name| name.starts_with("client_")).collect();
        assert_eq!(credentials, in_body);
    }
}

#[test]
fn basic_unencoded_sends_the_halves_as_they_are() {
    let client = Client::new(server(), "fake-client", ClientAuth::basic_unencoded("a+b %")).unwrap();
    let header = token_call(&client).request().header("authorization").map(str::to_owned);
    assert_eq!(header.as_deref(), Some("Basic ZmFrZS1jbGllbnQ6YStiICU="));
    let error = Client::new(server(), "a:b", ClientAuth::basic_unencoded("fake")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse);
}
