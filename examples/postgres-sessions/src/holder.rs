//! Runs one process of the demonstration: each thread holds the authorization and calls the API.

use std::thread;
use std::time::{Duration, SystemTime};

use ureq::Agent;

use crate::Failure;
use crate::death::{self, Point};
use crate::http;
use crate::keeper::{Keeper, Next, Tools};
use crate::settings::{CLOCK_SKEW, Settings, policy};
use crate::store::Store;

/// The interval between the API calls of a thread.
const CALL_EVERY: Duration = Duration::from_millis(400);
/// The server counts in whole seconds, so that a token may end up to one second before its expiry.
const ROUNDING: Duration = Duration::from_secs(1);

/// The ways in which a token can break a promise.
pub const TOO_LATE: &str = "used after its expiry and the clock skew";
pub const TOO_EARLY: &str = "invalid before its last second";

/// The counts of the calls to the API; a process prints them as its last line.
#[derive(Default)]
pub struct Tally {
    /// The calls that the API accepted.
    pub good: u64,
    /// The calls with a token that had ended in the second before its expiry.
    pub expired: u64,
    /// The longest possible time between the end of such a token and the call.
    pub latest: Duration,
    /// The calls skipped for lack of a token.
    pub without: u64,
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
        self.good += other.good;
        self.expired += other.expired;
        self.latest = self.latest.max(other.latest);
        self.without += other.without;
    }

    pub fn print(&self) {
        println!("tally {} {} {} {}", self.good, self.expired, self.latest.as_millis(), self.without);
    }

    /// Reads the line that `print` writes.
    pub fn parse(line: &str) -> Option<Self> {
        let words: Result<Vec<u64>, _> = line.strip_prefix("tally ")?.split(' ').map(str::parse).collect();
        let [good, expired, latest, without] = words.ok()?.try_into().ok()?;
        Some(Self { good, expired, latest: Duration::from_millis(latest), without })
    }
}

/// Holds the authorization under `key` in several threads, until the time is over or the process dies.
pub fn run(settings: &Settings, key: &str, threads: usize, seconds: u64, die_at: Option<Point>) -> Tally {
    let end = SystemTime::now() + Duration::from_secs(seconds);
    let mut all = Tally::default();
    thread::scope(|scope| {
        let holders: Vec<_> =
            (0..threads).map(|_| scope.spawn(move || hold(settings, key, end, die_at))).collect();
        for holder in holders {
            match holder.join() {
                Ok(Ok(tally)) => all.add(&tally),
                Ok(Err(failure)) => println!("{failure}"),
                Err(_) => println!("a thread panicked"),
            }
        }
    });
    all
}

fn hold(settings: &Settings, key: &str, end: SystemTime, die_at: Option<Point>) -> Result<Tally, Failure> {
    let agent = http::agent();
    let send = |request: &_, until| match die_at {
        None => http::send(&agent, request, until),
        Some(point) => death::send(point, &agent, request, until),
    };
    let tools = Tools { client: &settings.client, policy: policy(), send: &send };
    let store = Store::new(&settings.database, key)?;
    let mut keeper = Keeper::open(tools, store)?.ok_or("no user has signed in")?;
    let mut tally = Tally::default();
    let mut next_call = SystemTime::now();
    while SystemTime::now() < end {
        let next = match keeper.tend()? {
            Next::At(time) => time,
            Next::SignIn(reason) => return Err(format!("the user must sign in again: {reason}").into()),
        };
        if SystemTime::now() >= next_call {
            call(settings, &agent, &mut keeper, &mut tally)?;
            next_call += CALL_EVERY;
        }
        let pause = next.min(next_call).duration_since(SystemTime::now());
        thread::sleep(pause.unwrap_or_default());
    }
    Ok(tally)
}

/// Calls the API, which answers whether the token is valid.
fn call(settings: &Settings, agent: &Agent, keeper: &mut Keeper, tally: &mut Tally) -> Result<(), Failure> {
    let asked = SystemTime::now();
    let (Some(token), Some(end)) = (keeper.access_token().cloned(), keeper.expires_at()) else {
        tally.without += 1;
        return Ok(());
    };
    if asked > end + CLOCK_SKEW {
        println!("wrong {TOO_LATE}");
    }
    if settings.is_active(agent, &token)? {
        tally.good += 1;
        return Ok(());
    }
    keeper.access_token_rejected(&token);
    // The earliest time at which a correct server ends the token.
    let earliest = end - ROUNDING;
    if SystemTime::now() < earliest {
        println!("wrong {TOO_EARLY}");
    }
    tally.expired += 1;
    tally.latest = tally.latest.max(asked.duration_since(earliest).unwrap_or_default());
    Ok(())
}
