//! Whole sign-ins against an authorization server that is driven without sockets.

use std::time::{Duration, SystemTime};

use oauth2_proto::{Advice, Callback, Client, ClientAuth, Request, Response, error::ErrorKind, pleo};

use crate::embedded::{AuthorizationServer, Config, HttpRequest, HttpResponse};
use crate::support::{entropy, later, now};

/// The apparent address of the embedded server; nothing is sent there.
const BASE: &str = "http://127.0.0.1:1";
/// The redirect URI that the client is registered with.
const REGISTERED: &str = "http://127.0.0.1:7777/callback";

/// The embedded server, and a client of it that speaks to it by function calls.
#[track_caller]
fn embedded_server() -> (AuthorizationServer, Client) {
    let config = Config { scopes: "export:read export:write".into(), ..Config::new(REGISTERED) };
    let auth = ClientAuth::basic(config.client_secret.as_str());
    let client = Client::new(pleo::at(BASE).unwrap(), config.client_id.as_str(), auth).unwrap();
    (AuthorizationServer::new(config), client)
}

/// Hands the request to the server and returns its response.
#[track_caller]
fn send(server: &mut AuthorizationServer, request: &Request) -> HttpResponse {
    let headers: Vec<_> = request.headers().collect();
    let target = request.url().strip_prefix(BASE).unwrap();
    server.handle(HttpRequest {
        method: request.method(),
        target,
        headers: &headers,
        body: request.body().as_bytes(),
    })
}

/// The response as the crate takes it.
fn received(response: &HttpResponse) -> Response<'_> {
    Response::new(
        response.status,
        response.headers.iter().map(|(name, value)| (*name, value)),
        response.body.as_bytes(),
    )
}

/// The callback that the browser brings back from the authorization URL.
#[track_caller]
fn browse(server: &mut AuthorizationServer, url: &str) -> String {
    let response = send(server, &Request::new("GET", url));
    response.header("location").unwrap_or_else(|| panic!("{} {}", response.status, response.body)).to_owned()
}

#[test]
fn a_sign_in_a_refresh_and_the_end_of_the_replaced_refresh_token() {
    let (mut server, client) = embedded_server();

    let (url, mut pending) = client
        .authorize(REGISTERED)
        .scopes(["export:read", "export:write"])
        .start_with(entropy(), now())
        .unwrap();
    let callback = browse(&mut server, &url);

    let call = pending.receive(&client, Callback::url(&callback), later(5)).unwrap();
    let first = call.read(received(&send(&mut server, call.request()))).unwrap();
    assert!(server.is_access_token_valid(first.access_token().expose()));
    assert_eq!(first.expires_in(), Some(Duration::from_secs(3600)));
    assert_eq!(first.missing_scopes().count(), 0);
    assert_eq!(first.extra_scopes().count(), 0);

    let refresh = client.refresh(first.refresh_token().unwrap()).start(SystemTime::UNIX_EPOCH).unwrap();
    let second = refresh.read(received(&send(&mut server, refresh.request()))).unwrap();
    assert!(second.refresh_token_is_new());
    assert!(server.is_access_token_valid(second.access_token().expose()));

    let error = refresh.read(received(&send(&mut server, refresh.request()))).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Some("invalid_grant")));
    assert_eq!(error.advice(), Advice::Reauthorize);
}

#[test]
fn a_code_is_used_once() {
    let (mut server, client) = embedded_server();
    let (url, mut pending) = client.authorize(REGISTERED).start_with(entropy(), now()).unwrap();
    let callback = browse(&mut server, &url);
    let call = pending.receive(&client, Callback::url(&callback), now()).unwrap();
    call.read(received(&send(&mut server, call.request()))).unwrap();
    let error = call.read(received(&send(&mut server, call.request()))).unwrap_err();
    assert_eq!(error.code(), Some("invalid_grant"));
}

#[test]
fn the_user_says_no() {
    let (mut server, client) = embedded_server();
    let request = client.authorize(REGISTERED).scopes(["deny:me"]);
    let (url, mut pending) = request.start_with(entropy(), now()).unwrap();
    let callback = browse(&mut server, &url);
    let error = pending.receive(&client, Callback::url(&callback), now()).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Some("access_denied")));
    assert_eq!(error.advice(), Advice::Declined);
}

#[test]
fn a_wrong_client_secret_is_a_matter_of_configuration() {
    let (mut server, right) = embedded_server();
    let wrong =
        Client::new(pleo::at(BASE).unwrap(), "fake-client", ClientAuth::basic("fake-wrong-secret")).unwrap();
    let (url, mut pending) = right.authorize(REGISTERED).start_with(entropy(), now()).unwrap();
    let callback = browse(&mut server, &url);
    let call = pending.receive(&wrong, Callback::url(&callback), now()).unwrap();
    let error = call.read(received(&send(&mut server, call.request()))).unwrap_err();
    assert_eq!((error.code(), error.status()), (Some("invalid_client"), Some(401)));
    assert_eq!(error.advice(), Advice::FixConfiguration);
}
