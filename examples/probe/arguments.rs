//! The command line of the probe.

#[path = "../support/flags.rs"]
mod flags;

use std::io::BufRead;

use flags::{group, set};
use oauth2_proto::Secret;

use crate::check::Profile;
use crate::target::Server;

/// The text that `--help` prints.
pub const USAGE: &str = "\
Usage: probe --server NAME [options]    test a server that this repository starts itself: embedded,
                                        oidc-provider, authlib, django-oauth-toolkit or
                                        workers-oauth-provider (after tests/servers/install.sh)
       probe --authorization-endpoint URL --token-endpoint URL --client-id ID --redirect-uri URI
             [--scope SCOPE...] [--issuer URL] [--revocation-endpoint URL]
             [--introspection-endpoint URL] [--pushed-authorization-request-endpoint URL]
             [--device-authorization-endpoint URL] [--registration-endpoint URL]
             [--resource-endpoint URL] [options]
                                        test any other server, where you sign in by hand
       probe --list                     show every check

Options:
  --profile rfc|pleo   test against the RFCs (default), or against the RFCs and Pleo's promises
  --only TEXT          run the checks whose names start with TEXT, such as `token` or `redirect.case`
  --json               end with one line of JSON

The client secret for any other server is read from OAUTH2_PROTO_PROBE_SECRET, or else from the first
line of standard input; an initial access token for registrations, if one is needed, is read from
OAUTH2_PROTO_PROBE_INITIAL_ACCESS_TOKEN. The probe sends many invalid requests: use a test server and a test client.

Exit status: 0 if no check failed, 1 if a check failed, 2 if the tests could not run.";

/// The command that the arguments give.
pub enum Command {
    /// Print the usage.
    Help,
    /// List the checks.
    List,
    /// Test a server.
    Probe(Arguments),
}

/// A test of one server.
pub struct Arguments {
    pub subject: Subject,
    pub profile: Profile,
    /// The prefix of the names of the checks to run.
    pub only: String,
    pub json: bool,
}

/// The server to test.
pub enum Subject {
    Named(Named),
    Given(Box<Server>),
}

/// A server that this repository can start.
#[derive(Clone, Copy)]
pub enum Named {
    Embedded,
    /// The name of a folder in `tests/servers`.
    Foreign(&'static str),
}

impl Command {
    /// Reads the command line; an error tells in one line how to correct it.
    pub fn read() -> Result<Self, String> {
        let arguments = flags::arguments()?;
        let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
        if has("--help") || has("-h") {
            Ok(Self::Help)
        } else if has("--list") {
            Ok(Self::List)
        } else {
            Arguments::parse(arguments.into_iter()).map(Self::Probe)
        }
    }
}

/// The flags of the command line, each at most once.
#[derive(Default)]
struct Flags {
    server: Option<String>,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    issuer: Option<String>,
    revocation_endpoint: Option<String>,
    introspection_endpoint: Option<String>,
    pushed_endpoint: Option<String>,
    device_endpoint: Option<String>,
    registration_endpoint: Option<String>,
    resource_endpoint: Option<String>,
    client_id: Option<String>,
    redirect_uri: Option<String>,
    scopes: Vec<String>,
    profile: Option<String>,
    only: Option<String>,
    json: bool,
}

impl Arguments {
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut flags = Flags::default();
        for (flag, values) in group(arguments)? {
            let slot = match flag.as_str() {
                "--server" => &mut flags.server,
                "--authorization-endpoint" => &mut flags.authorization_endpoint,
                "--token-endpoint" => &mut flags.token_endpoint,
                "--issuer" => &mut flags.issuer,
                "--revocation-endpoint" => &mut flags.revocation_endpoint,
                "--introspection-endpoint" => &mut flags.introspection_endpoint,
                "--pushed-authorization-request-endpoint" => &mut flags.pushed_endpoint,
                "--device-authorization-endpoint" => &mut flags.device_endpoint,
                "--registration-endpoint" => &mut flags.registration_endpoint,
                "--resource-endpoint" => &mut flags.resource_endpoint,
                "--client-id" => &mut flags.client_id,
                "--redirect-uri" => &mut flags.redirect_uri,
                "--profile" => &mut flags.profile,
                "--only" => &mut flags.only,
                "--scope" => {
                    let words = values.iter().flat_map(|value| value.split_whitespace());
                    flags.scopes.extend(words.map(str::to_owned));
                    continue;
                }
                "--json" if values.is_empty() => {
                    flags.json = true;
                    continue;
                }
                _ => return Err(format!("{flag:?} is not an argument of this program; see --help")),
            };
            set(slot, &flag, values)?;
        }
        let profile = match flags.profile.as_deref() {
            None | Some("rfc") => Profile::Rfc,
            Some("pleo") => Profile::Pleo,
            Some(_) => return Err("--profile is rfc or pleo".to_owned()),
        };
        let (only, json) = (flags.only.take().unwrap_or_default(), flags.json);
        Ok(Self { subject: flags.subject()?, profile, only, json })
    }
}

impl Flags {
    fn subject(self) -> Result<Subject, String> {
        let missing = |flag| format!("give {flag} too, or --server NAME; see --help");
        let Some(name) = self.server else {
            return Ok(Subject::Given(Box::new(Server {
                authorization_endpoint: self
                    .authorization_endpoint
                    .ok_or(missing("--authorization-endpoint URL"))?,
                token_endpoint: self.token_endpoint.ok_or(missing("--token-endpoint URL"))?,
                issuer: self.issuer,
                promises_iss: false,
                revocation_endpoint: self.revocation_endpoint,
                introspection_endpoint: self.introspection_endpoint,
                pushed_endpoint: self.pushed_endpoint,
                device_endpoint: self.device_endpoint,
                registration_endpoint: self.registration_endpoint,
                initial_access_token: from_environment("OAUTH2_PROTO_PROBE_INITIAL_ACCESS_TOKEN"),
                resource_endpoint: self.resource_endpoint,
                metadata: None,
                metadata_url: None,
                client_id: self.client_id.ok_or(missing("--client-id ID"))?,
                redirect_uri: self.redirect_uri.ok_or(missing("--redirect-uri URI"))?,
                scopes: self.scopes,
                client_secret: client_secret()?,
            })));
        };
        let others = [
            &self.authorization_endpoint,
            &self.token_endpoint,
            &self.issuer,
            &self.revocation_endpoint,
            &self.introspection_endpoint,
            &self.pushed_endpoint,
            &self.device_endpoint,
            &self.registration_endpoint,
            &self.resource_endpoint,
            &self.client_id,
            &self.redirect_uri,
        ];
        if others.iter().any(|flag| flag.is_some()) || !self.scopes.is_empty() {
            return Err("--server has its own endpoints and client; see --help".to_owned());
        }
        Ok(Subject::Named(match name.as_str() {
            "embedded" => Named::Embedded,
            "oidc-provider" => Named::Foreign("oidc-provider"),
            "authlib" => Named::Foreign("authlib"),
            "django-oauth-toolkit" => Named::Foreign("django-oauth-toolkit"),
            "workers-oauth-provider" => Named::Foreign("workers-oauth-provider"),
            _ => return Err("--server is none of the servers that --help names".to_owned()),
        }))
    }
}

/// Reads the client secret from the environment or standard input: other users can see a command line.
fn client_secret() -> Result<Secret, String> {
    if let Some(secret) = from_environment("OAUTH2_PROTO_PROBE_SECRET") {
        return Ok(secret);
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(|error| format!("standard input: {error}"))?;
    match line.trim_end_matches(['\r', '\n']) {
        "" => Err("put the client secret into OAUTH2_PROTO_PROBE_SECRET, or into standard input".to_owned()),
        secret => Ok(Secret::new(secret)),
    }
}

fn from_environment(name: &str) -> Option<Secret> {
    std::env::var(name).ok().filter(|secret| !secret.is_empty()).map(Secret::new)
}
