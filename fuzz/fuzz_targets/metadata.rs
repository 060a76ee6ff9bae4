//! A document is accepted only for the identifier that was asked for; its endpoints mean the same to the
//! `url` crate, and are https or loopback. What is accepted is stored and read back equal.
//!
//! Input: a line with an issuer or a resource, a line with the address of a challenge, and the document.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oauth2_proto::discovery::{ResourceDiscovery, ServerDiscovery};
use oauth2_proto::{AuthorizationServer, Error, Response};
use oauth2_proto_fuzz::{assert_shows_safely, json_object, lines};
use serde_json::Value;
use url::{Host, Url};

fuzz_target!(|data: &[u8]| {
    let Some(([identifier, challenge], body)) = lines(data) else { return };
    check_server(identifier, body);
    check_resource(identifier, challenge, body);
    if let Ok(server) = serde_json::from_slice::<AuthorizationServer>(body) {
        check_stored(&server);
    }
});

fn check_server(issuer: &str, body: &[u8]) {
    let Some(mut discovery) = accepted(ServerDiscovery::new(issuer)) else { return };
    let identifier = check_address(issuer);
    loop {
        let call = discovery.call();
        let url = check_address(call.request().url());
        assert_eq!(url.origin(), identifier.origin());
        assert!(url.path().contains("/.well-known/") && url.query().is_none());
        if let Some(server) = accepted(call.read(Response::new(200, [("a", "b")], body))) {
            let document = json_object(body);
            let metadata = server.metadata();
            assert_eq!(metadata.issuer(), Some(issuer));
            if let Some(document) = document {
                assert_eq!(document["issuer"], issuer);
                assert_eq!(document["token_endpoint"], metadata.token_endpoint());
                let listed = &document.get("code_challenge_methods_supported");
                let has_s256 = |methods: &&Value| methods.as_array().unwrap().iter().any(|it| it == "S256");
                assert!(listed.filter(|it| !it.is_null()).as_ref().is_none_or(has_s256));
            }
            check_stored(&server);
            let stored = serde_json::to_value(&server).unwrap();
            assert!(stored.get("oauth2_proto").is_none(), "a server switched on a setting");
        }
        let error = call.read(Response::new(404, [("a", "b")], b"")).unwrap_err();
        let Err(error) = discovery.next_address(error) else { continue };
        assert_eq!(error.status(), Some(404));
        return;
    }
}

fn check_resource(resource: &str, challenge: &str, body: &[u8]) {
    let challenge = Some(challenge).filter(|url| !url.is_empty());
    let Some(mut strict) = accepted(ResourceDiscovery::from_challenge(resource, challenge)) else { return };
    let mut lenient = ResourceDiscovery::from_challenge(resource, challenge).unwrap().accept_parent();
    let identifier = check_address(resource);
    let mut number = 0;
    loop {
        let call = strict.call();
        let url = check_address(call.request().url());
        assert!(url.origin() == identifier.origin() || number == 0 && challenge.is_some());
        let read = || Response::new(200, [("a", "b")], body);
        if let Some(document) = accepted(call.read(read())) {
            let is_of_origin = Url::parse(document.resource()).unwrap().path() == "/";
            assert!(document.resource() == resource || is_of_origin && number > 0);
            document.authorization_servers().map(check_address).for_each(drop);
            assert!(lenient.call().read(read()).is_ok());
        }
        if let Some(document) = accepted(lenient.call().read(read())) {
            let parent = Url::parse(document.resource()).unwrap();
            assert_eq!(parent.origin(), identifier.origin());
            assert!(identifier.path().starts_with(parent.path().trim_end_matches('/')));
        }
        let missing = call.read(Response::new(404, [("a", "b")], b"")).unwrap_err();
        let ends = strict.next_address(missing.clone()).is_err();
        assert_eq!(lenient.next_address(missing).is_err(), ends);
        if ends {
            return;
        }
        number += 1;
    }
}

/// Stores a server and reads it back.
fn check_stored(server: &AuthorizationServer) {
    check_address(server.metadata().token_endpoint());
    server.metadata().authorization_endpoint().map(check_address);
    server.metadata().revocation_endpoint().map(check_address);
    let stored = serde_json::to_value(server).unwrap();
    let restored: AuthorizationServer =
        serde_json::from_str(&stored.to_string()).expect("the stored form is valid");
    assert_eq!(format!("{restored:?}"), format!("{server:?}"));
    // The last digit of a number with a fraction may change.
    if !has_fraction(&stored) {
        assert_eq!(serde_json::to_value(&restored).unwrap(), stored);
    }
    assert!(serde_json::from_value::<AuthorizationServer>(stored).is_ok());
}

fn has_fraction(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(values) => values.iter().any(has_fraction),
        Value::Object(members) => members.values().any(has_fraction),
        _ => false,
    }
}

/// Returns what was accepted; checks the error otherwise.
fn accepted<T>(result: Result<T, Error>) -> Option<T> {
    let error = match result {
        Ok(value) => return Some(value),
        Err(error) => error,
    };
    assert_shows_safely(&error.to_string());
    None
}

/// Asserts that an address is https or loopback, without user information and fragment.
fn check_address(address: &str) -> Url {
    let url = Url::parse(address).expect("an accepted address parses");
    assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
    let is_loopback = match url.host().expect("an accepted address has a host") {
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
        Host::Domain(name) => name == "localhost",
    };
    assert!(url.scheme() == "https" || url.scheme() == "http" && is_loopback, "{address}");
    url
}
