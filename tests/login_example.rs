//! The login example, as a person runs it.

#![allow(clippy::disallowed_methods, reason = "these tests run a program and put a limit on its time")]

use std::env::consts::EXE_SUFFIX;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use url::Url;

/// The maximum time of any step of the example.
const LIMIT: Duration = Duration::from_secs(60);

/// Visibly fake, and part of no other text that the example could print.
const SECRET: &str = "fake-planted-secret";

#[track_caller]
fn login(arguments: &[&str]) -> Command {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push(format!("examples/login{EXE_SUFFIX}"));
    assert!(path.exists(), "run `cargo build --example login` first; a plain `cargo test` does it by itself");
    let mut command = Command::new(path);
    command.args(arguments).env_remove("PLEO_CLIENT_SECRET");
    command
}

#[track_caller]
fn at_pleo(redirect_uri: &str) -> Command {
    let mut command = login(&["--environment", "staging", "--client-id", "fake-client"]);
    command.args(["--redirect-uri", redirect_uri, "--scope", "export:read", "export:write", "--scope"]);
    command.arg("users:read tags:read").env("PLEO_CLIENT_SECRET", SECRET);
    command
}

#[test]
fn without_arguments_it_shows_a_whole_sign_in() {
    // A proxy that answers nothing: the embedded server must be reached without it.
    let dead_proxy = "http://127.0.0.1:9";
    let mut command = login(&[]);
    command.envs(["ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"].map(|name| (name, dead_proxy)));
    let (status, shown, complaints) = Running::start(command).end();
    assert_eq!((status, complaints.as_str()), (Some(0), ""), "{shown}");

    let mut rest = shown.as_str();
    for part in [
        "\n1. Send the user",
        "code_challenge_method S256",
        "\n2. The browser comes back",
        "A forged callback (wrong state) was refused as Suspect; the sign-in goes on.",
        "code                  [hidden]",
        "\n3. Exchange the code",
        "POST http://127.0.0.1:",
        "authorization: Basic [hidden]",
        "code_verifier         [hidden]",
        "\n4. The tokens",
        "token type      Bearer",
        "expires in      3600 s",
        "scopes granted  export:read\n",
        "scopes missing  export:write\n",
        "\n5. Refresh",
        "refresh_token         [hidden]",
        "Both tokens were replaced",
        "\n6. Use the replaced refresh token",
        "(HTTP status 400): \"invalid_grant\"; the user must sign in again",
        "advice  Reauthorize",
        "the new access token lives",
    ] {
        rest = rest.split_once(part).unwrap_or_else(|| panic!("{part:?} is missing or early in:\n{shown}")).1;
    }
}

#[test]
fn nothing_secret_is_shown() {
    let (_, shown, _) = Running::start(login(&[])).end();
    for secret in ["fake-secret", "ZmFrZS1jbGllbnQ6", "code=", "token="] {
        assert!(!shown.contains(secret), "{secret} is in:\n{shown}");
    }
    for line in shown.lines() {
        assert!(line.chars().count() <= 100, "wider than a terminal: {line}");
        let words: Vec<_> = line.split_whitespace().collect();
        // The browser's URL shows these two; every other word that looks random is a secret.
        let public = matches!(words.first(), Some(&("state" | "code_challenge")));
        let random = words.iter().find(|word| looks_random(word));
        assert!(public || random.is_none(), "{random:?} in {line}");
    }
}

/// Returns whether the word is long, in the alphabet of base64, and has letters in both cases.
fn looks_random(word: &str) -> bool {
    let base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/-_=".contains(&byte);
    let has = |case: fn(&u8) -> bool| word.as_bytes().iter().any(case);
    word.len() >= 16 && word.bytes().all(base64) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase)
}

#[test]
fn help_is_not_an_error() {
    for arguments in [&["--help"][..], &["-h"], &["--environment", "--help"]] {
        let (status, shown, complaints) = Running::start(login(arguments)).end();
        assert_eq!((status, complaints.as_str()), (Some(0), ""), "{arguments:?}");
        assert!(shown.starts_with("Usage: ") && shown.contains("PLEO_CLIENT_SECRET"), "{shown}");
    }
}

/// The command must end with one line on standard error, and show nothing else and no secret.
#[track_caller]
fn assert_refused(command: Command, advice: &str) {
    let what = format!("{command:?}");
    let (status, shown, complaint) = Running::start(command).end();
    assert_eq!((status, shown.as_str()), (Some(2), ""), "{what}: {complaint}");
    assert_eq!((complaint.lines().count(), complaint.ends_with('\n')), (1, true), "{what}: {complaint}");
    assert!(complaint.contains(advice), "{what}: {complaint}");
    assert!(!complaint.contains("planted"), "{what}: {complaint}");
}

#[test]
fn a_bad_argument_is_one_line_and_status_2() {
    for (arguments, advice) in [
        ("--verbose", "see --help"),
        ("--client-secret=fake-planted-secret", "\"--client-secret\" is not an argument"),
        ("--client-secret fake-planted-secret", "\"--client-secret\" is not an argument"),
        ("fake-planted-secret", "not a flag"),
        ("--environment", "--environment needs a value"),
        ("--environment=", "--environment needs a value"),
        ("--environment --client-id", "--environment needs a value"),
        ("--environment staging --client-id", "--client-id needs a value"),
        ("--environment staging --redirect-uri", "--redirect-uri needs a value"),
        ("--environment staging --scope", "--scope needs a value"),
        ("--environment fake-planted-secret", "staging or production"),
        ("--environment staging production", "--environment one value"),
        ("--environment staging --environment production", "--environment one value"),
        ("--client-id fake-client", "--environment staging or production"),
        ("--redirect-uri https://app.example/cb", "--environment staging or production"),
        ("--scope export:read", "--environment staging or production"),
        ("--environment staging --redirect-uri https://app.example/cb", "--client-id"),
        ("--environment staging --client-id fake-client", "--redirect-uri"),
    ] {
        let mut command = login(&arguments.split(' ').collect::<Vec<_>>());
        command.env("PLEO_CLIENT_SECRET", SECRET);
        assert_refused(command, advice);
    }
}

#[test]
fn a_missing_client_secret_is_one_line_and_status_2() {
    let mut without = at_pleo("https://app.example/cb");
    without.env_remove("PLEO_CLIENT_SECRET");
    assert_refused(without, "environment variable PLEO_CLIENT_SECRET");
    let mut empty = at_pleo("https://app.example/cb");
    empty.env("PLEO_CLIENT_SECRET", "");
    assert_refused(empty, "environment variable PLEO_CLIENT_SECRET");
}

#[test]
fn what_pleo_cannot_take_is_one_line_and_status_2() {
    for (redirect_uri, advice) in [
        ("callback", "not an absolute URI"),
        ("https://app.example/cb#", "fragment"),
        ("https://app.example:99999/cb", "--redirect-uri as a URL"),
        ("http://127.0.0.1:99999/cb", "a port that cannot be read"),
        ("http://127.0.0.1:0/cb", "a port other than 0"),
    ] {
        assert_refused(at_pleo(redirect_uri), advice);
    }
    let mut bad_scope = at_pleo("https://app.example/cb");
    bad_scope.args(["--scope", "a\"b"]);
    assert_refused(bad_scope, "not one token");
    for redirect_uri in ["http://127.0.0.1:3000/cb", "http://[::1]/cb", "http://localhost:3000/cb"] {
        let mut production = login(&["--environment=production", "--client-id=fake-client"]);
        production.args(["--redirect-uri", redirect_uri, "--scope", "export:read"]);
        production.env("PLEO_CLIENT_SECRET", SECRET);
        assert_refused(production, "is not https");
    }
}

#[test]
fn the_callback_may_be_pasted() {
    let mut child = Running::start(at_pleo("https://app.example/cb"));
    let state = child.check_authorization_url("https://app.example/cb");
    for not_it in ["", "hello", "https://app.example/cb?code=fake&state=forged"] {
        child.type_line(not_it.as_bytes());
        child.read_until("That is not it: suspicious answer");
    }
    child.type_line(b"https://app.example/cb?code=\xff&state=forged");
    child.read_until("That is not it");
    child.type_line(format!("https://app.example/cb?error=access_denied&state={state}").as_bytes());
    let (status, _, complaints) = child.end();
    assert_eq!(
        (status, complaints.as_str()),
        (Some(1), "refused by the server: \"access_denied\"; the user may start again if they want to\n")
    );
}

#[test]
fn no_callback_at_all_is_one_line_and_status_1() {
    let (status, shown, complaints) = Running::start(at_pleo("https://app.example/cb")).end();
    assert_eq!(
        (status, complaints.as_str()),
        (Some(1), "standard input ended before the callback came\n"),
        "{shown}"
    );
    assert!(!shown.contains(SECRET), "{shown}");
}

#[test]
fn the_callback_may_come_to_a_loopback_listener() {
    for (address, host) in [("127.0.0.1:0", "127.0.0.1"), ("localhost:0", "localhost"), ("[::1]:0", "[::1]")]
    {
        // A machine without IPv6 cannot listen there.
        let Ok(free) = TcpListener::bind(address) else { continue };
        let address = free.local_addr().unwrap();
        drop(free);
        let redirect_uri = format!("http://{host}:{}/cb", address.port());
        let mut child = Running::start(at_pleo(&redirect_uri));
        let state = child.check_authorization_url(&redirect_uri);
        child.read_until("Waiting for the browser");
        let get = |target: &str| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(LIMIT)).unwrap();
            write!(stream, "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        };
        assert!(get("/favicon.ico").starts_with("HTTP/1.1 404 "));
        for forged in ["/cb?code=fake&state=forged", "/cb", "/cb?code=%FF&state=forged"] {
            let page = get(forged);
            assert!(page.starts_with("HTTP/1.1 400 ") && !page.contains("state"), "{page}");
            child.read_until("Still waiting: ");
        }
        let page = get(&format!("/cb?error=access_denied&state={state}"));
        assert!(page.contains("access_denied") && page.contains("You can close this window."), "{page}");
        let (status, _, complaints) = child.end();
        assert_eq!(
            (status, complaints.as_str()),
            (Some(1), "refused by the server: \"access_denied\"; the user may start again if they want to\n")
        );
    }
}

#[test]
fn a_taken_port_ends_the_sign_in_before_the_user_is_sent_away() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let redirect_uri = format!("http://{}/cb", taken.local_addr().unwrap());
    let (status, shown, complaints) = Running::start(at_pleo(&redirect_uri)).end();
    assert_eq!((status, shown.as_str(), complaints.lines().count()), (Some(1), "", 1), "{complaints}");
    assert!(complaints.starts_with("cannot listen at http://127.0.0.1:"), "{complaints}");
}

/// The example while it runs; killed if a test ends before it does.
struct Running {
    child: Child,
    shown: Receiver<String>,
    complaints: Receiver<String>,
    until: Instant,
}

impl Running {
    #[track_caller]
    fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let shown = lines(child.stdout.take().unwrap());
        let complaints = lines(child.stderr.take().unwrap());
        Self { child, shown, complaints, until: Instant::now() + LIMIT }
    }

    #[track_caller]
    fn read_until(&mut self, part: &str) -> String {
        loop {
            let left = self.until.saturating_duration_since(Instant::now());
            match self.shown.recv_timeout(left) {
                Ok(line) if line.contains(part) => return line,
                Ok(_) => {}
                Err(error) => panic!("the example did not show {part:?}: {error}"),
            }
        }
    }

    /// Checks the URL that the user must open, and returns its `state`.
    #[track_caller]
    fn check_authorization_url(&mut self, redirect_uri: &str) -> String {
        let line = self.read_until("https://auth.staging.pleo.io/oauth/authorize?");
        assert!(!line.contains("planted"), "{line}");
        let url = Url::parse(line.trim()).unwrap();
        let value = |wanted: &str| url.query_pairs().find(|(name, _)| name == wanted).unwrap().1.into_owned();
        assert_eq!(value("client_id"), "fake-client");
        assert_eq!(value("redirect_uri"), redirect_uri);
        assert_eq!(value("scope"), "export:read export:write users:read tags:read");
        assert_eq!(value("code_challenge_method"), "S256");
        assert_eq!(value("code_challenge").len(), 43);
        value("state")
    }

    #[track_caller]
    fn type_line(&mut self, line: &[u8]) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(&[line, b"\n"].concat()).unwrap();
    }

    /// Closes standard input, waits for the end, and returns the status and the rest of both outputs.
    #[track_caller]
    fn end(mut self) -> (Option<i32>, String, String) {
        drop(self.child.stdin.take());
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < self.until, "the example does not end");
            thread::sleep(Duration::from_millis(5));
        }
        let status = self.child.wait().unwrap().code();
        (status, self.shown.iter().collect(), self.complaints.iter().collect())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // In most tests the example has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a pipe, read on another thread so that a wait for one can have a limit.
fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = String::new();
        while pipe.read_line(&mut line).is_ok_and(|length| length > 0) {
            if sender.send(std::mem::take(&mut line)).is_err() {
                break;
            }
        }
    });
    receiver
}
