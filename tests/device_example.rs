//! The example of a device without a browser, as a person runs it.

#![allow(clippy::disallowed_methods, reason = "this test runs a program and puts a limit on its time")]

use std::env::consts::EXE_SUFFIX;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[path = "../examples/support/http.rs"]
mod http;

use oauth2_proto::Request;

/// The maximum time of a run: an interval of one second, and 5 more after `slow_down`.
const LIMIT: Duration = Duration::from_secs(30);

#[track_caller]
fn device(arguments: &[&str]) -> Command {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push(format!("examples/device{EXE_SUFFIX}"));
    assert!(
        path.exists(),
        "run `cargo build --example device` first; a plain `cargo test` does it by itself"
    );
    let mut command = Command::new(path);
    command.args(arguments);
    // A proxy that answers nothing: the embedded server must be reached without it.
    command.envs(["ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"].map(|name| (name, "http://127.0.0.1:9")));
    command
}

#[test]
fn without_arguments_it_shows_a_whole_sign_in() {
    let start = Instant::now();
    let output = device(&[]).output().unwrap();
    let (shown, complaints) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!((output.status.code(), complaints.as_str()), (Some(0), ""), "{shown}");
    assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());

    let mut rest = shown.as_str();
    for part in [
        "\n1. Ask for the codes",
        "/oauth/device_authorization\n",
        "authorization: Basic [hidden]",
        "client_id             fake-client",
        "\n2. Tell the person what to do",
        "/device\n",
        " - ",
        "/device?user_code=",
        "valid for 9:5",
        "\n3. Poll until they have decided",
        "device_code           [hidden]",
        "poll 1: not yet; every 1 s, valid for 9:5",
        "poll 2: not yet; every 6 s, valid for 9:5",
        "allows access: HTTP status 200",
        "poll 3: allowed",
        "\n4. The tokens",
        "token type      Bearer",
        "scopes granted  export:read\n",
        "Done: the server knows the access token.",
    ] {
        rest = rest.split_once(part).unwrap_or_else(|| panic!("{part:?} is missing or early in:\n{shown}")).1;
    }
    for line in shown.lines() {
        assert!(line.chars().count() <= 100, "wider than a terminal: {line}");
        assert!(!line.contains(char::is_control), "no terminal is there to open a link: {line:?}");
    }
    assert!(!shown.contains("fake-secret") && !shown.contains("token="), "{shown}");
    let device_code = |word: &str| word.len() == 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(!shown.split(|sign: char| !sign.is_alphanumeric()).any(device_code), "{shown}");
}

#[test]
fn a_person_may_type_the_code_and_refuse() {
    let mut child = device(&["--by-hand"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let page = lines.find(|line| line.trim().ends_with("/device")).unwrap();
    // Letters in groups, as a person reads them; they may be typed in any case.
    let code = lines.find(|line| line.contains(" - ")).unwrap().replace(' ', "").to_lowercase();
    let get = |address: String| http::send(&Request::new("GET", address)).unwrap();
    let (status, _, form) = get(page.trim().to_owned());
    assert!(status == 200 && String::from_utf8(form).unwrap().contains("name=\"user_code\""));
    assert_eq!(get(format!("{}?user_code=WRON-GONE&deny=yes", page.trim())).0, 404);
    assert_eq!(get(format!("{}?user_code={code}&deny=yes", page.trim())).0, 200);
    lines.for_each(drop);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(
        complaint.starts_with("refused by the server (HTTP status 400): \"access_denied\""),
        "{complaint}"
    );
}

#[test]
fn a_bad_argument_is_one_line_and_status_2() {
    for (arguments, advice) in [
        ("--verbose", "see --help"),
        ("fake-planted-secret", "not a flag"),
        ("--client-id a", "--device-authorization-endpoint"),
        ("--device-authorization-endpoint https://as.example/d", "--token-endpoint"),
        (
            "--device-authorization-endpoint https://as.example/d --token-endpoint https://as.example/t",
            "--client-id",
        ),
        (
            "--device-authorization-endpoint http://as.example/d --token-endpoint https://as.example/t --client-id a",
            "must be https",
        ),
    ] {
        let output = device(&arguments.split(' ').collect::<Vec<_>>()).output().unwrap();
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), complaint.lines().count()), (Some(2), 1), "{complaint}");
        assert!(complaint.contains(advice) && !complaint.contains("planted"), "{complaint}");
    }
    let help = device(&["--help"]).output().unwrap();
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8(help.stdout).unwrap().starts_with("Usage: device"));
}
