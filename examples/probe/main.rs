//! Tests an authorization server against the specifications or against Pleo's promises.
//!
//! Every check starts from a request that the crate makes, changes one part, sends the result, and examines
//! the server's response. The checks are tables, one file for each endpoint or specification.

#![allow(clippy::disallowed_methods, reason = "a program has a clock and an environment; the crate has none")]

mod answer;
mod arguments;
mod authorization;
#[path = "../../tests/support/browser.rs"]
mod browser;
mod check;
mod clients;
mod device;
mod dpop;
#[path = "../support/server.rs"]
mod embedded;
#[path = "../../tests/support/foreign.rs"]
mod foreign;
#[path = "../support/http.rs"]
mod http;
mod introspection;
mod metadata;
mod proof;
mod pushed;
#[path = "../support/redirect.rs"]
mod redirect;
mod refresh;
mod registration;
mod report;
mod resource;
mod revocation;
mod servers;
mod target;
mod token;
mod user;

use std::process::ExitCode;

use arguments::{Arguments, Command, Subject, USAGE};
use check::{Check, Demand};
use embedded::web;
use redirect::Landing;
use report::Report;
use target::{Server, Target};
use user::User;

/// Every check, in order of execution.
const CHECKS: [&[Check]; 11] = [
    authorization::CHECKS,
    token::CHECKS,
    refresh::CHECKS,
    revocation::CHECKS,
    introspection::CHECKS,
    resource::CHECKS,
    metadata::CHECKS,
    pushed::CHECKS,
    dpop::CHECKS,
    device::CHECKS,
    registration::CHECKS,
];

fn main() -> ExitCode {
    let code = match Command::read() {
        Ok(Command::Probe(arguments)) => probe(arguments),
        Ok(Command::List) => {
            CHECKS.iter().copied().flatten().for_each(report::list);
            Ok(0)
        }
        Ok(Command::Help) => {
            println!("{USAGE}");
            Ok(0)
        }
        Err(usage) => Err(Failure::Usage(usage)),
    };
    match code {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            eprintln!("{}", failure.into_message());
            ExitCode::from(2)
        }
    }
}

/// The reason why there is no report, in one line.
pub enum Failure {
    /// The command line is wrong.
    Usage(String),
    /// The server cannot be tested.
    CouldNotRun(String),
}

impl Failure {
    fn into_message(self) -> String {
        match self {
            Self::Usage(message) | Self::CouldNotRun(message) => message,
        }
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::CouldNotRun(message)
    }
}

fn probe(arguments: Arguments) -> Result<u8, Failure> {
    let Arguments { subject, profile, only, json } = arguments;
    let checks = CHECKS.iter().copied().flatten();
    let checks: Vec<&Check> = checks
        .filter(|check| check.id.starts_with(&only) && check.demand(profile) != Demand::Nothing)
        .collect();
    if checks.is_empty() {
        return Err(Failure::Usage(
            "no check of this profile has a name that starts so; see --list".to_owned(),
        ));
    }
    let run = |server: Server, user: User| {
        let target = Target::new(server, profile, user)?;
        let mut report = Report::new(profile, json);
        checks.iter().for_each(|check| report.add(check, (check.run)(&target)));
        Ok(report.end())
    };
    match subject {
        Subject::Named(named) => servers::with(named, |server| run(server, User::Script)),
        Subject::Given(server) => {
            // Fails on an occupied port before the first request.
            Landing::open(&server.redirect_uri)?;
            run(servers::with_metadata(*server)?, User::Person)
        }
    }
}
