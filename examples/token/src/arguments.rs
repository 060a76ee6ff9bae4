//! The command line.

use std::env;
use std::path::PathBuf;

use crate::Failure;
use crate::flags::{self, set};
use crate::profile::Server;

/// The text that `--help` prints.
pub const USAGE: &str = "\
Usage: token sign-in SERVER [options]   sign in with the browser, and keep the tokens
       token header                     print an Authorization header; refresh first, if it is due
       token status                     show scopes, expiry and trouble, and no token
       token end                        revoke the tokens, if the server can, and delete them

SERVER is one of
  --environment staging|production      Pleo's
  --base URL                            a stand-in for Pleo's
  --authorization-endpoint URL --token-endpoint URL [--issuer URL] [--revocation-endpoint URL]

Options of sign-in, which a later sign-in may omit, and SERVER too:
  --scope SCOPE...     the scopes to ask for; can be repeated
  --redirect-uri URI   the registered one. At http://127.0.0.1:PORT/..., the program listens; for
                       any other, paste the address that the browser ends at. Default:
                       http://127.0.0.1:PORT/callback with any free port (RFC 8252 section 7.3)
  --no-browser         only print the address to open (not remembered)

Option of every command:
  --directory DIR      where the tokens are, one sign-in in each directory. Default:
                       oauth2-proto-token in $XDG_DATA_HOME or ~/.local/share

The client id and the client secret come from TOKEN_CLIENT_ID and TOKEN_CLIENT_SECRET, or are asked
for at the first sign-in. An empty secret means a public client.

Exit status: 0 done, 1 failed (one line says what to do), 2 wrong usage.
Example: curl -H \"$(token header)\" https://api.example/me";

pub enum Command {
    Help,
    SignIn,
    Header,
    Status,
    End,
}

pub struct Arguments {
    pub command: Command,
    pub directory: PathBuf,
    pub server: Option<Server>,
    pub scopes: Vec<String>,
    pub redirect_uri: Option<String>,
    pub opens_browser: bool,
}

impl Arguments {
    /// Reads the command line.
    pub fn read() -> Result<Self, Failure> {
        Self::parse(flags::arguments().map_err(Failure::usage)?)
    }

    fn parse(arguments: Vec<String>) -> Result<Self, Failure> {
        let asks_for_help = arguments.iter().any(|argument| argument == "--help" || argument == "-h");
        let mut arguments = arguments.into_iter();
        let command = match arguments.next().as_deref() {
            _ if asks_for_help => Command::Help,
            Some("sign-in") => Command::SignIn,
            Some("header") => Command::Header,
            Some("status") => Command::Status,
            Some("end") => Command::End,
            _ => return Err(Failure::usage("say sign-in, header, status or end; see token --help")),
        };
        let (mut directory, mut redirect_uri) = (None, None);
        let (mut environment, mut base, mut issuer) = (None, None, None);
        let (mut authorization, mut token, mut revocation) = (None, None, None);
        let (mut scopes, mut opens_browser) = (Vec::new(), true);
        let arguments = if asks_for_help { Vec::new() } else { arguments.collect() };
        for (flag, values) in flags::group(arguments.into_iter()).map_err(Failure::usage)? {
            let is_known = match (&command, flag.as_str()) {
                (_, "--directory") => set(&mut directory, &flag, values),
                (Command::SignIn, "--environment") => set(&mut environment, &flag, values),
                (Command::SignIn, "--base") => set(&mut base, &flag, values),
                (Command::SignIn, "--authorization-endpoint") => set(&mut authorization, &flag, values),
                (Command::SignIn, "--token-endpoint") => set(&mut token, &flag, values),
                (Command::SignIn, "--revocation-endpoint") => set(&mut revocation, &flag, values),
                (Command::SignIn, "--issuer") => set(&mut issuer, &flag, values),
                (Command::SignIn, "--redirect-uri") => set(&mut redirect_uri, &flag, values),
                (Command::SignIn, "--scope") => {
                    let words = values.iter().flat_map(|value| value.split_whitespace());
                    scopes.extend(words.map(str::to_owned));
                    Ok(())
                }
                (Command::SignIn, "--no-browser") if values.is_empty() => {
                    opens_browser = false;
                    Ok(())
                }
                _ => Err(format!("{flag:?} is not an argument of this command; see token --help")),
            };
            is_known.map_err(Failure::usage)?;
        }
        let directory = directory.map(PathBuf::from).or_else(default_directory);
        Ok(Self {
            command,
            directory: directory.ok_or_else(|| Failure::usage("there is no HOME; give --directory DIR"))?,
            server: server(
                environment,
                base,
                authorization,
                token,
                Further { issuer, revocation_endpoint: revocation },
            )?,
            scopes,
            redirect_uri,
            opens_browser,
        })
    }
}

/// The flags that only a server with endpoints of its own takes.
struct Further {
    issuer: Option<String>,
    revocation_endpoint: Option<String>,
}

/// Returns the server that the flags name, if they name one.
fn server(
    environment: Option<String>,
    base: Option<String>,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    Further { issuer, revocation_endpoint }: Further,
) -> Result<Option<Server>, Failure> {
    let alone = issuer.is_none() && revocation_endpoint.is_none();
    match (environment.as_deref(), base, authorization_endpoint, token_endpoint) {
        (None, None, None, None) if alone => Ok(None),
        (Some("staging"), None, None, None) if alone => Ok(Some(Server::Staging)),
        (Some("production"), None, None, None) if alone => Ok(Some(Server::Production)),
        (None, Some(base), None, None) if alone => Ok(Some(Server::At { base })),
        (None, None, Some(authorization_endpoint), Some(token_endpoint)) => Ok(Some(Server::Endpoints {
            authorization_endpoint,
            token_endpoint,
            issuer,
            revocation_endpoint,
        })),
        _ => Err(Failure::usage("name the server in one of the three ways of token --help")),
    }
}

fn default_directory() -> Option<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let data = set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(".local/share")))?;
    Some(data.join("oauth2-proto-token"))
}
