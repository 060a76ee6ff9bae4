//! The processes' settings, from environment variables, and the policy that the processes share.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use oauth2_proto::{AuthorizationServer, Client, ClientAuth, RefreshPolicy, Secret};
use serde_json::Value;
use ureq::Agent;

use crate::Failure;
use crate::foreign::Facts;

/// Returns a policy for tokens of two seconds; the default policy suits tokens of minutes.
///
/// The server counts in whole seconds, so that a token of two seconds may live for one. This policy replaces
/// the token within its first second, which the default `min_interval` of 10 seconds would prevent.
pub fn policy() -> RefreshPolicy {
    RefreshPolicy::default()
        .refresh_fraction(EARLIEST, 0.45)
        .clock_skew(CLOCK_SKEW)
        .claim_duration(Duration::from_secs(2))
        .backoff(Duration::from_millis(200), Duration::from_secs(2))
        .min_interval(Duration::from_millis(200))
}

/// The lifetime of an access token, in seconds.
pub const LIFETIME: &str = "2";
/// The fraction of the lifetime before which no refresh starts, unless the token was rejected.
pub const EARLIEST: f32 = 0.3;
/// The largest clock difference between holders: small, because all run on this machine.
pub const CLOCK_SKEW: Duration = Duration::from_millis(100);

/// The addresses, the client, and the client's credentials.
pub struct Settings {
    pub client: Client,
    pub database: String,
    /// The introspection endpoint (RFC 7662), which stands in for the API: it tells whether a token is valid.
    pub introspection_endpoint: String,
    pub introspection_authorization: String,
}

impl Settings {
    /// Reads the settings from environment variables, with `environment` as the lookup.
    pub fn read(environment: impl Fn(&str) -> Option<String>) -> Result<Self, Failure> {
        let read = |name| environment(name).ok_or(format!("set the environment variable {name}"));
        let server = AuthorizationServer::new(&read("AUTHORIZATION_ENDPOINT")?, &read("TOKEN_ENDPOINT")?)?;
        let (id, secret) = (read("CLIENT_ID")?, read("CLIENT_SECRET")?);
        Ok(Self {
            introspection_authorization: format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))),
            client: Client::new(server.issuer(&read("ISSUER")?)?, id, ClientAuth::basic(secret))?,
            database: read("DATABASE_URL")?,
            introspection_endpoint: read("INTROSPECTION_ENDPOINT")?,
        })
    }

    /// Returns whether the access token is active at the server now.
    pub fn is_active(&self, agent: &Agent, token: &Secret) -> Result<bool, Failure> {
        let post = agent.post(&self.introspection_endpoint);
        let post = post.header("authorization", &self.introspection_authorization);
        let mut response = post.send_form([("token", token.expose())])?;
        let answer: Value = serde_json::from_str(&response.body_mut().read_to_string()?)?;
        answer["active"]
            .as_bool()
            .ok_or_else(|| format!("introspection failed: {}", response.status()).into())
    }
}

/// Returns the environment variables of the processes, except `DATABASE_URL`, which they inherit.
pub fn environment(facts: &Facts) -> Result<Vec<(&'static str, String)>, Failure> {
    let missing = "the server names no issuer or introspection endpoint";
    Ok(vec![
        ("ISSUER", facts.issuer.clone().ok_or(missing)?),
        ("AUTHORIZATION_ENDPOINT", facts.authorization_endpoint.clone()),
        ("TOKEN_ENDPOINT", facts.token_endpoint.clone()),
        ("INTROSPECTION_ENDPOINT", facts.introspection_endpoint.clone().ok_or(missing)?),
        ("CLIENT_ID", facts.client_id.clone()),
        ("CLIENT_SECRET", facts.client_secret.clone()),
    ])
}
