//! The registration that the user signed in with, in a file next to the tokens.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Error, pleo};
use serde::{Deserialize, Serialize};

use crate::Failure;

/// A registration at a server. It holds the client secret, so it has no `Debug`.
#[derive(Serialize, Deserialize)]
pub struct Profile {
    pub server: Server,
    pub client_id: String,
    /// Empty for a public client.
    pub client_secret: String,
    pub scopes: Vec<String>,
    /// `None` means any free port of 127.0.0.1.
    pub redirect_uri: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Server {
    Staging,
    Production,
    At {
        base: String,
    },
    Endpoints {
        authorization_endpoint: String,
        token_endpoint: String,
        issuer: Option<String>,
        revocation_endpoint: Option<String>,
    },
}

impl Profile {
    /// Loads the profile of a directory; `None` if there is none.
    pub fn load(directory: &Path) -> Result<Option<Self>, Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            Failure::new(format!("{NAME} in {}: {error}; delete it and sign in", directory.display()))
        };
        match fs::read(directory.join(NAME)) {
            Ok(json) => serde_json::from_slice(&json).map(Some).map_err(|error| failed(&error)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&error)),
        }
    }

    /// Saves the profile for its user alone. A crash leaves the old content or the new one.
    pub fn save(&self, directory: &Path) -> io::Result<()> {
        let new = directory.join(NEW);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        fs::rename(new, directory.join(NAME))
    }

    /// Deletes the profile of a directory.
    pub fn delete(directory: &Path) -> io::Result<()> {
        fs::remove_file(directory.join(NAME))
    }

    pub fn client(&self) -> Result<Client, Error> {
        let auth = match self.client_secret.as_str() {
            "" => ClientAuth::none(),
            secret => ClientAuth::basic(secret),
        };
        Client::new(self.server.describe()?, self.client_id.as_str(), auth)
    }
}

impl Server {
    /// Returns whether the server has an endpoint that ends tokens.
    pub fn revokes(&self) -> bool {
        matches!(self, Self::Endpoints { revocation_endpoint: Some(_), .. })
    }

    fn describe(&self) -> Result<AuthorizationServer, Error> {
        match self {
            Self::Staging => Ok(pleo::staging()),
            Self::Production => Ok(pleo::production()),
            Self::At { base } => pleo::at(base),
            Self::Endpoints { authorization_endpoint, token_endpoint, issuer, revocation_endpoint } => {
                let mut server = AuthorizationServer::new(authorization_endpoint, token_endpoint)?;
                if let Some(issuer) = issuer {
                    server = server.issuer(issuer)?;
                }
                match revocation_endpoint {
                    Some(endpoint) => server.revocation_endpoint(endpoint),
                    None => Ok(server),
                }
            }
        }
    }
}

const NAME: &str = "profile.json";
const NEW: &str = "profile.new";
