//! Shares one authorization among four threads that call an API: the winner of the compare-and-swap
//! refreshes, the others wait, and nobody gives up at a failure. `signed_in::share` lets the server fail
//! meanwhile. In your program, the store is your database, and the policy is the default.
#![allow(clippy::disallowed_methods, reason = "a program has a clock; the crate has none")]

#[path = "support/signed_in.rs"]
mod signed_in;

use oauth2_proto::{Client, Response, Secret, Session, Snapshot, Step};
use std::time::{Duration, SystemTime};
use std::{sync::Mutex, thread};

use signed_in::{Log, Outcome};

fn main() -> Outcome<()> {
    signed_in::share(["A", "B", "C", "D"], |name, client, store, api, end| {
        let stored = store.lock().unwrap().clone();
        let session = Session::restore(client, stored, signed_in::policy(), SystemTime::now())?;
        let mut holder = Holder { session, client, store, log: Log::new(name) };
        while SystemTime::now() < end {
            holder.call(api)?;
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    })
}

/// One holder of the authorization. The holders share only the store, which is one value in memory.
struct Holder<'a> {
    session: Session,
    client: &'a Client,
    store: &'a Mutex<Snapshot>,
    log: Log,
}

impl Holder<'_> {
    /// Calls the API. After a 401, calls it once more with the next token.
    fn call(&mut self, api: &str) -> Outcome<()> {
        for _ in 0..2 {
            let Some(token) = self.token()? else { return self.log.change("API", "there is no token") };
            match signed_in::get(api, &token, &mut self.log)? {
                Some(401) => self.session.access_token_rejected(&token),
                _ => break,
            }
        }
        Ok(())
    }

    /// Returns the access token, and waits for one at most 2 seconds.
    fn token(&mut self) -> Outcome<Option<Secret>> {
        let patience = SystemTime::now() + Duration::from_secs(2);
        loop {
            let (next, now) = (self.tend()?, SystemTime::now());
            let token = self.session.access_token(now).cloned();
            if token.is_some() || now >= patience {
                return Ok(token);
            }
            thread::sleep(next.min(patience).duration_since(now).unwrap_or_default());
        }
    }

    /// Carries out every step that is due, and returns when to come back.
    ///
    /// Between an answer and its save, the new tokens exist only here: do not stop the program before this
    /// function returns.
    fn tend(&mut self) -> Outcome<SystemTime> {
        loop {
            let now = SystemTime::now();
            match self.session.poll(now) {
                Step::Idle(until) => return Ok(until.unwrap_or(now + Duration::from_secs(60))),
                Step::Save(save) => {
                    let mut stored = self.store.lock().unwrap();
                    if stored.revision() == save.expected_revision() {
                        *stored = save.snapshot().clone();
                        self.session.saved(save);
                    } else if !self.session.adopt(stored.clone(), now)? {
                        return Err("the store refused a save and has nothing newer".into());
                    }
                }
                Step::Send { until } => self.refresh(until)?,
                // The others may have news: the outcome of a refresh or, at the end, of a new sign-in.
                _ if self.session.adopt(self.store.lock().unwrap().clone(), now)? => {}
                Step::Wait { until, reason } => {
                    self.log.change("waits", format!("{reason:?}, {}", signed_in::trouble(&self.session)))?;
                    return Ok(until.min(now + Duration::from_millis(20)));
                }
                Step::Reauthorize(reason) => {
                    self.log.change("ends", format!("{reason}, {}", signed_in::trouble(&self.session)))?;
                    return Ok(now + Duration::from_secs(1));
                }
            }
        }
    }

    /// Sends one refresh, and reports its answer, or that none came in time.
    fn refresh(&mut self, until: SystemTime) -> Outcome<()> {
        let Some(call) = self.session.send(self.client, SystemTime::now())? else { return Ok(()) };
        self.log.line("refresh", format!("starts, {}", signed_in::trouble(&self.session)));
        let outcome = match signed_in::http::send_until(call.request(), until) {
            Ok((status, headers, body)) => {
                let response = Response::new(status, headers, &body);
                self.session.received(call, response, SystemTime::now()).map_err(|error| error.to_string())
            }
            Err(error) => {
                self.session.no_response(call, SystemTime::now());
                Err(error)
            }
        };
        self.log.line("refresh", outcome.err().unwrap_or("done".to_owned()));
        Ok(())
    }
}
