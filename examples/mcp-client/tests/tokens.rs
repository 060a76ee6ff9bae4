//! What the client does with a token over time, at a server that answers as the test says.

#[path = "../../support/web.rs"]
mod web;

use std::net::TcpListener;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use web::{Delivery, Listening, Reply, Request};

/// An MCP server that is its own authorization server. It remembers what it was asked.
struct Server {
    listening: Listening,
    log: Arc<Mutex<Vec<String>>>,
}

/// The answers that differ between the tests.
#[derive(Clone, Copy)]
struct Answers {
    /// Each token works this often.
    uses: usize,
    expires_in: u64,
    refreshes: bool,
}

const GOOD: Answers = Answers { uses: usize::MAX, expires_in: 3600, refreshes: true };

impl Server {
    fn start(answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let state = Arc::new(Mutex::new(State { answers, base, issued: 0, used: 0 }));
        let shared = log.clone();
        let listening = web::listen(listener, move |mut connection| {
            while let Ok(Some(request)) = connection.read() {
                let (entry, reply) = state.lock().unwrap().answer(&request);
                shared.lock().unwrap().push(entry);
                if !connection.write(&request, &reply).unwrap_or(false) {
                    break;
                }
            }
        });
        Self { listening: listening.unwrap(), log }
    }

    /// Runs the client, which lists the tools and calls one.
    fn run_client(&self) -> Output {
        let url = format!("http://{}/mcp", self.listening.address());
        let flags = "--follow --protocol 2026-07-28 --client-id fake-client --call fake-tool";
        let mut client = Command::new(env!("CARGO_BIN_EXE_mcp-client"));
        client.args(flags.split(' ')).arg(url).env_remove("MCP_CLIENT_SECRET").output().unwrap()
    }

    /// The server was asked for these parts in their order.
    #[track_caller]
    fn assert_was_asked(&self, parts: &[&[&str]]) {
        assert_eq!(*self.log.lock().unwrap(), parts.concat());
    }
}

struct State {
    answers: Answers,
    base: String,
    issued: usize,
    /// How often the newest token was used.
    used: usize,
}

impl State {
    /// Returns what is asked, in a word or two, and the answer.
    fn answer(&mut self, request: &Request) -> (String, Reply) {
        let base = &self.base;
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let body = String::from_utf8_lossy(&request.body);
        let parameter = |name: &str| {
            let pairs =
                url::form_urlencoded::parse(if query.is_empty() { &request.body } else { query.as_bytes() });
            pairs.into_owned().find(|(known, _)| known == name).map(|(_, value)| value).unwrap_or_default()
        };
        match path {
            "/.well-known/oauth-protected-resource/mcp" => {
                let body = format!(r#"{{"resource":"{base}/mcp","authorization_servers":["{base}"]}}"#);
                ("resource metadata".to_owned(), json(200, body))
            }
            "/.well-known/oauth-authorization-server" => {
                let body = format!(
                    r#"{{"issuer":"{base}","authorization_endpoint":"{base}/authorize",
                        "token_endpoint":"{base}/token",
                        "response_types_supported":["code"],"code_challenge_methods_supported":["S256"]}}"#
                );
                ("server metadata".to_owned(), json(200, body))
            }
            "/authorize" => {
                let callback =
                    format!("{}?code=fake-code&state={}", parameter("redirect_uri"), parameter("state"));
                let mut reply = Reply::text(302, "");
                reply.headers.push(("Location", callback));
                ("authorize".to_owned(), reply)
            }
            "/token" => {
                let grant = parameter("grant_type");
                if grant == "refresh_token" && !self.answers.refreshes {
                    return (grant, json(400, r#"{"error":"invalid_grant"}"#.to_owned()));
                }
                self.issued += 1;
                self.used = 0;
                let (number, expires_in) = (self.issued, self.answers.expires_in);
                let body = format!(
                    r#"{{"access_token":"fake-access-{number}","refresh_token":"fake-refresh-{number}",
                        "token_type":"Bearer","expires_in":{expires_in}}}"#
                );
                (grant, json(200, body))
            }
            _ => {
                let message: serde_json::Value = serde_json::from_str(&body).unwrap();
                let entry = message["method"].as_str().unwrap_or_default().to_owned();
                let token = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
                let is_newest = token == Some(&format!("fake-access-{}", self.issued));
                if !is_newest || self.used == self.answers.uses {
                    let error = if token.is_some() { r#" error="invalid_token""# } else { "" };
                    let mut reply = Reply::text(401, "");
                    reply.headers.push(("WWW-Authenticate", format!("Bearer{error}")));
                    return (format!("{entry}: 401"), reply);
                }
                self.used += 1;
                let result = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{}}}}"#, message["id"]);
                (entry, json(200, result))
            }
        }
    }
}

fn json(status: u16, body: String) -> Reply {
    let headers = vec![("Content-Type", "application/json".to_owned())];
    Reply { status, headers, body, delivery: Delivery::Whole }
}

/// A sign-in, from the first answer on.
const SIGN_IN: [&str; 4] = ["resource metadata", "server metadata", "authorize", "authorization_code"];

#[test]
fn a_good_token_is_used_for_every_request() {
    let server = Server::start(GOOD);
    assert!(server.run_client().status.success());
    server.assert_was_asked(&[&["tools/list: 401"], &SIGN_IN, &["tools/list", "tools/call"]]);
}

#[test]
fn a_token_that_was_accepted_once_is_refreshed_when_it_is_rejected() {
    let server = Server::start(Answers { uses: 1, ..GOOD });
    assert!(server.run_client().status.success());
    server.assert_was_asked(&[
        &["tools/list: 401"],
        &SIGN_IN,
        &["tools/list", "tools/call: 401", "refresh_token", "tools/call"],
    ]);
}

#[test]
fn an_expired_token_is_refreshed_before_it_is_sent() {
    let server = Server::start(Answers { expires_in: 0, ..GOOD });
    assert!(server.run_client().status.success());
    server.assert_was_asked(&[
        &["tools/list: 401"],
        &SIGN_IN,
        &["refresh_token", "tools/list", "refresh_token", "tools/call"],
    ]);
}

#[test]
fn a_refused_refresh_is_followed_by_a_sign_in() {
    let server = Server::start(Answers { uses: 1, refreshes: false, ..GOOD });
    assert!(server.run_client().status.success());
    server.assert_was_asked(&[
        &["tools/list: 401"],
        &SIGN_IN,
        &["tools/list", "tools/call: 401", "refresh_token"],
        &SIGN_IN,
        &["tools/call"],
    ]);
}

#[test]
fn a_new_token_that_is_rejected_ends_the_program() {
    let server = Server::start(Answers { uses: 0, ..GOOD });
    let output = server.run_client();
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("the server rejects a token that is new"), "{message}");
    server.assert_was_asked(&[&["tools/list: 401"], &SIGN_IN, &["tools/list: 401"]]);
}

/// A server whose tokens all come expired: signing in again would bring no other.
#[test]
fn a_token_that_comes_expired_is_tried_once() {
    let server = Server::start(Answers { expires_in: 0, refreshes: false, ..GOOD });
    assert!(server.run_client().status.success());
    server.assert_was_asked(&[
        &["tools/list: 401"],
        &SIGN_IN,
        &["refresh_token", "tools/list"],
        &["refresh_token", "tools/call: 401"],
        &SIGN_IN,
        &["refresh_token", "tools/call"],
    ]);

    let server = Server::start(Answers { uses: 0, expires_in: 0, ..GOOD });
    let output = server.run_client();
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("the server rejects a token that is new"), "{message}");
    server.assert_was_asked(&[&["tools/list: 401"], &SIGN_IN, &["refresh_token", "tools/list: 401"]]);
}
