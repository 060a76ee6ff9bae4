//! A process of the round: each of its threads holds the authorization and calls the API with it.

use std::thread;
use std::time::{Duration, SystemTime};

use ureq::Agent;

use crate::Failure;
use crate::death::{self, Point};
use crate::http;
use crate::keeper::{Keeper, Next, Tools};
use crate::settings::{CLOCK_SKEW, Settings, policy};
use crate::store::Store;

/// How often each thread calls the API.
const CALL_EVERY: Duration = Duration::from_millis(400);
/// The server counts in whole seconds, so that a token ends up to one second before its time.
const ROUNDING: Duration = Duration::from_secs(1);

/// What can be wrong with a token.
pub const TOO_LATE: &str = "used after its time and the clock skew";
pub const DEAD: &str = "dead before its last second";

/// What the calls to the API came to; a process prints it as its last line.
#[derive(Default)]
pub struct Tally {
    /// Calls that the API took.
    pub good: u64,
    /// Calls with a token that had ended in the second before its time.
    pub expired: u64,
    /// How long ago it can have ended when the call was made, at the most.
    pub latest: Duration,
    /// Times without a token to call with.
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

    /// From the line that `print` makes.
    pub fn parse(line: &str) -> Option<Self> {
        let words: Result<Vec<u64>, _> = line.strip_prefix("tally ")?.split(' ').map(str::parse).collect();
        let [good, expired, latest, without] = words.ok()?.try_into().ok()?;
        Some(Self { good, expired, latest: Duration::from_millis(latest), without })
    }
}

/// Holds the authorization under this key in several threads, until the time is over or the process dies.
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
    let mut keeper = Keeper::open(tools, store)?.ok_or("nobody signed in yet")?;
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

/// Calls the API, which answers whether the token is good.
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
    keeper.rejected(&token);
    // When it ended at the server at the earliest, if all is well.
    let earliest = end - ROUNDING;
    if SystemTime::now() < earliest {
        println!("wrong {DEAD}");
    }
    tally.expired += 1;
    tally.latest = tally.latest.max(asked.duration_since(earliest).unwrap_or_default());
    Ok(())
}
