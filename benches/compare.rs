//! Measures time and allocations of each step of a sign-in and of the whole: in this crate, in a hand-written
//! floor that does only the unavoidable work, and in the crate `oauth2`, interleaved in one run.
//!
//! `cargo bench --bench compare` measures Cargo's release profile, and then the profile `thin-lto` in a process
//! of its own. It ends with one line per profile and step:
//! `[PROFILE] STEP ours=NS/ALLOCS floor=NS/ALLOCS oauth2=NS/ALLOCS vs_floor=R vs_oauth2=R`.
//! It fails if a budget of allocations is missed. Times depend on the machine, so their budgets are only shown.

#![allow(clippy::disallowed_methods, reason = "a benchmark has a clock")]

use std::hint::black_box;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2_proto::{Call, Client, ClientAuth, Entropy, PendingAuthorization, Response, TokenResponse, pleo};
use rand::TryRng;
use serde::Deserialize;
use sha2::{Digest, Sha256};

#[path = "support/allocations.rs"]
mod allocations;

const REDIRECT_URI: &str = "https://app.example/callback";
const CLIENT_ID: &str = "fake-client";
const CLIENT_SECRET: &str = "fake-secret";
const CALLBACK: &str = "code=fake-code-0123456789&state=BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";
const BODY: &str = r#"{"access_token":"fake-access-token-0123456789abcdefghijklmnop","refresh_token":"fake-refresh-token-0123456789abcdefghijklmno","token_type":"Bearer","expires_in":3600,"scope":"export:read export:write"}"#;

/// The number of turns of each contender, and the length of a turn.
const ROUNDS: u32 = 60;
const TURN: Duration = Duration::from_millis(3);

/// A build profile, with the budgets for the time of the whole flow in it.
struct Profile {
    name: &'static str,
    /// At most this many times the floor.
    vs_floor: f64,
    /// At least this many times as fast as `oauth2`.
    vs_oauth2: f64,
}

/// The profile of `cargo bench`, which inherits Cargo's release profile.
const RELEASE: Profile = Profile { name: "release", vs_floor: 1.6, vs_oauth2: 3.3 };
/// The profile in Cargo.toml.
const THIN_LTO: Profile = Profile { name: "thin-lto", vs_floor: 1.45, vs_oauth2: 3.6 };

fn main() -> ExitCode {
    let is_second = std::env::args().any(|argument| argument == THIN_LTO.name);
    let mut report = if is_second { compare(&THIN_LTO) } else { compare(&RELEASE) };
    if !is_second {
        report.append(run_in(&THIN_LTO));
    }
    report.budgets.iter().chain(&report.steps).for_each(|line| println!("{line}"));
    if report.fails { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Builds this benchmark in another profile, and returns its report.
fn run_in(profile: &Profile) -> Report {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo.args(["bench", "--bench", "compare", "--profile", profile.name, "--", profile.name]);
    let output = cargo.stderr(Stdio::inherit()).output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let (steps, budgets) = lines.lines().map(str::to_owned).partition(|line| line.contains(" ours="));
    Report { budgets, steps, fails: !output.status.success() }
}

fn compare(profile: &Profile) -> Report {
    let ours = ours::client();
    let theirs = theirs::client();
    let now = SystemTime::now();

    let start = measure(&mut [
        &mut || drop(black_box(ours::start(&ours, Entropy::from_os().unwrap(), now))),
        &mut || drop(black_box(floor::start(floor::random_from_os()))),
        &mut || drop(black_box(theirs::start(&theirs))),
    ]);

    // `oauth2` takes its random bytes itself, from a generator of the thread.
    let authorize = measure(&mut [
        &mut || drop(black_box(ours::start(&ours, ours::entropy(), now))),
        &mut || drop(black_box(floor::start(black_box([7; 64])))),
        &mut || drop(black_box(theirs::start(&theirs))),
    ]);

    // A callback uses up its pending authorization, so each turn starts one; that cost is subtracted below.
    let mut callback = measure(&mut [
        &mut || {
            let (_, mut pending) = ours::start(&ours, ours::entropy(), now);
            drop(black_box(ours::receive(&ours, &mut pending, now)));
        },
        &mut || {
            let (_, pending) = floor::start(black_box([7; 64]));
            drop(black_box(floor::receive(&pending)));
        },
        &mut || drop(black_box(ours::start(&ours, ours::entropy(), now))),
        &mut || drop(black_box(floor::start(black_box([7; 64])))),
    ]);
    for (index, start) in callback.split_off(2).into_iter().enumerate() {
        callback[index] = callback[index].without(start);
    }

    let call = {
        let (_, mut pending) = ours::start(&ours, ours::entropy(), now);
        ours::receive(&ours, &mut pending, now)
    };
    let token = measure(&mut [
        &mut || drop(black_box(ours::read(&call))),
        &mut || drop(black_box(floor::read())),
        &mut || drop(black_box(theirs::read())),
    ]);

    let flow = measure(&mut [
        &mut || {
            let (url, mut pending) = ours::start(&ours, ours::entropy(), now);
            black_box(url);
            let call = ours::receive(&ours, &mut pending, now);
            drop(black_box(ours::read(&call)));
        },
        &mut || {
            let (url, pending) = floor::start(black_box([7; 64]));
            black_box(url);
            black_box(floor::receive(&pending));
            drop(black_box(floor::read()));
        },
        &mut || drop(black_box(theirs::flow(&theirs))),
    ]);

    let mut report = Report::default();
    let Profile { name, vs_floor, vs_oauth2 } = *profile;
    report.time(
        name,
        format!("flow is at most {vs_floor} times the floor"),
        flow[0].ratio(flow[1]) <= vs_floor,
    );
    report.time(
        name,
        format!("flow is at least {vs_oauth2} times as fast as oauth2"),
        flow[2].ratio(flow[0]) >= vs_oauth2,
    );
    report.allocations(name, "authorize", authorize[0], 3);
    report.allocations(name, "callback", callback[0], 1);
    report.allocations(name, "token", token[0], 3);
    report.allocations(name, "flow", flow[0], 7);
    report.step(name, "start", &start);
    report.step(name, "authorize", &authorize);
    report.step(name, "callback", &callback);
    report.step(name, "token", &token);
    report.step(name, "flow", &flow);
    report
}

/// The lines that a run prints.
#[derive(Default)]
struct Report {
    budgets: Vec<String>,
    steps: Vec<String>,
    /// True if a budget of allocations is missed.
    fails: bool,
}

impl Report {
    fn time(&mut self, profile: &str, what: String, met: bool) {
        self.budgets.push(format!("{} [{profile}] {what}", if met { "met   " } else { "MISSED" }));
    }

    fn allocations(&mut self, profile: &str, step: &str, ours: Cost, most: u64) {
        let met = ours.allocations <= most;
        self.time(profile, format!("{step} allocates at most {most} times"), met);
        self.fails |= !met;
    }

    fn step(&mut self, profile: &str, step: &str, costs: &[Cost]) {
        let shown = |cost: &Cost| format!("{}/{}", cost.nanoseconds, cost.allocations);
        let (theirs, faster) = match costs.get(2) {
            Some(theirs) => (shown(theirs), format!("{:.2}", theirs.ratio(costs[0]))),
            None => ("-".to_owned(), "-".to_owned()),
        };
        let slower = costs[0].ratio(costs[1]);
        let [ours, floor] = [&costs[0], &costs[1]].map(shown);
        self.steps.push(format!(
            "[{profile}] {step} ours={ours} floor={floor} oauth2={theirs} vs_floor={slower:.2} vs_oauth2={faster}"
        ));
    }

    fn append(&mut self, other: Self) {
        self.budgets.extend(other.budgets);
        self.steps.extend(other.steps);
        self.fails |= other.fails;
    }
}

/// Runs the contenders in turn. The best turn of each counts, because other processes can only slow a turn
/// down.
fn measure(contenders: &mut [&mut dyn FnMut()]) -> Vec<Cost> {
    let mut costs = vec![Cost { nanoseconds: u64::MAX, allocations: 0 }; contenders.len()];
    for _ in 0..ROUNDS {
        for (contender, cost) in contenders.iter_mut().zip(&mut costs) {
            let (mut runs, start) = (0_u64, Instant::now());
            let allocations = allocations::NUMBER.load(Ordering::Relaxed);
            while start.elapsed() < TURN {
                (0..64).for_each(|_| contender());
                runs += 64;
            }
            let nanoseconds = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX) / runs;
            cost.nanoseconds = cost.nanoseconds.min(nanoseconds);
            cost.allocations = (allocations::NUMBER.load(Ordering::Relaxed) - allocations) / runs;
        }
    }
    costs
}

#[derive(Clone, Copy)]
struct Cost {
    nanoseconds: u64,
    allocations: u64,
}

impl Cost {
    fn without(self, other: Self) -> Self {
        Self {
            nanoseconds: self.nanoseconds.saturating_sub(other.nanoseconds),
            allocations: self.allocations.saturating_sub(other.allocations),
        }
    }

    fn ratio(self, other: Self) -> f64 {
        self.nanoseconds as f64 / other.nanoseconds.max(1) as f64
    }
}

/// This crate, used as documented.
mod ours {
    use super::*;

    pub fn client() -> Client {
        Client::new(pleo::staging(), CLIENT_ID, ClientAuth::basic(CLIENT_SECRET)).unwrap()
    }

    pub fn entropy() -> Entropy {
        Entropy::from_bytes(black_box([7; 128]))
    }

    pub fn start(client: &Client, entropy: Entropy, now: SystemTime) -> (String, PendingAuthorization) {
        client
            .authorize(black_box(REDIRECT_URI))
            .scopes(black_box(["export:read", "export:write"]))
            .start_with(entropy, now)
            .unwrap()
    }

    pub fn receive(
        client: &Client,
        pending: &mut PendingAuthorization,
        now: SystemTime,
    ) -> Call<TokenResponse> {
        pending.receive(client, black_box(CALLBACK), now).unwrap()
    }

    pub fn read(call: &Call<TokenResponse>) -> TokenResponse {
        let headers = [("content-type", "application/json"), ("cache-control", "no-store")];
        call.read(Response::new(200, black_box(headers), black_box(BODY.as_bytes()))).unwrap()
    }
}

/// The unavoidable work, without checks or types. What is the same in every request, such as the credentials,
/// is a constant.
mod floor {
    use super::*;

    const AUTHORIZATION: &str = "Basic ZmFrZS1jbGllbnQ6ZmFrZS1zZWNyZXQ=";

    /// What the callback and the token request need.
    pub struct Pending {
        state: [u8; 43],
        verifier: [u8; 43],
        redirect_uri: String,
        _scope: String,
    }

    pub fn random_from_os() -> [u8; 64] {
        let mut random = [0; 64];
        rand::rngs::SysRng.try_fill_bytes(&mut random).unwrap();
        random
    }

    pub fn start(random: [u8; 64]) -> (String, Pending) {
        let (redirect_uri, scope) = (black_box(REDIRECT_URI), black_box("export:read export:write"));
        let (mut state, mut verifier, mut challenge) = ([0; 43], [0; 43], [0; 43]);
        URL_SAFE_NO_PAD.encode_slice(&random[..32], &mut state).unwrap();
        URL_SAFE_NO_PAD.encode_slice(&random[32..], &mut verifier).unwrap();
        URL_SAFE_NO_PAD.encode_slice(Sha256::digest(verifier), &mut challenge).unwrap();
        let mut url = String::with_capacity(512);
        url.push_str("https://auth.staging.pleo.io/oauth/authorize?response_type=code&client_id=fake-client");
        url.push_str("&code_challenge_method=S256&redirect_uri=");
        escape(&mut url, redirect_uri);
        url.push_str("&scope=");
        escape(&mut url, scope);
        url.push_str("&state=");
        url.push_str(std::str::from_utf8(&state).unwrap());
        url.push_str("&code_challenge=");
        url.push_str(std::str::from_utf8(&challenge).unwrap());
        (url, Pending { state, verifier, redirect_uri: redirect_uri.to_owned(), _scope: scope.to_owned() })
    }

    /// Returns the URL, the `Authorization` header and the body of the token request.
    pub fn receive(pending: &Pending) -> (&'static str, &'static str, String) {
        let (mut code, mut state) = ("", "");
        for pair in black_box(CALLBACK).split('&') {
            match pair.split_once('=').unwrap() {
                ("code", value) => code = value,
                ("state", value) => state = value,
                _ => {}
            }
        }
        assert_eq!(state.as_bytes(), pending.state);
        let mut body = String::with_capacity(256);
        body.push_str("grant_type=authorization_code&code=");
        escape(&mut body, code);
        body.push_str("&redirect_uri=");
        escape(&mut body, &pending.redirect_uri);
        body.push_str("&code_verifier=");
        body.push_str(std::str::from_utf8(&pending.verifier).unwrap());
        (black_box("https://auth.staging.pleo.io/oauth/token"), black_box(AUTHORIZATION), body)
    }

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "the benchmark only builds the value")]
    pub struct Tokens {
        access_token: String,
        token_type: String,
        expires_in: u64,
        refresh_token: String,
        scope: String,
    }

    pub fn read() -> Tokens {
        serde_json::from_slice(black_box(BODY.as_bytes())).unwrap()
    }

    fn escape(out: &mut String, text: &str) {
        for byte in text.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => out.push(byte.into()),
                b' ' => out.push('+'),
                _ => {
                    out.push('%');
                    out.push(b"0123456789ABCDEF"[usize::from(byte >> 4)].into());
                    out.push(b"0123456789ABCDEF"[usize::from(byte & 15)].into());
                }
            }
        }
    }
}

/// The crate `oauth2`, used as documented; only the HTTP closure sees its requests.
mod theirs {
    use super::*;
    use oauth2::basic::{BasicClient, BasicTokenResponse};
    use oauth2::{
        AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet,
        HttpRequest, HttpResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, TokenUrl,
    };

    type Configured = BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

    pub fn client() -> Configured {
        BasicClient::new(ClientId::new(CLIENT_ID.into()))
            .set_client_secret(ClientSecret::new(CLIENT_SECRET.into()))
            .set_auth_uri(AuthUrl::new("https://auth.staging.pleo.io/oauth/authorize".into()).unwrap())
            .set_token_uri(TokenUrl::new("https://auth.staging.pleo.io/oauth/token".into()).unwrap())
            .set_redirect_uri(RedirectUrl::new(REDIRECT_URI.into()).unwrap())
    }

    pub fn start(client: &Configured) -> (String, CsrfToken, PkceCodeVerifier) {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (url, state) = client
            .authorize_url(CsrfToken::new_random)
            .add_scope(Scope::new("export:read".into()))
            .add_scope(Scope::new("export:write".into()))
            .set_pkce_challenge(challenge)
            .url();
        (url.into(), state, verifier)
    }

    pub fn read() -> BasicTokenResponse {
        serde_json::from_slice(black_box(BODY.as_bytes())).unwrap()
    }

    pub fn flow(client: &Configured) -> BasicTokenResponse {
        let (url, _state, verifier) = start(client);
        black_box(url);
        client
            .exchange_code(AuthorizationCode::new(black_box("fake-code-0123456789").into()))
            .set_pkce_verifier(verifier)
            .request(&answer)
            .unwrap()
    }

    fn answer(request: HttpRequest) -> Result<HttpResponse, std::convert::Infallible> {
        black_box(request);
        let mut response = HttpResponse::new(BODY.as_bytes().to_vec());
        response.headers_mut().insert(
            oauth2::http::header::CONTENT_TYPE,
            oauth2::http::HeaderValue::from_static("application/json"),
        );
        Ok(response)
    }
}
