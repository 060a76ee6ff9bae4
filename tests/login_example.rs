//! The login example, as a person runs it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use url::Url;

/// `cargo test` builds the examples beside the tests.
fn login() -> Command {
    let mut path: PathBuf = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    let mut command = Command::new(path.join("examples").join("login"));
    command.env_remove("PLEO_CLIENT_SECRET").stdin(Stdio::null());
    command
}

fn run(arguments: &[&str], secret: Option<&str>) -> Output {
    let mut command = login();
    command.args(arguments);
    if let Some(secret) = secret {
        command.env("PLEO_CLIENT_SECRET", secret);
    }
    command.output().unwrap()
}

#[test]
fn without_arguments_it_shows_a_whole_sign_in() {
    let output = run(&[], None);
    let shown = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{shown}{}", String::from_utf8_lossy(&output.stderr));
    for part in [
        "1. Send the user",
        "code_challenge_method S256",
        "suspicious answer: state is not the one",
        "3. The browser comes back",
        "POST http://127.0.0.1:",
        "authorization: Basic [hidden]",
        "expires in      3600 s",
        "scopes missing  none",
        "Both tokens were replaced",
        "\"invalid_grant\"",
    ] {
        assert!(shown.contains(part), "{part:?} is missing in:\n{shown}");
    }
    let hidden = ["code", "code_verifier", "refresh_token"];
    for line in shown.lines().map(str::trim_start) {
        if hidden.contains(&line.split(' ').next().unwrap()) {
            assert!(line.contains("[hidden]"), "{line}");
        }
    }
    assert!(!shown.contains("fake-secret") && !shown.contains("ZmFrZS1jbGllbnQ6"), "{shown}");
}

#[test]
fn help_is_not_an_error() {
    let output = run(&["--environment", "--help"], None);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8(output.stdout).unwrap().contains("PLEO_CLIENT_SECRET"));
}

#[test]
fn a_bad_argument_is_one_line_and_status_2() {
    let complete = ["--client-id", "fake", "--redirect-uri", "https://app.example/cb", "--environment"];
    let with = |last: &[&'static str]| [complete.as_slice(), last].concat();
    for (arguments, secret, advice) in [
        (vec!["--verbose"], None, "see --help"),
        (vec!["staging"], None, "see --help"),
        (vec!["--environment"], None, "needs a value"),
        (vec!["--environment", "--client-id"], None, "needs a value"),
        (vec!["--environment", "moon"], None, "staging or production"),
        (vec!["--client-id", "fake"], None, "--environment"),
        (vec!["--environment", "staging"], None, "--client-id"),
        (vec!["--environment", "staging", "--client-id", "fake"], None, "--redirect-uri"),
        (with(&["staging"]), None, "PLEO_CLIENT_SECRET"),
        (with(&["staging", "--scope", "a\"b"]), Some("fake-planted"), "scope"),
        (
            vec![
                "--environment",
                "production",
                "--client-id",
                "fake",
                "--redirect-uri",
                "http://127.0.0.1:1/cb",
            ],
            Some("fake-planted"),
            "https redirect URIs only",
        ),
        (
            vec!["--environment", "staging", "--client-id", "fake", "--redirect-uri", "callback"],
            Some("fake-planted"),
            "not an absolute URI",
        ),
    ] {
        let output = run(&arguments, secret);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        assert_eq!(message.trim_end().lines().count(), 1, "{arguments:?}: {message}");
        assert!(message.contains(advice), "{arguments:?}: {message}");
        assert!(!message.contains("planted"), "{message}");
    }
}

#[test]
fn the_callback_may_be_pasted() {
    let mut command = login();
    command.args([
        "--environment",
        "staging",
        "--client-id",
        "fake",
        "--redirect-uri",
        "https://app.example/cb",
    ]);
    let mut child = Running::start(command);
    let state = child.authorization_url_state();
    child.type_line("https://app.example/cb?code=fake&state=forged");
    child.type_line(&format!("https://app.example/cb?error=access_denied&state={state}"));
    let (status, complaints) = child.end();
    assert_eq!(status, Some(1), "{complaints}");
    let complaints: Vec<_> = complaints.lines().collect();
    assert!(complaints[0].starts_with("suspicious answer"), "{complaints:?}");
    assert_eq!(complaints[1], "refused by the server: \"access_denied\"");
    assert_eq!(complaints.len(), 2, "{complaints:?}");
}

#[test]
fn the_callback_may_come_to_a_loopback_listener() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let redirect_uri = format!("http://127.0.0.1:{port}/cb");
    let mut command = login();
    command.args(["--environment", "staging", "--client-id", "fake", "--redirect-uri", &redirect_uri]);
    let mut child = Running::start(command);
    let state = child.authorization_url_state();
    child.read_until("Waiting for the browser");
    let get = |target: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        write!(stream, "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!(get("/favicon.ico"), "404");
    assert_eq!(get("/cb?code=fake&state=forged"), "400");
    assert_eq!(get(&format!("/cb?error=access_denied&state={state}")), "200");
    let (status, complaints) = child.end();
    assert_eq!(status, Some(1), "{complaints}");
    assert!(complaints.lines().last().unwrap().contains("access_denied"), "{complaints}");
}

/// The example while it waits for its user; killed if the test fails before its end.
struct Running {
    child: Child,
    shown: BufReader<std::process::ChildStdout>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        command.env("PLEO_CLIENT_SECRET", "fake-planted").args(["--scope", "export:read export:write"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let shown = BufReader::new(child.stdout.take().unwrap());
        Self { child, shown }
    }

    fn read_until(&mut self, part: &str) -> String {
        let mut line = String::new();
        while self.shown.read_line(&mut line).unwrap() > 0 {
            if line.contains(part) {
                return line.trim_end().to_owned();
            }
            line.clear();
        }
        panic!("the example ended without {part:?}")
    }

    fn authorization_url_state(&mut self) -> String {
        let url = Url::parse(&self.read_until("https://auth.staging.pleo.io/oauth/authorize?")).unwrap();
        let value = |wanted: &str| url.query_pairs().find(|(name, _)| name == wanted).unwrap().1.into_owned();
        assert_eq!(value("scope"), "export:read export:write");
        assert_eq!(value("code_challenge_method"), "S256");
        value("state")
    }

    fn type_line(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    fn end(mut self) -> (Option<i32>, String) {
        let mut complaints = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut complaints).unwrap();
        (self.child.wait().unwrap().code(), complaints)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
