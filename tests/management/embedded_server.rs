//! Both requests at an authorization server that is driven without sockets.

use std::time::SystemTime;

use oauth2_proto::management::{Introspection, TokenKind};
use oauth2_proto::{
    Call, Callback, Client, ClientAuth, Error, Response, Secret, TokenResponse, call::Readable, pleo,
};

use crate::embedded::{AuthorizationServer, Config, HttpRequest};
use crate::support::{entropy, now};

/// The apparent address of the embedded server; nothing is sent there.
const BASE: &str = "http://127.0.0.1:1";
const REDIRECT_URI: &str = "http://127.0.0.1:7777/callback";

/// The embedded server, a client of it that speaks to it by function calls, and the tokens of a sign-in.
struct World {
    server: AuthorizationServer,
    client: Client,
    tokens: TokenResponse,
}

impl World {
    #[track_caller]
    fn new() -> Self {
        let config = Config { scopes: "users:read".into(), ..Config::new(REDIRECT_URI) };
        let auth = ClientAuth::basic(config.client_secret.as_str());
        let at = pleo::at(BASE).unwrap().revocation_endpoint(&format!("{BASE}/oauth/revoke")).unwrap();
        let client = Client::new(at, config.client_id.as_str(), auth).unwrap();
        let mut server = AuthorizationServer::new(config);

        let request = client.authorize(REDIRECT_URI).scopes(["users:read"]);
        let (url, mut pending) = request.start_with(entropy(), now()).unwrap();
        let target = url.strip_prefix(BASE).unwrap();
        let browser = HttpRequest { method: "GET", target, headers: &[], body: b"" };
        let callback = server.handle(browser).header("location").unwrap().to_owned();
        let call = pending.receive(&client, Callback::url(&callback), now()).unwrap();
        let tokens = send(&mut server, &call).unwrap();
        Self { server, client, tokens }
    }

    fn refresh_token(&self) -> Secret {
        self.tokens.refresh_token().unwrap().clone()
    }

    #[track_caller]
    fn introspect(&mut self, token: &Secret) -> Introspection {
        let call = self.client.introspect(token).start(SystemTime::UNIX_EPOCH).unwrap();
        send(&mut self.server, &call).unwrap()
    }

    #[track_caller]
    fn revoke(&mut self, token: &Secret, kind: TokenKind) {
        let call = self.client.revoke(token).hint(kind).start(SystemTime::UNIX_EPOCH).unwrap();
        send(&mut self.server, &call).unwrap();
    }
}

#[track_caller]
fn send<R: Readable>(server: &mut AuthorizationServer, call: &Call<R>) -> Result<R::Output, Error> {
    let headers: Vec<_> = call.request().headers().collect();
    let response = server.handle(HttpRequest {
        method: call.request().method(),
        target: call.request().url().strip_prefix(BASE).unwrap(),
        headers: &headers,
        body: call.request().body().as_bytes(),
    });
    let headers = response.headers.iter().map(|(name, value)| (*name, value));
    call.read(Response::new(response.status, headers, response.body.as_bytes()))
}

#[test]
fn a_token_is_introspected() {
    let mut world = World::new();
    let (access, refresh) = (world.tokens.access_token().clone(), world.refresh_token());
    for token in [&access, &refresh] {
        let answer = world.introspect(token);
        assert!(answer.is_active());
        assert_eq!((answer.client_id(), answer.subject()), (Some("fake-client"), Some("user")));
        assert_eq!(answer.scopes().collect::<Vec<_>>(), ["users:read"]);
        assert_eq!(pleo::subject_urn(&answer), Some("user"));
        assert!(answer.expires_at().unwrap() > SystemTime::UNIX_EPOCH);
    }
    assert!(world.introspect(&refresh).expires_at() > world.introspect(&access).expires_at());
    assert!(!world.introspect(&Secret::new("fake-unknown-token")).is_active());
}

#[test]
fn rfc7009_section_2_1_a_revoked_refresh_token_is_dead_with_its_access_token() {
    let mut world = World::new();
    let (access, refresh) = (world.tokens.access_token().clone(), world.refresh_token());
    world.revoke(&refresh, TokenKind::RefreshToken);
    assert!(!world.introspect(&refresh).is_active() && !world.introspect(&access).is_active());
    assert!(!world.server.is_access_token_valid(access.expose()));
    let call = world.client.refresh(&refresh).start(SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(send(&mut world.server, &call).unwrap_err().code(), Some("invalid_grant"));
    // Twice is no error, nor is a token that never was.
    world.revoke(&refresh, TokenKind::AccessToken);
    world.revoke(&Secret::new("fake-unknown-token"), TokenKind::RefreshToken);
}

#[test]
fn a_revoked_access_token_is_dead_and_its_refresh_token_lives() {
    let mut world = World::new();
    let (access, refresh) = (world.tokens.access_token().clone(), world.refresh_token());
    world.revoke(&access, TokenKind::AccessToken);
    assert!(!world.introspect(&access).is_active() && world.introspect(&refresh).is_active());
}

#[test]
fn a_replaced_refresh_token_is_inactive() {
    let mut world = World::new();
    let first = world.refresh_token();
    let call = world.client.refresh(&first).start(SystemTime::UNIX_EPOCH).unwrap();
    let tokens = send(&mut world.server, &call).unwrap();
    assert!(!world.introspect(&first).is_active());
    assert!(world.introspect(tokens.refresh_token().unwrap()).is_active());
}

#[test]
fn a_client_that_the_server_does_not_know_gets_an_error() {
    let mut world = World::new();
    let server = pleo::at(BASE).unwrap().revocation_endpoint(&format!("{BASE}/oauth/revoke")).unwrap();
    let stranger = Client::new(server, "fake-client", ClientAuth::basic("fake-wrong")).unwrap();
    let token = world.refresh_token();
    let call = stranger.revoke(&token).start(SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(send(&mut world.server, &call).unwrap_err().code(), Some("invalid_client"));
    let call = stranger.introspect(&token).start(SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(send(&mut world.server, &call).unwrap_err().code(), Some("invalid_client"));
    assert!(world.introspect(&token).is_active());
}
