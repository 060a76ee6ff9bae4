//! Shows a whole sign-in by OpenID Connect, step by step, from the discovery to the sign-out.
//!
//! The program starts an embedded server, and plays the user's browser. `tour` has the steps in the order in
//! which a real program takes them.

#![allow(clippy::disallowed_methods, reason = "a program has a clock and arguments; the crate has none")]

#[path = "support/http.rs"]
mod http;
#[path = "support/openid.rs"]
mod openid;
#[path = "support/server.rs"]
mod server;
#[path = "support/show.rs"]
mod show;

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use oauth2_proto::discovery::ServerDiscovery;
use oauth2_proto::error::ErrorKind;
use oauth2_proto::jose::{Algorithm, KeySet, LocalVerifier, Verification};
use oauth2_proto::oidc::{IdToken, PreviousIdToken};
use oauth2_proto::{
    AuthorizationServer, Callback, Client, ClientAuth, Request, Response, Secret, TokenResponse,
};

/// The text that `--help` prints.
const USAGE: &str =
    "Usage: openid    sign in at an embedded server by OpenID Connect, with a user who is played";

/// Receives the browser after the sign-in. Nobody listens there: the program plays the browser.
const CALLBACK: &str = "http://127.0.0.1:8912/callback";

/// Receives the browser after the sign-out.
const GOODBYE: &str = "http://127.0.0.1:8912/goodbye";

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    match std::env::args_os().nth(1) {
        None => {}
        Some(argument) if argument == "--help" || argument == "-h" => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Some(_) => {
            eprintln!("this program has no arguments; see --help");
            return ExitCode::from(2);
        }
    }
    match tour() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the whole flow against the embedded server.
fn tour() -> Outcome<()> {
    let config = server::Config { scopes: "openid email".into(), ..server::Config::new(CALLBACK) };
    let provider = openid::OpenId::new([GOODBYE.to_owned()])?;
    let mut embedded = server::AuthorizationServer::new(config.clone());
    embedded.add_part(provider.clone());
    let running = server::spawn(embedded, 0)?;
    println!("A server for this example that speaks OpenID Connect listens on {}.", running.base_url());

    show::step("Find the server's endpoints: all that is known is its issuer");
    let server = discover(&running.base_url())?;
    let client = Client::new(server, config.client_id, ClientAuth::basic(config.client_secret.as_str()))?;

    show::step("Fetch the server's keys");
    let mut keys = fetch_keys(&client)?;

    show::step("Send the user to the server");
    let request = client.authorize(CALLBACK).scopes(["email"]).max_age(Duration::from_secs(600)).openid();
    let (url, mut pending) = request.start(SystemTime::now())?;
    show::url(&url);

    show::step("The browser comes back: exchange the code");
    let callback = http::follow(&url)?;
    let call = pending.receive(&client, Callback::url(&callback), SystemTime::now())?;
    show::request(call.request());
    let response = send(call.request())?;

    show::step("Check the ID token, and learn who signed in");
    // Name the algorithm that the client is registered with: by default, each that the server lists passes.
    let by_keys = Verification::by(&keys, &LocalVerifier).algorithms([Algorithm::ES256]);
    let sign_in = call.authenticate(response.clone(), &by_keys, SystemTime::now())?;
    let (tokens, id_token) = sign_in.into_parts();
    show_id_token(&id_token);
    show::tokens(&tokens);

    show::step("An ID token of another sign-in is refused");
    refuse_other_nonce(&client, response, &by_keys)?;

    show::step("Ask for more about the user");
    let call = client.userinfo(tokens.access_token(), &id_token).start(SystemTime::now())?;
    show::request(call.request());
    let user = call.read(send(call.request())?)?;
    println!("  subject  {}  (the one of the ID token, or this is an error)", user.subject());
    println!("  email    {}", user.claim("email").and_then(|email| email.as_str()).unwrap_or("not given"));

    show::step("The server changes its key, and the tokens are refreshed");
    provider.change_key()?;
    // A real program stores it with the session.
    let previous = id_token.to_previous();
    let (tokens, id_token) = refresh(&client, &mut keys, &tokens, &previous)?;
    show_id_token(&id_token);

    show::step("Sign the user out");
    sign_out(&client, &tokens, id_token.as_secret())?;
    if running.server().is_access_token_valid(tokens.access_token().expose()) {
        return Err("the access token outlived the sign-out".into());
    }
    println!("\nAs expected. Done: the browser came back, and the tokens are no longer valid.");
    Ok(())
}

/// Asks at each address where the metadata of a server can be.
fn discover(issuer: &str) -> Outcome<AuthorizationServer> {
    let mut discovery = ServerDiscovery::new(issuer)?;
    let server = loop {
        let call = discovery.call();
        let response = send(call.request())?;
        println!("GET {}: HTTP status {}", call.request().url(), response.status());
        match call.read(response) {
            Ok(server) => break server,
            Err(error) => discovery.next_address(error)?,
        }
    };
    let metadata = server.metadata();
    let show = |name, value: Option<&str>| println!("  {name:22} {}", value.unwrap_or("not given"));
    show("authorization endpoint", metadata.authorization_endpoint());
    show("token endpoint", Some(metadata.token_endpoint()));
    show("keys", metadata.jwks_uri());
    show("UserInfo", metadata.userinfo_endpoint());
    show("sign-out", metadata.end_session_endpoint());
    Ok(server)
}

/// Fetches the keys. A real program does so once, and keeps them for all users.
fn fetch_keys(client: &Client) -> Outcome<KeySet> {
    let call = client.fetch_keys(SystemTime::now())?;
    println!("GET {}", call.request().url());
    let keys = call.read(send(call.request())?)?;
    show_keys(&keys);
    Ok(keys)
}

/// Begins a sign-in, and reads the answer to another one in place of its own, as after an attack.
fn refuse_other_nonce(client: &Client, response: Response<'_>, by_keys: &Verification<'_>) -> Outcome<()> {
    let (url, mut pending) = client.authorize(CALLBACK).openid().start(SystemTime::now())?;
    let callback = http::follow(&url)?;
    let call = pending.receive(client, Callback::url(&callback), SystemTime::now())?;
    match call.authenticate(response, by_keys, SystemTime::now()) {
        Err(refusal) if refusal.kind() == ErrorKind::Suspect && refusal.reason() == Some("nonce") => {
            println!("  The nonce is of another sign-in, so the answer was refused as {:?}.", refusal.kind());
            println!("  Its tokens are not read: they may be those of another user.");
            Ok(())
        }
        other => Err(format!("the answer to another sign-in was not refused as suspect: {other:?}").into()),
    }
}

/// Refreshes the tokens, and checks that the new ID token names the same user and the same sign-in.
fn refresh(
    client: &Client,
    keys: &mut KeySet,
    tokens: &TokenResponse,
    previous: &PreviousIdToken,
) -> Outcome<(TokenResponse, IdToken)> {
    let refresh_token = tokens.refresh_token().ok_or("there is no refresh token")?;
    let call = client.refresh(refresh_token).start(SystemTime::now())?;
    show::request(call.request());
    // A real program stores the tokens before the check: their refresh token may have replaced the old one.
    let tokens = call.read(send(call.request())?)?;
    // Not every server sends an ID token.
    let unchecked = tokens.id_token().ok_or("there is no ID token")?;
    let check = |keys: &KeySet| {
        let by_keys = Verification::by(keys, &LocalVerifier).algorithms([Algorithm::ES256]);
        unchecked.check_refreshed(previous, client, &by_keys, SystemTime::now())
    };
    let id_token = match check(keys) {
        Err(error) => {
            println!(
                "\n  The check failed (reason: {}). New keys may help:",
                error.reason().unwrap_or("none")
            );
            let fetch = keys.fetch_again(&error, client, SystemTime::now())?;
            // Without a call, new keys would not help, or the server was asked a moment ago.
            let call = fetch.ok_or(error)?;
            *keys = call.read(send(call.request())?)?;
            show_keys(keys);
            println!();
            check(keys)?
        }
        checked => checked?,
    };
    Ok((tokens, id_token))
}

/// Ends the tokens, and then the user's session at the server, up to the return of the browser.
fn sign_out(client: &Client, tokens: &TokenResponse, id_token: &Secret) -> Outcome<()> {
    let refresh_token = tokens.refresh_token().ok_or("there is no refresh token")?;
    let call = client.revoke(refresh_token).start(SystemTime::now())?;
    show::request(call.request());
    call.read(send(call.request())?)?;

    let logout = client.logout().id_token_hint(id_token).post_logout_redirect_uri(GOODBYE);
    let (url, pending) = logout.start()?;
    println!();
    show::url(&url);
    let callback = http::follow(&url)?;
    println!();
    show::url(&callback);
    pending.receive(Callback::url(&callback))?;
    Ok(())
}

/// Sends a request. The example does no other HTTP for the protocol.
fn send(request: &Request) -> Result<Response<'static>, String> {
    let (status, headers, body) = http::send(request)?;
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value));
    Ok(Response::new(status, headers, &body).into_owned())
}

fn show_keys(keys: &KeySet) {
    for key in keys.keys() {
        println!("  {} key {}", key.key_type(), key.key_id().unwrap_or("without a name"));
    }
}

/// Prints what an ID token says. A real program keeps personal data out of its logs.
fn show_id_token(id_token: &IdToken) {
    let seconds = |time: Option<SystemTime>| match time {
        Some(time) => {
            format!("{} s ago", SystemTime::now().duration_since(time).unwrap_or_default().as_secs())
        }
        None => "not given".to_owned(),
    };
    println!("  issuer          {}", id_token.issuer());
    println!("  subject         {}", id_token.subject());
    println!("  signed in       {}", seconds(id_token.authenticated_at()));
    println!("  issued          {}", seconds(Some(id_token.issued_at())));
}
