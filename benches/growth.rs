//! Grows each input that a server or a browser controls, and fails if the time for a byte grows with the length or the
//! memory is more than a small multiple of it.
//!
//! Run `cargo bench --bench growth`.

#![allow(clippy::disallowed_methods, reason = "a benchmark has a clock")]

use std::hint::black_box;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use oauth2_proto::{
    AuthorizationServer, Client, ClientAuth, Entropy, PendingAuthorization, Response, Secret,
    server::Leniency,
};

#[path = "support/allocations.rs"]
mod allocations;

const LENGTHS: [usize; 4] = [16 << 10, 64 << 10, 256 << 10, 1 << 20];
/// How much longer one byte may take in an input than in one a quarter as long. Where the time grows with the square of
/// the length it is 4; where the memory grows out of a cache, 2 were seen.
const MAX_GROWTH: f64 = 3.0;
/// The memory that an input may need, besides itself.
const FIXED_MEMORY: usize = 64 << 10;
const ROUNDS: usize = 15;

/// An input that grows: its name, how many times its length it may need in memory, and how it is made and read.
type Case = (&'static str, usize, fn(usize) -> String, fn(&Client, &str));

const CASES: &[Case] = &[
    ("one long token", 8, |length| success(&"t".repeat(length), ""), read_tokens),
    ("one long token, escaped", 8, |length| success(&"\\/".repeat(length / 2), ""), read_tokens),
    (
        "a long text of escapes",
        8,
        |length| success("fake", &format!(r#","x":"{}""#, "\\u043f".repeat(length / 6))),
        read_tokens,
    ),
    // A member costs an entry of a map, and an element of an array costs a `Value`.
    (
        "many members",
        16,
        |length| {
            success(
                "fake",
                &(0..length / 46)
                    .map(|number| format!(r#","member{number:06}":"a value of some letters 17""#))
                    .collect::<String>(),
            )
        },
        read_tokens,
    ),
    (
        "many nests",
        40,
        |length| success("fake", &format!(r#","x":[{}1]"#, "[[[[[[[[[1]]]]]]]]],".repeat(length / 20))),
        read_tokens,
    ),
    (
        "deep nests",
        40,
        |length| {
            let nest = format!("{}{},", "[".repeat(120), "]".repeat(120));
            success("fake", &format!(r#","x":[{}1]"#, nest.repeat(length / nest.len())))
        },
        read_tokens,
    ),
    ("nests without an end", 8, |length| "[{\"x\":".repeat(length / 6), read_tokens),
    (
        "a damaged success",
        8,
        |length| success(&"t".repeat(length / 2), &format!(r#","x":01,"y":"{}""#, "x".repeat(length / 2))),
        read_tokens,
    ),
    ("a form", 8, |length| format!("access_token={}&token_type=Bearer", "%74".repeat(length / 3)), read_form),
    (
        "a form of many parameters",
        16,
        |length| {
            let others: String = (0..length / 42)
                .map(|number| format!("&member{number:06}=a+value+of+some+letters17"))
                .collect();
            format!("access_token=fake&token_type=Bearer{others}")
        },
        read_form,
    ),
    (
        "a refusal with long texts",
        8,
        |length| refusal(&"%74oken&amp;\\u0041 ".repeat(length / 60)),
        read_refusal,
    ),
    (
        "a refusal with long texts that nearly repeat",
        8,
        |length| refusal(&"fake-re ".repeat(length / 24)),
        read_refusal,
    ),
    (
        "a long refresh token, and a refusal with long texts",
        16,
        |length| refusal(&"fake-te ".repeat(length / 24)),
        read_refusal_of_a_long_token,
    ),
    ("a callback of many parameters", 8, |length| "&parameter=value".repeat(length / 16), read_callback),
    ("a callback with a long code", 8, |length| format!("&code={}", "%74".repeat(length / 3)), read_callback),
    ("a long Retry-After", 8, |length| "9".repeat(length), read_retry_after),
];

fn main() {
    let server =
        AuthorizationServer::new("https://as.example/authorize", "https://as.example/token").unwrap();
    let server = server.tolerate(Leniency::FormEncoded);
    let client = Client::new(server, "fake-client", ClientAuth::basic("fake-secret")).unwrap();
    warm_up();
    let mut failures = 0;
    for (name, multiple, make, read) in CASES {
        let mut line = String::new();
        let mut per_byte = Vec::new();
        let mut is_small = true;
        for length in LENGTHS {
            // Stays below the limit of a body.
            let input = make(length - 200);
            let (time, memory) = measure(|| read(&client, &input));
            per_byte.push(time.as_secs_f64() / input.len() as f64);
            is_small &= memory <= multiple * input.len() + FIXED_MEMORY;
            line += &format!(
                "  {:>9.3} ms {:>5.1}x",
                time.as_secs_f64() * 1e3,
                memory as f64 / input.len() as f64
            );
        }
        let growth = per_byte.windows(2).map(|pair| pair[1] / pair[0]).fold(0.0, f64::max);
        let holds = is_small && growth <= MAX_GROWTH;
        failures += usize::from(!holds);
        println!(
            "{} {name}: {line}, at most {growth:.2} times per byte",
            if holds { "holds " } else { "BROKEN" }
        );
    }
    assert!(failures == 0, "{failures} inputs need more than their length allows");
}

/// Fills and empties the heap. What stays at its end keeps the allocator from giving memory back to the operating system
/// after each round, whose price would grow with the memory.
fn warm_up() {
    let filler: Vec<Vec<u8>> = (0..100_000).map(|_| vec![1; 1000]).collect();
    std::mem::forget(black_box(vec![1_u8; 1000]));
    drop(black_box(filler));
}

/// Returns the shortest time of some rounds, and the most memory in one of them.
fn measure(read: impl Fn()) -> (Duration, usize) {
    let mut shortest = Duration::MAX;
    let mut most = 0;
    for _ in 0..ROUNDS {
        let before = allocations::BYTES.load(Ordering::Relaxed);
        allocations::PEAK.store(before, Ordering::Relaxed);
        let started = Instant::now();
        read();
        shortest = shortest.min(started.elapsed());
        most = most.max(allocations::PEAK.load(Ordering::Relaxed) - before);
    }
    (shortest, most as usize)
}

fn success(access_token: &str, others: &str) -> String {
    format!(r#"{{"access_token":"{access_token}","token_type":"Bearer"{others}}}"#)
}

/// Returns a refusal with three texts, where `text` may hold escapes of JSON.
fn refusal(text: &str) -> String {
    format!(r#"{{"error":"{text}","error_description":"{text}","error_uri":"{text}"}}"#)
}

fn read_as(client: &Client, refresh_token: &str, status: u16, header: (&str, &str), body: &str) {
    let call = client.refresh(&Secret::new(refresh_token)).start(SystemTime::UNIX_EPOCH).unwrap();
    let _ = black_box(call.read(Response::new(status, [header], body.as_bytes())));
}

fn read_tokens(client: &Client, body: &str) {
    read_as(client, "fake-refresh", 200, ("content-type", "application/json"), body);
}

fn read_form(client: &Client, body: &str) {
    read_as(client, "fake-refresh", 200, ("content-type", "text/plain"), body);
}

fn read_refusal(client: &Client, body: &str) {
    read_as(client, "fake-refresh", 400, ("content-type", "application/json"), body);
}

fn read_refusal_of_a_long_token(client: &Client, body: &str) {
    let token: String = (0..body.len() / 8)
        .map(|number| format!("{:08x}", (number as u32).wrapping_mul(0x9e37_79b9)))
        .collect();
    read_as(client, &token, 400, ("content-type", "application/json"), body);
}

fn read_retry_after(client: &Client, value: &str) {
    read_as(client, "fake-refresh", 503, ("retry-after", value), "{}");
}

fn read_callback(client: &Client, rest: &str) {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let request = client.authorize("https://app.example/callback");
    let (_, mut pending): (_, PendingAuthorization) =
        request.start_with(Entropy::from_bytes([7; 128]), now).unwrap();
    let callback = format!("state={}{rest}", pending.state());
    let _ = black_box(pending.receive(client, callback.as_str(), now));
}
