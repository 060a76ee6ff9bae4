//! The environment of the demonstration: the authorization server, its log, the database and a user.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use oauth2_proto::keeper::blocking::{self, Runtime};
use oauth2_proto::{Callback, Secret, TokenResponse};
use postgres_store::PostgresStore;

use crate::Failure;
use crate::browser::Browser;
use crate::death::Point;
use crate::foreign::{self, ForeignServer};
use crate::http::Ureq;
use crate::settings::{LIFETIME, Settings, environment, policy};

/// The time limit for a condition: covers a claim, the clock skew, pauses and a slow machine.
const PATIENCE: Duration = Duration::from_secs(15);

pub type Keeper = blocking::Keeper<PostgresStore, Ureq>;

pub struct World {
    pub settings: Settings,
    pub http: Ureq,
    server: ForeignServer,
    environment: Vec<(&'static str, String)>,
    log: PathBuf,
}

impl World {
    pub fn start() -> Result<Self, Failure> {
        let log = std::env::temp_dir().join(format!("grants-{}.log", std::process::id()));
        fs::write(&log, "")?;
        let path = log.to_str().ok_or("the temporary directory has a name in UTF-8")?;
        // The path is absolute, because `foreign` resolves names relative to the crate's own package.
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/servers/oidc-provider");
        let server = foreign::start_with(folder, &[("ACCESS_TOKEN_TTL", LIFETIME), ("GRANT_LOG", path)])?;
        let environment = environment(&server.facts)?;
        let settings = Settings::read(|name| {
            let known = environment.iter().find(|(known, _)| *known == name);
            known.map(|(_, value)| value.clone()).or_else(|| std::env::var(name).ok())
        })?;
        Ok(Self { settings, http: Ureq::new(), server, environment, log })
    }

    /// Makes a keeper like that of another process.
    pub fn keeper(&self) -> Result<Keeper, Failure> {
        let (client, store) = (self.settings.client.clone(), PostgresStore::new(&self.settings.database)?);
        Ok(Keeper::new(client, policy(), SystemTime::now, store, self.http.clone()))
    }

    /// Returns whether the server accepts the token.
    pub fn is_active(&self, token: &Secret) -> Result<bool, Failure> {
        self.settings.is_active(&self.http.0, token)
    }

    /// Signs the user in with a browser, and returns the tokens.
    pub fn sign_in(&self) -> Result<TokenResponse, Failure> {
        let facts = &self.server.facts;
        let redirect_uri = facts.redirect_uris.first().ok_or("there is no redirect URI")?;
        let client = &self.settings.client;
        let (url, mut pending) =
            client.authorize(redirect_uri).scopes(&facts.scopes).start(SystemTime::now())?;
        let callback = Browser::new().sign_in(&url, redirect_uri)?;
        let call = pending.receive(client, Callback::url(&callback), SystemTime::now())?;
        let deadline = SystemTime::now() + Duration::from_secs(10);
        let response = self.http.send(call.request(), deadline).ok_or("the server did not answer")?;
        Ok(call.read(response)?)
    }

    /// Starts another process that holds the authorization.
    pub fn spawn(
        &self,
        key: &str,
        threads: usize,
        seconds: u64,
        die_at: Option<Point>,
    ) -> Result<Child, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["hold", key, &threads.to_string(), &seconds.to_string()]);
        if let Some(point) = die_at {
            command.args(["--die-at", &point.to_string()]);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        Ok(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?)
    }

    /// Reads the server's log.
    pub fn log(&self) -> Result<Vec<Entry>, Failure> {
        let text = fs::read_to_string(&self.log)?;
        text.lines().map(|line| Entry::parse(line).ok_or(format!("{line:?} is in the log").into())).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.log);
    }
}

/// A line of the server's log.
pub struct Entry {
    /// Milliseconds of Unix time.
    pub time: u64,
    pub what: What,
}

#[derive(Clone, Copy, PartialEq)]
pub enum What {
    Refreshed,
    RefreshRefused,
    Revoked,
    Other,
}

impl Entry {
    fn parse(line: &str) -> Option<Self> {
        let (time, what) = line.split_once(' ')?;
        let what = match what.split_once(' ') {
            Some(("refresh_token", "ok")) => What::Refreshed,
            Some(("refresh_token", _)) => What::RefreshRefused,
            None if what == "revoked" => What::Revoked,
            _ => What::Other,
        };
        Some(Self { time: time.parse().ok()?, what })
    }
}

/// Repeats `condition` until it holds, and returns whether it did within the time limit.
pub fn eventually(mut condition: impl FnMut() -> Result<bool, Failure>) -> Result<bool, Failure> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if condition()? {
            return Ok(true);
        }
        sleep(Duration::from_millis(20));
    }
    Ok(false)
}
