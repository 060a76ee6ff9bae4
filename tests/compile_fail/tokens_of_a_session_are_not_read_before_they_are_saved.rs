//! The answer to a session's call goes to the session, which gives the tokens out once they are saved.

use oauth2_proto::{Call, ForSession, Response};

fn read(call: Call<ForSession>, response: Response<'_>) {
    let _tokens = call.finish(response); //~ E0599
}

fn main() {}
