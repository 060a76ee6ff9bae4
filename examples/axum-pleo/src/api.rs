//! Calls Pleo's API: `GET /v1/introspect`, which says whose connection it is.

use std::fmt;

use oauth2_proto::keeper::{Keeper, KeeperError};
use oauth2_proto::{Error, Request, Secret};
use serde_json::Value;

use crate::transport::Transport;

pub struct Api {
    introspection: String,
    transport: Transport,
    keeper: Keeper,
}

/// What Pleo says of a connection.
pub struct Connection {
    /// The URN of the company that has connected.
    pub company: String,
    /// The name under which the application is registered.
    pub application: Option<String>,
    pub scopes: Vec<String>,
}

/// Why a call to the API has no result.
#[derive(Debug)]
pub enum ApiError {
    NoToken(KeeperError),
    /// No answer, or one of a server in trouble.
    NoAnswer(String),
    /// An answer that a later call would get again, with its status.
    Unexpected(u16),
}

impl Api {
    pub fn new(base: &str, transport: Transport, keeper: Keeper) -> Self {
        Self { introspection: format!("{base}/v1/introspect"), transport, keeper }
    }

    /// Asks Pleo about a company's connection, and once more after a 401: another process may have refreshed
    /// meanwhile, or the token has ended early.
    pub async fn connection(&self, company: &str) -> Result<Connection, ApiError> {
        let token = self.keeper.access_token(company).await?;
        match self.ask(token.bearer()?).await {
            Err(ApiError::Unexpected(401)) => {
                self.keeper.access_token_rejected(company, token.secret());
                self.ask(self.keeper.access_token(company).await?.bearer()?).await
            }
            answer => answer,
        }
    }

    /// Asks Pleo whose access token this is, which must be a bearer token.
    pub async fn ask(&self, access_token: &Secret) -> Result<Connection, ApiError> {
        let mut request = Request::new("GET", self.introspection.as_str());
        request.set_header("authorization", format!("Bearer {}", access_token.expose()));
        let (status, body) = self.transport.get(&request).await.map_err(ApiError::NoAnswer)?;
        match status {
            200 => {
                Connection::parse(&body).ok_or_else(|| ApiError::NoAnswer("it names no company".to_owned()))
            }
            429 | 500..=599 => Err(ApiError::NoAnswer(format!("status {status}"))),
            _ => Err(ApiError::Unexpected(status)),
        }
    }
}

impl Connection {
    fn parse(body: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let data = &body["data"];
        Some(Self {
            company: data["subjectURN"].as_str().filter(|company| !company.is_empty())?.to_owned(),
            application: data["applicationName"].as_str().map(str::to_owned),
            scopes: data["scope"].as_str()?.split_whitespace().map(str::to_owned).collect(),
        })
    }
}

impl From<KeeperError> for ApiError {
    fn from(error: KeeperError) -> Self {
        Self::NoToken(error)
    }
}

/// The error of a token that is no bearer token.
impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        Self::NoToken(KeeperError::Misuse(error))
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoToken(error) => error.fmt(f),
            Self::NoAnswer(what) => write!(f, "no answer of Pleo's API: {what}"),
            Self::Unexpected(status) => write!(f, "unexpected answer of Pleo's API: status {status}"),
        }
    }
}

impl std::error::Error for ApiError {}
