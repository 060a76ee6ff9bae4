//! An accepted address means the same to the `url` crate and to a reader, and is https or loopback. A sign-in
//! started with it can be restored.
//!
//! Input: lines with an endpoint, an issuer, a redirect URI, a resource and a scope; a missing line is empty.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oauth2_proto::{AuthorizationServer, Client, Error, PendingAuthorization, error::ErrorKind};
use oauth2_proto_fuzz::{assert_shows_safely, client, entropy, now, server};
use url::{Host, Url, form_urlencoded};

fuzz_target!(|text: &str| {
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    check_endpoint(line());
    check_issuer(line());
    check_request(line(), line(), line());
});

fn check_endpoint(endpoint: &str) {
    if let Ok(server) = accepted(AuthorizationServer::new(endpoint, "https://as.example/token")) {
        let expected = check_address(endpoint);
        let (url, _) = start(&client(server)).expect("a sound endpoint");
        assert!(url.starts_with(endpoint), "{url}");
        let url = Url::parse(&url).unwrap();
        assert_eq!((url.origin(), url.path()), (expected.origin(), expected.path()));
    }
    if let Ok(server) = accepted(AuthorizationServer::new("https://as.example/authorize", endpoint)) {
        check_address(endpoint);
        let (_, mut pending) = start(&client(server.clone())).expect("a sound endpoint");
        let callback = format!("code=fake&state={}", pending.state());
        let call = pending.receive(&client(server), callback.as_str(), now()).unwrap();
        assert_eq!(call.request().url(), endpoint);
    }
}

fn check_issuer(issuer: &str) {
    let Ok(server) = accepted(server().issuer(issuer)) else { return };
    assert_eq!(check_address(issuer).query(), None);
    let client = client(server.authorization_response_iss_parameter_supported(true));
    let (_, mut pending) = start(&client).unwrap();
    let callback = |issuer: &str| {
        let encoded: String = form_urlencoded::byte_serialize(issuer.as_bytes()).collect();
        format!("code=fake&state={}&iss={encoded}", pending.state())
    };
    let [genuine, longer, shorter] =
        [issuer, &format!("{issuer}/"), &issuer[..issuer.len() - 1]].map(callback);
    for other in [longer, shorter] {
        let error = pending.receive(&client, other.as_str(), now()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Suspect);
    }
    pending.receive(&client, genuine.as_str(), now()).expect("its own issuer");
}

fn check_request(redirect_uri: &str, resource: &str, scope: &str) {
    let client = client(server());
    let mut request = client.authorize(redirect_uri);
    if !resource.is_empty() {
        request = request.resource(resource);
    }
    if !scope.is_empty() {
        request = request.scopes([scope]);
    }
    let started = accepted(request.start_with(entropy(), now()));
    let Ok((url, mut pending)) = started else { return };
    let scheme = redirect_uri.split(':').next().unwrap_or_default().to_ascii_lowercase();
    assert!(!["javascript", "data", "file", "blob", "about", "ws"].contains(&&*scheme), "{redirect_uri}");
    if scheme == "http" {
        check_loopback(redirect_uri, |name| name == "localhost" || name.ends_with(".localhost"));
    }
    assert!(!redirect_uri.contains('#') && !resource.contains('#') && !scope.contains(' '));

    let url = Url::parse(&url).unwrap();
    let all = |name: &str| -> Vec<String> {
        url.query_pairs().filter(|(known, _)| known == name).map(|(_, value)| value.into_owned()).collect()
    };
    let given = |text: &str| Some(text.to_owned()).into_iter().filter(|text| !text.is_empty()).collect();
    let expected: [Vec<String>; 3] = [redirect_uri, resource, scope].map(given);
    assert_eq!(["redirect_uri", "resource", "scope"].map(all), expected);

    let stored = serde_json::to_string(&pending).unwrap();
    let mut restored: PendingAuthorization = serde_json::from_str(&stored).expect("what was started");
    let callback = format!("code=fake&state={}", pending.state());
    let [one, other] = [&mut pending, &mut restored]
        .map(|pending| pending.receive(&client, callback.as_str(), now()).unwrap().request().form());
    assert_eq!(one, other);
    assert!(one.contains(&("redirect_uri".to_owned(), redirect_uri.to_owned())));
}

fn start(client: &Client) -> Result<(String, PendingAuthorization), Error> {
    client.authorize("https://app.example/callback").start_with(entropy(), now())
}

/// Asserts that every refusal is a misuse with a message of one line.
fn accepted<T>(result: Result<T, Error>) -> Result<T, ()> {
    result.map_err(|error| {
        assert_eq!(error.kind(), ErrorKind::Misuse);
        assert_shows_safely(&error.to_string());
    })
}

/// Parses an address with the `url` crate, and asserts that it means what it says and is safe to send secrets
/// to.
fn check_address(text: &str) -> Url {
    let url = check_loopback(text, |name| name == "localhost");
    // The `url` crate removes dot segments, and the `http` crate keeps them.
    let rest = text.split_once("://").unwrap().1;
    let path = rest
        .split('?')
        .next()
        .unwrap()
        .find('/')
        .map_or("/", |start| rest[start..].split('?').next().unwrap());
    assert_eq!(url.path(), path, "{text}");
    url
}

fn check_loopback(text: &str, is_loopback_name: fn(&str) -> bool) -> Url {
    let url = Url::parse(text).expect("an accepted address is a URL");
    let loopback = match url.host().expect("it has a host") {
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
        Host::Domain(name) => {
            assert!(!name.starts_with('.') && !name.contains(".."), "{text}");
            is_loopback_name(name)
        }
    };
    assert!(url.scheme() == "https" || url.scheme() == "http" && loopback, "{text}");
    assert_eq!((url.username(), url.password(), url.fragment()), ("", None, None), "{text}");
    assert!(text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\'), "{text}");
    let (scheme, rest) = text.split_once("://").unwrap();
    assert!(scheme.eq_ignore_ascii_case(url.scheme()));
    let authority = rest.split(['/', '?']).next().unwrap();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    assert!(host.eq_ignore_ascii_case(url.host_str().unwrap()), "{text} leads to {url}");
    url
}
