//! The embedded server: its flags, the failures that it injects, and its answers to many callers at once.

#![allow(clippy::disallowed_methods, reason = "these tests run a program and put a limit on its time")]

use std::env::consts::EXE_SUFFIX;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

#[path = "../examples/support/server.rs"]
mod embedded;

use embedded::{AuthorizationServer, Config, Counts, spawn};
use serde_json::Value;

const CALLERS: usize = 50;
/// The maximum time of one call.
const LIMIT: Duration = Duration::from_secs(2);

#[test]
fn fifty_keep_alive_callers_are_answered_without_a_stall() {
    call_for(Duration::from_secs(5));
}

#[test]
#[ignore = "it takes a minute"]
fn fifty_keep_alive_callers_are_answered_without_a_stall_for_a_minute() {
    call_for(Duration::from_secs(60));
}

/// Calls the server from many threads, each with a connection that it keeps. Every 2.5 seconds all of them
/// open a new one at once. A server with a pool of threads leaves some of them without a thread for that
/// time.
#[track_caller]
fn call_for(duration: Duration) {
    let running = spawn(AuthorizationServer::new(Config::new("http://127.0.0.1:9/callback")), 0).unwrap();
    let address = running.base_url().strip_prefix("http://").unwrap().to_owned();
    let start = Instant::now();
    let call = move |address: String| {
        let (mut calls, mut slowest) = (0, Duration::ZERO);
        for round in 0.. {
            let next = start + round * Duration::from_millis(2500);
            if next >= start + duration {
                break;
            }
            thread::sleep(next.saturating_duration_since(Instant::now()));
            let mut connection = Connection::open(&address);
            for _ in 0..200 {
                let start = Instant::now();
                assert_eq!(connection.post("/oauth/token", "grant_type=refresh_token").0, 401);
                slowest = slowest.max(start.elapsed());
                calls += 1;
                thread::sleep(Duration::from_millis(10));
            }
        }
        (calls, slowest)
    };
    let callers = (0..CALLERS).map(|_| {
        let address = address.clone();
        thread::spawn(move || call(address))
    });
    let callers: Vec<_> = callers.collect();
    let results: Vec<_> = callers.into_iter().map(|caller| caller.join().unwrap()).collect();
    let calls: usize = results.iter().map(|(calls, _)| calls).sum();
    let slowest = results.iter().map(|(_, slowest)| *slowest).max().unwrap();
    println!("{calls} calls, the slowest took {slowest:?}");
    assert!(slowest < LIMIT, "the slowest of {calls} calls took {slowest:?}");
}

#[test]
fn a_call_is_answered_while_other_connections_are_idle_or_stall_in_their_request() {
    let running = spawn(AuthorizationServer::new(Config::new("http://127.0.0.1:9/callback")), 0).unwrap();
    let address = running.base_url().strip_prefix("http://").unwrap().to_owned();
    let mut others = Vec::new();
    for number in 0..100 {
        let mut other = Connection::open(&address);
        if number % 2 == 0 {
            other
                .0
                .get_mut()
                .write_all(b"POST /oauth/token HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf")
                .unwrap();
        } else {
            assert_eq!(other.post("/oauth/token", "").0, 401);
        }
        others.push(other);
    }
    let start = Instant::now();
    assert_eq!(Connection::open(&address).post("/elsewhere", "").0, 404);
    assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
    drop(running);
    // The server's end closes the connections.
    assert_eq!(others[1].0.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_request_that_is_too_long_or_malformed_is_refused_and_its_connection_closed() {
    let running = spawn(AuthorizationServer::new(Config::new("http://127.0.0.1:9/callback")), 0).unwrap();
    let address = running.base_url().strip_prefix("http://").unwrap().to_owned();
    let long_header = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(70_000));
    for request in [
        "POST /oauth/token HTTP/1.1\r\nContent-Length: 65537\r\n\r\n",
        "POST /oauth/token HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "POST /oauth/token HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "nonsense\r\n\r\n",
        long_header.as_str(),
    ] {
        let mut connection = Connection::open(&address);
        // The server may close the connection before it has read everything.
        let _ = connection.0.get_mut().write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = connection.0.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let start: String = request.chars().take(60).collect();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{start}: {answer}");
    }
}

#[test]
fn the_program_prints_what_a_client_needs_and_fails_as_it_is_told() {
    let mut program = Program::start(&[
        "--access-token-lifetime=7",
        "--refresh-token-lifetime",
        "9",
        "--redirect-uri",
        "http://127.0.0.1:1/a",
        "--redirect-uri=http://127.0.0.1:2/b",
        "--scopes",
        "users:read export:read",
        "--fail-next",
        "503=2",
        "429",
        "empty-400=1",
        "empty-401=1",
        "html-502=1",
        "unknown-code=1",
        "cut-off=1",
        "lost=1",
        "hang=1",
    ]);
    let base = program.line();
    let address = base.strip_prefix("http://").unwrap().to_owned();
    assert!(address.starts_with("127.0.0.1:"), "{base}");
    for expected in [
        format!("authorization endpoint  {base}/oauth/authorize"),
        format!("token endpoint          {base}/oauth/token"),
        format!("introspection endpoint  {base}/oauth/token/introspect"),
        format!("revocation endpoint     {base}/oauth/revoke"),
        format!("device authorization    {base}/oauth/device_authorization"),
        format!("API, GET with Bearer    {base}/api/me"),
        "client_id               fake-client".to_owned(),
        "client secret           fake-secret".to_owned(),
        "redirect URI            http://127.0.0.1:1/a".to_owned(),
        "redirect URI            http://127.0.0.1:2/b".to_owned(),
        "scopes                  users:read export:read".to_owned(),
    ] {
        assert_eq!(program.line(), expected);
    }
    // Each on a connection of its own, because two of the answers end it.
    let next = || Connection::open(&address).post("/oauth/token", "");
    for _ in 0..2 {
        let (status, head, _) = next();
        assert_eq!((status, head.contains("\r\nRetry-After: 1\r\n")), (503, true));
    }
    let (status, head, _) = next();
    assert_eq!((status, head.contains("\r\nRetry-After: 1\r\n")), (429, true));
    for expected in [400, 401] {
        let (status, _, body) = next();
        assert_eq!((status, body.as_str()), (expected, ""));
    }
    let (status, head, body) = next();
    assert_eq!((status, head.contains("text/html"), body.starts_with("<html>")), (502, true, true));
    assert_eq!(next().2, r#"{"error":"fake_unknown_code"}"#);
    assert_eq!(next().2, r#"{"error":"inv"#, "the answer is cut off");
    for _ in ["lost", "hang"] {
        let mut connection = Connection::open(&address);
        connection.0.get_ref().set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        connection.send("/oauth/token", "");
        let error = connection.0.read(&mut [0]).unwrap_err();
        assert!(matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut));
    }
    let (status, _, body) = next();
    assert_eq!((status, body.as_str()), (401, r#"{"error":"invalid_client"}"#));
    for (uri, status) in [("http://127.0.0.1:2/b", 302), ("http://127.0.0.1:2/c", 400)] {
        let target = format!("/oauth/authorize?response_type=code&client_id=fake-client&redirect_uri={uri}");
        assert_eq!(Connection::open(&address).get(&target).0, status, "{uri}");
    }
    assert_eq!(program.end(), Some(0));
}

#[test]
fn a_bad_flag_is_one_line_and_status_2() {
    for (arguments, advice) in [
        ("--verbose", "not an argument"),
        ("--port", "--port needs a value"),
        ("--port 65536", "--port is too large"),
        ("--port x", "--port is a whole number"),
        ("--access-token-lifetime 1s", "whole number"),
        ("--redirect-uri callback", "--redirect-uri: "),
        ("--scopes a\"b", "--scopes"),
        ("--fail-next 504=1", "is not KIND=N"),
        ("--fail-next 503=many", "is not KIND=N"),
        ("--fail-next", "--fail-next needs a value"),
    ] {
        let output = program(&arguments.split(' ').collect::<Vec<_>>()).output().unwrap();
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), complaint.lines().count()), (Some(2), 1), "{arguments}");
        assert!(complaint.contains(advice) && output.stdout.is_empty(), "{arguments}: {complaint}");
    }
    let output = program(&["--help"]).output().unwrap();
    let usage = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && usage.starts_with("Usage: embedded_server"), "{usage}");
}

#[test]
fn a_refresh_token_ends_when_the_flag_says() {
    let mut config = Config::new("http://127.0.0.1:9/callback");
    config.refresh_token_lifetime = Duration::from_secs(1);
    config.access_token_lifetime = Duration::from_secs(1);
    let running = spawn(AuthorizationServer::new(config), 0).unwrap();
    let address = running.base_url().strip_prefix("http://").unwrap().to_owned();
    let tokens = sign_in(&address);
    assert_eq!(tokens["expires_in"], 1);
    thread::sleep(Duration::from_millis(1200));
    assert_eq!(refresh(&address, &tokens), (400, r#"{"error":"invalid_grant"}"#.into()));
}

#[test]
fn the_reuse_of_a_refresh_token_ends_the_tokens_of_its_sign_in_when_the_flag_says() {
    for (flags, is_current_alive) in [(&[][..], true), (&["--revoke-on-reuse"], false)] {
        let mut program = Program::start(&[flags, &["--redirect-uri=http://127.0.0.1:9/callback"]].concat());
        let address = program.line().strip_prefix("http://").unwrap().to_owned();
        let (first, other) = (sign_in(&address), sign_in(&address));
        let (status, body) = refresh(&address, &first);
        assert_eq!(status, 200, "{body}");
        let second = serde_json::from_str(&body).unwrap();
        assert_eq!((me(&address, &first), me(&address, &second)), (401, 200), "{flags:?}");

        let refused = (400, r#"{"error":"invalid_grant"}"#.to_owned());
        assert_eq!(refresh(&address, &first), refused, "{flags:?}");
        assert_eq!(me(&address, &second) == 200, is_current_alive, "{flags:?}");
        let (status, body) = refresh(&address, &second);
        assert_eq!(status == 200, is_current_alive, "{flags:?}: {body}");
        // Another sign-in of the same user is another family.
        assert_eq!((me(&address, &other), refresh(&address, &other).0), (200, 200), "{flags:?}");
        assert_eq!(program.end(), Some(0));
    }
}

#[test]
fn the_server_counts_refreshes_reuses_and_revoked_families() {
    let mut config = Config::new("http://127.0.0.1:9/callback");
    config.revokes_on_reuse = true;
    let running = spawn(AuthorizationServer::new(config), 0).unwrap();
    let address = running.base_url().strip_prefix("http://").unwrap().to_owned();
    let tokens = sign_in(&address);
    for expected in [(1, 0, 0), (1, 1, 1), (1, 2, 1)] {
        refresh(&address, &tokens);
        let Counts { refreshes, reuses, families_revoked } = running.server().counts();
        assert_eq!((refreshes, reuses, families_revoked), expected);
    }
}

/// Signs the user in, and returns the tokens.
#[track_caller]
fn sign_in(address: &str) -> Value {
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let target = format!(
        "/oauth/authorize?response_type=code&client_id=fake-client&redirect_uri=http://127.0.0.1:9/callback\
         &code_challenge={challenge}&code_challenge_method=S256"
    );
    let (_, head, _) = Connection::open(address).get(&target);
    let code = head.split("code=").nth(1).unwrap().split(['&', '\r']).next().unwrap();
    // The verifier of RFC 7636 appendix B.
    let form = format!(
        "grant_type=authorization_code&code={code}&redirect_uri=http://127.0.0.1:9/callback\
         &code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    );
    let (status, _, body) = Connection::open(address).post_as_client(&form);
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

/// Refreshes the tokens, and returns the status and the body of the answer.
#[track_caller]
fn refresh(address: &str, tokens: &Value) -> (u16, String) {
    let refresh_token = tokens["refresh_token"].as_str().unwrap();
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
    let form = serde_urlencoded::to_string(form).unwrap();
    let (status, _, body) = Connection::open(address).post_as_client(&form);
    (status, body)
}

/// Returns the status of the API's answer to the access token.
#[track_caller]
fn me(address: &str, tokens: &Value) -> u16 {
    let bearer = format!("Authorization: Bearer {}\r\n", tokens["access_token"].as_str().unwrap());
    let mut connection = Connection::open(address);
    connection.request("GET", "/api/me", &bearer, "");
    connection.answer().0
}

/// A connection of HTTP/1.1 that is kept.
struct Connection(BufReader<TcpStream>);

impl Connection {
    #[track_caller]
    fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self(BufReader::new(stream))
    }

    #[track_caller]
    fn send(&mut self, target: &str, body: &str) {
        self.request("POST", target, "", body);
    }

    #[track_caller]
    fn request(&mut self, method: &str, target: &str, headers: &str, body: &str) {
        let message = format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\n{headers}\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.get_mut().write_all(message.as_bytes()).unwrap();
    }

    /// Returns the status, the head and the body, or the part of the body that arrived.
    #[track_caller]
    fn post(&mut self, target: &str, body: &str) -> (u16, String, String) {
        self.send(target, body);
        self.answer()
    }

    #[track_caller]
    fn post_as_client(&mut self, body: &str) -> (u16, String, String) {
        // fake-client:fake-secret
        self.request(
            "POST",
            "/oauth/token",
            "Authorization: Basic ZmFrZS1jbGllbnQ6ZmFrZS1zZWNyZXQ=\r\n",
            body,
        );
        self.answer()
    }

    #[track_caller]
    fn get(&mut self, target: &str) -> (u16, String, String) {
        self.request("GET", target, "", "");
        self.answer()
    }

    #[track_caller]
    fn answer(&mut self) -> (u16, String, String) {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.0.read_line(&mut head).unwrap(), 0, "the answer ends early: {head:?}");
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head.split("Content-Length: ").nth(1).unwrap().split("\r\n").next().unwrap();
        let mut body = String::new();
        (&mut self.0).take(length.parse().unwrap()).read_to_string(&mut body).unwrap();
        (status, head, body)
    }
}

#[track_caller]
fn program(arguments: &[&str]) -> Command {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push(format!("examples/embedded_server{EXE_SUFFIX}"));
    assert!(path.exists(), "run `cargo build --examples` first; a plain `cargo test` does it by itself");
    let mut command = Command::new(path);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The program while it runs; killed if a test ends before it does.
struct Program {
    child: Child,
    shown: BufReader<ChildStdout>,
}

impl Program {
    #[track_caller]
    fn start(arguments: &[&str]) -> Self {
        let mut child = program(arguments).spawn().unwrap();
        let shown = BufReader::new(child.stdout.take().unwrap());
        Self { child, shown }
    }

    #[track_caller]
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.shown.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Closes standard input, and returns the status.
    #[track_caller]
    fn end(mut self) -> Option<i32> {
        drop(self.child.stdin.take());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // In most tests the program has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
