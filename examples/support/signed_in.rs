//! Starts an embedded server, signs a user in, and lets the server fail.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Mutex;
use std::thread::{self, sleep};
use std::time::{Duration, SystemTime};

use oauth2_proto::{
    Callback, Client, ClientAuth, RefreshPolicy, Request, Response, Secret, Session, Snapshot, Step,
    TokenResponse, pleo,
};

#[path = "http.rs"]
pub mod http;
#[path = "server.rs"]
pub mod server;

use server::Failure;

/// How long the holders run, which is a little longer than `disturb` takes.
const DURATION: Duration = Duration::from_secs(16);

pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Signs a user in at an embedded server, saves the tokens, and runs a holder for each name, on a thread of
/// its own, while the server fails in several ways.
pub fn share(
    names: [&'static str; 4],
    hold: impl Fn(&'static str, &Client, &Mutex<Snapshot>, &str, SystemTime) -> Outcome<()> + Sync,
) -> Outcome<()> {
    let (mut running, client, tokens) = start(Duration::from_secs(2))?;
    let api = format!("{}/api/me", running.base_url());
    let end = SystemTime::now() + DURATION;
    let mut session = Session::new(tokens, policy(), SystemTime::now());
    let Step::Save(save) = session.poll(SystemTime::now()) else { return Err("nothing to save".into()) };
    let store = Mutex::new(save.snapshot().clone());
    let (client, store, api, hold) = (&client, &store, &api, &hold);
    thread::scope(|scope| {
        let holders = names.map(|name| scope.spawn(move || hold(name, client, store, api, end)));
        let disturbed = disturb(&mut running, client, store);
        for holder in holders {
            holder.join().map_err(|_| "a holder panicked")??;
        }
        disturbed
    })?;
    let snapshot = store.lock().map_err(|_| "a holder panicked")?.clone();
    let session = Session::restore(client, snapshot, policy(), SystemTime::now())?;
    println!("After {} saves: {}.", session.revision(), trouble(&session));
    Ok(())
}

/// Starts a server whose access tokens have this lifetime, and returns it with its client and the tokens
/// of a sign-in.
fn start(lifetime: Duration) -> Outcome<(server::Running, Client, TokenResponse)> {
    let mut config = server::Config::new("http://127.0.0.1:8912/callback");
    config.access_token_lifetime = lifetime;
    let running = server::spawn(server::AuthorizationServer::new(config.clone()), 0)?;
    let auth = ClientAuth::basic(config.client_secret);
    let client = Client::new(pleo::at(&running.base_url())?, config.client_id, auth)?;
    let (url, mut pending) = client.authorize(&config.redirect_uri).start(SystemTime::now())?;
    let callback = http::follow(&url)?;
    let call = pending.receive(&client, Callback::url(&callback), SystemTime::now())?;
    let (status, headers, body) = http::send(call.request())?;
    let tokens = call.read(Response::new(status, headers, &body))?;
    Ok((running, client, tokens))
}

/// Returns a policy for access tokens of two seconds; the default is right for tokens of minutes.
pub fn policy() -> RefreshPolicy {
    RefreshPolicy::default()
        .min_interval(Duration::from_millis(500))
        .clock_skew(Duration::from_millis(100))
        .claim_duration(Duration::from_secs(2))
        .backoff(Duration::from_millis(200), Duration::from_secs(1))
}

/// Lets the server fail in several ways, one after the other.
fn disturb(running: &mut server::Running, client: &Client, store: &Mutex<Snapshot>) -> Outcome<()> {
    sleep(Duration::from_millis(1500));
    println!("-- the server is overloaded, and then a gateway fails");
    running.server().fail_next(Failure::Unavailable, 1);
    running.server().fail_next(Failure::Gateway, 1);
    sleep(Duration::from_millis(3000));
    println!("-- an answer is lost");
    running.server().fail_next(Failure::Hang, 1);
    sleep(Duration::from_millis(3500));
    println!("-- nobody listens for two seconds");
    running.outage(Duration::from_secs(2))?;
    sleep(Duration::from_millis(1500));
    println!("-- the access token ends before its time");
    // A refresh may replace the token before anybody calls the API with it, so each token of a while is ended.
    for _ in 0..40 {
        let stored = store.lock().map_err(|_| "a holder panicked")?.clone();
        let session = Session::restore(client, stored, policy(), SystemTime::now())?;
        if let Some(token) = session.access_token(SystemTime::now()) {
            running.server().end_access_token(token.expose());
        }
        sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Calls the API, logs the outcome, and returns the status, if there was an answer.
pub fn get(api: &str, token: &Secret, log: &mut Log) -> Outcome<Option<u16>> {
    let mut request = Request::new("GET", api);
    request.set_header("authorization", format!("Bearer {}", token.expose()));
    let answer = http::send_within(&request, Duration::from_secs(1)).map(|(status, ..)| status);
    log.change("API", answer.as_ref().map_or_else(String::clone, u16::to_string))?;
    Ok(answer.ok())
}

/// Returns what went wrong since the last refresh that worked, in one line.
pub fn trouble(session: &Session) -> String {
    session.trouble().map_or("no trouble".to_owned(), ToString::to_string)
}

/// The log of one holder: a line for each event, with the holder's name and what it is about.
pub struct Log {
    name: &'static str,
    last: BTreeMap<&'static str, String>,
}

impl Log {
    pub fn new(name: &'static str) -> Self {
        Self { name, last: BTreeMap::new() }
    }

    pub fn line(&self, what: &str, line: impl std::fmt::Display) {
        println!("{} {what}: {line}", self.name);
    }

    /// Prints the line if the last one about the same thing was another.
    pub fn change(&mut self, what: &'static str, line: impl Into<String>) -> Outcome<()> {
        let line = line.into();
        if self.last.get(what) != Some(&line) {
            self.line(what, &line);
            self.last.insert(what, line);
        }
        Ok(())
    }
}
