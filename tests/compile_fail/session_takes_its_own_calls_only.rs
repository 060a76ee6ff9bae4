//! A refresh that was made without a session has no claim, so a session does not take it.

use oauth2_proto::{Client, Response, Secret, Session};
use std::time::SystemTime;

fn answer(session: &mut Session, client: &Client, token: &Secret, response: Response<'_>, now: SystemTime) {
    let call = client.refresh(token).start(SystemTime::UNIX_EPOCH).unwrap();
    let _ = session.received(call, response, now); //~ E0308
}

fn main() {}
