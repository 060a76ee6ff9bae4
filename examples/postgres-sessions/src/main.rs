//! Shares one authorization among many threads and processes through PostgreSQL, at a server that revokes the
//! authorization if a refresh token is used twice. See README.md.
//!
//! `http.rs` and the package `postgres-store` are what a program needs. The other files are the demonstration.

#![allow(clippy::disallowed_methods, reason = "a program has a clock and an environment; the crate has none")]

#[path = "../../../tests/support/browser.rs"]
mod browser;
mod crowd;
mod death;
#[path = "../../../tests/support/foreign.rs"]
mod foreign;
mod holder;
mod http;
mod report;
mod settings;
mod survivors;
mod world;

use std::process::ExitCode;

use death::Point;
use report::Report;
use settings::{LIFETIME, Settings};
use world::World;

/// The reason of a failure, in a sentence.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

const USAGE: &str = "\
Usage: postgres-sessions [--seconds SECONDS]
                        run the demonstration; its second part takes SECONDS (default: 60)
       postgres-sessions hold KEY THREADS SECONDS [--die-at claim|sent|answered]
                        run one of its processes, which kills itself at the given point of a refresh

DATABASE_URL names the database, which contains the table of postgres-store.";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<bool, Failure> {
    match arguments {
        [] => demonstrate(60),
        ["--seconds", seconds] => demonstrate(seconds.parse()?),
        ["hold", key, threads, seconds, rest @ ..] => {
            let die_at = match rest {
                [] => None,
                ["--die-at", point] => Some(point.parse()?),
                _ => return Err(USAGE.into()),
            };
            let settings = Settings::read(|name| std::env::var(name).ok())?;
            holder::run(&settings, key, threads.parse()?, seconds.parse()?, die_at)?.print();
            Ok(true)
        }
        _ => Err(USAGE.into()),
    }
}

/// Runs the demonstration, and returns whether every promise was kept.
fn demonstrate(seconds: u64) -> Result<bool, Failure> {
    let world = World::start()?;
    let mut report = Report::default();
    println!(
        "oidc-provider, access tokens of {LIFETIME} s; it revokes an authorization whose refresh token is used twice."
    );
    for point in [Point::Claim, Point::Sent, Point::Answered] {
        survivors::show(point, &world, &mut report)?;
    }
    crowd::show(seconds, &world, &mut report)?;
    Ok(report.end())
}
