//! A copy of a session would send the refresh token of one claim a second time.

use oauth2_proto::Session;

fn copy(session: Session) {
    let _copy = session.clone(); //~ E0599
}

fn main() {}
