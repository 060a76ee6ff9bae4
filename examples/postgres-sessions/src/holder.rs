//! Runs one process of the demonstration: its threads share a keeper and call the API.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use oauth2_proto::Secret;
use oauth2_proto::keeper::blocking::Keeper;

use postgres_store::PostgresStore;

use crate::Failure;
use crate::death::{Mortal, Point};
use crate::http::Ureq;
use crate::settings::{CLOCK_SKEW, Settings, policy};

/// The mean interval between the API calls of a thread.
const CALL_EVERY: Duration = Duration::from_millis(400);
/// The server counts in whole seconds, so that a token may end up to one second before its expiry.
const ROUNDING: Duration = Duration::from_secs(1);
/// The attempts of a call: in its last second, the token that this process knows may have ended, and the one
/// in the store as well. The next one is new.
const ATTEMPTS: u32 = 3;

/// The ways in which a token can break a promise.
pub const TOO_LATE: &str = "used after its expiry and the clock skew";
pub const TOO_EARLY: &str = "invalid before its last second";

/// The counts of the calls to the API; a process prints them as its last line.
#[derive(Default)]
pub struct Tally {
    /// The calls that the API accepted.
    pub good: u64,
    /// The calls with a token that had ended in the second before its expiry; each was repeated.
    pub expired: u64,
    /// The longest possible time between the end of such a token and the call.
    pub latest: Duration,
    /// The longest time that a call waited for its token.
    pub waited: Duration,
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
        self.good += other.good;
        self.expired += other.expired;
        self.latest = self.latest.max(other.latest);
        self.waited = self.waited.max(other.waited);
    }

    pub fn print(&self) {
        let [latest, waited] = [self.latest, self.waited].map(|time| time.as_millis());
        println!("tally {} {} {latest} {waited}", self.good, self.expired);
    }

    /// Reads the line that `print` writes.
    pub fn parse(line: &str) -> Option<Self> {
        let words: Result<Vec<u64>, _> = line.strip_prefix("tally ")?.split(' ').map(str::parse).collect();
        let [good, expired, latest, waited] = words.ok()?.try_into().ok()?;
        let [latest, waited] = [latest, waited].map(Duration::from_millis);
        Some(Self { good, expired, latest, waited })
    }
}

/// Calls the API in several threads, until the time is over or the process dies.
pub fn run(
    settings: &Settings,
    key: &str,
    threads: usize,
    seconds: u64,
    die_at: Option<Point>,
) -> Result<Tally, Failure> {
    let (client, store) = (settings.client.clone(), PostgresStore::new(&settings.database)?);
    let http = Ureq::new();
    let runtime = Mortal { http: http.clone(), die_at };
    let keeper = Keeper::new(client, policy(), SystemTime::now, store, runtime);
    let process = Process { keeper, settings, key, http, last: Mutex::new(None) };
    let end = SystemTime::now() + Duration::from_secs(seconds);
    let mut all = Tally::default();
    thread::scope(|scope| {
        let callers: Vec<_> = (0..threads).map(|_| scope.spawn(|| process.call_until(end))).collect();
        for caller in callers {
            match caller.join() {
                Ok(Ok(tally)) => all.add(&tally),
                Ok(Err(failure)) => println!("{failure}"),
                Err(_) => println!("a thread panicked"),
            }
        }
    });
    Ok(all)
}

/// What the threads of a process share.
struct Process<'a> {
    keeper: Keeper<PostgresStore, Mortal>,
    settings: &'a Settings,
    key: &'a str,
    http: Ureq,
    /// The last token that was seen, with its expiry.
    last: Mutex<Option<(Secret, SystemTime)>>,
}

impl Process<'_> {
    fn call_until(&self, end: SystemTime) -> Result<Tally, Failure> {
        let mut tally = Tally::default();
        while SystemTime::now() < end {
            // Without chance, the same process would always be the first to find a refresh due.
            thread::sleep(2 * CALL_EVERY.mul_f64(random()));
            self.call(&mut tally)?;
        }
        Ok(tally)
    }

    /// Calls the API until it accepts the token.
    fn call(&self, tally: &mut Tally) -> Result<(), Failure> {
        for _ in 0..ATTEMPTS {
            if self.attempt(tally)? {
                return Ok(());
            }
        }
        Err(format!("the API refused {ATTEMPTS} tokens in a row").into())
    }

    /// Calls the API, which answers whether the token is valid, and returns whether it is.
    fn attempt(&self, tally: &mut Tally) -> Result<bool, Failure> {
        let start = SystemTime::now();
        let token = self.keeper.access_token(self.key)?;
        let token = token.secret();
        let asked = SystemTime::now();
        tally.waited = tally.waited.max(asked.duration_since(start).unwrap_or_default());
        let end = self.expires_at(token)?;
        if end.is_some_and(|end| asked > end + CLOCK_SKEW) {
            println!("wrong {TOO_LATE}");
        }
        if self.settings.is_active(&self.http.0, token)? {
            tally.good += 1;
            return Ok(true);
        }
        self.keeper.access_token_rejected(self.key, token);
        tally.expired += 1;
        // The earliest time at which a correct server ends the token.
        if let Some(earliest) = end.map(|end| end - ROUNDING) {
            if SystemTime::now() < earliest {
                println!("wrong {TOO_EARLY}");
            }
            tally.latest = tally.latest.max(asked.duration_since(earliest).unwrap_or_default());
        }
        Ok(false)
    }

    /// Returns when a token expires, as its first user has learned; `None` if it was replaced before that.
    fn expires_at(&self, token: &Secret) -> Result<Option<SystemTime>, Failure> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref().is_none_or(|(last, _)| last != token) {
            let Some(session) = self.keeper.session(self.key)? else { return Ok(None) };
            let is_current = session.access_token(SystemTime::now()) == Some(token);
            let Some(end) = session.expires_at().filter(|_| is_current) else { return Ok(None) };
            *last = Some((token.clone(), end));
        }
        Ok(last.as_ref().map(|(_, end)| *end))
    }
}

/// Returns a random number between 0 and 1.
fn random() -> f64 {
    RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64
}
