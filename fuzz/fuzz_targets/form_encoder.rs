//! The `url` crate decodes what this crate encodes, and the `oauth2` crate encodes to the same form.
//!
//! Input: lines with the client id, the client secret, a parameter's name and value, the query of the
//! authorization endpoint and a form body written by hand; a missing line is empty.
#![no_main]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Request, Response, Secret, error::ErrorKind};
use oauth2_proto_fuzz::{WITHHELD, entropy, now, server};
use std::time::SystemTime;
use url::{Url, form_urlencoded};

fuzz_target!(|text: &str| {
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (client_id, client_secret) = (line(), line());
    let (name, value) = (line(), line());
    let (endpoint_query, by_hand) = (line(), line());
    if is_refused(client_id) || is_refused(client_secret) {
        let refused = Client::new(server(), client_id, ClientAuth::basic(client_secret)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Misuse);
    } else if !client_id.is_empty() {
        check_basic(client_id, client_secret);
        check_echo(client_id, client_secret);
        check_authorization_url(client_id, name, value, endpoint_query);
    }
    check_form(name, value, by_hand);
});

/// Returns whether a client id or secret looks like the text of a file. A line break cannot occur in a line.
fn is_refused(text: &str) -> bool {
    text.contains(['\r', '\0']) || text.starts_with(char::is_control) || text.ends_with(char::is_control)
}

fn check_basic(client_id: &str, client_secret: &str) {
    let client = Client::new(server(), client_id, ClientAuth::basic(client_secret)).unwrap();
    let call = client.refresh(&Secret::new("fake-refresh-token")).start(SystemTime::UNIX_EPOCH).unwrap();
    let header = call.request().header("authorization").unwrap();
    let pair = STANDARD.decode(header.strip_prefix("Basic ").unwrap()).unwrap();
    let encode = |half: &str| form_urlencoded::byte_serialize(half.as_bytes()).collect::<String>();
    assert_eq!(String::from_utf8(pair).unwrap(), format!("{}:{}", encode(client_id), encode(client_secret)));
    assert_eq!(header, basic_of_oauth2(client_id, client_secret));
}

/// Returns the header of the `oauth2` crate, caught in place of sending the request.
fn basic_of_oauth2(client_id: &str, client_secret: &str) -> String {
    let header = std::cell::RefCell::default();
    let catch = |request: oauth2::HttpRequest| {
        *header.borrow_mut() = request.headers()["authorization"].to_str().unwrap().to_owned();
        Err::<oauth2::HttpResponse, _>(std::io::Error::other("not sent"))
    };
    let _ = oauth2::basic::BasicClient::new(oauth2::ClientId::new(client_id.to_owned()))
        .set_client_secret(oauth2::ClientSecret::new(client_secret.to_owned()))
        .set_token_uri(oauth2::TokenUrl::new("https://as.example/token".to_owned()).unwrap())
        .exchange_refresh_token(&oauth2::RefreshToken::new("fake-refresh-token".to_owned()))
        .request(&catch);
    header.into_inner()
}

/// Checks that an error text that repeats the client secret is withheld, with every client authentication.
fn check_echo(client_id: &str, client_secret: &str) {
    if client_secret.is_empty() {
        return;
    }
    let secret = || Secret::new(client_secret);
    let auths =
        [ClientAuth::basic(secret()), ClientAuth::basic_unencoded(secret()), ClientAuth::post(secret())];
    for auth in auths {
        let Ok(client) = Client::new(server(), client_id, auth) else { continue };
        let call = client.refresh(&Secret::new("fake-refresh-token")).start(SystemTime::UNIX_EPOCH).unwrap();
        let description = format!("bad {client_secret}!");
        let echo = serde_json::json!({ "error": "invalid_client", "error_description": description });
        let error = call.read(Response::new(401, [("", "")], echo.to_string().as_bytes())).unwrap_err();
        let header = call.request().header("authorization");
        assert_eq!(error.description(), Some(WITHHELD), "{client_secret:?} with {header:?}");
        assert_eq!(error.code(), Some("invalid_client"));
    }
}

fn check_authorization_url(client_id: &str, name: &str, value: &str, endpoint_query: &str) {
    let endpoint = format!("https://as.example/authorize?{endpoint_query}");
    let Ok(server) = AuthorizationServer::new(&endpoint, "https://as.example/token") else { return };
    let client = Client::new(server, client_id, ClientAuth::none()).unwrap();
    let request = client.authorize("https://app.example/callback?a=b&c=d").parameter(name, value);
    let (url, pending) = match request.start_with(entropy(), now()) {
        Ok(started) => started,
        Err(error) => return assert_eq!(error.kind(), ErrorKind::Misuse),
    };
    let url = Url::parse(&url).unwrap();
    assert_eq!(url.fragment(), None);
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();

    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut expected: Vec<_> = form_urlencoded::parse(endpoint_query.as_bytes()).into_owned().collect();
    expected.extend([
        pair("response_type", "code"),
        pair("client_id", client_id),
        pair("code_challenge_method", "S256"),
        pair("redirect_uri", "https://app.example/callback?a=b&c=d"),
        pair("state", pending.state()),
        // The challenge of the verifier made from bytes that are all 7.
        pair("code_challenge", "3Ev4DHdHPRMPoN6GukAY_pi7IUAF5qWJHRK6kURvnoE"),
        pair(name, value),
    ]);
    assert_eq!(pairs, expected);
}

fn check_form(name: &str, value: &str, by_hand: &str) {
    let added = (name.to_owned(), value.to_owned());
    let mut request = Request::new("POST", "https://as.example/token");
    request.push_form(name, value);
    assert_eq!(request.form(), [added.clone()]);
    request.set_form([(name, value), ("grant_type", "refresh_token")]).unwrap();
    assert_eq!(request.form()[0], added);

    request.set_body(by_hand);
    let mut expected = request.form();
    expected.push(added);
    request.push_form(name, value);
    assert_eq!(request.form(), expected);
    assert_eq!(form_urlencoded::parse(request.body().as_bytes()).into_owned().collect::<Vec<_>>(), expected);
}
