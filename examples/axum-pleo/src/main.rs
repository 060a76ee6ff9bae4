//! A web application that connects companies to Pleo. See README.md.
//!
//! Without arguments, it starts a stand-in for Pleo on this computer. With `--environment`, it uses Pleo.

#[path = "../../support/arguments.rs"]
#[allow(dead_code, reason = "its usage is that of another program")]
mod arguments;
#[path = "../../support/server.rs"]
mod server;

use std::process::ExitCode;
use std::thread;

use arguments::{Arguments, Command, Environment};
use axum::http::Uri;
use axum_pleo::{Failure, Settings, serve};
use oauth2_proto::{Client, ClientAuth, pleo};
use tokio::net::TcpListener;
use tokio::signal::ctrl_c;
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "\
Usage: axum-pleo        with a stand-in for Pleo on this computer
       axum-pleo --environment staging|production --client-id ID --redirect-uri URI --scope SCOPE...
                        with Pleo; the client secret is read from PLEO_CLIENT_SECRET

The application listens on 127.0.0.1, at the port of a loopback redirect URI and otherwise at 3000, where your
proxy finds it. Tokens and browser sessions are kept in axum-pleo.sqlite, in the current directory.";

const DATABASE: &str = "axum-pleo.sqlite";
const PORT: u16 = 3000;
/// Fixed, because stored tokens belong to the token endpoint that issued them.
const STAND_IN_PORT: u16 = 3001;

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Command::read() {
        Ok(Command::Tour) => with_stand_in().await,
        Ok(Command::Pleo(arguments)) => with_pleo(arguments).await,
        Ok(Command::Help) => {
            println!("{USAGE}");
            Ok(())
        }
        Err(usage) => Err(usage.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

async fn with_pleo(arguments: Arguments) -> Result<(), Failure> {
    let (server, api) = match arguments.environment {
        Environment::Staging => (pleo::staging(), "https://external.staging.pleo.io"),
        Environment::Production => (pleo::production(), "https://external.pleo.io"),
    };
    let client = Client::new(server, arguments.client_id, ClientAuth::basic(arguments.client_secret))?;
    let settings = Settings {
        scopes: arguments.scopes,
        ..Settings::new(client, arguments.redirect_uri, api.to_owned(), DATABASE)
    };
    run(settings).await
}

async fn with_stand_in() -> Result<(), Failure> {
    let redirect_uri = format!("http://127.0.0.1:{PORT}/callback");
    let config = server::Config {
        scopes: "export-jobs:read users:read".to_owned(),
        owners: vec!["urn:pleo:company:blue-bakery".to_owned(), "urn:pleo:company:green-garage".to_owned()],
        ..server::Config::new(redirect_uri.as_str())
    };
    let scopes = config.scopes.split(' ').map(str::to_owned).collect();
    let auth = ClientAuth::basic(config.client_secret.as_str());
    let client_id = config.client_id.clone();
    let stand_in = server::spawn(server::AuthorizationServer::new(config), STAND_IN_PORT)?;
    let base = stand_in.base_url();
    let client = Client::new(pleo::at(&base)?, client_id, auth)?;
    thread::spawn(move || play(&stand_in));
    run(Settings { scopes, ..Settings::new(client, redirect_uri, base, DATABASE) }).await
}

/// Lets the stand-in get into trouble, as the person at the terminal wishes.
fn play(stand_in: &server::Running) {
    println!("Type `expire` (the access tokens end), `overload` (and the next five refreshes fail) or");
    println!("`forget` (the stand-in forgets everything), and load the page again.");
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let mut server = stand_in.server();
        match line.trim() {
            "expire" => server.end_access_tokens(),
            "overload" => {
                server.end_access_tokens();
                server.fail_next(server::Failure::Unavailable, 5);
            }
            "forget" => server.forget_everything(),
            _ => println!("expire, overload or forget"),
        }
    }
    // The stand-in serves on without a terminal.
    thread::park();
}

async fn run(settings: Settings) -> Result<(), Failure> {
    let redirect_uri: Uri = settings.redirect_uri.parse()?;
    if redirect_uri.path() != "/callback" {
        return Err("give a --redirect-uri whose path is /callback".into());
    }
    let is_loopback = redirect_uri.scheme_str() == Some("http");
    let port = redirect_uri.port_u16().filter(|_| is_loopback).unwrap_or(PORT);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("Open http://{} in a browser. Ctrl-C ends the program.", listener.local_addr()?);
    let mut terminate = signal(SignalKind::terminate())?;
    serve(listener, settings, async move {
        tokio::select! {
            _ = ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    })
    .await
}
