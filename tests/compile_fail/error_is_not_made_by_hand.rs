//! An error comes from this crate, so that what it says about blame and retries holds.

use oauth2_proto::Error;

fn main() {
    let _error = Error(todo!()); //~ E0423
}
