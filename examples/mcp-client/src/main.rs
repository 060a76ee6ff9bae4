//! A client for protected MCP servers: `tools/list`, and a tool if you name one.
//!
//! ```sh
//! cargo run --manifest-path examples/mcp-client/Cargo.toml -- https://server.example/mcp
//! ```
//!
//! - [`mcp`] sends JSON-RPC messages by POST, and knows nothing of tokens.
//! - [`access`] obtains the token: from the challenge of a 401 to the token response.
//! - [`Session::call`] connects both: it obeys what an answer says about the token.
//!
//! See README.md for what the program can do and for the conformance suite that it passes.

#![allow(clippy::disallowed_methods, reason = "a program has a clock and an environment; the crate has none")]

mod access;
mod arguments;
#[path = "../../support/flags.rs"]
mod flags;
mod http;
mod mcp;
#[path = "../../support/redirect.rs"]
mod redirect;
#[path = "../../support/web.rs"]
mod web;

use std::fmt;
use std::process::ExitCode;

use access::Access;
use arguments::{Command, Settings, USAGE};
use mcp::Connection;
use oauth2_proto::Error;
use oauth2_proto::challenge::{Challenges, Verdict};
use oauth2_proto::error::ErrorKind;
use serde_json::{Value, json};

fn main() -> ExitCode {
    let outcome = match Command::read() {
        Ok(Command::Run(settings)) => run(&settings),
        Ok(Command::Help) => {
            println!("{USAGE}");
            Ok(())
        }
        Err(usage) => Err(Failure::Usage(usage)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("mcp-client: {failure}");
            ExitCode::from(if matches!(failure, Failure::Usage(_)) { 2 } else { 1 })
        }
    }
}

fn run(settings: &Settings) -> Result<(), Failure> {
    let mut session = Session { connection: Connection::new(settings), access: Access::new(settings)? };
    if session.connection.has_handshake() {
        let hello = session.call("initialize", session.connection.hello())?;
        session.connection.agree(&hello);
        session.call("notifications/initialized", json!({}))?;
    }
    let tools = session.call("tools/list", json!({}))?;
    for tool in tools["tools"].as_array().into_iter().flatten() {
        println!("tool {}", tool["name"]);
    }
    if let Some(tool) = &settings.tool {
        let result =
            session.call("tools/call", json!({"name": tool, "arguments": settings.tool_arguments}))?;
        println!("result {}", result["content"]);
    }
    Ok(())
}

/// A connection to a server, and the access to it.
struct Session<'a> {
    connection: Connection<'a>,
    access: Access<'a>,
}

impl Session<'_> {
    /// Calls a method, and obtains a token, another one or a better one where the server asks for it. Each of
    /// the three is bounded: [`Access`] gives up on what does not help.
    fn call(&mut self, method: &str, params: Value) -> Result<Value, Failure> {
        loop {
            let mut authorization = self.access.authorization()?;
            let answer = loop {
                let answer = self.connection.send(method, &params, authorization.as_ref())?;
                let wants_another_proof = match &mut authorization {
                    Some(authorization) => authorization.received(&answer)?,
                    None => false,
                };
                if !wants_another_proof {
                    break answer;
                }
            };
            let challenges = Challenges::from_headers(answer.headers());
            match challenges.verdict(answer.status(), authorization.is_some()) {
                Verdict::Unrelated => {
                    self.access.accepted();
                    return self.connection.read(&answer);
                }
                Verdict::SignIn(challenge) => self.access.sign_in(challenge)?,
                Verdict::Rejected => self.access.replace(challenges.bearer().or(challenges.dpop()))?,
                Verdict::StepUp(challenge) => self.access.step_up(challenge)?,
                Verdict::NewProof | Verdict::FixRequest | Verdict::Forbidden => {
                    let status = answer.status();
                    return Err(format!("the server refuses {method} with status {status}").into());
                }
            }
        }
    }
}

/// The reason why the program ends early, in one line.
enum Failure {
    /// The command line is wrong.
    Usage(String),
    /// The run failed.
    Failed(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Usage(message) | Self::Failed(message)) = self;
        f.write_str(message)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Misuse => Self::Usage(format!("{error}; see --help")),
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::Failed(message)
    }
}
