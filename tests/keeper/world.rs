//! A world with a clock, a store and an authorization server that revokes a family when a refresh token is
//! used twice. Every operation takes time, so a caller can be dropped in the middle of it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use oauth2_proto::dpop::DpopKey;
use oauth2_proto::jose::PublicKey;
use oauth2_proto::keeper::{Refreshed, Runtime, Store, blocking};
use oauth2_proto::session::Save;
use oauth2_proto::{
    AuthorizationServer, Client, ClientAuth, RefreshPolicy, Request, Response, Secret, Snapshot,
    TokenResponse, pleo, token::AccessToken,
};

use crate::bound::Proof;

/// The lifetime of an access token, in seconds.
pub const LIFETIME: u64 = 600;

/// The key of the only user in most tests.
pub const KEY: &str = "customer 17";

/// The world, which every keeper and driver shares.
#[derive(Clone, Default)]
pub struct World {
    clock: Arc<Clock>,
    pub state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct Clock {
    /// Milliseconds since `START`.
    now: AtomicU64,
    timers: Mutex<Vec<(u64, Waker)>>,
}

const START: u64 = 1_700_000_000;

#[derive(Default)]
pub struct State {
    pub rows: HashMap<String, (u64, String)>,
    pub server: Server,
    /// The failures of the next operations of the store; none when it is empty.
    pub store_fails: VecDeque<StoreFailure>,
    /// The lines that the keepers logged.
    pub log: Vec<String>,
    /// The number of loads.
    pub loads: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFailure {
    /// Nothing happens, and the store says that it failed.
    Before,
    /// It happens, and the store says that it failed.
    After,
}

/// An authorization server and its API.
#[derive(Default)]
pub struct Server {
    /// One family of tokens for each sign-in, the last one at the end.
    families: Vec<Family>,
    /// The highest number of a token so far.
    issued: u32,
    pub refreshes: u32,
    /// The uses of a refresh token that was used before.
    pub reuses: u32,
    /// What the server does with the next refreshes; it refreshes when this is empty.
    pub answers: VecDeque<Answer>,
    /// The requests for tokens of the client's own, each by its form.
    pub own_requests: Vec<Vec<(String, String)>>,
    /// The answer to these requests, in place of a token.
    pub refuses_own: Option<(u16, &'static str)>,
    /// The key that it binds tokens to, if it does.
    pub bound_to: Option<DpopKey>,
    /// The number of the nonce that a proof must hold; 0 if it needs none.
    pub nonce: u32,
    /// True if it never takes a nonce that it has given out.
    pub always_wants_another_nonce: bool,
    /// The times that it asked for a nonce.
    pub demands: u32,
    /// The identifiers of the proofs so far.
    proofs: HashSet<String>,
}

/// The tokens of one sign-in.
#[derive(Default)]
struct Family {
    /// The numbers of its tokens, the current ones at the end.
    numbers: Vec<u32>,
    /// The time at which the current access token ends.
    end: u64,
    is_revoked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 503, and nothing happens.
    Busy,
    /// No answer, and nothing happens.
    Nothing,
    /// It refreshes.
    Tokens,
}

impl World {
    pub fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(START * 1000 + self.clock.now.load(Ordering::Relaxed))
    }

    /// The clock of a keeper.
    pub fn clock(&self) -> impl Fn() -> SystemTime + Send + Sync + use<> {
        let world = self.clone();
        move || world.now()
    }

    /// Sets the clock forward and wakes whoever slept until then.
    pub fn pass(&self, time: Duration) {
        self.clock.now.fetch_add(time.as_millis() as u64, Ordering::Relaxed);
        self.wake();
    }

    /// Sets the clock to the next time that somebody sleeps until. Returns whether there is one.
    pub fn pass_to_next_timer(&self) -> bool {
        let next = self.clock.timers.lock().unwrap().iter().map(|(until, _)| *until).min();
        if let Some(next) = next {
            self.clock.now.fetch_max(next, Ordering::Relaxed);
            self.wake();
        }
        next.is_some()
    }

    /// Returns whether an operation is under way that ends within a second.
    pub fn is_busy(&self) -> bool {
        let soon = self.clock.now.load(Ordering::Relaxed) + 1000;
        self.clock.timers.lock().unwrap().iter().any(|(until, _)| *until < soon)
    }

    fn wake(&self) {
        let now = self.clock.now.load(Ordering::Relaxed);
        let mut timers = self.clock.timers.lock().unwrap();
        let (over, left) = timers.drain(..).partition(|(until, _)| *until <= now);
        *timers = left;
        drop(timers);
        let over: Vec<(u64, Waker)> = over;
        over.into_iter().for_each(|(_, waker)| waker.wake());
    }

    pub async fn sleep(&self, time: Duration) {
        self.sleep_until(self.now() + time).await;
    }

    pub fn sleep_until(&self, until: SystemTime) -> impl Future<Output = ()> + Send + use<> {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(START);
        let until = until.duration_since(start).unwrap_or_default().as_millis() as u64;
        Sleep { clock: self.clock.clone(), until }
    }

    /// The tokens of a new sign-in, which begins a family at the server.
    pub fn sign_in(&self) -> TokenResponse {
        let now = self.clock.now.load(Ordering::Relaxed);
        let body = self.state.lock().unwrap().server.sign_in(now);
        TokenResponse::for_test(&self.client(), &body).unwrap()
    }

    /// The client, with the key that the server binds tokens to, if it does.
    pub fn client(&self) -> Client {
        match &self.state.lock().unwrap().server.bound_to {
            Some(key) => client().dpop(key.clone()),
            None => client(),
        }
    }

    /// Calls the API, which says whether the token is good, and of the last sign-in.
    pub fn accepts(&self, token: &AccessToken) -> bool {
        let now = self.clock.now.load(Ordering::Relaxed);
        let state = self.state.lock().unwrap();
        let last = state.server.families.last();
        last.is_some_and(|family| !family.is_revoked && now < family.end)
            && state.server.current_access_token() == *token.secret()
    }

    pub fn revision(&self) -> u64 {
        self.state.lock().unwrap().rows.get(KEY).map_or(0, |(revision, _)| *revision)
    }

    fn load_now(&self, key: &str) -> Result<Option<Snapshot>, String> {
        let mut state = self.state.lock().unwrap();
        state.loads += 1;
        if state.store_fails.pop_front().is_some() {
            return Err("the database is away".to_owned());
        }
        Ok(state.rows.get(key).map(|(_, text)| serde_json::from_str(text).unwrap()))
    }

    fn compare_and_swap_now(&self, key: &str, save: &Save) -> Result<bool, String> {
        let mut state = self.state.lock().unwrap();
        let failure = state.store_fails.pop_front();
        if failure == Some(StoreFailure::Before) {
            return Err("the database is away".to_owned());
        }
        let revision = state.rows.get(key).map_or(0, |(revision, _)| *revision);
        let is_accepted = revision == save.expected_revision();
        if is_accepted {
            let text = serde_json::to_string(save.snapshot()).unwrap();
            state.rows.insert(key.to_owned(), (save.snapshot().revision(), text));
        }
        match failure {
            Some(_) => Err("the database went away".to_owned()),
            None => Ok(is_accepted),
        }
    }

    fn answer_now(&self, request: &Request) -> Option<Response<'static>> {
        let now = self.clock.now.load(Ordering::Relaxed);
        let form = request.form();
        let mut state = self.state.lock().unwrap();
        if let Some(nonce) = state.server.wanted_nonce(request) {
            let body = br#"{"error":"use_dpop_nonce"}"#;
            return Some(Response::new(400, [("DPoP-Nonce", nonce)], body).into_owned());
        }
        let answer = match form.iter().find(|(name, _)| name == "refresh_token") {
            Some((_, token)) => state.server.refresh(token, now),
            None => Some(state.server.issue_own(form)),
        };
        answer.map(|(status, body)| response(status, &body))
    }

    fn log(&self, line: String) {
        self.state.lock().unwrap().log.push(line);
    }
}

impl Server {
    fn sign_in(&mut self, now: u64) -> String {
        self.families.push(Family::default());
        self.issue(self.families.len() - 1, now)
    }

    /// Checks the proof of a request. Returns the nonce that it lacks, if it lacks one.
    fn wanted_nonce(&mut self, request: &Request) -> Option<String> {
        let key = self.bound_to.as_ref()?;
        let proof = Proof::parse(request.header("dpop").expect("a proof"));
        let jwk = PublicKey::from_jwk(&proof.header["jwk"].to_string()).unwrap();
        assert_eq!(jwk.thumbprint(), key.thumbprint(), "the proof of another key");
        assert!(self.proofs.insert(proof.id().to_owned()), "a proof is sent twice");
        if self.always_wants_another_nonce {
            self.nonce += 1;
        }
        let wanted = format!("fake-nonce-{}", self.nonce);
        if self.nonce == 0 || proof.nonce() == Some(&wanted) {
            return None;
        }
        self.demands += 1;
        Some(wanted)
    }

    fn issue(&mut self, family: usize, now: u64) -> String {
        self.issued += 1;
        let (number, family) = (self.issued, &mut self.families[family]);
        family.numbers.push(number);
        family.end = now + LIFETIME * 1000;
        let token_type = if self.bound_to.is_some() { "DPoP" } else { "Bearer" };
        format!(
            r#"{{"access_token":"fake-access-{number}","token_type":"{token_type}","expires_in":{LIFETIME},"refresh_token":"fake-refresh-{number}"}}"#
        )
    }

    fn refresh(&mut self, token: &str, now: u64) -> Option<(u16, String)> {
        match self.answers.pop_front().unwrap_or(Answer::Tokens) {
            Answer::Busy => Some((503, "busy".to_owned())),
            Answer::Nothing => None,
            Answer::Tokens => Some(self.rotate(token, now)),
        }
    }

    /// Answers a client credentials request.
    fn issue_own(&mut self, form: Vec<(String, String)>) -> (u16, String) {
        self.own_requests.push(form);
        let number = self.own_requests.len();
        let token = format!(
            r#"{{"access_token":"fake-own-{number}","token_type":"Bearer","expires_in":{LIFETIME}}}"#
        );
        self.refuses_own.map_or((200, token), |(status, body)| (status, body.to_owned()))
    }

    fn rotate(&mut self, token: &str, now: u64) -> (u16, String) {
        let (number, index) = self.family_of(token);
        let family = &mut self.families[index];
        if family.numbers.last() != Some(&number) {
            self.reuses += 1;
            family.is_revoked = true;
        }
        if family.is_revoked {
            return (400, r#"{"error":"invalid_grant"}"#.to_owned());
        }
        self.refreshes += 1;
        (200, self.issue(index, now))
    }

    /// Revokes the family of a refresh token.
    pub fn revoke(&mut self, token: &Secret) {
        let (_, index) = self.family_of(token.expose());
        self.families[index].is_revoked = true;
    }

    /// Returns whether a refresh token belongs to the last sign-in.
    pub fn is_of_the_last_sign_in(&self, token: &Secret) -> bool {
        self.family_of(token.expose()).1 == self.families.len() - 1
    }

    /// The newest access token of the last sign-in.
    pub fn current_access_token(&self) -> Secret {
        let number = self.families.last().and_then(|family| family.numbers.last());
        Secret::new(format!("fake-access-{}", number.expect("there was a sign-in")))
    }

    /// The number of a refresh token, and the index of its family.
    fn family_of(&self, token: &str) -> (u32, usize) {
        let number = token.strip_prefix("fake-refresh-").unwrap().parse().unwrap();
        let index = self.families.iter().position(|family| family.numbers.contains(&number));
        (number, index.unwrap())
    }
}

/// An operation takes 10 ms before it has its effect, and 10 ms after that.
const STEP: Duration = Duration::from_millis(10);

impl Store for World {
    type Error = String;

    async fn load(&self, key: &str) -> Result<Option<Snapshot>, String> {
        self.sleep(STEP).await;
        let loaded = self.load_now(key);
        self.sleep(STEP).await;
        loaded
    }

    async fn compare_and_swap(&self, key: &str, save: &Save) -> Result<bool, String> {
        self.sleep(STEP).await;
        let accepted = self.compare_and_swap_now(key, save);
        self.sleep(STEP).await;
        accepted
    }
}

impl Runtime for World {
    async fn send(&self, request: &Request, _: SystemTime) -> Option<Response<'static>> {
        self.sleep(STEP).await;
        let answer = self.answer_now(request);
        self.sleep(STEP).await;
        match answer {
            Some(answer) => Some(answer),
            // The keeper gives up by itself.
            None => std::future::pending().await,
        }
    }

    async fn sleep(&self, until: SystemTime) {
        self.sleep_until(until).await;
    }

    fn refreshed(&self, _: &str, outcome: Refreshed) {
        self.log(outcome.to_string());
    }
}

impl blocking::Store for World {
    type Error = String;

    fn load(&self, key: &str) -> Result<Option<Snapshot>, String> {
        self.load_now(key)
    }

    fn compare_and_swap(&self, key: &str, save: &Save) -> Result<bool, String> {
        self.compare_and_swap_now(key, save)
    }
}

impl blocking::Runtime for World {
    fn send(&self, request: &Request, until: SystemTime) -> Option<Response<'static>> {
        match self.answer_now(request) {
            Some(answer) => Some(answer),
            None => {
                blocking::Runtime::sleep(self, until);
                None
            }
        }
    }

    fn sleep(&self, until: SystemTime) {
        self.pass(until.duration_since(self.now()).unwrap_or_default());
    }

    fn refreshed(&self, _: &str, outcome: Refreshed) {
        self.log(outcome.to_string());
    }
}

fn response(status: u16, body: &str) -> Response<'static> {
    Response::new(status, [("content-type", "application/json")], body.as_bytes()).into_owned()
}

pub fn client() -> Client {
    Client::new(pleo::at("https://as.example").unwrap(), "fake-client", ClientAuth::basic("fake-secret"))
        .unwrap()
}

/// A client of a server that grants client credentials.
pub fn own_client() -> Client {
    let server = AuthorizationServer::without_authorization_endpoint("https://as.example/token").unwrap();
    Client::new(server, "fake-client", ClientAuth::basic("fake-secret")).unwrap()
}

/// The client after the server has moved its token endpoint.
pub fn moved_client() -> Client {
    let server =
        AuthorizationServer::new("https://as.example/authorize", "https://as.example/v2/token").unwrap();
    Client::new(server, "fake-client", ClientAuth::basic("fake-secret")).unwrap()
}

pub fn policy() -> RefreshPolicy {
    RefreshPolicy::default()
}

struct Sleep {
    clock: Arc<Clock>,
    until: u64,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.until <= self.clock.now.load(Ordering::Relaxed) {
            return Poll::Ready(());
        }
        self.clock.timers.lock().unwrap().push((self.until, context.waker().clone()));
        Poll::Pending
    }
}
