//! Compares two programs whose holders share one stored authorization, at a server that revokes all tokens of
//! a sign-in when a refresh token is used twice. See README.md.

#![allow(clippy::disallowed_methods, reason = "a program has a clock; the crate has none")]

#[path = "../../support/http.rs"]
mod http;
mod naive;
#[path = "../../support/server.rs"]
mod server;
mod table;
mod tally;
mod tasks;
mod threads;
mod world;

use std::process::ExitCode;
use std::thread;

use table::Side;
use world::{Place, World};

/// The reason of a failure, in a sentence.
type Failure = Box<dyn std::error::Error + Send + Sync>;

const USAGE: &str = "\
Usage: side-by-side [--seconds SECONDS]    run both programs for SECONDS (default: 60), and print a table
       side-by-side tasks|threads BASE_URL DIRECTORY SECONDS
                                           run one of our two processes";

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
        [] => compare(60),
        ["--seconds", seconds] => compare(seconds.parse()?),
        ["tasks", base_url, directory, seconds] => {
            tasks::run(&Place::new(base_url, directory)?, seconds.parse()?)?.print();
            Ok(true)
        }
        ["threads", base_url, directory, seconds] => {
            threads::run(&Place::new(base_url, directory)?, seconds.parse()?)?.print();
            Ok(true)
        }
        _ => Err(USAGE.into()),
    }
}

/// Runs both programs at the same time, each at a server of its own, and returns whether ours kept its
/// promises.
fn compare(seconds: u64) -> Result<bool, Failure> {
    let (theirs, ours) = (World::start()?, World::start()?);
    println!("Access tokens live {} s. Running for {seconds} s ...", world::LIFETIME.as_secs());
    let (theirs, ours) = thread::scope(|scope| {
        let theirs = scope.spawn(|| Side::measure(&theirs, || naive::run(&theirs, seconds)));
        let ours = Side::measure(&ours, || ours.run_processes(seconds));
        (theirs.join(), ours)
    });
    let (theirs, ours) = (theirs.map_err(|_| "the naive program panicked")??, ours?);
    table::print(&theirs, &ours);
    let broken = ours.broken_promises();
    broken.iter().for_each(|promise| println!("BROKEN: {promise}"));
    Ok(broken.is_empty())
}
