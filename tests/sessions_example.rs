//! The example of sessions in memory, as a person runs it: it survives what the server does to it.

#![allow(clippy::disallowed_methods, reason = "this test runs a program and puts a limit on its time")]

use std::env::consts::EXE_SUFFIX;
use std::process::Command;
use std::time::{Duration, Instant};

#[test]
fn the_example_survives_every_failure_and_logs_attempts_outcomes_and_reasons() {
    // The example runs in real time, so a machine that stands still for a second can hide a line of it.
    let shown = run();
    let shown = if first_missing(&shown).is_none() { shown } else { run() };
    assert_eq!(first_missing(&shown), None, "missing or early in:\n{shown}");
    assert!(shown.contains(" waits: AnotherHolder, "), "{shown}");
    assert!(!shown.contains(" ends: "), "{shown}");
    for line in shown.lines() {
        for word in line.split_whitespace() {
            let is_random = word.len() >= 16 && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
            assert!(!is_random && !word.contains("fake-secret"), "{word} looks like a secret in {line}");
        }
    }
}

/// Runs the example to its end, and returns what it prints.
#[track_caller]
fn run() -> String {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push(format!("examples/sessions_in_memory{EXE_SUFFIX}"));
    assert!(path.exists(), "run `cargo build --examples` first; a plain `cargo test` does it by itself");
    let start = Instant::now();
    let output = Command::new(path).output().unwrap();
    let (shown, complaints) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!((output.status.code(), complaints.as_str()), (Some(0), ""), "{shown}");
    assert!(start.elapsed() < Duration::from_secs(25), "{:?}", start.elapsed());
    shown
}

/// Returns the first of these parts that does not follow the one before it.
fn first_missing(shown: &str) -> Option<&'static str> {
    let mut rest = shown;
    // Each holder prints on its own; only these lines are in order.
    PARTS.iter().copied().find(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            false
        }
        None => true,
    })
}

const PARTS: &[&str] = &[
    " refresh: starts, no trouble\n",
    " refresh: done\n",
    "-- the server is overloaded",
    " refresh: not a valid answer (HTTP status 503)",
    " waits: Pause, 1 failed refresh since ",
    "the server is overloaded or failing (HTTP status 503)\n",
    " refresh: starts, 1 failed refresh since ",
    " refresh: not a valid answer (HTTP status 502)",
    " refresh: starts, 2 failed refreshes since ",
    " refresh: done\n",
    "-- an answer is lost",
    " refresh: no answer from http://127.0.0.1:",
    " waits: Pause, 1 failed refresh since ",
    ": no answer came\n",
    " refresh: done\n",
    "-- nobody listens",
    " refresh: no answer from http://127.0.0.1:",
    " waits: Pause, ",
    " refresh: done\n",
    "-- the access token ends before its time",
    " API: 401\n",
    " API: 200\n",
    "\nAfter ",
    " saves: no trouble.\n",
];
