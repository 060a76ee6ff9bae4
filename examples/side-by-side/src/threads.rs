//! Our process with threads: one blocking keeper for all of them.

use std::thread;
use std::time::{Duration, SystemTime};

use file_store::FileStore;
use oauth2_proto::keeper::KeeperError;
use oauth2_proto::keeper::blocking::{Keeper, Runtime};
use oauth2_proto::{Request, Response};
use ureq::{Agent, http};

use crate::Failure;
use crate::tally::Tally;
use crate::world::{CALLERS, KEY, PAUSE, Place, agent, get, policy};

/// What the keeper needs of a program with threads.
pub struct Threads(pub Agent);

impl Runtime for Threads {
    fn send(&self, request: &Request, until: SystemTime) -> Option<Response<'static>> {
        let timeout = until.duration_since(SystemTime::now()).ok()?;
        let request = http::Request::try_from(request).ok()?.map(|body| body.expose().to_owned());
        let request = self.0.configure_request(request).timeout_global(Some(timeout)).build();
        let (head, mut body) = self.0.run(request).ok()?.into_parts();
        let body = body.read_to_vec().ok()?;
        Some(Response::new(head.status.as_u16(), &head.headers, &body).into_owned())
    }

    fn sleep(&self, until: SystemTime) {
        thread::sleep(until.duration_since(SystemTime::now()).unwrap_or_default());
    }
}

/// Lets all callers call the API for this many seconds.
pub fn run(place: &Place, seconds: u64) -> Result<Tally, Failure> {
    let end = SystemTime::now() + Duration::from_secs(seconds);
    let agent = agent();
    let (client, store) = (place.client.clone(), FileStore::open(&place.directory)?);
    let keeper = Keeper::new(client, policy(), SystemTime::now, store, Threads(agent.clone()));
    thread::scope(|scope| {
        let call_until_end = || {
            let mut tally = Tally::default();
            while SystemTime::now() < end {
                let outcome = call(&keeper, &agent, &place.api, &mut tally);
                tally.count("a thread", outcome);
                thread::sleep(PAUSE);
            }
            tally
        };
        let callers: Vec<_> = (0..CALLERS).map(|_| scope.spawn(call_until_end)).collect();
        let tallies: Result<Vec<_>, _> = callers.into_iter().map(|caller| caller.join()).collect();
        Ok(Tally::sum(tallies.map_err(|_| "a caller panicked")?))
    })
}

/// Calls the API, and once more after a 401.
fn call(
    keeper: &Keeper<FileStore, Threads>,
    agent: &Agent,
    api: &str,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let mut status = 0;
    for repetition in 0..2 {
        tally.repeated += repetition;
        let token = keeper.access_token(KEY).inspect_err(|error| {
            tally.sign_ins += u64::from(matches!(error, KeeperError::SignIn(_)));
        })?;
        status = get(agent, api, token.bearer()?.expose())?;
        match status {
            200 => return Ok(()),
            401 => keeper.access_token_rejected(KEY, token.secret()),
            _ => break,
        }
    }
    Err(format!("the API answered {status}").into())
}
