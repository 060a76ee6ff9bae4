//! The command line of the login example.

#[path = "flags.rs"]
mod flags;

use flags::{group, set};

/// The text that `--help` prints.
pub const USAGE: &str = "\
Usage: login                    sign in at an embedded server, shown step by step
       login --environment staging|production --client-id ID --redirect-uri URI [--scope SCOPE...]
                                sign in at Pleo; the client secret is read from PLEO_CLIENT_SECRET

Give the registered redirect URI. At a loopback redirect URI (http://127.0.0.1:PORT/...), the program
receives the callback itself; otherwise paste the URL that your browser ends at. --scope takes several
scopes and can be repeated.";

/// The command that the arguments give.
pub enum Command {
    /// Show a sign-in at the embedded server.
    Tour,
    /// Print the usage.
    Help,
    /// Sign in at Pleo.
    Pleo(Arguments),
}

/// The parameters of a sign-in at Pleo.
pub struct Arguments {
    pub environment: Environment,
    pub client_id: String,
    pub client_secret: String,
    pub redirect_uri: String,
    pub scopes: Vec<String>,
}

/// One of Pleo's two servers.
#[derive(Clone, Copy)]
pub enum Environment {
    Staging,
    Production,
}

impl Command {
    /// Reads the command line; an error tells in one line how to correct it.
    pub fn read() -> Result<Self, String> {
        let arguments = flags::arguments()?;
        if arguments.is_empty() {
            Ok(Self::Tour)
        } else if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
            Ok(Self::Help)
        } else {
            Arguments::parse(arguments.into_iter()).map(Self::Pleo)
        }
    }
}

impl Arguments {
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut environment, mut client_id, mut redirect_uri, mut scopes) = (None, None, None, Vec::new());
        for (flag, values) in group(arguments)? {
            match flag.as_str() {
                "--environment" => set(&mut environment, &flag, values)?,
                "--client-id" => set(&mut client_id, &flag, values)?,
                "--redirect-uri" => set(&mut redirect_uri, &flag, values)?,
                "--scope" => {
                    let words = values.iter().flat_map(|value| value.split_whitespace());
                    let before = scopes.len();
                    scopes.extend(words.map(str::to_owned));
                    if scopes.len() == before {
                        return Err("--scope needs a value after it; see --help".to_owned());
                    }
                }
                _ => return Err(format!("{flag:?} is not an argument of this program; see --help")),
            }
        }
        let missing = |flag| format!("give {flag} too; see --help");
        let environment = environment.ok_or(missing("--environment staging or production"))?;
        let secret = std::env::var("PLEO_CLIENT_SECRET").ok().filter(|secret| !secret.is_empty());
        Ok(Self {
            environment: Environment::parse(&environment)?,
            client_id: client_id.ok_or(missing("--client-id ID"))?,
            redirect_uri: redirect_uri.ok_or(missing("--redirect-uri URI"))?,
            client_secret: secret
                .ok_or("put the client secret into the environment variable PLEO_CLIENT_SECRET")?,
            scopes,
        })
    }
}

impl Environment {
    fn parse(name: &str) -> Result<Self, String> {
        match name {
            "staging" => Ok(Self::Staging),
            "production" => Ok(Self::Production),
            _ => Err("--environment is staging or production".to_owned()),
        }
    }
}
