//! Starts the authorization servers under `tests/servers` as child processes on a free loopback port.
#![allow(dead_code, reason = "each test binary uses a part of this module")]

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde::Deserialize;

/// The maximum time of a server from its start to its `READY` line.
const START_LIMIT: Duration = Duration::from_secs(30);

/// The facts that a server states in its `READY` line.
#[derive(Clone, Debug, Deserialize)]
pub struct Facts {
    /// The issuer identifier, where the server has one.
    pub issuer: Option<String>,
    /// The address of the metadata document (RFC 8414), if the server publishes one.
    pub metadata_url: Option<String>,
    /// The authorization endpoint.
    pub authorization_endpoint: String,
    /// The token endpoint.
    pub token_endpoint: String,
    /// The revocation endpoint, RFC 7009.
    pub revocation_endpoint: Option<String>,
    /// The introspection endpoint, RFC 7662.
    pub introspection_endpoint: Option<String>,
    /// The device authorization endpoint, RFC 8628.
    pub device_authorization_endpoint: Option<String>,
    /// The pushed authorization request endpoint, RFC 9126.
    pub pushed_authorization_request_endpoint: Option<String>,
    /// True if the server's metadata promises `iss` in authorization responses, RFC 9207.
    pub iss_parameter_supported: bool,
    /// True if error responses hold `iss`, too; some servers that promise `iss` omit it there.
    pub iss_in_error_responses: bool,
    /// The client that authenticates with `client_secret_basic`.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// The registered redirect URIs, none of which is contacted.
    pub redirect_uris: Vec<String>,
    /// The scopes to ask for, which suffice to get a refresh token.
    pub scopes: Vec<String>,
    /// Seconds that an access token lives.
    pub access_token_lifetime: u64,
    /// Seconds that an authorization code lives.
    pub code_lifetime: u64,
    /// The client that authenticates with `client_secret_post`, and with the same secret, where there is one.
    pub post_client_id: Option<String>,
    /// A scope that the user always refuses, where there is no page to refuse on.
    pub refused_scope: Option<String>,
    /// A resource that access tokens can be asked for, RFC 8707.
    pub resource: Option<String>,
    /// True if a refresh may ask for fewer scopes, RFC 6749 section 6.
    pub refresh_narrows_scope: bool,
    /// The effect of the second use of a refresh token.
    pub refresh_token_reuse: RefreshTokenReuse,
    /// What the server offers beyond sign-in and refresh.
    #[serde(default)]
    pub wider: Wider,
}

/// What a server offers beyond sign-in and refresh; an absent value means that it does not offer that.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wider {
    /// True if the server publishes its metadata at OpenID's address too.
    pub openid_configuration: bool,
    /// The grant types of the client that authenticates with `client_secret_basic`.
    pub grant_types: Vec<String>,
    /// True if the server answers a device that polls too fast with `slow_down`, RFC 8628 section 3.5.
    pub device_slow_down: bool,
    /// The registration endpoint, RFC 7591.
    pub registration_endpoint: Option<String>,
    /// The access token that a registration needs.
    pub initial_access_token: Option<String>,
    /// True if a registration can be managed, RFC 7592.
    pub registration_management: bool,
    /// The address that stores a client ID metadata document (`PUT` with `?url=`) for the server to fetch.
    pub client_documents: Option<String>,
    /// The assertions that the server takes in a user's place, RFC 7523.
    pub assertion: Option<Assertion>,
    /// The identity provider whose assertions the server takes.
    pub identity_provider: Option<IdentityProvider>,
    /// A type of authorization details that the client may ask for with `actions`, RFC 9396.
    pub authorization_details_type: Option<String>,
    /// The response modes that the server knows besides those of RFC 6749.
    pub response_modes: Vec<String>,
    /// The values of `prompt` that the server obeys.
    pub prompts: Vec<String>,
    /// True if the server obeys `max_age`.
    pub max_age: bool,
    /// True if the server obeys `max_age` only with OpenID Connect.
    pub max_age_needs_openid: bool,
    /// True if the sign-in page shows `login_hint`.
    pub login_hint: bool,
    /// A protected resource: `GET` needs the first scope, `POST` all scopes.
    pub api: Option<String>,
    /// The resource's answer to a token that lacks a scope.
    pub insufficient_scope: Option<InsufficientScope>,
    /// What the server offers to clients with keys.
    pub keys: Keys,
}

/// What a server offers to clients with keys, and to clients of OpenID Connect; an absent value means that it
/// does not offer that.
///
/// The clients without another authentication have the secret of the first client, and the key of a client
/// is the one in `tests/servers/keys/client.jwk.json`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keys {
    /// The client that authenticates with `private_key_jwt`.
    pub private_key_jwt: Option<String>,
    /// The client that authenticates with `client_secret_jwt`.
    pub client_secret_jwt: Option<SecretJwt>,
    /// The client that authenticates with `tls_client_auth`, by the name in `client.pem`.
    pub tls_client_auth: Option<String>,
    /// The client that authenticates with `self_signed_tls_client_auth`, by `self-signed.pem`.
    pub self_signed_tls_client_auth: Option<String>,
    /// The client whose tokens must be bound to a key, RFC 9449; the token endpoint and the resource insist on
    /// nonces.
    pub dpop: Option<String>,
    /// The clients whose tokens must be bound to a certificate, RFC 8705 section 3.
    pub certificate_bound: Option<CertificateBound>,
    /// The client that must push its authorization requests, RFC 9126.
    pub pushed: Option<String>,
    /// The client that must sign its authorization requests, RFC 9101.
    pub signed: Option<String>,
    /// The address that stores a signed request (`PUT` with `?url=`) for the server to fetch.
    pub signed_by_reference: Option<String>,
    /// True if the server signs its authorization responses when it is asked to, JARM.
    pub jarm: bool,
    /// The client that must do what the FAPI 2.0 Security Profile asks for.
    pub fapi: Option<Fapi>,
    /// The client of OpenID Connect.
    pub openid: Option<OpenId>,
}

/// A client that signs assertions with its secret.
#[derive(Clone, Debug, Deserialize)]
pub struct SecretJwt {
    pub id: String,
    pub secret: String,
}

/// The clients whose tokens must be bound to a certificate.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateBound {
    /// The client that authenticates with a secret.
    pub with_secret: String,
    /// The client that authenticates with `tls_client_auth`, by the name in `client.pem`.
    pub with_tls: String,
    /// The client without credentials.
    pub public: String,
    /// The address of the protected resource with TLS.
    pub api: String,
}

/// The clients of the FAPI 2.0 Security Profile, with the second redirect URI.
#[derive(Clone, Debug, Deserialize)]
pub struct Fapi {
    /// The client whose tokens are bound to a key.
    pub client_id: String,
    /// The client whose tokens are bound to a certificate.
    pub certificate_client_id: String,
    /// True if its ID tokens have an algorithm of the profile.
    pub openid: bool,
}

/// A client of OpenID Connect.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenId {
    pub client_id: String,
    /// True if a client can end the user's session, RP-Initiated Logout.
    pub end_session: bool,
    pub post_logout_redirect_uri: String,
    /// The address that lists the logout tokens that the client was sent, Back-Channel Logout.
    pub logout_tokens: Option<String>,
    /// The address that makes the server sign with a new key (`POST`).
    pub rotation: String,
}

/// The answer of a resource to a token that lacks a scope.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum InsufficientScope {
    /// A challenge that names the scopes.
    NamesScopes,
    /// A challenge that names no scope.
    NamesNoScope,
    /// No challenge.
    HasNoChallenge,
}

/// What an assertion must say, and the key it must be signed with (HS256).
#[derive(Clone, Debug, Deserialize)]
pub struct Assertion {
    pub issuer: String,
    pub key: String,
    pub audience: String,
    pub subject: String,
}

/// An identity provider whose token endpoint exchanges an ID token for assertions.
#[derive(Clone, Debug, Deserialize)]
pub struct IdentityProvider {
    pub token_endpoint: String,
    pub client_id: String,
    pub client_secret: String,
    /// An ID token that the provider issued to its client.
    pub id_token: String,
    /// The authorization server that the assertions are for.
    pub audience: String,
    /// The resource that the access token will be for, where the server wants to know.
    pub resource: Option<String>,
}

impl Facts {
    /// True if the client may use this grant.
    pub fn has_grant(&self, grant_type: &str) -> bool {
        self.wider.grant_types.iter().any(|name| name == grant_type)
    }
}

/// The reaction of a server to a refresh token that was already exchanged.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum RefreshTokenReuse {
    /// It refuses, and the successor keeps working.
    Rejected,
    /// It refuses, and every token of the authorization dies.
    RevokesFamily,
    /// It answers again for as long as the successor has not been used.
    ToleratedUntilSuccessorIsUsed,
}

/// A running server, which stops when this value is dropped.
#[derive(Debug)]
pub struct ForeignServer {
    /// The facts that the server stated.
    pub facts: Facts,
    child: Child,
}

impl Drop for ForeignServer {
    fn drop(&mut self) {
        stop(&mut self.child);
    }
}

/// The reason why there is no server, in one line.
#[derive(Debug)]
pub enum NoServer {
    /// It is not installed here; the text says how to install it.
    NotInstalled(String),
    /// It is installed and does not start.
    DidNotStart(String),
}

impl Display for NoServer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (Self::NotInstalled(reason) | Self::DidNotStart(reason)) = self;
        f.write_str(reason)
    }
}

impl Error for NoServer {}

/// Starts the server in the folder `tests/servers/{name}`.
pub fn start(name: &str) -> Result<ForeignServer, NoServer> {
    start_with(name, &[])
}

/// Starts the server in the folder `tests/servers/{name}` with further environment variables, such as
/// `ACCESS_TOKEN_TTL`.
pub fn start_with(name: &str, environment: &[(&str, &str)]) -> Result<ForeignServer, NoServer> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers").join(name);
    let did_not_start =
        |reason: String| NoServer::DidNotStart(format!("{name} is installed but did not start: {reason}"));
    let mut child = command(name, &folder)?
        .current_dir(&folder)
        .env("PORT", "0")
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| did_not_start(error.to_string()))?;
    match facts(&mut child) {
        Ok(facts) => Ok(ForeignServer { facts, child }),
        Err(reason) => {
            stop(&mut child);
            Err(did_not_start(reason))
        }
    }
}

/// The command that runs a server's script, if what the script needs is installed.
fn command(name: &str, folder: &Path) -> Result<Command, NoServer> {
    let node = folder.join("server.mjs").exists();
    // The installation writes this file last.
    let (interpreter, script, mark) = if node {
        (PathBuf::from("node"), "server.mjs", "node_modules/.installed")
    } else if folder.join("server.py").exists() {
        (folder.join(".venv/bin/python"), "server.py", ".venv/.installed")
    } else {
        return Err(NoServer::NotInstalled(format!("there is no server in {}", folder.display())));
    };
    if node {
        let version = Command::new(&interpreter).arg("--version").stdout(Stdio::null()).status();
        if version.is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            return Err(NoServer::NotInstalled(format!("{name}: node is not installed")));
        }
    }
    if !folder.join(mark).exists() {
        let advice = format!("run tests/servers/install.sh {name}");
        return Err(NoServer::NotInstalled(format!("{name}: its dependencies are not installed: {advice}")));
    }
    let mut command = Command::new(interpreter);
    command.arg(script);
    Ok(command)
}

/// Waits for the `READY` line, and drains both of the child's pipes until it ends.
#[track_caller]
fn facts(child: &mut Child) -> Result<Facts, String> {
    let (send, lines) = mpsc::channel();
    let mut output = BufReader::new(child.stdout.take().expect("stdout is piped"));
    thread::spawn(move || {
        let mut line = String::new();
        let first = output.read_line(&mut line).map(|_| line);
        let _ = send.send(first);
        let _ = std::io::copy(&mut output, &mut std::io::sink());
    });
    let mut errors = child.stderr.take().expect("stderr is piped");
    let complaints = thread::spawn(move || {
        let mut all = Vec::new();
        let _ = errors.read_to_end(&mut all);
        String::from_utf8_lossy(&all).into_owned()
    });

    let line = match lines.recv_timeout(START_LIMIT) {
        Ok(line) => line.map_err(|error| error.to_string())?,
        Err(_) => return Err(format!("no READY line within {} s", START_LIMIT.as_secs())),
    };
    match line.strip_prefix("READY ") {
        Some(json) => serde_json::from_str(json).map_err(|error| format!("{error} in {line}")),
        None => {
            stop(child);
            let complaints = complaints.join().unwrap_or_default();
            Err(cause(&complaints).or(cause(&line)).unwrap_or("it ended without a word").to_owned())
        }
    }
}

/// The line that names the error: node and Python do not indent it.
fn cause(complaints: &str) -> Option<&str> {
    let mut lines = complaints.lines().filter(|line| line.starts_with(|first: char| !first.is_whitespace()));
    lines.clone().rfind(|line| line.contains("Error")).or(lines.next_back())
}

/// Closes the child's standard input, on which it exits by itself, and kills it in any case.
fn stop(child: &mut Child) {
    drop(child.stdin.take());
    let _ = child.kill();
    let _ = child.wait();
}
