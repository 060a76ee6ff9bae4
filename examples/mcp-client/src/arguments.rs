//! The command line.

use std::env;

use oauth2_proto::Secret;
use oauth2_proto::jose::Algorithm;
use serde_json::Value;

use crate::flags::{self, set};

/// The text that `--help` prints.
pub const USAGE: &str = "\
Usage: mcp-client [options] URL     list the tools of the MCP server at URL; sign in if it asks for that

The client's identity, the first that fits the authorization server (default: dynamic registration):
  --client-id ID            a client that is registered; its secret is in MCP_CLIENT_SECRET, or its private
                            key in MCP_PRIVATE_KEY, as PEM
  --signing-algorithm NAME  what that key signs with. Default: ES256
  --issuer URL              the authorization server that --client-id belongs to. Default: the first one that
                            the MCP server names, which then gets the secret: trust it, or name the right one
  --client-id-url URL       the address of the client's metadata document, for servers that take one

Who the token is for (default: the user, who signs in with a browser):
  --client-credentials      the client itself, with --client-id
  --workload-identity       the workload that this program runs in, with --client-id; the token of its platform
                            is in MCP_WORKLOAD_TOKEN
  --identity-provider URL   a user whom an enterprise's identity provider has signed in, with --client-id;
                            the ID token is in MCP_ID_TOKEN
  --identity-provider-client-id ID

Options:
  --dpop                    bind the tokens to a new key (DPoP), which lives as long as this program
  --protocol VERSION        2026-07-28, 2025-11-25 (default), 2025-06-18, or 2025-03-26, which has no
                            protected resource metadata: the authorization server is then at the origin of URL
  --accept-parent           accept metadata of a parent of URL, such as its origin; the token is then for
                            everything there
  --redirect-uri URI        where the browser comes back to. Default: http://127.0.0.1:8937/callback
  --follow                  be the browser, for a test server that asks no user
  --call TOOL               call a tool
  --arguments JSON          its arguments

Exit status: 0 done, 1 failed (one line says why), 2 wrong usage.";

pub enum Command {
    Run(Box<Settings>),
    Help,
}

/// The settings from the command line and the environment.
pub struct Settings {
    pub url: String,
    pub protocol: String,
    pub client_id: Option<String>,
    pub client_secret: Option<Secret>,
    pub private_key: Option<Secret>,
    pub signing_algorithm: Algorithm,
    pub binds_tokens: bool,
    pub issuer: Option<String>,
    pub client_id_url: Option<String>,
    pub subject: Subject,
    pub accepts_parent: bool,
    pub redirect_uri: String,
    pub follows: bool,
    pub tool: Option<String>,
    pub tool_arguments: Value,
}

impl Settings {
    /// Returns whether the version of MCP has no protected resource metadata.
    pub fn has_no_resource_metadata(&self) -> bool {
        self.protocol == "2025-03-26"
    }
}

/// The party whose access the token gives.
pub enum Subject {
    /// A user who signs in with a browser.
    User,
    /// The client itself.
    Client,
    /// The workload that the program runs in, which its platform has given a signed token.
    Workload { token: Secret },
    /// A user whom an enterprise's identity provider has signed in.
    Employee { identity_provider: String, client_id: String, id_token: Secret },
}

impl Command {
    pub fn read() -> Result<Self, String> {
        let mut arguments = flags::arguments()?;
        if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
            return Ok(Self::Help);
        }
        let url = arguments.pop().filter(|url| !url.starts_with("--"));
        let url = url.ok_or("give the URL of an MCP server as the last argument; see --help")?;
        let (mut protocol, mut redirect_uri, mut tool, mut tool_arguments) = (None, None, None, None);
        let (mut client_id, mut issuer, mut client_id_url) = (None, None, None);
        let (mut identity_provider, mut client_id_there) = (None, None);
        let (mut is_client, mut is_workload) = (false, false);
        let (mut follows, mut accepts_parent, mut binds_tokens) = (false, false, false);
        let mut signing_algorithm = None;
        for (flag, values) in flags::group(arguments.into_iter())? {
            match flag.as_str() {
                "--protocol" => set(&mut protocol, &flag, values)?,
                "--redirect-uri" => set(&mut redirect_uri, &flag, values)?,
                "--call" => set(&mut tool, &flag, values)?,
                "--arguments" => set(&mut tool_arguments, &flag, values)?,
                "--client-id" => set(&mut client_id, &flag, values)?,
                "--issuer" => set(&mut issuer, &flag, values)?,
                "--client-id-url" => set(&mut client_id_url, &flag, values)?,
                "--identity-provider" => set(&mut identity_provider, &flag, values)?,
                "--identity-provider-client-id" => set(&mut client_id_there, &flag, values)?,
                "--client-credentials" if values.is_empty() => is_client = true,
                "--workload-identity" if values.is_empty() => is_workload = true,
                "--signing-algorithm" => set(&mut signing_algorithm, &flag, values)?,
                "--dpop" if values.is_empty() => binds_tokens = true,
                "--follow" if values.is_empty() => follows = true,
                "--accept-parent" if values.is_empty() => accepts_parent = true,
                _ => return Err(format!("{flag:?} is no flag, or has a value too many; see --help")),
            }
        }
        let subject = match (is_client, is_workload, identity_provider, client_id_there) {
            (false, false, None, None) => Subject::User,
            (true, false, None, None) => Subject::Client,
            (false, true, None, None) => {
                let token = secret("MCP_WORKLOAD_TOKEN").ok_or("set MCP_WORKLOAD_TOKEN; see --help")?;
                Subject::Workload { token }
            }
            (false, false, Some(identity_provider), Some(client_id)) => {
                let id_token = secret("MCP_ID_TOKEN").ok_or("set MCP_ID_TOKEN; see --help")?;
                Subject::Employee { identity_provider, client_id, id_token }
            }
            _ => {
                return Err("--client-credentials, --workload-identity, --identity-provider URL and \
                     --identity-provider-client-id ID do not go together in this way; see --help"
                    .to_owned());
            }
        };
        if !matches!(subject, Subject::User) && client_id.is_none() {
            return Err("give --client-id ID; see --help".to_owned());
        }
        let protocol = protocol.unwrap_or("2025-11-25".to_owned());
        if !PROTOCOLS.contains(&protocol.as_str()) {
            return Err(format!("--protocol is one of {PROTOCOLS:?}"));
        }
        let signing_algorithm = signing_algorithm.as_deref().unwrap_or("ES256");
        let signing_algorithm = Algorithm::from_name(signing_algorithm)
            .ok_or("--signing-algorithm is a name such as ES256, EdDSA or RS256")?;
        let tool_arguments = tool_arguments.as_deref().unwrap_or("{}");
        Ok(Self::Run(Box::new(Settings {
            url,
            protocol,
            client_id,
            client_secret: secret("MCP_CLIENT_SECRET"),
            private_key: secret("MCP_PRIVATE_KEY"),
            signing_algorithm,
            binds_tokens,
            issuer,
            client_id_url,
            subject,
            accepts_parent,
            redirect_uri: redirect_uri.unwrap_or("http://127.0.0.1:8937/callback".to_owned()),
            follows,
            tool,
            tool_arguments: serde_json::from_str(tool_arguments)
                .map_err(|_| "--arguments is no JSON; see --help")?,
        })))
    }
}

/// Returns a secret of the environment. Other users of the machine can read a command line, but not the
/// environment.
fn secret(name: &str) -> Option<Secret> {
    env::var(name).ok().filter(|value| !value.is_empty()).map(Secret::new)
}

const PROTOCOLS: &[&str] = &["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"];
