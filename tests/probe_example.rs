//! The probe example: its results at a sound server and at servers with faults, and its questions to a
//! person.

#![allow(clippy::disallowed_methods, reason = "these tests run a program and put a limit on its time")]

use std::collections::{BTreeMap, BTreeSet};
use std::env::consts::EXE_SUFFIX;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use url::{Url, form_urlencoded};
use web::{Delivery, Listening, Reply};

#[path = "../examples/support/web.rs"]
mod web;

/// The maximum time of any step of the probe.
const LIMIT: Duration = Duration::from_secs(120);

/// Visibly fake, and part of no other text that the probe could print.
const SECRET: &str = "fake-planted-secret";

const REDIRECT_URI: &str = "https://app.example/callback";

#[track_caller]
fn probe(arguments: &[&str]) -> Command {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push(format!("examples/probe{EXE_SUFFIX}"));
    assert!(path.exists(), "run `cargo build --example probe` first; a plain `cargo test` does it by itself");
    let mut command = Command::new(path);
    command.args(arguments).env_remove("OAUTH2_PROTO_PROBE_SECRET");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the probe to its end with this standard input; returns its status and both outputs.
#[track_caller]
fn run(mut command: Command, input: &str) -> (Option<i32>, String, String) {
    let mut child = command.spawn().unwrap();
    // The probe may end before it reads the input.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let until = Instant::now() + LIMIT;
    let watched = thread::spawn({
        let mut shown = BufReader::new(child.stdout.take().unwrap());
        move || {
            let mut all = String::new();
            shown.read_to_string(&mut all).map(|_| all)
        }
    });
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > until {
            let _ = child.kill();
            panic!("the probe does not end");
        }
        thread::sleep(Duration::from_millis(5));
    }
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    (status.code(), watched.join().unwrap().unwrap(), String::from_utf8(stderr).unwrap())
}

/// The results by the name of the check, from the output of a run with `--json`.
#[track_caller]
fn results(shown: &str) -> BTreeMap<String, String> {
    let report: Value = serde_json::from_str(shown.lines().last().unwrap_or_default()).unwrap();
    let text = |check: &Value, name: &str| check[name].as_str().unwrap().to_owned();
    let checks = report["checks"].as_array().unwrap();
    let results: BTreeMap<_, _> =
        checks.iter().map(|check| (text(check, "id"), text(check, "result"))).collect();
    assert_eq!(results.len(), checks.len(), "a name is there twice");
    for (result, count) in report["summary"].as_object().unwrap() {
        let counted = results.values().filter(|known| *known == result).count();
        assert_eq!(count.as_u64(), Some(counted as u64), "{result}");
    }
    results
}

/// The names and sentences of all checks.
#[track_caller]
fn list() -> Vec<(String, String)> {
    let (status, shown, _) = run(probe(&["--list"]), "");
    assert_eq!(status, Some(0));
    let read = |line: &str| {
        let (id, rest) = line.split_once(' ').unwrap();
        let (_, rest) = rest.split_once("pleo: ").unwrap();
        let (_, rest) = rest.split_once(' ').unwrap();
        let (sentence, _) = rest.trim().split_once(" [").unwrap();
        (id.to_owned(), sentence.to_owned())
    };
    shown.lines().map(read).collect()
}

#[test]
fn the_embedded_server_breaks_no_must() {
    let (status, shown, complaints) = run(probe(&["--server", "embedded", "--json"]), "");
    assert_eq!((status, complaints.as_str(), shown.lines().count()), (Some(0), "", 1), "{shown}");
    let results = results(&shown);
    assert!(results.len() >= 180, "{results:?}");
    for (id, result) in results {
        let missing = [
            "metadata.",
            "pushed.",
            "dpop.",
            "registration.",
            "authorize.iss",
            "authorize.error-iss",
            "token.other-client",
            "refresh.other-client",
            "revocation.other-client",
            "device.other-client",
        ];
        let expected = match id.as_str() {
            "authorize.challenge-short"
            | "redirect.missing"
            | "token.verifier-short"
            | "token.code-replay-revokes"
            | "refresh.reuse-revokes" => "warn",
            "authorize.post" | "redirect.port" | "refresh.scope-broader" => "not_offered",
            other if missing.iter().any(|start| other.starts_with(start)) => "not_offered",
            _ => "pass",
        };
        assert_eq!(result, expected, "{id}");
    }
}

#[test]
fn pleo_promises_more_than_the_rfcs_demand() {
    let arguments = ["--server", "embedded", "--json", "--profile"];
    let (_, rfc, _) = run(probe(&[&arguments[..], &["rfc"]].concat()), "");
    let (status, pleo, _) = run(probe(&[&arguments[..], &["pleo"]].concat()), "");
    let (rfc, pleo) = (results(&rfc), results(&pleo));
    assert_eq!((status, pleo["token.verifier-short"].as_str()), (Some(1), "fail"));
    for id in
        ["token.post-credentials", "token.refresh-token", "refresh.replaces-both", "refresh.old-access-token"]
    {
        assert_eq!((pleo[id].as_str(), rfc.get(id)), ("pass", None), "{id}");
    }
}

/// A check that passes at every faulty server would find nothing anywhere.
#[test]
fn every_check_fails_somewhere() {
    let mut broken = BTreeSet::new();
    for fault in [Fault::GrantsEverything, Fault::RefusesBadly, Fault::LeavesOutTheRefreshToken] {
        // A person who presses Enter after each decision about a device.
        let decisions = "\n".repeat(20);
        let server = Wrong::start(fault);
        let command = at(&server, &["--json", "--profile", "pleo"]);
        let (status, shown, complaints) = run(command, &decisions);
        assert_eq!((status, complaints.as_str()), (Some(1), ""), "{fault:?}: {shown}");
        let report: Value = serde_json::from_str(shown.lines().last().unwrap_or_default()).unwrap();
        for check in report["checks"].as_array().unwrap() {
            let text = |name: &str| check[name].as_str().unwrap();
            let is_own = !OF_ANOTHER_CHECK.iter().any(|start| text("seen").starts_with(start));
            if is_own && matches!(text("result"), "fail" | "warn") {
                broken.insert(text("id").to_owned());
            }
        }
    }
    let harmless: Vec<_> = list().into_iter().map(|(id, _)| id).filter(|id| !broken.contains(id)).collect();
    assert_eq!(harmless, [""; 0], "these found nothing");
}

/// What a check says that could not begin, because the server fails another check.
const OF_ANOTHER_CHECK: [&str; 5] = [
    "a valid proof:",
    "before the user's decision:",
    "the push:",
    "the registration:",
    "the request for the codes:",
];

#[test]
fn nothing_secret_is_shown() {
    for fault in [Fault::GrantsEverything, Fault::RefusesBadly] {
        for format in [&[][..], &["--json"]] {
            let (_, shown, complaints) = run(at(&Wrong::start(fault), format), "");
            for secret in [SECRET, "fake-access-", "fake-refresh-", "fake-code-", "fake-verifier-"] {
                assert!(!shown.contains(secret), "{fault:?}: {secret} is in:\n{shown}");
            }
            assert_eq!(complaints, "", "{fault:?}");
        }
    }
}

/// Each of these sentences holds at the server, however it says so.
#[test]
fn a_server_that_keeps_the_rules_in_unusual_ways_is_not_blamed() {
    let server = Wrong::start(Fault::IsUnusual);
    for (id, seen) in [
        ("authorize.error-iss", "redirect with an error in the fragment, with the issuer"),
        ("authorize.error-state", "redirect with an error in the fragment, with the state"),
        ("token.verifier-missing", "403 verifier_missing"),
        ("token.redirect-uri-missing", "400 redirect_uri_missing"),
        ("token.code-replay", "200 bad_verification_code"),
        ("refresh.scope-broader", "not granted, by introspection"),
        ("revocation.refresh-token", "400 token_revoked"),
        ("metadata.issuer", "the same"),
    ] {
        let mut command = given(&server.base, &["--only", id]);
        command.args(["--issuer", &format!("{}/issuer", server.base)]);
        for endpoint in ["revocation", "introspection"] {
            command.args([format!("--{endpoint}-endpoint"), format!("{}/{endpoint}", server.base)]);
        }
        let (_, shown, complaints) = run(command, "");
        let line = shown.lines().find(|line| line.contains(&format!("[{id}, "))).unwrap_or(&complaints);
        assert!(line.starts_with("pass "), "{line}");
        assert!(line.contains(&format!("Seen: {seen}. ")), "{line}");
    }
}

#[test]
fn one_line_a_check_and_the_sum() {
    let (status, shown, _) = run(probe(&["--server", "embedded", "--only", "token.code-"]), "");
    assert_eq!(status, Some(0), "{shown}");
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(
        lines,
        [
            "pass         An unknown code is refused as invalid_grant. Seen: 400 invalid_grant. \
             [token.code-unknown, RFC 6749 5.2]",
            "pass         A code works once. Seen: 400 invalid_grant. [token.code-replay, RFC 6749 4.1.2]",
            "warn         The second use of a code ends the tokens that the first one brought. \
             Seen: the access token works on. [token.code-replay-revokes, RFC 6749 4.1.2]",
            "",
            "2 pass, 0 FAIL, 1 warn, 0 not offered, 0 ERROR",
        ]
    );
}

#[test]
fn a_person_is_asked_only_where_the_server_does_not_answer_at_once() {
    let server = Wrong::start(Fault::AsksAPerson);
    let mut asked = Asking::start(at(&server, &["--only", "authorize.response-type-missing"]));
    let sound = asked.next_url();
    asked.paste(&format!("{REDIRECT_URI}?code=fake-code-0&state={}", state_of(&sound)));
    let bad = asked.next_url();
    assert!(bad.query_pairs().all(|(name, _)| name != "response_type"), "{bad}");
    // The person saw an error page.
    asked.paste(bad.as_str());
    let (status, shown) = asked.end();
    assert_eq!(status, Some(0), "{shown}");
    assert!(shown.contains("Seen: page of the server."), "{shown}");
}

/// The answer to a bad request is pasted; the listener is closed then, so that it cannot take that for the
/// next callback.
#[test]
fn a_person_may_come_back_to_a_loopback_listener() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let redirect_uri = format!("http://{address}/callback");
    let server = Wrong::start(Fault::AsksAPerson);
    let mut asked =
        Asking::start(probe_of(&server.base, &redirect_uri, &["--only", "authorize.response-type-"]));
    let sound = asked.next_url();
    asked.read_until("Waiting for the browser");
    let mut browser = TcpStream::connect(address).unwrap();
    let target = format!("/callback?code=fake-code-0&state={}", state_of(&sound));
    write!(browser, "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    browser.read_to_string(&mut String::new()).unwrap();
    for _ in ["unknown", "missing"] {
        let bad = asked.next_url();
        asked.paste("");
        asked.paste("an error page");
        asked.paste(&format!("{redirect_uri}?code=fake-code-0&state={}", state_of(&bad)));
    }
    let (status, shown) = asked.end();
    assert_eq!(status, Some(1), "{shown}");
    assert_eq!(shown.matches("That is no URL.").count(), 4, "{shown}");
    assert_eq!(shown.matches("Seen: redirect with a code.").count(), 2, "{shown}");
}

#[test]
fn a_server_that_cannot_be_tested_is_one_line_and_status_2() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", taken.local_addr().unwrap());
    drop(taken);
    let (status, shown, complaint) = run(given(&base, &[]), "");
    assert_eq!((status, shown.as_str(), complaint.lines().count()), (Some(2), "", 1), "{complaint}");
    assert!(complaint.starts_with("the first sign-in failed: no answer from"), "{complaint}");
}

#[test]
fn the_client_secret_may_come_from_standard_input() {
    let server = Wrong::start(Fault::GrantsEverything);
    let mut command = at(&server, &["--only", "authorize.code-differs"]);
    command.env_remove("OAUTH2_PROTO_PROBE_SECRET");
    let (status, shown, complaints) = run(command, &format!("{SECRET}\n"));
    assert_eq!((status, complaints.as_str()), (Some(1), ""), "{shown}");
}

#[test]
fn a_bad_argument_is_one_line_and_status_2() {
    for (arguments, advice) in [
        ("", "give --authorization-endpoint URL too, or --server NAME"),
        ("--verbose", "not an argument"),
        ("--client-secret=fake-planted-secret", "\"--client-secret\" is not an argument"),
        ("fake-planted-secret", "not a flag"),
        ("--server", "--server needs a value"),
        ("--server fake-planted-secret", "none of the servers"),
        ("--server embedded --scope a", "has its own endpoints"),
        ("--server embedded --issuer https://as.example", "has its own endpoints"),
        ("--server embedded --profile fake-planted-secret", "rfc or pleo"),
        ("--server embedded --only nothing.such", "see --list"),
        ("--authorization-endpoint https://as.example/authorize", "--token-endpoint"),
    ] {
        let (status, shown, complaint) = run(probe(&arguments.split_whitespace().collect::<Vec<_>>()), "");
        assert_eq!((status, shown.as_str(), complaint.lines().count()), (Some(2), "", 1), "{arguments}");
        assert!(complaint.contains(advice) && !complaint.contains("planted"), "{arguments}: {complaint}");
    }
    let mut command = at_base("http://127.0.0.1:9", &[]);
    command.env_remove("OAUTH2_PROTO_PROBE_SECRET");
    let (status, _, complaint) = run(command, "");
    assert_eq!(status, Some(2));
    assert!(complaint.contains("put the client secret into OAUTH2_PROTO_PROBE_SECRET"), "{complaint}");
}

#[test]
fn the_documentation_names_every_check() {
    let page = include_str!("../docs/probe.md");
    let mut rows = 0;
    for (id, sentence) in list() {
        assert!(
            page.contains(&format!("| `{id}` | {sentence} |")),
            "docs/probe.md lacks: | `{id}` | {sentence} |"
        );
        rows += 1;
    }
    let named =
        page.lines().filter(|line| line.starts_with("| `") && line.matches(" | ").count() == 4).count();
    assert_eq!(named, rows, "docs/probe.md has checks that are gone");
}

#[track_caller]
fn state_of(url: &Url) -> String {
    url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned()
}

/// The probe while it asks a person; killed if a test ends before it does.
struct Asking {
    child: Child,
    shown: BufReader<ChildStdout>,
    so_far: String,
}

impl Asking {
    #[track_caller]
    fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let shown = BufReader::new(child.stdout.take().unwrap());
        Self { child, shown, so_far: String::new() }
    }

    #[track_caller]
    fn read_until(&mut self, start: &str) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.shown.read_line(&mut line).unwrap(), 0, "no line {start} in:\n{}", self.so_far);
            self.so_far.push_str(&line);
            if line.starts_with(start) {
                return line;
            }
        }
    }

    #[track_caller]
    fn next_url(&mut self) -> Url {
        Url::parse(self.read_until("http://127.0.0.1:").trim()).unwrap()
    }

    #[track_caller]
    fn paste(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    #[track_caller]
    fn end(mut self) -> (Option<i32>, String) {
        drop(self.child.stdin.take());
        self.shown.read_to_string(&mut self.so_far).unwrap();
        (self.child.wait().unwrap().code(), std::mem::take(&mut self.so_far))
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        // In most tests the probe has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn at(server: &Wrong, arguments: &[&str]) -> Command {
    at_base(&server.base, arguments)
}

/// The probe, given every endpoint of the server.
#[track_caller]
fn at_base(base: &str, arguments: &[&str]) -> Command {
    let mut command = given(base, arguments);
    command.args(["--issuer", base]);
    for endpoint in ["revocation", "introspection", "resource"] {
        command.args([format!("--{endpoint}-endpoint"), format!("{base}/{endpoint}")]);
    }
    command
}

#[track_caller]
fn given(base: &str, arguments: &[&str]) -> Command {
    probe_of(base, REDIRECT_URI, arguments)
}

#[track_caller]
fn probe_of(base: &str, redirect_uri: &str, arguments: &[&str]) -> Command {
    let mut command = probe(arguments);
    command.args(["--authorization-endpoint", &format!("{base}/authorize")]);
    command.args(["--token-endpoint", &format!("{base}/token")]);
    command.args(["--client-id", "fake-client", "--redirect-uri", redirect_uri, "--scope", "a", "b"]);
    command.env("OAUTH2_PROTO_PROBE_SECRET", SECRET);
    command.env("OAUTH2_PROTO_PROBE_INITIAL_ACCESS_TOKEN", SECRET);
    command
}

/// A server with every fault that lets a first sign-in pass; it stops when it is dropped.
struct Wrong {
    base: String,
    _listening: Listening,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// It grants what it must refuse, and refuses what it must take.
    GrantsEverything,
    /// Its refusals lack what they must hold, and repeat what was sent.
    RefusesBadly,
    LeavesOutTheRefreshToken,
    /// It answers every authorization request with a page, which is no fault.
    AsksAPerson,
    /// It keeps the rules in unusual ways: other error codes, errors in the fragment, no scope in its
    /// answers, and its metadata where OpenID Connect has them.
    IsUnusual,
}

impl Wrong {
    #[track_caller]
    fn start(fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let state = State { base: base.clone(), ..State::default() };
        let listening = web::serve(listener, move |request| {
            let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
            let pairs =
                [query.as_bytes(), &request.body].map(|text| form_urlencoded::parse(text).into_owned());
            let asked = Asked {
                by_get: request.method == "GET",
                form: pairs.into_iter().flatten().collect(),
                authorization: request.header("authorization").map(str::to_owned),
                proof: request.header("dpop").map(str::to_owned),
                body: String::from_utf8_lossy(&request.body).into_owned(),
            };
            let (status, location, body) = state.answer(fault, path, &asked);
            let mut headers: Vec<_> = location.map(|location| ("Location", location)).into_iter().collect();
            if fault == Fault::RefusesBadly && asked.proof.is_some() {
                headers.push(("DPoP-Nonce", "fake-server-nonce".to_owned()));
            }
            Reply { status, headers, body, delivery: Delivery::Whole }
        });
        Self { base, _listening: listening.unwrap() }
    }
}

struct Asked {
    by_get: bool,
    /// Of several fields with one name the last counts.
    form: BTreeMap<String, String>,
    authorization: Option<String>,
    proof: Option<String>,
    body: String,
}

impl Asked {
    /// Returns whether the claims of the proof have a nonce.
    fn has_nonce(&self) -> bool {
        let claims = self.proof.as_deref().and_then(|proof| proof.split('.').nth(1)).unwrap_or_default();
        let claims = URL_SAFE_NO_PAD.decode(claims).unwrap_or_default();
        serde_json::from_slice::<Value>(&claims).is_ok_and(|claims| claims.get("nonce").is_some())
    }

    fn get(&self, name: &str) -> &str {
        self.form.get(name).map_or("", String::as_str)
    }
}

#[derive(Default)]
struct State {
    base: String,
    issued: AtomicUsize,
    /// The codes that were used.
    used: Mutex<BTreeSet<String>>,
    /// The sign-ins that were revoked.
    revoked: Mutex<BTreeSet<String>>,
    /// The tokens that somebody asked to revoke.
    asked_about: Mutex<BTreeSet<String>>,
    /// The state of the last pushed request.
    pushed_state: Mutex<String>,
    /// The number of polls since the last device came.
    polls: AtomicUsize,
}

type Said = (u16, Option<String>, String);

impl State {
    #[track_caller]
    fn answer(&self, fault: Fault, path: &str, asked: &Asked) -> Said {
        let json = |status: u16, body: Value| (status, None, body.to_string());
        match path {
            "/authorize" if fault == Fault::IsUnusual => self.authorize_unusually(asked),
            "/token" if fault == Fault::IsUnusual => self.token_unusually(asked),
            "/introspection" if fault == Fault::IsUnusual => json(200, json!({"active": true, "scope": "a"})),
            "/revocation" if fault == Fault::IsUnusual => {
                self.revoked.lock().unwrap().insert(family(asked.get("token")));
                json(200, json!({}))
            }
            "/issuer/.well-known/openid-configuration" if fault == Fault::IsUnusual => json(
                200,
                json!({
                    "issuer": format!("{}/issuer", self.base),
                    "authorization_response_iss_parameter_supported": true,
                }),
            ),
            "/.well-known/oauth-authorization-server/issuer" => json(404, json!({})),
            "/authorize" if fault == Fault::AsksAPerson => (200, None, "Sign in".to_owned()),
            "/authorize" => authorize(fault, asked, &self.pushed_state.lock().unwrap()),
            "/token" => self.token(fault, asked),
            "/revocation" if asked.get("token") == "fake-unknown-token" => json(404, json!({})),
            "/revocation" => {
                if asked.authorization.is_none() {
                    self.revoked.lock().unwrap().insert(family(asked.get("token")));
                }
                let is_new = self.asked_about.lock().unwrap().insert(asked.get("token").to_owned());
                json(if is_new { 200 } else { 404 }, json!({}))
            }
            "/introspection" if fault == Fault::GrantsEverything => {
                json(200, json!({ "active": true, "exp": 1, "client_id": "fake-other", "scope": "a b c" }))
            }
            "/introspection" => {
                let active = asked.authorization.is_none() || asked.get("token") == "fake-unknown-token";
                json(200, json!({ "active": active, "sub": "user" }))
            }
            "/push" => {
                *self.pushed_state.lock().unwrap() = asked.get("state").to_owned();
                json(201, json!({ "request_uri": "urn:fake", "expires_in": "60" }))
            }
            "/device" => {
                self.polls.store(0, Ordering::Relaxed);
                json(200, device(&self.base, fault))
            }
            "/register" if fault == Fault::RefusesBadly && asked.body.contains("fake_member") => {
                json(400, json!({}))
            }
            "/register" => json(201, self.registration(fault, &asked.body)),
            "/register/client" if fault == Fault::RefusesBadly => json(404, json!({})),
            "/register/client" => json(200, json!({ "client_id": "fake-registered" })),
            "/keys" => json(200, json!({ "keys": [{ "kty": "oct", "k": "ZmFrZQ" }] })),
            "/.well-known/openid-configuration" => json(200, json!({ "issuer": "https://third.example" })),
            "/resource" => {
                let token = asked.authorization.as_deref().unwrap_or_default();
                let revoked = self.revoked.lock().unwrap().contains(&family(token));
                json(if revoked { 401 } else { 200 }, json!({}))
            }
            "/.well-known/oauth-authorization-server" => json(
                200,
                json!({
                    "issuer": "https://other.example?fake=1",
                    "authorization_endpoint": "https://other.example/authorize#fake",
                    "authorization_response_iss_parameter_supported": fault != Fault::GrantsEverything,
                    "scopes_supported": [],
                    "grant_types_supported": ["fake"],
                    "response_modes_supported": ["fragment"],
                    "token_endpoint_auth_methods_supported": ["private_key_jwt"],
                    "dpop_signing_alg_values_supported": ["ES256", "none"],
                    "require_pushed_authorization_requests": true,
                    "pushed_authorization_request_endpoint": format!("{}/push", self.base),
                    "device_authorization_endpoint": format!("{}/device", self.base),
                    "registration_endpoint": format!("{}/register", self.base),
                    "jwks_uri": format!("{}/keys", self.base),
                }),
            ),
            _ => (404, None, String::new()),
        }
    }

    /// Repeats what was sent, or says that a secret came without its expiry.
    fn registration(&self, fault: Fault, body: &str) -> Value {
        let mut registered = match fault {
            Fault::RefusesBadly => json!({ "client_secret": SECRET }),
            _ => serde_json::from_str(body).ok().filter(Value::is_object).unwrap_or(json!({})),
        };
        registered["client_id"] = "fake-registered".into();
        registered["registration_client_uri"] = format!("{}/register/client", self.base).into();
        registered["registration_access_token"] = SECRET.into();
        registered
    }

    fn authorize_unusually(&self, asked: &Asked) -> Said {
        let mut url = Url::parse(REDIRECT_URI).unwrap();
        let iss = format!("{}/issuer", self.base);
        let pairs = [("state", asked.get("state")), ("iss", &iss)];
        if asked.get("response_type") == "code" {
            let code = format!("fake-code-{}", self.issued.fetch_add(1, Ordering::Relaxed));
            url.query_pairs_mut().append_pair("code", &code).extend_pairs(pairs);
        } else {
            let mut fragment = form_urlencoded::Serializer::new(String::new());
            fragment.append_pair("error", "unsupported_response_type").extend_pairs(pairs);
            url.set_fragment(Some(&fragment.finish()));
        }
        (302, Some(url.into()), String::new())
    }

    /// The status 200 carries one of the refusals, as at some servers.
    fn token_unusually(&self, asked: &Asked) -> Said {
        let refusal = match asked.get("grant_type") {
            "refresh_token" => {
                let is_revoked = self.revoked.lock().unwrap().contains(&family(asked.get("refresh_token")));
                is_revoked.then_some((400, "token_revoked"))
            }
            _ if asked.get("code_verifier").is_empty() => Some((403, "verifier_missing")),
            _ if asked.get("redirect_uri").is_empty() => Some((400, "redirect_uri_missing")),
            _ if self.used.lock().unwrap().insert(asked.get("code").to_owned()) => None,
            _ => Some((200, "bad_verification_code")),
        };
        if let Some((status, code)) = refusal {
            return (status, None, json!({ "error": code }).to_string());
        }
        let count = self.issued.fetch_add(1, Ordering::Relaxed);
        let [access, refresh] = ["access", "refresh"].map(|kind| format!("fake-{kind}-{count}"));
        let tokens = json!({ "access_token": access, "refresh_token": refresh, "token_type": "Bearer" });
        (200, None, tokens.to_string())
    }

    #[track_caller]
    fn token(&self, fault: Fault, asked: &Asked) -> Said {
        let escaped = asked.authorization.as_deref().is_some_and(|header| header.starts_with("Basic JT"));
        let refused = asked.form.contains_key("fake_parameter")
            || asked.get("code_verifier").len() > 100
            || escaped
            || (asked.get("grant_type") == "refresh_token" && fault == Fault::RefusesBadly)
            || (asked.get("code") == "fake-code-bound" && fault == Fault::RefusesBadly)
            || self.revoked.lock().unwrap().contains(&family(asked.get("refresh_token")));
        let is_early = match (asked.get("device_code"), fault) {
            ("", _) | (_, Fault::GrantsEverything) => false,
            (_, Fault::RefusesBadly) => true,
            _ => self.polls.fetch_add(1, Ordering::Relaxed) == 0,
        };
        if is_early {
            return (400, None, json!({ "error": "authorization_pending" }).to_string());
        }
        let is_bound = asked.proof.is_some() && fault != Fault::LeavesOutTheRefreshToken;
        if is_bound && fault == Fault::RefusesBadly && !asked.has_nonce() {
            return (401, None, json!({ "error": "use_dpop_nonce" }).to_string());
        }
        if refused {
            return (400, None, json!({ "error": asked.get("refresh_token") }).to_string());
        }
        let count = self.issued.fetch_add(1, Ordering::Relaxed);
        // A fault as well: a refresh keeps the access token.
        let family = match asked.get("refresh_token") {
            "" => count.to_string(),
            token => family(token),
        };
        let token_type = if is_bound { "DPoP" } else { "fake" };
        let mut tokens = json!({ "access_token": format!("fake-access-{family}"), "token_type": token_type });
        if fault != Fault::LeavesOutTheRefreshToken {
            tokens["refresh_token"] = format!("fake-refresh-{count}-{family}").into();
        }
        (201, None, tokens.to_string())
    }
}

/// The sign-in that a token comes from.
fn family(token: &str) -> String {
    token.rsplit('-').next().unwrap_or_default().to_owned()
}

/// The codes for a device; only a server that grants everything names a wrong interval.
fn device(base: &str, fault: Fault) -> Value {
    let page = format!("{base}/page");
    let is_lax = fault == Fault::GrantsEverything;
    json!({
        "device_code": "fake-device-code",
        "user_code": "FAKE-CODE",
        "verification_uri": page,
        "verification_uri_complete": page,
        "interval": if is_lax { json!("1") } else { json!(0) },
    })
}

#[track_caller]
fn authorize(fault: Fault, asked: &Asked, pushed_state: &str) -> Said {
    if asked.form.contains_key("fake_parameter") || asked.form.contains_key("response_mode") {
        return (400, None, String::new());
    }
    if !asked.by_get {
        return (500, None, String::new());
    }
    let redirect_uri = match asked.get("redirect_uri") {
        "" => REDIRECT_URI,
        uri => uri,
    };
    let mut url = Url::parse(redirect_uri).unwrap();
    let is_registered = asked.get("client_id") == "fake-registered";
    if (fault == Fault::RefusesBadly && asked.get("response_type") != "code")
        || (fault == Fault::LeavesOutTheRefreshToken && is_registered)
    {
        url.query_pairs_mut().append_pair("error", "unsupported_response_type");
        return (302, Some(url.into()), String::new());
    }
    let state = match asked.get("request_uri") {
        "" => asked.get("state").replace(' ', "+"),
        _ => pushed_state.to_owned(),
    };
    let code = if asked.get("dpop_jkt").is_empty() { "fake-code-0" } else { "fake-code-bound" };
    url.query_pairs_mut().extend_pairs([("code", code), ("state", &state), ("iss", "fake")]);
    url.set_fragment(Some("code=fake-code-0"));
    (302, Some(url.into()), String::new())
}
