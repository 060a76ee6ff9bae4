//! The answer to a session's call goes to the session, which gives the tokens out once they are saved.

use oauth2_proto::{Call, Response, session::SessionRefresh};

fn read(call: Call<SessionRefresh>, response: Response<'_>) {
    let _tokens = call.read(response); //~ E0599
}

fn main() {}
