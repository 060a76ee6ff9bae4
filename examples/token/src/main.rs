//! Signs in from a terminal, keeps the tokens in a file, and prints a header for `curl`. See README.md.

#![allow(clippy::disallowed_methods, reason = "a program has a clock and an environment; the crate has none")]

mod arguments;
mod browser;
mod commands;
#[path = "../../support/flags.rs"]
mod flags;
mod http;
mod landing;
mod profile;
#[path = "../../support/web.rs"]
mod web;

use std::fmt;
use std::process::ExitCode;

use arguments::{Arguments, Command, USAGE};
use oauth2_proto::error::ErrorKind;
use oauth2_proto::keeper::KeeperError;
use oauth2_proto::{Advice, Error};

fn main() -> ExitCode {
    let outcome = Arguments::read().and_then(|arguments| match arguments.command {
        Command::Help => commands::print(USAGE),
        Command::SignIn => commands::sign_in(arguments),
        Command::Header => commands::header(&arguments.directory),
        Command::Status => commands::status(&arguments.directory),
        Command::End => commands::end(&arguments.directory),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("token: {failure}");
            ExitCode::from(failure.exit_status)
        }
    }
}

/// The reason why the program ends early, in one line that says what to do.
struct Failure {
    exit_status: u8,
    message: String,
}

impl Failure {
    /// The command line or the environment is wrong.
    fn usage(message: impl Into<String>) -> Self {
        Self { exit_status: 2, message: message.into() }
    }

    fn new(message: impl Into<String>) -> Self {
        Self { exit_status: 1, message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        if error.kind() == ErrorKind::Misuse {
            return Self::usage(format!("{error}; see token --help"));
        }
        let remedy = match error.advice() {
            Advice::KeepWaiting | Advice::Reauthorize => "run `token sign-in` again",
            Advice::RetryLater => "run `token sign-in` again in a while",
            Advice::Declined => "run `token sign-in` again if that was a mistake",
            Advice::FixConfiguration => "correct the client id, the client secret or the flags",
            Advice::Stop => "report this to the people who run the server",
        };
        Self::new(format!("{error}; {remedy}"))
    }
}

impl From<KeeperError> for Failure {
    fn from(error: KeeperError) -> Self {
        match error {
            KeeperError::SignIn(reason) => Self::new(format!("{reason}: run `token sign-in`")),
            KeeperError::NotNow { .. } => Self::new(format!("{error}; run the command again then")),
            KeeperError::Store(error) => Self::new(format!("the file of the tokens: {error}")),
            error => Self::new(format!("{error}; run `token sign-in` again")),
        }
    }
}
