//! A copy of a pending authorization would redeem the same callback a second time.

use oauth2_proto::PendingAuthorization;

fn copy(pending: PendingAuthorization) {
    let _copy = pending.clone(); //~ E0599
}

fn main() {}
