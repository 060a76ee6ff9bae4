//! The tokens of a sign-in with an ID token would be used although nobody checked who signed in.

use oauth2_proto::oidc::Authentication;
use oauth2_proto::{Call, Response};

fn main() {}

fn read(call: &Call<Authentication>, response: Response<'_>) {
    let _tokens = call.read(response); //~ E0599
}
