//! Random bytes go into one authorization, which takes them away from the caller.

use std::time::SystemTime;

use oauth2_proto::{Client, Entropy};

fn start_two(client: &Client, entropy: Entropy) {
    let _ = client.authorize("https://app.example/1").start_with(entropy, SystemTime::UNIX_EPOCH);
    let _ = client.authorize("https://app.example/2").start_with(entropy, SystemTime::UNIX_EPOCH); //~ E0382
}

fn main() {}
