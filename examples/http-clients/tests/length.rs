//! Each transport stays short enough to copy.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;

const MAX_LINES: usize = 15;

/// Counts the lines of code between the imports and `main`, with the brackets and without the comments.
#[test]
fn a_transport_has_at_most_fifteen_lines() {
    for name in ["with_ureq", "with_reqwest", "with_hyper", "with_tcp_stream"] {
        let program =
            fs::read_to_string(format!("{}/src/bin/{name}.rs", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let lines = program.lines().filter(|line| !line.is_empty() && !line.trim_start().starts_with("//"));
        let transport = lines
            .skip_while(|line| !line.starts_with("use "))
            .filter(|line| !line.starts_with("use "))
            .take_while(|line| !line.starts_with("fn main") && !line.starts_with("#[tokio::main"));
        let count = transport.count();
        println!("{name}: {count} lines");
        assert!((5..=MAX_LINES).contains(&count), "{name} has {count} lines");
    }
}
