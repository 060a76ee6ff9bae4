//! The servers to test: those that this repository starts, and the metadata of any other.

use oauth2_proto::{Request, Secret};
use serde_json::Value;
use url::Url;

use crate::arguments::Named;
use crate::target::Server;
use crate::{Failure, embedded, foreign, http};

/// Starts a server, passes it to `run`, and stops it afterwards.
pub fn with<T>(named: Named, run: impl FnOnce(Server) -> Result<T, Failure>) -> Result<T, Failure> {
    match named {
        Named::Embedded => {
            let config = embedded::Config {
                scopes: "export:read export:write".into(),
                ..embedded::Config::new("http://127.0.0.1:8912/callback")
            };
            let running = embedded::spawn(embedded::AuthorizationServer::new(config.clone()), 0)
                .map_err(|error| format!("the embedded server does not start: {error}"))?;
            let base = running.base_url();
            run(Server {
                authorization_endpoint: format!("{base}/oauth/authorize"),
                token_endpoint: format!("{base}/oauth/token"),
                issuer: None,
                promises_iss: false,
                revocation_endpoint: Some(format!("{base}/oauth/revoke")),
                introspection_endpoint: Some(format!("{base}/oauth/token/introspect")),
                pushed_endpoint: None,
                device_endpoint: Some(format!("{base}/oauth/device_authorization")),
                registration_endpoint: None,
                initial_access_token: None,
                resource_endpoint: Some(format!("{base}/api/me")),
                metadata: None,
                metadata_url: None,
                client_id: config.client_id,
                client_secret: Secret::new(config.client_secret),
                redirect_uri: config.redirect_uri,
                scopes: config.scopes.split(' ').map(str::to_owned).collect(),
            })
        }
        Named::Foreign(name) => {
            let running = foreign::start(name).map_err(|reason| reason.to_string())?;
            let facts = running.facts.clone();
            let metadata = facts.metadata_url.as_deref().map(document).transpose()?;
            run(Server {
                authorization_endpoint: facts.authorization_endpoint,
                token_endpoint: facts.token_endpoint,
                issuer: facts.issuer,
                promises_iss: facts.iss_parameter_supported,
                revocation_endpoint: facts.revocation_endpoint,
                introspection_endpoint: facts.introspection_endpoint,
                pushed_endpoint: facts.pushed_authorization_request_endpoint,
                device_endpoint: facts.device_authorization_endpoint,
                registration_endpoint: facts.wider.registration_endpoint,
                initial_access_token: facts.wider.initial_access_token.map(Secret::new),
                resource_endpoint: None,
                metadata: metadata.flatten(),
                metadata_url: facts.metadata_url,
                client_id: facts.client_id,
                client_secret: Secret::new(facts.client_secret),
                redirect_uri: facts.redirect_uris.into_iter().next().unwrap_or_default(),
                scopes: facts.scopes,
            })
        }
    }
}

/// Adds the server's metadata, if its issuer is known.
pub fn with_metadata(mut server: Server) -> Result<Server, Failure> {
    let Some(issuer) = &server.issuer else { return Ok(server) };
    for url in well_known(issuer)? {
        server.metadata = document(&url)?;
        if server.metadata.is_some() {
            server.metadata_url = Some(url);
            break;
        }
    }
    if let Some(metadata) = &server.metadata {
        let text = |name: &str| metadata[name].as_str().map(str::to_owned);
        server.promises_iss = metadata["authorization_response_iss_parameter_supported"] == true;
        server.revocation_endpoint = server.revocation_endpoint.or(text("revocation_endpoint"));
        server.introspection_endpoint = server.introspection_endpoint.or(text("introspection_endpoint"));
        server.pushed_endpoint = server.pushed_endpoint.or(text("pushed_authorization_request_endpoint"));
        server.device_endpoint = server.device_endpoint.or(text("device_authorization_endpoint"));
        server.registration_endpoint = server.registration_endpoint.or(text("registration_endpoint"));
    }
    Ok(server)
}

/// Returns the URLs where an issuer's metadata may be. The well-known path comes before the issuer's path
/// (RFC 8414 §3.1 and §5) or, in OpenID Connect Discovery §4, after it.
fn well_known(issuer: &str) -> Result<Vec<String>, Failure> {
    let url = Url::parse(issuer).map_err(|error| Failure::Usage(format!("--issuer: {error}")))?;
    let path = url.path().trim_end_matches('/');
    let mut paths = vec![
        format!("/.well-known/oauth-authorization-server{path}"),
        format!("/.well-known/openid-configuration{path}"),
        format!("{path}/.well-known/openid-configuration"),
    ];
    // Without a path in the issuer, the last two are the same.
    paths.dedup();
    let at = |path: &String| {
        let mut url = url.clone();
        url.set_path(path);
        url.into()
    };
    Ok(paths.iter().map(at).collect())
}

/// Fetches a JSON document, if there is one.
fn document(url: &str) -> Result<Option<Value>, String> {
    let (status, _, body) = http::send(&Request::new("GET", url))?;
    let document = serde_json::from_slice(&body).ok().filter(Value::is_object);
    Ok(document.filter(|_| status == 200))
}
