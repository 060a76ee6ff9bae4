//! The program as a person uses it: at a terminal, with a browser, at the embedded server.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "these tests run a program and wait for it"
)]

#[path = "../../support/server.rs"]
mod server;

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use rexpect::process::{Signal, WaitStatus};
use rexpect::session::{PtySession, spawn_command};
use server::{AuthorizationServer, Config, Counts, Failure, Running};
use tempfile::TempDir;

/// The maximum time of any step, in milliseconds.
const LIMIT: u64 = 60_000;

/// Visibly fake, and part of no other text.
const SECRET: &str = "fake-planted-secret";

/// A redirect URI on another machine.
const ELSEWHERE: &str = "https://app.example/callback";

/// One user of the program, with a directory for the tokens and one for a browser.
struct User(TempDir);

impl User {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn directory(&self) -> PathBuf {
        self.0.path().join("tokens")
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).arg("--directory").arg(self.directory());
        command.env_remove("TOKEN_CLIENT_ID").env_remove("TOKEN_CLIENT_SECRET");
        // The embedded server is not behind any proxy.
        command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
        command
    }

    /// Runs the program without a terminal.
    fn run(&self, arguments: &[&str]) -> Output {
        self.command(PROGRAM, arguments).output().unwrap()
    }

    /// Returns the output of a command that succeeds.
    #[track_caller]
    fn read(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), complaint.as_str()), (Some(0), ""));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The command must end with this status and one line that holds `advice`, and print nothing else.
    #[track_caller]
    fn assert_fails(&self, arguments: &[&str], status: i32, advice: &str) {
        let output = self.run(arguments);
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(status), &b""[..]), "{complaint}");
        assert_eq!((complaint.lines().count(), complaint.ends_with('\n')), (1, true), "{complaint}");
        assert!(complaint.starts_with("token: ") && complaint.contains(advice), "{complaint}");
    }

    /// Starts a sign-in at a terminal, which echoes what is typed.
    fn sign_in(&self, arguments: &[&str], configure: impl FnOnce(&mut Command)) -> PtySession {
        let echo = ["-c", r#"stty echo && exec "$0" "$@""#, PROGRAM, "sign-in"];
        let mut command = self.command("sh", &[&echo, arguments].concat());
        configure(&mut command);
        spawn_command(command, Some(LIMIT)).unwrap()
    }

    /// Signs in by pasting, at a server whose client is set in the environment.
    #[track_caller]
    fn sign_in_by_paste(&self, server: &Running) -> String {
        let mut terminal = self.start_paste(server, "users:read");
        let url = address(&mut terminal);
        terminal.send_line(&follow(&url)).unwrap();
        end(&mut terminal, 0)
    }

    fn start_paste(&self, server: &Running, scope: &str) -> PtySession {
        let base = server.base_url();
        let arguments = ["--base", &base, "--redirect-uri", ELSEWHERE, "--no-browser", "--scope", scope];
        self.sign_in(&arguments, |command| {
            command.env("TOKEN_CLIENT_ID", "fake-client").env("TOKEN_CLIENT_SECRET", SECRET);
        })
    }

    /// Returns the content of every file in the directory of the tokens.
    fn files(&self) -> Vec<(PathBuf, String)> {
        let entries = fs::read_dir(self.directory()).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
    }
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_token");

fn serve(redirect_uri: &str, port: u16, change: impl FnOnce(&mut Config)) -> Running {
    let mut config = Config { client_secret: SECRET.into(), ..Config::new(redirect_uri) };
    change(&mut config);
    server::spawn(AuthorizationServer::new(config), port).unwrap()
}

/// Opens an address like a browser, and returns the status, where it redirects to, and the page.
fn open(url: &str) -> (u16, Option<String>, String) {
    let agent = ureq::Agent::new_with_defaults();
    let request = agent.get(url).config().max_redirects(0).http_status_as_error(false).proxy(None).build();
    let mut response = request.call().unwrap();
    let location = response.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
    (response.status().as_u16(), location, response.body_mut().read_to_string().unwrap())
}

/// Opens the authorization URL like the browser of a user who consents, and returns the callback's address.
fn follow(url: &str) -> String {
    open(url).1.unwrap()
}

/// Returns the address that the program asks the user to open.
#[track_caller]
fn address(terminal: &mut PtySession) -> String {
    terminal.exp_string("Open this in your browser:\r\n\r\n").unwrap();
    terminal.read_line().unwrap()
}

/// Returns the rest of the output of a program that ends with this status.
#[track_caller]
fn end(terminal: &mut PtySession, status: i32) -> String {
    let rest = terminal.exp_eof().unwrap();
    match terminal.process().wait().unwrap() {
        WaitStatus::Exited(_, code) => assert_eq!(code, status, "{rest}"),
        other => panic!("{other:?}: {rest}"),
    }
    rest
}

/// Returns the redirect URI of an authorization URL, and its port.
fn redirect_uri(url: &str) -> (String, u16) {
    let (_, query) = url.split_once('?').unwrap();
    let parameters: Vec<(String, String)> = serde_urlencoded::from_str(query).unwrap();
    let (_, uri) = parameters.into_iter().find(|(name, _)| name == "redirect_uri").unwrap();
    let port = uri.strip_prefix("http://127.0.0.1:").unwrap().strip_suffix("/callback").unwrap();
    (uri.clone(), port.parse().unwrap())
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// Returns a port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// Waits for a file, and returns its content.
fn wait_for(path: &Path) -> String {
    let start = Instant::now();
    loop {
        match fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
            Err(error) if error.kind() != ErrorKind::NotFound => panic!("{error}"),
            _ if start.elapsed() > Duration::from_millis(LIMIT) => panic!("{} is missing", path.display()),
            _ => sleep(Duration::from_millis(10)),
        }
    }
}

#[test]
fn a_browser_on_this_machine_signs_in() {
    let user = User::new();
    let programs = user.0.path().join("programs");
    let (xdg_open, opened) = (programs.join("xdg-open"), user.0.path().join("opened"));
    fs::create_dir(&programs).unwrap();
    fs::write(&xdg_open, "#!/bin/sh\nprintf '%s\\n' \"$1\" >\"$OPENED\"\n").unwrap();
    fs::set_permissions(&xdg_open, Permissions::from_mode(0o700)).unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());

    let port = free_port();
    let base = format!("http://127.0.0.1:{port}");
    let mut terminal = user.sign_in(&["--base", &base, "--scope", "users:read"], |command| {
        command.env("PATH", path).env("OPENED", &opened);
    });
    terminal.exp_string("Client id: ").unwrap();
    terminal.send_line("fake-client").unwrap();
    let echo = terminal.exp_string("Client secret: ").unwrap();
    assert!(echo.contains("fake-client"), "the terminal does not echo: {echo}");
    terminal.send_line(SECRET).unwrap();
    let shown = terminal.exp_string("Your browser opens:").unwrap();
    assert!(!shown.contains(SECRET), "{shown}");
    terminal.exp_string("Waiting for the answer at http://127.0.0.1:").unwrap();

    // The server learns the redirect URI only now, because the program took any free port.
    let url = wait_for(&opened);
    let (redirect_uri, listener) = redirect_uri(&url);
    let server = serve(&redirect_uri, port, |_| ());
    assert_eq!(open(&format!("http://127.0.0.1:{listener}/favicon.ico")).0, 404);
    let (status, _, page) = open(&format!("{redirect_uri}?code=stolen&state=guessed"));
    assert_eq!(
        (status, page.as_str()),
        (400, "This is not the expected answer. The program still waits for it.")
    );
    terminal.exp_string("Still waiting, because that was something else").unwrap();
    let (status, _, page) = open(&follow(&url));
    assert_eq!((status, page.as_str()), (200, "You are signed in. You can close this window."));
    assert!(end(&mut terminal, 0).contains("You are signed in."));
    assert!(is_free(listener));

    let header = user.read(&["header"]);
    let token = header.strip_prefix("Authorization: Bearer ").unwrap().trim_end();
    assert!(server.server().is_access_token_valid(token));
    for (path, content) in user.files() {
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}: {} bytes", path.display(), content.len());
    }
    let directory = fs::metadata(user.directory()).unwrap().permissions().mode() & 0o777;
    assert_eq!(directory, 0o700);
}

#[test]
fn a_browser_on_another_machine_signs_in_by_paste_and_the_end_deletes_everything() {
    let user = User::new();
    user.assert_fails(&["header"], 1, "you are not signed in: run `token sign-in`");
    let server = serve(ELSEWHERE, 0, |_| ());
    let mut terminal = user.start_paste(&server, "users:read users:write");
    let url = address(&mut terminal);
    terminal.exp_string("paste the address of that page here:").unwrap();
    terminal.send_line("hello").unwrap();
    terminal.exp_string("Still waiting, because that was something else").unwrap();
    terminal.send_line(&format!("  {}  ", follow(&url))).unwrap();
    let shown = end(&mut terminal, 0);
    assert!(shown.contains("You are signed in."), "{shown}");
    assert!(shown.contains("These scopes were not granted: users:write"), "{shown}");

    let header = user.read(&["header"]);
    let token = header.strip_prefix("Authorization: Bearer ").unwrap().trim_end().to_owned();
    assert!(server.server().is_access_token_valid(&token));
    let status = user.read(&["status"]);
    for line in ["client    fake-client", "scopes    users:read", "expiry    in 3", "trouble   none"] {
        assert!(status.contains(line), "{line:?} is missing in:\n{status}");
    }
    assert!(!status.contains(&token) && !status.contains(SECRET), "{status}");

    // Everything is known from the first sign-in.
    let mut terminal = user.sign_in(&["--no-browser"], |_| ());
    let url = address(&mut terminal);
    assert!(url.contains("&scope=users%3Aread+users%3Awrite&"), "{url}");
    terminal.send_line(&follow(&url)).unwrap();
    end(&mut terminal, 0);
    assert_ne!(user.read(&["header"]), header);
    let other = ["sign-in", "--environment", "staging"];
    user.assert_fails(&other, 1, "run `token end` first, or give --directory DIR");

    assert!(user.read(&["end"]).contains("disconnect the app there"));
    user.assert_fails(&["header"], 1, "you are not signed in: run `token sign-in`");
    user.assert_fails(&["status"], 1, "you are not signed in: run `token sign-in`");
    let left: Vec<_> = user.files().into_iter().filter(|(_, content)| !content.is_empty()).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Signs in at a server with a revocation endpoint.
#[track_caller]
fn sign_in_to_be_revoked(user: &User, server: &Running, revocation_endpoint: &str) {
    let base = server.base_url();
    let (authorization, token) = (format!("{base}/oauth/authorize"), format!("{base}/oauth/token"));
    let arguments = [
        "--authorization-endpoint",
        &authorization,
        "--token-endpoint",
        &token,
        "--revocation-endpoint",
        revocation_endpoint,
        "--redirect-uri",
        ELSEWHERE,
        "--no-browser",
    ];
    let mut terminal = user.sign_in(&arguments, |command| {
        command.env("TOKEN_CLIENT_ID", "fake-client").env("TOKEN_CLIENT_SECRET", SECRET);
    });
    let url = address(&mut terminal);
    terminal.send_line(&follow(&url)).unwrap();
    end(&mut terminal, 0);
}

#[test]
fn the_end_revokes_where_the_server_has_an_endpoint_for_it() {
    let user = User::new();
    let server = serve(ELSEWHERE, 0, |_| ());
    sign_in_to_be_revoked(&user, &server, &format!("{}/oauth/revoke", server.base_url()));
    let header = user.read(&["header"]);
    let token = header.strip_prefix("Authorization: Bearer ").unwrap().trim_end();
    assert!(server.server().is_access_token_valid(token));
    assert_eq!(user.read(&["end"]), "The tokens are revoked at the server and deleted here.\n");
    assert!(!server.server().is_access_token_valid(token));
    user.assert_fails(&["header"], 1, "you are not signed in: run `token sign-in`");
}

#[test]
fn tokens_that_the_server_could_not_be_told_about_stay_for_a_second_end() {
    let user = User::new();
    let server = serve(ELSEWHERE, 0, |_| ());
    let other = serve(ELSEWHERE, 0, |_| ());
    let endpoint = format!("{}/oauth/revoke", other.base_url());
    sign_in_to_be_revoked(&user, &server, &endpoint);
    let port = other.base_url().rsplit_once(':').unwrap().1.parse().unwrap();
    drop(other);
    user.assert_fails(&["end"], 1, "run `token end` again");
    user.assert_fails(&["header"], 1, "run `token sign-in`");
    let _other = serve(ELSEWHERE, port, |_| ());
    assert!(user.read(&["end"]).contains("are revoked at the server"));
}

#[test]
fn tokens_that_the_server_does_not_revoke_are_deleted_with_a_word_of_warning() {
    let user = User::new();
    let server = serve(ELSEWHERE, 0, |_| ());
    sign_in_to_be_revoked(&user, &server, &format!("{}/elsewhere", server.base_url()));
    user.assert_fails(&["end"], 1, "deleted here and not revoked");
    user.assert_fails(&["header"], 1, "you are not signed in: run `token sign-in`");
}

#[test]
fn a_refusal_says_so_in_the_browser_and_at_the_terminal() {
    let user = User::new();
    let redirect_uri = format!("http://127.0.0.1:{}/callback", free_port());
    let server = serve(&redirect_uri, 0, |_| ());
    let base = server.base_url();
    let arguments =
        ["--base", &base, "--redirect-uri", &redirect_uri, "--no-browser", "--scope", "users:read deny:me"];
    let mut terminal = user.sign_in(&arguments, |command| {
        command.env("TOKEN_CLIENT_ID", "fake-client").env("TOKEN_CLIENT_SECRET", SECRET);
    });
    let url = address(&mut terminal);
    let (status, _, page) = open(&follow(&url));
    let expected = "You are not signed in. The terminal says why. You can close this window.";
    assert_eq!((status, page.as_str()), (200, expected));
    let shown = end(&mut terminal, 1);
    assert!(shown.contains("access_denied") && shown.contains("if that was a mistake"), "{shown}");
    assert!(!user.directory().exists());
}

#[test]
fn an_interrupt_leaves_nothing() {
    let user = User::new();
    let mut terminal = user.sign_in(&["--base", "http://127.0.0.1:9", "--no-browser"], |command| {
        command.env("TOKEN_CLIENT_ID", "fake-client").env("TOKEN_CLIENT_SECRET", SECRET);
    });
    let (_, port) = redirect_uri(&address(&mut terminal));
    terminal.exp_string("paste the address of that page here:").unwrap();
    assert!(!is_free(port));
    terminal.send_control('c').unwrap();
    terminal.exp_eof().unwrap();
    let status = terminal.process().wait().unwrap();
    assert!(matches!(status, WaitStatus::Signaled(_, Signal::SIGINT, _)), "{status:?}");
    assert!(is_free(port) && !user.directory().exists());
}

#[test]
fn two_headers_at_once_share_one_refresh() {
    let user = User::new();
    let lifetime = Duration::from_secs(11);
    let server = serve(ELSEWHERE, 0, |config| {
        config.access_token_lifetime = lifetime;
        config.revokes_on_reuse = true;
        config.token_latency = Duration::from_millis(200);
    });
    user.sign_in_by_paste(&server);
    let first = user.read(&["header"]);
    sleep(lifetime);
    let headers = thread::scope(|scope| {
        let other = scope.spawn(|| user.run(&["header"]));
        let output = user.run(&["header"]);
        [output, other.join().unwrap()].map(|output| {
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        })
    });
    assert_eq!(headers[0], headers[1]);
    assert_ne!(headers[0], first);
    let expected = Counts { refreshes: 1, ..Counts::default() };
    assert_eq!(server.server().counts(), expected);
}

#[test]
fn a_directory_of_others_is_refused_before_the_sign_in() {
    let user = User::new();
    fs::create_dir(user.directory()).unwrap();
    fs::set_permissions(user.directory(), Permissions::from_mode(0o755)).unwrap();
    let mut command =
        user.command(PROGRAM, &["sign-in", "--base", "http://127.0.0.1:9", "--redirect-uri", ELSEWHERE]);
    command.env("TOKEN_CLIENT_ID", "fake-client").env("TOKEN_CLIENT_SECRET", SECRET);
    let output = command.output().unwrap();
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(
        complaint.contains("other users have access to") && complaint.lines().count() == 1,
        "{complaint}"
    );
}

#[test]
fn a_busy_server_is_asked_again() {
    let user = User::new();
    let server = serve(ELSEWHERE, 0, |_| ());
    server.server().fail_next(Failure::Unavailable, 1);
    let shown = user.sign_in_by_paste(&server);
    assert!(shown.contains("The server is busy; trying again in 1 s"), "{shown}");
    assert!(shown.contains("You are signed in."), "{shown}");
}

#[test]
fn a_revoked_token_says_to_sign_in_again() {
    let user = User::new();
    let server = serve(ELSEWHERE, 0, |config| config.access_token_lifetime = Duration::from_secs(2));
    user.sign_in_by_paste(&server);
    // A keeper refreshes after 10 seconds at the earliest.
    sleep(Duration::from_secs(10));
    // Another server at the same address knows none of the tokens.
    let port = server.base_url().rsplit_once(':').unwrap().1.parse().unwrap();
    drop(server);
    let _other = serve(ELSEWHERE, port, |_| ());
    user.assert_fails(&["header"], 1, "must sign in again: run `token sign-in`");
    let status = user.run(&["status"]);
    assert_eq!(status.status.code(), Some(1));
    let shown = String::from_utf8(status.stdout).unwrap();
    assert!(shown.contains("the server refused the refresh token"), "{shown}");
}

#[test]
fn wrong_usage_is_one_line_and_status_2() {
    let user = User::new();
    let staging = ["sign-in", "--environment", "staging"];
    for (arguments, advice) in [
        (&[][..], "say sign-in, header, status or end"),
        (&["login"], "say sign-in, header, status or end"),
        (&["header", "--scope", "users:read"], "\"--scope\" is not an argument of this command"),
        (&["sign-in"], "name the server"),
        (&["sign-in", "--environment", "moon"], "name the server in one of the three ways"),
        (&["sign-in", "--environment", "staging", "--base", "https://as.example"], "one of the three ways"),
        (&["sign-in", "--token-endpoint", "https://as.example/token"], "one of the three ways"),
        (&["sign-in", "--revocation-endpoint", "https://as.example/revoke"], "one of the three ways"),
        (&staging, "set TOKEN_CLIENT_ID"),
    ] {
        user.assert_fails(arguments, 2, advice);
    }
    for (base, redirect_uri, advice) in [
        ("http://as.example", ELSEWHERE, "the base URL"),
        (
            "https://as.example",
            "http://localhost:8080/callback",
            "--redirect-uri is https, or http://127.0.0.1:PORT",
        ),
        (
            "https://as.example",
            "http://127.0.0.1/callback",
            "--redirect-uri is https, or http://127.0.0.1:PORT",
        ),
    ] {
        let arguments = ["sign-in", "--base", base, "--redirect-uri", redirect_uri];
        let mut command = user.command(PROGRAM, &arguments);
        let output =
            command.env("TOKEN_CLIENT_ID", "fake").env("TOKEN_CLIENT_SECRET", SECRET).output().unwrap();
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{complaint}");
        assert!(complaint.contains(advice) && complaint.lines().count() == 1, "{complaint}");
    }
    assert!(!user.directory().exists());
}

#[test]
fn a_reader_that_is_gone_is_one_line() {
    let user = User::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = user.command(PROGRAM, &["--help"]).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let output = output.wait_with_output().unwrap();
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(
        complaint.starts_with("token: standard output:") && complaint.lines().count() == 1,
        "{complaint}"
    );
}

#[test]
fn help_is_not_an_error() {
    let user = User::new();
    for arguments in [&["--help"][..], &["-h"], &["header", "--help"], &["nonsense", "--help"]] {
        let shown = user.read(arguments);
        assert!(shown.starts_with("Usage: token sign-in"), "{shown}");
        assert!(
            shown.contains("TOKEN_CLIENT_SECRET") && shown.contains("curl -H \"$(token header)\""),
            "{shown}"
        );
        assert!(shown.lines().all(|line| line.chars().count() <= 100), "{shown}");
    }
}
