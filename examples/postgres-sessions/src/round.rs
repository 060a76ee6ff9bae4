//! The demonstration: first a process dies at each point of a refresh, then many share one authorization.

use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use postgres::NoTls;

use crate::Failure;
use crate::death::Point;
use crate::holder::Tally;
use crate::keeper::{Keeper, Next};
use crate::report::Report;
use crate::settings::{CLOCK_SKEW, EARLIEST, LIFETIME};
use crate::world::{What, World};

const PROCESSES: usize = 4;
const THREADS: usize = 8;
const SIGKILL: i32 = 9;

/// The longest that anything may take after a death: claim, clock skew, pauses and a slow machine.
const PATIENCE: Duration = Duration::from_secs(15);

/// Runs it all, with this many seconds for the second part, and says whether every promise was kept.
pub fn run(seconds: u64) -> Result<bool, Failure> {
    let world = World::start()?;
    let mut report = Report::default();
    println!(
        "oidc-provider, access tokens of {LIFETIME} s; it revokes an authorization whose refresh token is used twice."
    );
    for point in [Point::Claim, Point::Sent, Point::Answered] {
        kill_at(point, &world, &mut report)?;
    }
    share(seconds, &world, &mut report)?;
    Ok(report.end())
}

/// One process dies in the middle of its refresh; two holders of this process live on.
fn kill_at(point: Point, world: &World, report: &mut Report) -> Result<(), Failure> {
    report.heading(format_args!("A process dies by SIGKILL at the point {point:?}"));
    let key = format!("dies at {point}");
    let send = world.send();
    let tools = world.tools(&send);
    let mut first = Keeper::signed_in(tools, world.store(&key)?, world.sign_in()?)?;
    let mut second = world.open(tools, &key)?;
    let before = world.log()?.len();
    let old = first.access_token().cloned();

    let status = world.spawn(&key, 1, 30, Some(point))?.wait()?;
    let died = Instant::now();
    report.promise("the process was killed in the middle of its refresh", status.signal() == Some(SIGKILL));

    let settled = |next: &Next, keeper: &Keeper| match next {
        Next::SignIn(_) => true,
        Next::At(_) => keeper.access_token().is_some_and(|token| Some(token) != old.as_ref()),
    };
    let [next, other] = loop {
        let (next, other) = (first.tend()?, second.tend()?);
        if settled(&next, &first) && settled(&other, &second) {
            break [next, other];
        }
        if died.elapsed() > PATIENCE {
            return Err("the survivors did not settle".into());
        }
        sleep(Duration::from_millis(20));
    };
    report.fact(format_args!("the survivors settled {:.1} s after the death", died.elapsed().as_secs_f32()));
    let log = world.log()?;
    let count = |what| log[before..].iter().filter(|entry| entry.what == what).count();
    let counts = [What::Refreshed, What::RefreshRefused, What::Revoked].map(count);
    report.fact(format_args!("refresh requests: {} answered with tokens, {} refused", counts[0], counts[1]));

    if !point.is_in_the_window() {
        let goes_on = matches!((&next, &other), (Next::At(_), Next::At(_)));
        let served = goes_on && world.is_served(&first)? && world.is_served(&second)?;
        report.promise("the authorization goes on with new tokens in both survivors", served);
        report.promise("the refresh token was used once", counts == [1, 0, 0]);
        return Ok(());
    }
    report.promise(
        "the lost answer ends in Reauthorize for both survivors",
        match (&next, &other) {
            (Next::SignIn(reason), Next::SignIn(other)) => {
                report.fact(format_args!("{reason}"));
                reason == other
            }
            _ => false,
        },
    );
    report.promise(
        "after one attempt with the old refresh token, which made the server revoke the authorization",
        counts == [1, 1, 1],
    );

    let mut first = Keeper::signed_in(tools, world.store(&key)?, world.sign_in()?)?;
    second.tend()?;
    let same = first.access_token().is_some() && first.access_token() == second.access_token();
    report.promise(
        "the user signs in again, and both go on under the same key",
        same && world.is_served(&first)? && world.is_served(&second)?,
    );
    let old = first.access_token().cloned();
    let signed_in = Instant::now();
    while first.access_token() == old.as_ref() && signed_in.elapsed() < PATIENCE {
        sleep(Duration::from_millis(20));
        first.tend()?;
    }
    report.promise("and the new tokens are refreshed in their turn", world.is_served(&first)?);
    Ok(())
}

/// Many threads in several processes share one authorization, while others join and die.
fn share(seconds: u64, world: &World, report: &mut Report) -> Result<(), Failure> {
    report.heading(format_args!(
        "{PROCESSES} processes with {THREADS} threads each share one authorization for {seconds} s"
    ));
    let key = "shared";
    let send = world.send();
    let tools = world.tools(&send);
    Keeper::signed_in(tools, world.store(key)?, world.sign_in()?)?;
    let before = world.log()?.len();
    let start = Instant::now();
    let holders: Result<Vec<Child>, _> =
        (0..PROCESSES).map(|_| world.spawn(key, THREADS, seconds, None)).collect();
    let holders = holders?;

    let (mut killed, mut broken, mut tally) = (0, Vec::new(), Tally::default());
    let left = || Duration::from_secs(seconds).saturating_sub(start.elapsed()).as_secs();
    while left() > 5 {
        sleep(Duration::from_secs(2));
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
    let gaps = times.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
    report.fact(format_args!(
        "{refreshed} refreshes, one each {:.2} s ({} to {} ms apart); {revision} saves",
        lasted / refreshed as f32,
        gaps.clone().min().unwrap_or_default(),
        gaps.max().unwrap_or_default(),
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

    let shortest = LIFETIME.parse::<f32>()? * EARLIEST;
    // The first refresh comes early, and so does that after a death: see `RefreshPolicy::refresh_window`.
    let most = (lasted / shortest) as u64 + 1 + killed;
    report.promise(
        "one refresh for each lifetime: all that the server answered are in the store",
        refreshed > 0 && refreshed == generation as u64,
    );
    report.promise(format_args!("and no more than the policy allows, {most} here"), refreshed <= most);
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
