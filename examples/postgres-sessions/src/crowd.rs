//! Runs the second part of the demonstration: many processes share one authorization.

use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use postgres::NoTls;

use crate::Failure;
use crate::death::{Point, SIGKILL};
use crate::holder::{TOO_EARLY, TOO_LATE, Tally};
use crate::report::Report;
use crate::settings::{CLOCK_SKEW, EARLIEST, LIFETIME};
use crate::world::{Entry, What, World, eventually};

const PROCESSES: usize = 4;
const THREADS: usize = 8;

/// Runs the processes for this many seconds and judges the outcome.
pub fn show(seconds: u64, world: &World, report: &mut Report) -> Result<(), Failure> {
    report.heading(format_args!(
        "{PROCESSES} processes with {THREADS} threads each share one authorization for {seconds} s"
    ));
    let key = "shared";
    let before = world.log()?.len();
    let keeper = world.keeper()?;
    keeper.signed_in(key, world.sign_in()?)?;
    let crowd = Crowd::run(seconds, world, key)?;
    let log = world.log()?;
    judge_refreshes(&log[before..], &crowd, world, key, report)?;
    judge_calls(&crowd, report);
    // Repeats, because the stored token may be in its last second.
    let is_valid = eventually(|| world.is_active(keeper.access_token(key)?.secret()))?;
    report.promise("the authorization is valid at the end", is_valid);
    Ok(())
}

/// The outcome of all processes.
#[derive(Default)]
struct Crowd {
    lasted: Duration,
    /// The number of processes that killed themselves.
    killed: u64,
    tally: Tally,
    /// The broken promises about tokens.
    wrong: Vec<String>,
    /// The reasons why threads ended early.
    failures: Vec<String>,
}

impl Crowd {
    fn run(seconds: u64, world: &World, key: &str) -> Result<Self, Failure> {
        let mut crowd = Self::default();
        let start = Instant::now();
        let holders: Result<Vec<_>, _> =
            (0..PROCESSES).map(|_| world.spawn(key, THREADS, seconds, None)).collect();
        let left = || Duration::from_secs(seconds).saturating_sub(start.elapsed()).as_secs();
        while left() > 5 {
            // Longer than a claim, so that the other holders can refresh in between.
            sleep(Duration::from_secs(4));
            crowd.take(world.spawn(key, THREADS, left(), Some(Point::Claim))?)?;
        }
        for holder in holders? {
            crowd.take(holder)?;
        }
        crowd.lasted = start.elapsed();
        Ok(crowd)
    }

    /// Waits for a process and reads what it printed.
    fn take(&mut self, process: Child) -> Result<(), Failure> {
        let output = process.wait_with_output()?;
        for line in String::from_utf8(output.stdout)?.lines() {
            match (Tally::parse(line), line.split_once(' ')) {
                (Some(tally), _) => self.tally.add(&tally),
                (None, Some(("wrong", promise))) => self.wrong.push(promise.to_owned()),
                _ => self.failures.push(line.to_owned()),
            }
        }
        match output.status.signal() {
            Some(SIGKILL) => self.killed += 1,
            _ if output.status.success() => {}
            _ => self.failures.push(format!("a process ended with {}", output.status)),
        }
        Ok(())
    }
}

fn judge_refreshes(
    log: &[Entry],
    crowd: &Crowd,
    world: &World,
    key: &str,
    report: &mut Report,
) -> Result<(), Failure> {
    let count = |what| log.iter().filter(|entry| entry.what == what).count() as u64;
    let [refreshed, refused, revoked] = [What::Refreshed, What::RefreshRefused, What::Revoked].map(count);
    let mut database = postgres::Client::connect(&world.settings.database, NoTls)?;
    // Reads a member of the snapshot for the report; a program treats the snapshot as opaque.
    let select = "SELECT revision, (snapshot->>'generation')::bigint FROM oauth_sessions WHERE key = $1";
    let row = database.query_one(select, &[&key])?;
    let (revision, generation): (i64, i64) = (row.get(0), row.get(1));

    let times = log.iter().filter(|entry| entry.what == What::Refreshed).map(|entry| entry.time);
    let times: Vec<_> = times.collect();
    let gaps: Vec<_> = times.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
    let (shortest, longest) = (gaps.iter().min().unwrap_or(&0), gaps.iter().max().unwrap_or(&0));
    let each = crowd.lasted.as_secs_f32() / refreshed as f32;
    report
        .fact(format_args!("{refreshed} refreshes, one per {each:.2} s ({shortest} to {longest} ms apart)"));
    report.fact(format_args!("{} more processes joined and died with a claim on a refresh", crowd.killed));
    // One save for the sign-in, two for each refresh (claim and tokens), and one claim of each killed
    // process.
    let expected = 1 + 2 * refreshed + crowd.killed;
    report
        .fact(format_args!("{revision} saves, of which {expected} are needed; the others are lapsed claims"));

    // A session's first refresh may come at once, and so may the first after an interruption.
    let interruptions = gaps.iter().filter(|gap| **gap >= 1000).count() as u64;
    let lifetimes = crowd.lasted.as_secs_f32() / (LIFETIME.parse::<f32>()? * EARLIEST);
    let max_refreshes = lifetimes as u64 + 1 + interruptions;
    report.promise(
        format_args!("one refresh for each lifetime: at most {max_refreshes}"),
        refreshed > 0 && refreshed <= max_refreshes,
    );
    report.promise("all tokens that the server issued are in the store", refreshed == generation as u64);
    report.promise("no refresh token was used twice", [refused, revoked] == [0, 0]);
    Ok(())
}

fn judge_calls(crowd: &Crowd, report: &mut Report) {
    let Tally { good, expired, latest, waited } = &crowd.tally;
    report.fact(format_args!("{} calls to the API, of which {good} succeeded", good + expired));
    report.fact(format_args!("the longest wait for a token took {} ms", waited.as_millis()));
    report.fact(format_args!(
        "{expired} used a token that ended in its last second, at most {} ms before the call",
        latest.as_millis()
    ));
    report.promise(
        format_args!("no token was used more than {} ms after its expiry", CLOCK_SKEW.as_millis()),
        !crowd.wrong.iter().any(|promise| promise == TOO_LATE),
    );
    report.promise(
        "no token was invalid before its last second, in which this server may end it",
        !crowd.wrong.iter().any(|promise| promise == TOO_EARLY),
    );
    report.promise("every thread called the API until its end", crowd.failures.is_empty() && *good > 0);
    let mut failures = crowd.failures.clone();
    failures.sort();
    failures.dedup();
    failures.iter().for_each(|failure| report.fact(failure));
}
