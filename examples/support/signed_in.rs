//! Starts an embedded server and signs a user in.

use std::error::Error;
use std::time::{Duration, SystemTime};

use oauth2_proto::{Callback, Client, ClientAuth, Response, TokenResponse, pleo};

#[path = "http.rs"]
pub mod http;
#[path = "server.rs"]
pub mod server;

/// Starts a server whose access tokens have this lifetime, and returns it with its client and the tokens
/// of a sign-in.
pub fn start(lifetime: Duration) -> Result<(server::Running, Client, TokenResponse), Box<dyn Error>> {
    let mut config = server::Config::new("http://127.0.0.1:8912/callback");
    config.access_token_lifetime = lifetime;
    let running = server::spawn(server::AuthorizationServer::new(config.clone()), 0)?;
    let auth = ClientAuth::basic(config.client_secret);
    let client = Client::new(pleo::at(&running.base_url())?, config.client_id, auth)?;
    let (url, mut pending) = client.authorize(&config.redirect_uri).start(SystemTime::now())?;
    let callback = http::follow(&url)?;
    let call = pending.receive(&client, Callback::url(&callback), SystemTime::now())?;
    let (status, headers, body) = http::send(call.request())?;
    let tokens = call.read(Response::new(status, headers, &body))?;
    Ok((running, client, tokens))
}
