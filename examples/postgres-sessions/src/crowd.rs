//! The second part of the demonstration: many share one authorization.

use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use postgres::NoTls;

use crate::Failure;
use crate::death::{Point, SIGKILL};
use crate::holder::Tally;
use crate::keeper::Keeper;
use crate::report::Report;
use crate::settings::{CLOCK_SKEW, EARLIEST, LIFETIME};
use crate::world::{What, World};

const PROCESSES: usize = 4;
const THREADS: usize = 8;

/// Many threads in several processes share one authorization, while others join and die.
pub fn show(seconds: u64, world: &World, report: &mut Report) -> Result<(), Failure> {
    report.heading(format_args!(
        "{PROCESSES} processes with {THREADS} threads each share one authorization for {seconds} s"
    ));
    let key = "shared";
    let send = world.send();
    let tools = world.tools(&send);
    let before = world.log()?.len();
    Keeper::signed_in(tools, world.store(key)?, world.sign_in()?)?;
    let start = Instant::now();
    let holders: Result<Vec<Child>, _> =
        (0..PROCESSES).map(|_| world.spawn(key, THREADS, seconds, None)).collect();
    let holders = holders?;

    let (mut killed, mut broken, mut tally) = (0, Vec::new(), Tally::default());
    let left = || Duration::from_secs(seconds).saturating_sub(start.elapsed()).as_secs();
    while left() > 5 {
        // Longer than a claim, so that the others always get their turn.
        sleep(Duration::from_secs(4));
        let victim = world.spawn(key, THREADS, left(), Some(Point::Claim))?;
        killed += u64::from(read(victim, &mut tally, &mut broken)? == Some(SIGKILL));
    }
    let mut well = true;
    for holder in holders {
        well &= read(holder, &mut tally, &mut broken)?.is_none();
    }
    let lasted = start.elapsed().as_secs_f32();

    let log = world.log()?;
    let log = &log[before..];
    let count = |what| log.iter().filter(|entry| entry.what == what).count() as u64;
    let [refreshed, refused, revoked] = [What::Refreshed, What::RefreshRefused, What::Revoked].map(count);
    let mut database = postgres::Client::connect(&world.settings.database, NoTls)?;
    // A report may look into the snapshot; a program should not.
    let row = database.query_one(
        "SELECT revision, (snapshot->>'generation')::bigint FROM oauth_sessions WHERE key = $1",
        &[&key],
    )?;
    let (revision, generation): (i64, i64) = (row.get(0), row.get(1));
    let times: Vec<_> =
        log.iter().filter(|entry| entry.what == What::Refreshed).map(|entry| entry.time).collect();
    let gaps: Vec<_> = times.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
    report.fact(format_args!(
        "{refreshed} refreshes, one each {:.2} s ({} to {} ms apart); {revision} saves",
        lasted / refreshed as f32,
        gaps.iter().min().unwrap_or(&0),
        gaps.iter().max().unwrap_or(&0),
    ));
    report.fact(format_args!(
        "{killed} further processes joined and were killed when they had claimed a refresh"
    ));
    report.fact(format_args!("{} calls to the API, {} of them good", tally.good + tally.expired, tally.good));
    report.fact(format_args!("{} calls had to wait because there was no token", tally.without));
    report.fact(format_args!(
        "{} calls had a token that the server ended before its time, at most {} ms too late",
        tally.expired,
        tally.latest.as_millis()
    ));

    // The first refresh may come at once, and so may the first after trouble, in which a token grows old.
    let troubles = gaps.iter().filter(|gap| **gap >= 1000).count() as u64;
    let most = (lasted / (LIFETIME.parse::<f32>()? * EARLIEST)) as u64 + 1 + troubles;
    report.promise(
        format_args!("one refresh for each lifetime, which makes {most} at the most"),
        refreshed > 0 && refreshed <= most,
    );
    report.promise("all tokens that the server gave are in the store", refreshed == generation as u64);
    report.promise("no refresh token was used twice", refused == 0 && revoked == 0);
    report.promise(
        format_args!(
            "no token was used more than {} ms after its time, and none was dead before its time by more than \
             the second in which the server counts",
            CLOCK_SKEW.as_millis()
        ),
        broken.is_empty(),
    );
    broken.iter().for_each(|what| report.fact(what));
    report.promise("every process got to its end, and called the API", well && tally.good > 0);
    report.promise("some processes were killed on the way", killed > 0);
    let mut last = world.open(tools, key)?;
    last.tend()?;
    report.promise("the authorization is alive in the end", world.is_served(&last)?);
    Ok(())
}

/// Waits for a process and adds what it printed; says by which signal it was killed, if it was.
fn read(process: Child, tally: &mut Tally, broken: &mut Vec<String>) -> Result<Option<i32>, Failure> {
    let output = process.wait_with_output()?;
    for line in String::from_utf8(output.stdout)?.lines() {
        match Tally::parse(line) {
            Some(more) => tally.add(&more),
            None => broken.push(line.to_owned()),
        }
    }
    match (output.status.signal(), output.status.success()) {
        (None, false) => Err("a process of the round failed".into()),
        (signal, _) => Ok(signal),
    }
}
