//! What the processes are told by environment variables, and the policy that they share.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use oauth2_proto::{AuthorizationServer, Client, ClientAuth, RefreshPolicy, Secret};
use serde_json::Value;
use ureq::Agent;

use crate::Failure;
use crate::foreign::Facts;

/// Times that fit tokens of two seconds; the defaults fit those of minutes.
///
/// The server counts in whole seconds, so that a token of two seconds may live for one: it is replaced before.
pub fn policy() -> RefreshPolicy {
    RefreshPolicy::default()
        .refresh_fraction(EARLIEST, 0.45)
        .clock_skew(CLOCK_SKEW)
        .claim_duration(Duration::from_secs(2))
        .backoff(Duration::from_millis(200), Duration::from_secs(2))
}

/// Seconds that an access token lives.
pub const LIFETIME: &str = "2";
/// The part of the lifetime before which nothing is refreshed without need.
pub const EARLIEST: f32 = 0.3;
/// All holders have the clock of this machine.
pub const CLOCK_SKEW: Duration = Duration::from_millis(100);

/// Where everything is, and who we are there.
pub struct Settings {
    pub client: Client,
    pub database: String,
    /// What stands for the API: it says whether a token is good (RFC 7662).
    pub introspection_endpoint: String,
    pub introspection_authorization: String,
}

impl Settings {
    /// From the environment, or from what stands for it.
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

    /// Whether the server takes this access token for good now.
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

/// The environment of the processes, apart from `DATABASE_URL`, which they inherit.
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
