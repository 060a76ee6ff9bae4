//! What is reported as saved comes from a session and not from any snapshot.

use oauth2_proto::{Session, Snapshot, session::Save};

fn report(session: &mut Session, snapshot: Snapshot) {
    session.saved(Save { snapshot, claims: true }); //~ E0451
}

fn main() {}
