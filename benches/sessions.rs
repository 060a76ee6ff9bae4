//! Measures a million sessions with tokens of one hour: their memory, the time of `poll` and `access_token`, and
//! the spread of their refreshes over two hours of virtual time.
//!
//! Run `cargo bench --bench sessions`; with `-- --svg FILE`, the benchmark also draws the refreshes. It fails if a
//! budget of memory, of allocations or of the spread is missed. Times depend on the machine, so their budgets are
//! only shown.

#![allow(clippy::disallowed_methods, reason = "a benchmark has a clock")]

use std::fmt::Write;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use oauth2_proto::{Client, ClientAuth, RefreshPolicy, Response, Secret, Session, Step, TokenResponse, pleo};

#[path = "support/allocations.rs"]
mod allocations;

const SESSIONS: usize = 1_000_000;
const HOUR: usize = 3600;
/// A fixed fraction of the lifetime, for comparison.
const FIXED: usize = 4 * HOUR / 5;

fn main() -> ExitCode {
    let client = Client::new(pleo::staging(), "fake-client", ClientAuth::basic("fake-secret")).unwrap();
    let before = allocations::BYTES.load(Ordering::Relaxed);
    let mut sessions: Vec<Session> = (0..SESSIONS).map(|number| signed_in(&client, number)).collect();
    let bytes = (allocations::BYTES.load(Ordering::Relaxed) - before) as usize / SESSIONS;
    println!(
        "memory: {bytes} bytes per session with two tokens of 43 bytes, of which {} in the struct itself",
        size_of::<Session>()
    );
    let mut met = budget("a session takes at most 272 bytes in place", size_of::<Session>() <= 272);
    met &= calls("poll", &mut sessions, |session| drop(black_box(session.poll(black_box(at(0))))));
    met &= calls("access_token", &mut sessions, |session| {
        black_box(session.access_token(black_box(at(0))));
    });

    let spread = simulate(&client, &mut sessions, None);
    let (first, later) = spread.split_at(HOUR);
    shape("first hour", first);
    let ratio = shape("second hour", later);
    met &= budget("the peak after the first lifetime is at most 1.2 times the mean", ratio <= 1.2);
    if let Some(file) = std::env::args().skip_while(|argument| argument != "--svg").nth(1) {
        std::fs::write(file, svg(&spread)).unwrap();
    }

    // A tenth of the sessions, with an outage of 20 minutes from the middle of the first hour.
    drop(sessions);
    let mut sessions: Vec<Session> = (0..SESSIONS / 10).map(|number| signed_in(&client, number)).collect();
    let outage = HOUR / 2..HOUR / 2 + 20 * 60;
    let spread = simulate(&client, &mut sessions, Some(outage.clone()));
    println!("a tenth of the sessions, and the server down for 20 minutes:");
    shape("the outage", &spread[outage.clone()]);
    shape("the ten minutes after", &spread[outage.end..outage.end + 600]);
    shape("the hour after those", &spread[outage.end + 600..]);
    if met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Returns a session with saved tokens; all sessions start in the same second.
fn signed_in(client: &Client, number: usize) -> Session {
    let tokens = tokens(client, number, 0);
    let mut session = Session::new(tokens, RefreshPolicy::default(), at(0));
    save(&mut session, at(0));
    session
}

fn tokens(client: &Client, number: usize, generation: usize) -> TokenResponse {
    let call = client.refresh(&Secret::new("fake-refresh-token")).start(SystemTime::UNIX_EPOCH).unwrap();
    call.read(Response::new(200, HEADERS, body(number, generation).as_bytes())).unwrap()
}

const HEADERS: [(&str, &str); 1] = [("content-type", "application/json")];

fn body(number: usize, generation: usize) -> String {
    format!(
        r#"{{"access_token":"fake-access-{number:021}-{generation:09}","token_type":"Bearer","expires_in":{HOUR},"refresh_token":"fake-refresh-{number:020}-{generation:09}"}}"#
    )
}

fn at(second: usize) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + second as u64)
}

/// Saves to a store that accepts every save.
fn save(session: &mut Session, now: SystemTime) {
    let Step::Save(save) = session.poll(now) else { panic!("a save is due") };
    session.saved(save);
}

/// Measures a call with a valid token, and returns whether it does not allocate.
fn calls(name: &str, sessions: &mut [Session], call: impl Fn(&mut Session)) -> bool {
    let allocations = allocations::NUMBER.load(Ordering::Relaxed);
    let one = (0..200).map(|_| {
        let start = Instant::now();
        (0..10_000).for_each(|_| call(black_box(&mut sessions[0])));
        start.elapsed().as_secs_f64() / 10_000.0
    });
    let one = one.fold(f64::MAX, f64::min) * 1e9;
    let all = (0..5).map(|_| {
        let start = Instant::now();
        sessions.iter_mut().for_each(&call);
        start.elapsed().as_secs_f64() / sessions.len() as f64
    });
    let all = all.fold(f64::MAX, f64::min) * 1e9;
    let allocations = allocations::NUMBER.load(Ordering::Relaxed) - allocations;
    println!(
        "{name}: {one:.1} ns for one session, {all:.1} ns each for all in turn, {allocations} allocations"
    );
    budget(&format!("{name} with a valid token takes at most 20 ns"), one <= 20.0);
    budget(&format!("{name} with a valid token does not allocate"), allocations == 0)
}

/// Simulates two hours, and returns the number of refresh requests in each second.
fn simulate(client: &Client, sessions: &mut [Session], outage: Option<std::ops::Range<usize>>) -> Vec<u32> {
    let mut due: Vec<Vec<u32>> = vec![Vec::new(); 2 * HOUR + 1];
    for (number, session) in sessions.iter_mut().enumerate() {
        schedule(session, number, 0, &mut due);
    }
    let mut requests = vec![0; 2 * HOUR];
    for second in 0..2 * HOUR {
        let down = outage.as_ref().is_some_and(|outage| outage.contains(&second));
        for number in std::mem::take(&mut due[second]) {
            let session = &mut sessions[number as usize];
            requests[second] += 1;
            save(session, at(second));
            let Step::Send { .. } = session.poll(at(second)) else { panic!("the claim is saved") };
            let call = session.send(client, at(second)).unwrap().unwrap();
            if down {
                let answer = Response::new(503, HEADERS, b"");
                session.received(call, answer, at(second)).unwrap_err();
            } else {
                let body = body(number as usize, second);
                session.received(call, Response::new(200, HEADERS, body.as_bytes()), at(second)).unwrap();
            }
            save(session, at(second));
            schedule(session, number as usize, second, &mut due);
        }
    }
    requests
}

/// Schedules a session for the second until which `poll` is idle or waits.
fn schedule(session: &mut Session, number: usize, now: usize, due: &mut [Vec<u32>]) {
    let (Step::Idle(Some(until)) | Step::Wait { until, .. }) = session.poll(at(now)) else {
        panic!("no step is due at once")
    };
    let until = until.duration_since(at(0)).unwrap().as_millis().div_ceil(1000) as usize;
    let last = due.len() - 1;
    due[until.max(now + 1).min(last)].push(number as u32);
}

fn shape(what: &str, requests: &[u32]) -> f64 {
    let sum: u64 = requests.iter().copied().map(u64::from).sum();
    let (mean, peak) = (sum as f64 / requests.len() as f64, requests.iter().max().unwrap());
    let ratio = f64::from(*peak) / mean;
    println!("refreshes per second, {what}: mean {mean:.1}, peak {peak}, {ratio:.2} times the mean");
    ratio
}

fn budget(what: &str, met: bool) -> bool {
    println!("{} {what}", if met { "met   " } else { "MISSED" });
    met
}

/// Draws two panels over the same two hours: the sessions, and clients that refresh after a fixed fraction of
/// the lifetime.
fn svg(requests: &[u32]) -> String {
    let mut fixed = vec![0; requests.len()];
    fixed.iter_mut().step_by(FIXED).skip(1).for_each(|second| *second = SESSIONS as u32);
    let mut out = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 810 490\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"810\" height=\"490\" fill=\"white\"/>\n",
    );
    panel(&mut out, 40, "Session: a million authorizations that start in the same second", requests, 600);
    panel(&mut out, 290, "A fixed 0.8 of the lifetime, for comparison", &fixed, SESSIONS as u32);
    out.push_str("</svg>\n");
    out
}

/// Draws the peak of each ten seconds, so that no peak is lost.
fn panel(out: &mut String, top: usize, title: &str, requests: &[u32], highest: u32) {
    const LEFT: usize = 90;
    const WIDTH: usize = 690;
    const HEIGHT: usize = 160;
    let bottom = top + HEIGHT;
    let _ = writeln!(out, "<text x=\"{LEFT}\" y=\"{}\" font-size=\"14\">{title}</text>", top - 12);
    for part in 0..=2 {
        let (y, value) = (bottom - HEIGHT * part / 2, u64::from(highest) * part as u64 / 2);
        let _ = writeln!(
            out,
            "<path d=\"M{LEFT} {y}h{WIDTH}\" stroke=\"#ddd\"/><text x=\"{}\" y=\"{}\" text-anchor=\"end\">{value}</text>",
            LEFT - 8,
            y + 4
        );
    }
    for minutes in (0..=120).step_by(30) {
        let x = LEFT + WIDTH * minutes / 120;
        let _ = writeln!(
            out,
            "<text x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{minutes} min</text>",
            bottom + 18
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"16\" y=\"{}\" transform=\"rotate(-90 16 {})\" text-anchor=\"middle\">refreshes per second</text>",
        top + HEIGHT / 2,
        top + HEIGHT / 2
    );
    let points = requests.chunks(10).enumerate().map(|(index, seconds)| {
        let peak = seconds.iter().copied().max().unwrap_or_default().min(highest);
        let x = LEFT as f64 + (WIDTH * index * 10) as f64 / requests.len() as f64;
        let y = bottom as f64 - HEIGHT as f64 * f64::from(peak) / f64::from(highest);
        format!("{x:.1},{y:.1}")
    });
    let points: Vec<_> = points.collect();
    let _ = writeln!(
        out,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#1f6feb\" stroke-width=\"1\"/>",
        points.join(" ")
    );
}
