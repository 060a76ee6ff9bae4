//! Signs in a device without a browser: it shows a code, which a person types on another device (RFC 8628).
//!
//! Without arguments, the program starts an embedded authorization server, and plays the person after a few
//! seconds. With `--by-hand`, it waits until you open the address and type the code. `--help` shows how to
//! sign in at another server.

#![allow(clippy::disallowed_methods, reason = "a program has a clock; the crate has none")]

#[path = "support/flags.rs"]
mod flags;
#[path = "support/http.rs"]
mod http;
#[path = "support/server.rs"]
mod server;
#[path = "support/show.rs"]
mod show;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, SystemTime};

use oauth2_proto::grants::device::{PendingDevice, Step};
use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Error, Request, Response, TokenResponse};

/// The text that `--help` prints.
const USAGE: &str = "\
Usage: device            sign in at an embedded server, with a person who is played
       device --by-hand  sign in at an embedded server, and type the code yourself
       device --device-authorization-endpoint URL --token-endpoint URL --client-id ID [--scope SCOPE...]
                         sign in at another server, as a client without a secret";

fn main() -> ExitCode {
    let outcome = match Command::read() {
        Ok(Command::Embedded { plays_person }) => at_embedded_server(plays_person),
        Ok(Command::Elsewhere { client, scopes }) => sign_in(&client, &scopes, false).map(drop),
        Ok(Command::Help) => {
            println!("{USAGE}");
            Ok(())
        }
        Err(usage) => {
            eprintln!("{usage}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn at_embedded_server(plays_person: bool) -> Result<(), String> {
    let config = server::Config {
        scopes: "export:read".into(),
        ..server::Config::new("http://127.0.0.1:8912/callback")
    };
    let running = server::spawn(server::AuthorizationServer::new(config.clone()), 0)
        .map_err(|error| format!("the embedded server does not start: {error}"))?;
    let base = running.base_url();
    let server = describe(&format!("{base}/oauth/token"), &format!("{base}/oauth/device_authorization"));
    let auth = ClientAuth::basic(config.client_secret.as_str());
    let client = server.and_then(|server| Client::new(server, config.client_id, auth)).map_err(text)?;
    println!("An authorization server for this example listens on {base}.");

    let tokens = sign_in(&client, &["export:read".to_owned()], plays_person)?;
    match running.server().is_access_token_valid(tokens.access_token().expose()) {
        true => println!("\nDone: the server knows the access token."),
        false => return Err("the server does not know the access token".to_owned()),
    }
    Ok(())
}

/// Describes a server that needs no browser on this machine.
fn describe(token_endpoint: &str, device_authorization_endpoint: &str) -> Result<AuthorizationServer, Error> {
    AuthorizationServer::without_authorization_endpoint(token_endpoint)?
        .device_authorization_endpoint(device_authorization_endpoint)
}

/// Signs in: asks for the codes, shows them, and polls until the person has decided.
fn sign_in(client: &Client, scopes: &[String], plays_person: bool) -> Result<TokenResponse, String> {
    show::step("Ask for the codes");
    let call = client.device_authorization().scopes(scopes).start(SystemTime::now()).map_err(text)?;
    show::request(call.request());
    let (status, headers, body) = http::send(call.request())?;
    let authorization = call.read(Response::new(status, pairs(&headers), &body)).map_err(text)?;
    let mut device = authorization.begin(SystemTime::now());

    show::step("Tell the person what to do");
    tell_person(&device);

    show::step("Poll until they have decided");
    let tokens = poll(client, &mut device, plays_person)?;

    show::step("The tokens");
    show::tokens(&tokens);
    Ok(tokens)
}

/// Shows the address, the code in groups, and how long it is valid.
fn tell_person(device: &PendingDevice) {
    println!("  Open this address on your phone or computer:\n");
    println!("      {}\n", device.verification_uri());
    println!("  and type this code:\n");
    println!("      {}\n", in_groups(device.user_code()));
    if let Some(complete) = device.verification_uri_complete() {
        println!("  This address has the code in it; compare it with the one above:\n");
        println!("      {}\n", link(complete));
    }
    println!("  The code is valid for {}.", lifetime(device));
}

/// Polls as the steps say. An error is the end.
fn poll(client: &Client, device: &mut PendingDevice, plays_person: bool) -> Result<TokenResponse, String> {
    let mut polls = 0;
    loop {
        match device.poll(SystemTime::now()) {
            Step::Wait { until } => {
                let pause = until.duration_since(SystemTime::now()).unwrap_or_default();
                // A minute at most, because the clock may be set meanwhile.
                thread::sleep(pause.min(Duration::from_secs(60)));
            }
            Step::Send { until } => {
                let Some(call) = device.send(client, SystemTime::now()).map_err(text)? else { continue };
                polls += 1;
                if polls == 1 {
                    show::request(call.request());
                    println!();
                }
                match http::send_until(call.request(), until) {
                    Ok((status, headers, body)) => {
                        let response = Response::new(status, pairs(&headers), &body);
                        if let Some(tokens) =
                            device.received(call, response, SystemTime::now()).map_err(text)?
                        {
                            println!("  poll {polls}: allowed");
                            return Ok(tokens);
                        }
                    }
                    Err(_) => device.no_response(call, SystemTime::now()),
                }
                let pause = device.interval().as_secs();
                match (device.failures(), device.last_error()) {
                    (0, _) => {
                        println!("  poll {polls}: not yet; every {pause} s, valid for {}", lifetime(device))
                    }
                    (_, Some(error)) => println!("  poll {polls}: {error}"),
                    (_, None) => println!("  poll {polls}: no answer"),
                }
                if plays_person && polls == 2 {
                    allow(device)?;
                }
            }
            Step::Ended(end) => return Err(end.to_string()),
        }
    }
}

/// Plays the person: opens the complete address, where this server asks nothing more.
fn allow(device: &PendingDevice) -> Result<(), String> {
    let address = device.verification_uri_complete().ok_or("the server gave no complete address")?;
    let (status, ..) = http::send(&Request::new("GET", address))?;
    println!("          (the person opens the address and allows access: HTTP status {status})");
    Ok(())
}

/// Spaces the characters of a code, which makes it easier to type.
fn in_groups(code: &str) -> String {
    let groups =
        code.split(['-', ' ']).map(|group| group.chars().map(String::from).collect::<Vec<_>>().join(" "));
    groups.collect::<Vec<_>>().join("   -   ")
}

/// Makes a link that a terminal opens by a click.
fn link(address: &str) -> String {
    match io::stdout().is_terminal() {
        true => format!("\x1b]8;;{address}\x1b\\{address}\x1b]8;;\x1b\\"),
        false => address.to_owned(),
    }
}

fn lifetime(device: &PendingDevice) -> String {
    let seconds = device.expires_at().duration_since(SystemTime::now()).unwrap_or_default().as_secs();
    format!("{}:{:02} minutes", seconds / 60, seconds % 60)
}

fn pairs(headers: &[(String, Vec<u8>)]) -> impl Iterator<Item = (&str, &[u8])> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
}

fn text(error: Error) -> String {
    error.to_string()
}

/// The command that the arguments give.
enum Command {
    Embedded { plays_person: bool },
    Elsewhere { client: Box<Client>, scopes: Vec<String> },
    Help,
}

impl Command {
    /// Reads the command line; an error tells in one line how to correct it.
    fn read() -> Result<Self, String> {
        let arguments = flags::arguments()?;
        match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [] => return Ok(Self::Embedded { plays_person: true }),
            ["--by-hand"] => return Ok(Self::Embedded { plays_person: false }),
            ["--help" | "-h"] => return Ok(Self::Help),
            _ => {}
        }
        let (mut device, mut token, mut client_id, mut scopes) = (None, None, None, Vec::new());
        for (flag, values) in flags::group(arguments.into_iter())? {
            match flag.as_str() {
                "--device-authorization-endpoint" => flags::set(&mut device, &flag, values)?,
                "--token-endpoint" => flags::set(&mut token, &flag, values)?,
                "--client-id" => flags::set(&mut client_id, &flag, values)?,
                "--scope" => scopes.extend(values),
                _ => return Err(format!("{flag:?} is not an argument of this program; see --help")),
            }
        }
        let missing = |flag| format!("give {flag} too; see --help");
        let device = device.ok_or(missing("--device-authorization-endpoint URL"))?;
        let server = describe(&token.ok_or(missing("--token-endpoint URL"))?, &device);
        let client_id = client_id.ok_or(missing("--client-id ID"))?;
        let client = server.and_then(|server| Client::new(server, client_id, ClientAuth::none()));
        Ok(Self::Elsewhere { client: Box::new(client.map_err(text)?), scopes })
    }
}
