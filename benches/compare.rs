//! Measures time and allocations of each step of a sign-in and of the whole: in this crate, in a hand-written
//! floor that does only the unavoidable work, and in the crate `oauth2`, interleaved in one run.
//!
//! `cargo bench --bench compare` ends with one line per step:
//! `STEP ours=NS/ALLOCS floor=NS/ALLOCS oauth2=NS/ALLOCS vs_floor=R vs_oauth2=R`.

#![allow(clippy::disallowed_methods, reason = "a benchmark has a clock")]

use std::hint::black_box;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use oauth2_proto::{Call, Client, ClientAuth, Entropy, PendingAuthorization, Response, TokenResponse, pleo};
use serde::Deserialize;
use sha2::{Digest, Sha256};

#[path = "support/allocations.rs"]
mod allocations;

const REDIRECT_URI: &str = "https://app.example/callback";
const CLIENT_ID: &str = "fake-client";
const CLIENT_SECRET: &str = "fake-secret";
const BODY: &str = r#"{"access_token":"fake-access-token-0123456789abcdefghijklmnop","refresh_token":"fake-refresh-token-0123456789abcdefghijklmno","token_type":"Bearer","expires_in":3600,"scope":"export:read export:write"}"#;

/// The number of turns of each contender, and the length of a turn.
const ROUNDS: u32 = 60;
const TURN: Duration = Duration::from_millis(3);

fn main() {
    let ours = ours::client();
    let theirs = theirs::client();
    let now = SystemTime::now();

    let os = measure(&mut [&mut || drop(black_box(Entropy::from_os()))]);
    println!("the operating system's 128 random bytes: {} ns, not in the figures below", os[0].nanoseconds);

    let authorize = measure(&mut [
        &mut || drop(black_box(ours::authorize(&ours, now))),
        &mut || drop(black_box(floor::authorize(black_box([7; 32]), black_box([9; 32])))),
        &mut || drop(black_box(theirs::authorize(&theirs))),
    ]);

    // A callback uses up its pending authorization, so each turn starts one; that cost is subtracted below.
    let mut callback = measure(&mut [
        &mut || {
            let (_, mut pending) = ours::authorize(&ours, now);
            drop(black_box(ours::receive(&ours, &mut pending, now)));
        },
        &mut || {
            drop(black_box(floor::token_request(black_box("fake-code-0123456789"), black_box(&[b'v'; 43]))))
        },
        &mut || drop(black_box(ours::authorize(&ours, now))),
    ]);
    let start = callback.remove(2);
    callback[0] = callback[0].without(start);

    let call = {
        let (_, mut pending) = ours::authorize(&ours, now);
        ours::receive(&ours, &mut pending, now)
    };
    let token = measure(&mut [
        &mut || drop(black_box(ours::read(&call))),
        &mut || drop(black_box(floor::tokens(black_box(BODY.as_bytes())))),
        &mut || drop(black_box(theirs::tokens(black_box(BODY.as_bytes())))),
    ]);

    let flow = measure(&mut [
        &mut || {
            let (url, mut pending) = ours::authorize(&ours, now);
            black_box(url);
            let call = ours::receive(&ours, &mut pending, now);
            drop(black_box(ours::read(&call)));
        },
        &mut || {
            let (url, verifier) = floor::authorize(black_box([7; 32]), black_box([9; 32]));
            black_box(url);
            black_box(floor::token_request(black_box("fake-code-0123456789"), &verifier));
            drop(black_box(floor::tokens(black_box(BODY.as_bytes()))));
        },
        &mut || drop(black_box(theirs::flow(&theirs))),
    ]);

    budget("authorize is at most 1.5 times the floor", authorize[0].ratio(authorize[1]) <= 1.5);
    budget("authorize allocates at most 3 times", authorize[0].allocations <= 3);
    budget("callback allocates at most 8 times", callback[0].allocations <= 8);
    budget("token is at most 1.5 times the floor", token[0].ratio(token[1]) <= 1.5);
    budget("token allocates at most 6 times", token[0].allocations <= 6);
    budget("flow is at least 4 times as fast as oauth2", flow[2].ratio(flow[0]) >= 4.0);
    budget("flow allocates at most 15 times", flow[0].allocations <= 15);
    line("authorize", &authorize);
    line("callback", &callback);
    line("token", &token);
    line("flow", &flow);
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

fn budget(what: &str, met: bool) {
    println!("{} {what}", if met { "met   " } else { "MISSED" });
}

fn line(step: &str, costs: &[Cost]) {
    let shown = |cost: &Cost| format!("{}/{}", cost.nanoseconds, cost.allocations);
    let (theirs, faster) = match costs.get(2) {
        Some(theirs) => (shown(theirs), format!("{:.2}", theirs.ratio(costs[0]))),
        None => ("-".to_owned(), "-".to_owned()),
    };
    let slower = costs[0].ratio(costs[1]);
    let [ours, floor] = [&costs[0], &costs[1]].map(shown);
    println!("{step} ours={ours} floor={floor} oauth2={theirs} vs_floor={slower:.2} vs_oauth2={faster}");
}

/// This crate, used as documented.
mod ours {
    use super::*;

    pub fn client() -> Client {
        Client::new(pleo::staging(), CLIENT_ID, ClientAuth::basic(CLIENT_SECRET)).unwrap()
    }

    pub fn authorize(client: &Client, now: SystemTime) -> (String, PendingAuthorization) {
        let entropy = Entropy::from_bytes(black_box([7; 128]));
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
        let callback = "code=fake-code-0123456789&state=BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";
        pending.receive(client, black_box(callback), now).unwrap()
    }

    pub fn read(call: &Call<TokenResponse>) -> TokenResponse {
        let headers = [("content-type", "application/json"), ("cache-control", "no-store")];
        call.read(Response::new(200, black_box(headers), black_box(BODY.as_bytes()))).unwrap()
    }
}

/// The unavoidable work, without checks or types.
mod floor {
    use super::*;

    pub fn authorize(verifier: [u8; 32], state: [u8; 32]) -> (String, [u8; 43]) {
        let (mut verifier_text, mut state_text, mut challenge) = ([0; 43], [0; 43], [0; 43]);
        URL_SAFE_NO_PAD.encode_slice(verifier, &mut verifier_text).unwrap();
        URL_SAFE_NO_PAD.encode_slice(state, &mut state_text).unwrap();
        URL_SAFE_NO_PAD.encode_slice(Sha256::digest(verifier_text), &mut challenge).unwrap();
        let mut url = String::with_capacity(512);
        url.push_str("https://auth.staging.pleo.io/oauth/authorize?response_type=code&client_id=fake-client");
        url.push_str("&code_challenge_method=S256&redirect_uri=");
        escape(&mut url, black_box(REDIRECT_URI));
        url.push_str("&scope=");
        escape(&mut url, black_box("export:read export:write"));
        url.push_str("&state=");
        url.push_str(std::str::from_utf8(&state_text).unwrap());
        url.push_str("&code_challenge=");
        url.push_str(std::str::from_utf8(&challenge).unwrap());
        (url, verifier_text)
    }

    pub fn token_request(code: &str, verifier: &[u8; 43]) -> (String, String, String) {
        let mut body = String::with_capacity(256);
        body.push_str("grant_type=authorization_code&code=");
        escape(&mut body, code);
        body.push_str("&redirect_uri=");
        escape(&mut body, black_box(REDIRECT_URI));
        body.push_str("&code_verifier=");
        body.push_str(std::str::from_utf8(verifier).unwrap());
        let mut header = String::with_capacity(64);
        header.push_str("Basic ");
        STANDARD.encode_string(black_box("fake-client:fake-secret"), &mut header);
        (black_box("https://auth.staging.pleo.io/oauth/token").to_owned(), header, body)
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

    pub fn tokens(body: &[u8]) -> Tokens {
        serde_json::from_slice(body).unwrap()
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

    pub fn authorize(client: &Configured) -> (String, CsrfToken, PkceCodeVerifier) {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (url, state) = client
            .authorize_url(CsrfToken::new_random)
            .add_scope(Scope::new("export:read".into()))
            .add_scope(Scope::new("export:write".into()))
            .set_pkce_challenge(challenge)
            .url();
        (url.into(), state, verifier)
    }

    pub fn tokens(body: &[u8]) -> BasicTokenResponse {
        serde_json::from_slice(body).unwrap()
    }

    pub fn flow(client: &Configured) -> BasicTokenResponse {
        let (url, _state, verifier) = authorize(client);
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
