//! Many threads and processes share one authorization through PostgreSQL, at a server that revokes it if a refresh
//! token is used twice; see README.md.
//!
//! `store.rs`, `keeper.rs` and `http.rs` are for your program. The others are the demonstration.

#![allow(clippy::disallowed_methods, reason = "a program has a clock and an environment; the crate has none")]

#[path = "../../../tests/support/browser.rs"]
mod browser;
mod crowd;
mod death;
#[path = "../../../tests/support/foreign.rs"]
mod foreign;
mod holder;
mod http;
mod keeper;
mod report;
mod settings;
mod store;
mod survivors;
mod world;

use std::process::ExitCode;

use death::Point;
use report::Report;
use settings::{LIFETIME, Settings};
use world::World;

/// What went wrong, in a sentence.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

const USAGE: &str = "\
Usage: postgres-sessions [--seconds SECONDS]
                        the demonstration, with 60 seconds for its second part if nothing else is said
       postgres-sessions hold KEY THREADS SECONDS [--die-at claim|sent|answered]
                        one of its processes, which kills itself at that point of a refresh

DATABASE_URL names the database, which has the table of schema.sql.";

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
            holder::run(&settings, key, threads.parse()?, seconds.parse()?, die_at).print();
            Ok(true)
        }
        _ => Err(USAGE.into()),
    }
}

/// Says whether every promise was kept.
fn demonstrate(seconds: u64) -> Result<bool, Failure> {
    let world = World::start()?;
    let mut report = Report::default();
    println!(
        "oidc-provider, access tokens of {LIFETIME} s. It revokes an authorization whose refresh token is used twice."
    );
    for point in [Point::Claim, Point::Sent, Point::Answered] {
        survivors::show(point, &world, &mut report)?;
    }
    crowd::show(seconds, &world, &mut report)?;
    Ok(report.end())
}
