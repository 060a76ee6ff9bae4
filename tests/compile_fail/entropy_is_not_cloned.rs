//! A copy of the random bytes would give two authorizations the same verifier and state.

use oauth2_proto::Entropy;

fn main() {
    let entropy = Entropy::from_bytes([1; 128]);
    let _copy = entropy.clone(); //~ E0599
}
