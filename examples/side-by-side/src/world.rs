//! What the programs share: the server and its user, the API, the policy and the place of the store.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};
use std::{fs, process};

use file_store::FileStore;
use oauth2_proto::keeper::blocking::Keeper;
use oauth2_proto::{Callback, Client, ClientAuth, RefreshPolicy, Response, pleo};
use ureq::Agent;

use crate::Failure;
use crate::http;
use crate::server::{self, AuthorizationServer, Config, Running};
use crate::tally::Tally;
use crate::threads::Threads;

/// The lifetime of an access token.
pub const LIFETIME: Duration = Duration::from_secs(2);
/// The number of our processes.
pub const PROCESSES: usize = 2;
/// The number of callers in each of our processes.
pub const CALLERS: usize = 50;
/// The pause between two calls of one caller.
pub const PAUSE: Duration = Duration::from_millis(100);
/// The key of the authorization in the store.
pub const KEY: &str = "customer 17";
/// The time that an answer of the token endpoint is under way, as from another machine.
const LATENCY: Duration = Duration::from_millis(50);

/// Returns a policy for tokens of two seconds; the default suits tokens of minutes.
///
/// A token is used for its whole lifetime, as by the naive program. So one refresh for each lifetime is the
/// most that there can be.
pub fn policy() -> RefreshPolicy {
    RefreshPolicy::default()
        .refresh_fraction(1.0, 1.0)
        .min_interval(Duration::from_millis(500))
        .clock_skew(Duration::from_millis(100))
        .claim_duration(Duration::from_secs(2))
        .backoff(Duration::from_millis(200), Duration::from_secs(1))
}

/// Returns an HTTP client that keeps a connection for each caller, follows no redirects and treats every
/// status as a response.
pub fn agent() -> Agent {
    let config = Agent::config_builder().http_status_as_error(false).max_redirects(0);
    let config = config.max_idle_connections(CALLERS).max_idle_connections_per_host(CALLERS);
    config.proxy(None).timeout_global(Some(Duration::from_secs(5))).build().new_agent()
}

/// Calls the API, and returns the status.
pub fn get(agent: &Agent, api: &str, access_token: &str) -> Result<u16, ureq::Error> {
    let request = agent.get(api).header("authorization", format!("Bearer {access_token}"));
    let mut response = request.call()?;
    // The connection can be used again once the body is read.
    response.body_mut().read_to_vec()?;
    Ok(response.status().as_u16())
}

/// Where one of our processes finds everything.
pub struct Place {
    pub client: Client,
    pub api: String,
    /// The directory of the store.
    pub directory: PathBuf,
}

impl Place {
    pub fn new(base_url: &str, directory: &str) -> Result<Self, Failure> {
        let config = config();
        let auth = ClientAuth::basic(config.client_secret);
        Ok(Self {
            client: Client::new(pleo::at(base_url)?, config.client_id, auth)?,
            api: format!("{base_url}/api/me"),
            directory: directory.into(),
        })
    }
}

pub fn config() -> Config {
    let mut config = Config::new("http://127.0.0.1:9/callback");
    config.access_token_lifetime = LIFETIME;
    config.revokes_on_reuse = true;
    config.token_latency = LATENCY;
    config
}

/// A server with its user, and a directory for the store.
pub struct World {
    pub server: Running,
    directory: PathBuf,
}

impl World {
    pub fn start() -> Result<Self, Failure> {
        let server = server::spawn(AuthorizationServer::new(config()), 0)?;
        let port = server.base_url().rsplit(':').next().unwrap_or_default().to_owned();
        let directory = std::env::temp_dir().join(format!("side-by-side-{}-{port}", process::id()));
        Ok(Self { server, directory })
    }

    /// Signs the user in, and runs our two processes, which share the stored authorization.
    pub fn run_processes(&self, seconds: u64) -> Result<Tally, Failure> {
        let directory = self.directory.to_str().ok_or("the temporary directory has a name in UTF-8")?;
        self.sign_in(directory)?;
        let start = |kind: &str| {
            let mut command = Command::new(std::env::current_exe()?);
            command.args([kind, &self.server.base_url(), directory, &seconds.to_string()]);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()
        };
        let processes: [Child; PROCESSES] = [start("tasks")?, start("threads")?];
        let tallies: Result<Vec<_>, Failure> = processes.into_iter().map(|process| finish(process)).collect();
        let tally = Tally::sum(tallies?);
        // The user does not come back, so that one loss is all that there can be.
        Ok(Tally { sign_ins: tally.sign_ins.min(1), ..tally })
    }

    /// Signs the user in, and stores the tokens.
    fn sign_in(&self, directory: &str) -> Result<(), Failure> {
        let Place { client, .. } = Place::new(&self.server.base_url(), directory)?;
        let (url, mut pending) = client.authorize(&config().redirect_uri).start(SystemTime::now())?;
        let callback = http::follow(&url)?;
        let call = pending.receive(&client, Callback::url(&callback), SystemTime::now())?;
        let (status, headers, body) = http::send(call.request())?;
        let tokens = call.read(Response::new(status, headers, &body))?;
        let store = FileStore::open(directory)?;
        Keeper::new(client, policy(), SystemTime::now, store, Threads(agent())).signed_in(KEY, tokens)?;
        Ok(())
    }
}

fn finish(process: Child) -> Result<Tally, Failure> {
    let output = process.wait_with_output()?;
    let line = String::from_utf8(output.stdout)?;
    Tally::parse(&line).ok_or_else(|| format!("a process ended with {}", output.status).into())
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}
