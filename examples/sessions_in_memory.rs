//! Shares one authorization among four threads: the winner of the compare-and-swap refreshes, the others
//! wait.
#![allow(clippy::disallowed_methods, reason = "a program has a clock; the crate has none")]

#[path = "support/signed_in.rs"]
mod signed_in;

use oauth2_proto::{Client, RefreshPolicy, Response, Session, Snapshot, Step};
use std::time::{Duration, SystemTime};
use std::{error::Error, sync::Mutex, thread};
type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let (running, client, tokens) = signed_in::start(Duration::from_secs(1))?;
    let mut session = Session::new(tokens, RefreshPolicy::default(), SystemTime::now());
    let Step::Save(save) = session.poll(SystemTime::now()) else { return Err("nothing to save".into()) };
    let (store, end) = (Mutex::new(save.snapshot().clone()), SystemTime::now() + Duration::from_secs(4));
    thread::scope(|scope| {
        for name in ["A", "B", "C", "D"] {
            scope.spawn(|| keep_alive(name, &client, &store, end).unwrap());
        }
    });
    session.adopt(store.into_inner()?, SystemTime::now())?;
    let token = session.access_token(SystemTime::now()).ok_or("the access token has expired")?;
    assert!(running.server().is_access_token_valid(token.expose()), "the access token is not valid");
    println!("The last access token is valid. The threads made {} saves.", session.revision());
    Ok(())
}

/// Carries out steps until `end`. The holders share only the store, which is one value in memory.
fn keep_alive(name: &str, client: &Client, store: &Mutex<Snapshot>, end: SystemTime) -> Outcome {
    let (now, load) = (SystemTime::now, || store.lock().unwrap().clone());
    let sleep = |until: SystemTime| thread::sleep(until.duration_since(now()).unwrap_or_default());
    let mut session = Session::restore(load(), RefreshPolicy::default(), now());
    loop {
        match session.poll(now()) {
            // Ends only in these states: between a response and its save, the new tokens would be lost.
            Step::Idle(_) | Step::Wait(_) if now() >= end => return Ok(()),
            Step::Idle(until) => sleep(until.unwrap_or(end).min(end)),
            Step::Wait(until) => {
                sleep(until.min(now() + Duration::from_millis(10)));
                session.adopt(load(), now())?;
            }
            Step::Save(save) => {
                let mut stored = store.lock().unwrap();
                if stored.revision() == save.expected_revision() {
                    *stored = save.snapshot().clone();
                    session.saved(save);
                }
                session.adopt(stored.clone(), now())?;
            }
            Step::Send { .. } => {
                let Some(call) = session.send(client, now())? else { continue };
                let (status, headers, body) = signed_in::http::send(call.request())?;
                session.received(call, Response::new(status, headers, &body), now())?;
                println!("{name} refreshed.");
            }
            Step::Reauthorize(reason) => return Err(reason.to_string().into()),
        }
    }
}
