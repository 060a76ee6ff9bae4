//! A sign-in and a refresh at the embedded server, without the two requests that a transport sends.

use std::time::SystemTime;

use oauth2_proto::grants::Refresh;
use oauth2_proto::{Call, Callback, Client, ClientAuth, TokenResponse, pleo};

use crate::{Failure, http, server};

/// The embedded server and its client. Each method makes one step and prints it.
pub struct Demo {
    server: server::Running,
    client: Client,
    redirect_uri: String,
    step: u32,
}

impl Demo {
    /// Starts the server.
    pub fn start() -> Result<Self, Failure> {
        let config = server::Config::new("http://127.0.0.1:8912/callback");
        let server = server::spawn(server::AuthorizationServer::new(config.clone()), 0)?;
        let auth = ClientAuth::basic(config.client_secret);
        let client = Client::new(pleo::at(&server.base_url())?, config.client_id, auth)?;
        let mut demo = Self { server, client, redirect_uri: config.redirect_uri, step: 0 };
        demo.print(&format!("an authorization server listens on {}", demo.server.base_url()));
        Ok(demo)
    }

    /// Sends the user to the server, plays the browser, and returns the exchange of the code.
    pub fn sign_in(&mut self) -> Result<Call<TokenResponse>, Failure> {
        let request = self.client.authorize(&self.redirect_uri).scopes(["users:read"]);
        let (url, mut pending) = request.start(SystemTime::now())?;
        self.print("the user is sent to /oauth/authorize, and says yes");
        let callback = http::follow(&url)?;
        self.print("the browser comes back with a code");
        Ok(pending.receive(&self.client, Callback::url(&callback), SystemTime::now())?)
    }

    /// Takes the tokens of the exchange, and returns their refresh.
    pub fn refresh(&mut self, tokens: &TokenResponse) -> Result<Call<Refresh>, Failure> {
        self.print_tokens("the code is exchanged", tokens)?;
        Ok(self
            .client
            .refresh(tokens.refresh_token().ok_or("there is no refresh token")?)
            .start(SystemTime::now())?)
    }

    /// Takes the tokens of the refresh.
    pub fn end(&mut self, tokens: &TokenResponse) -> Result<(), Failure> {
        self.print_tokens("the tokens are refreshed", tokens)
    }

    /// Prints a step, and fails if the server does not know the access token.
    fn print_tokens(&mut self, what: &str, tokens: &TokenResponse) -> Result<(), Failure> {
        if !self.server.server().is_access_token_valid(tokens.access_token().expose()) {
            return Err("the server does not know this access token".into());
        }
        let seconds = tokens.expires_in().ok_or("the access token has no lifetime")?.as_secs();
        self.print(&format!("{what}: the access token is valid for {seconds} s"));
        Ok(())
    }

    fn print(&mut self, what: &str) {
        self.step += 1;
        println!("{}. {what}", self.step);
    }
}
