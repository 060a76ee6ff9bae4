//! Shows a whole sign-in step by step.
//!
//! Without arguments, the program starts an embedded authorization server and plays the user's browser.
//! With `--environment`, it signs you in at Pleo. Both ways make the same few calls to the crate: see
//! `tour`.

#![allow(clippy::disallowed_methods, reason = "a program has a clock and an environment; the crate has none")]

#[path = "support/arguments.rs"]
mod arguments;
#[path = "support/http.rs"]
mod http;
#[path = "support/redirect.rs"]
mod redirect;
#[path = "support/server.rs"]
mod server;
#[path = "support/show.rs"]
mod show;

use std::process::ExitCode;
use std::time::SystemTime;

use arguments::{Arguments, Command, Environment, USAGE};
use oauth2_proto::{
    Call, Callback, Client, ClientAuth, Error, Response, TokenResponse, call::Readable, error::ErrorKind,
    pleo,
};
use redirect::Landing;
use server::web;

fn main() -> ExitCode {
    let outcome = match Command::read() {
        Ok(Command::Tour) => tour(),
        Ok(Command::Pleo(arguments)) => sign_in_at_pleo(&arguments),
        Ok(Command::Help) => {
            println!("{USAGE}");
            Ok(())
        }
        Err(usage) => Err(Failure::Usage(usage)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(message)) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
        Err(Failure::SignIn(message)) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// The reason why the program ends early, in one line.
enum Failure {
    /// The command line is wrong.
    Usage(String),
    /// The sign-in failed.
    SignIn(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Misuse => Self::Usage(format!("{error}; see --help")),
            _ => Self::SignIn(error.to_string()),
        }
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::SignIn(message)
    }
}

/// Runs the whole flow against the embedded server, and shows the requests and responses.
fn tour() -> Result<(), Failure> {
    let config = server::Config {
        scopes: "export:read".into(),
        ..server::Config::new("http://127.0.0.1:8912/callback")
    };
    let running = server::spawn(server::AuthorizationServer::new(config.clone()), 0)
        .map_err(|error| format!("the embedded server does not start: {error}"))?;
    let auth = ClientAuth::basic(config.client_secret.as_str());
    let client = Client::new(pleo::at(&running.base_url())?, config.client_id, auth)?;
    println!("An authorization server that behaves like Pleo's listens on {}.", running.base_url());

    show::step("Send the user to the authorization server");
    let scopes = ["export:read", "export:write"];
    let request = client.authorize(&config.redirect_uri).scopes(scopes);
    let (url, mut pending) = request.start(SystemTime::now())?;
    show::url(&url);

    show::step("The browser comes back");
    let forged = format!("{}?code=stolen&state=guessed", config.redirect_uri);
    match pending.receive(&client, Callback::url(&forged), SystemTime::now()) {
        Err(error) if error.kind() == ErrorKind::Suspect => {
            println!(
                "A forged callback (wrong state) was refused as {:?}; the sign-in goes on.\n",
                error.kind()
            );
        }
        other => return Err(format!("the forged callback was not refused as suspect: {other:?}").into()),
    }
    let callback = http::follow(&url)?;
    show::url(&callback);

    show::step("Exchange the code: the token request");
    let call = pending.receive(&client, Callback::url(&callback), SystemTime::now())?;
    show::request(call.request());
    let tokens = exchange(&call)?;

    show::step("The tokens");
    show::tokens(&tokens);

    show::step("Refresh");
    let refresh_token = tokens.refresh_token().ok_or("there is no refresh token".to_owned())?;
    let refresh = client.refresh(refresh_token).start(SystemTime::now())?;
    show::request(refresh.request());
    let refreshed = exchange(&refresh)?;
    println!();
    show::tokens(&refreshed);
    show::replaced(&refreshed);

    show::step("Use the replaced refresh token once more");
    match answer(&refresh)? {
        Err(refusal) if refusal.code() == Some("invalid_grant") => show::refusal(&refusal),
        other => return Err(format!("the replaced refresh token was not refused: {other:?}").into()),
    }
    let server = running.server();
    let is_valid = |tokens: &TokenResponse| server.is_access_token_valid(tokens.access_token().expose());
    if is_valid(&tokens) || !is_valid(&refreshed) {
        return Err("the refresh did not replace the access token".to_owned().into());
    }
    println!("\nAs expected. Done: the new access token lives, and the old tokens are no longer valid.");
    Ok(())
}

/// Signs you in at Pleo, and shows no token.
fn sign_in_at_pleo(arguments: &Arguments) -> Result<(), Failure> {
    let server = match arguments.environment {
        Environment::Staging => pleo::staging(),
        Environment::Production => pleo::production(),
    };
    let auth = ClientAuth::basic(arguments.client_secret.clone());
    let client = Client::new(server, arguments.client_id.as_str(), auth)?;
    let request = client.authorize(&arguments.redirect_uri).scopes(&arguments.scopes);
    let (url, mut pending) = request.start(SystemTime::now())?;
    let landing = Landing::open(&arguments.redirect_uri)?;

    println!("Open this in your browser:\n\n{url}\n");
    let deadline = pending.expires_at();
    let call = landing
        .wait(deadline, |callback| pending.receive(&client, Callback::url(callback), SystemTime::now()))?;
    let tokens = exchange(&call)?;
    show::tokens(&tokens);
    if let Some(refresh_token) = tokens.refresh_token() {
        println!("\nRefreshing once.");
        let refreshed = exchange(&client.refresh(refresh_token).start(SystemTime::now())?)?;
        show::tokens(&refreshed);
        show::replaced(&refreshed);
    }
    Ok(())
}

/// Sends a request and returns the tokens of its response.
fn exchange<R: Readable>(call: &Call<R>) -> Result<R::Output, Failure> {
    answer(call)?.map_err(|error| Failure::SignIn(error.to_string()))
}

/// Sends a request and reads its response. The example does no other HTTP for the protocol.
fn answer<R: Readable>(call: &Call<R>) -> Result<Result<R::Output, Error>, String> {
    let (status, headers, body) = http::send(call.request())?;
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value));
    Ok(call.read(Response::new(status, headers, &body)))
}
