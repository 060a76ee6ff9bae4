//! Runs the whole Pleo flow in a WebAssembly module that imports nothing. The host passes in the time, random
//! bytes and responses, and receives requests, all as JSON.
//!
//! One exchange with the module:
//!
//! 1. `input(length)` returns the address of that many bytes of memory; write a [`Command`] there.
//! 2. `run()` carries out the command.
//! 3. `output()` and `output_length()` return the address and the length of the answer: `{"Ok": …}` or
//!    `{"Err": …}`. The answer stays until the next `run()`.
//!
//! An address is valid until the next call of any of these functions, and each call may grow the memory.

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

use oauth2_proto::{
    Call, Callback, Client, ClientAuth, Entropy, Error, PendingAuthorization, Request, Response,
    TokenResponse, grants::Refresh, pleo,
};
use serde::Deserialize;
use serde_json::{Value, json};

// The module has one thread, so each of these exists once.
thread_local! {
    static INPUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static OUTPUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static FLOW: RefCell<Option<Flow>> = const { RefCell::new(None) };
}

// `no_mangle` is unsafe because another symbol with the same name would conflict. The module links no other
// symbols with these names, and contains no other unsafe code.

/// Allocates the input for a command of `length` bytes, and returns its address.
#[unsafe(no_mangle)]
pub extern "C" fn input(length: usize) -> *mut u8 {
    INPUT.with_borrow_mut(|input| {
        *input = vec![0; length];
        input.as_mut_ptr()
    })
}

/// Carries out the command in the input.
#[unsafe(no_mangle)]
pub extern "C" fn run() {
    let command = serde_json::from_slice(&INPUT.take());
    let answer = command.map_err(|error| json!({ "message": error.to_string() })).and_then(|command| {
        FLOW.with_borrow_mut(|flow| obey(flow, command)).map_err(|problem| problem.to_json())
    });
    let answer = match answer {
        Ok(value) => json!({ "Ok": value }),
        Err(problem) => json!({ "Err": problem }),
    };
    OUTPUT.set(answer.to_string().into_bytes());
}

/// Returns the address of the answer.
#[unsafe(no_mangle)]
pub extern "C" fn output() -> *const u8 {
    OUTPUT.with_borrow(|output| output.as_ptr())
}

/// Returns the length of the answer in bytes.
#[unsafe(no_mangle)]
pub extern "C" fn output_length() -> usize {
    OUTPUT.with_borrow(Vec::len)
}

/// A command to the module; `now` is in seconds of Unix time.
#[derive(Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
enum Command {
    /// Discards all state and starts a sign-in; answers with the URL for the browser.
    Start {
        base: String,
        client_id: String,
        client_secret: String,
        redirect_uri: String,
        scopes: Vec<String>,
        random_bytes: Vec<u8>,
        now: u64,
    },
    /// Checks the callback, given as the URL that the browser came back to; answers with the token request.
    Receive { callback: String, now: u64 },
    /// Answers with the refresh request for the current tokens.
    Refresh { now: u64 },
    /// Reads the response to the last request; answers with the tokens.
    Read { status: u16, headers: Vec<(String, String)>, body: Vec<u8>, now: u64 },
}

/// One user's authorization.
struct Flow {
    client: Client,
    pending: PendingAuthorization,
    call: Option<Sent>,
    tokens: Option<TokenResponse>,
}

/// The last request, which may be of either kind.
enum Sent {
    Exchange(Call<TokenResponse>),
    Refresh(Call<Refresh>),
}

impl Sent {
    fn request(&self) -> &Request {
        match self {
            Self::Exchange(call) => call.request(),
            Self::Refresh(call) => call.request(),
        }
    }

    fn read(&self, response: Response<'_>) -> Result<TokenResponse, Error> {
        match self {
            Self::Exchange(call) => call.read(response),
            Self::Refresh(call) => call.read(response),
        }
    }
}

enum Problem {
    Crate(Error, SystemTime),
    /// A command that came too early, or has an invalid argument.
    Order(&'static str),
}

fn obey(flow: &mut Option<Flow>, command: Command) -> Result<Value, Problem> {
    let started = flow.as_mut().ok_or(Problem::Order("start first"));
    match command {
        Command::Start { base, client_id, client_secret, redirect_uri, scopes, random_bytes, now } => {
            let now = time(now);
            let block =
                random_bytes.try_into().map_err(|_| Problem::Order("random_bytes must be 128 bytes"))?;
            let entropy = Entropy::from_bytes(block);
            let start = || {
                let client = Client::new(pleo::at(&base)?, client_id, ClientAuth::basic(client_secret))?;
                let request = client.authorize(&redirect_uri).scopes(scopes);
                let (url, pending) = request.start_with(entropy, now)?;
                Ok((url, Flow { client, pending, call: None, tokens: None }))
            };
            let (url, started) = start().map_err(|error| Problem::Crate(error, now))?;
            *flow = Some(started);
            Ok(json!(url))
        }
        Command::Receive { callback, now } => {
            let (flow, now) = (started?, time(now));
            let call = flow.pending.receive(&flow.client, Callback::url(&callback), now);
            flow.send(Sent::Exchange(call.map_err(|error| Problem::Crate(error, now))?))
        }
        Command::Refresh { now } => {
            let (flow, now) = (started?, time(now));
            let refresh_token = flow.tokens.as_ref().and_then(TokenResponse::refresh_token);
            let refresh_token = refresh_token.ok_or(Problem::Order("there is no refresh token yet"))?;
            let call = flow.client.refresh(refresh_token).start(now);
            let call = call.map_err(|error| Problem::Crate(error, now))?;
            flow.send(Sent::Refresh(call))
        }
        Command::Read { status, headers, body, now } => {
            let flow = started?;
            let call = flow.call.as_ref().ok_or(Problem::Order("no request was made yet"))?;
            let headers = headers.iter().map(|(name, value)| (name.as_str(), value));
            let tokens = call.read(Response::new(status, headers, &body));
            let tokens = tokens.map_err(|error| Problem::Crate(error, time(now)))?;
            Ok(describe_tokens(flow.tokens.insert(tokens)))
        }
    }
}

impl Flow {
    /// Stores the call, which reads the next response, and describes its request.
    fn send(&mut self, call: Sent) -> Result<Value, Problem> {
        Ok(describe_request(self.call.insert(call).request()))
    }
}

fn describe_request(request: &Request) -> Value {
    let headers: Vec<_> = request.headers().collect();
    json!({ "method": request.method(), "url": request.url(), "headers": headers, "body": request.body() })
}

/// Describes the tokens, without the refresh token: the host needs only the access token.
fn describe_tokens(tokens: &TokenResponse) -> Value {
    json!({
        "access_token": tokens.access_token().expose(),
        "expires_in": tokens.expires_in().map(|lifetime| lifetime.as_secs()),
        "granted_scopes": tokens.granted_scopes().collect::<Vec<_>>(),
        "missing_scopes": tokens.missing_scopes().collect::<Vec<_>>(),
        "refresh_token_is_new": tokens.refresh_token_is_new(),
    })
}

impl Problem {
    fn to_json(&self) -> Value {
        match self {
            Self::Order(message) => json!({ "message": message }),
            Self::Crate(error, now) => json!({
                "message": error.to_string(),
                "kind": format!("{:?}", error.kind()),
                "advice": format!("{:?}", error.advice()),
                "retry_after": error.retry_after(*now).map(|pause| pause.as_secs()),
                "code": error.code(),
            }),
        }
    }
}

fn time(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(SystemTime::UNIX_EPOCH)
}
