//! Clients besides the one that is given: the probe registers them, where the server lets it (RFC 7591).

use oauth2_proto::{Client, ClientAuth, Request, Secret};
use serde_json::{Value, json};
use url::Url;

use crate::answer::Answer;
use crate::http::is_loopback;
use crate::target::Target;

/// The authentication of a further client.
#[derive(Clone, Copy)]
pub enum Method {
    Basic,
    /// A public client.
    None,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::Basic => "client_secret_basic",
            Self::None => "none",
        }
    }
}

/// Returns what a registration sends, for a check to change.
pub fn metadata(target: &Target, method: Method) -> Value {
    let redirect_uri = &target.server.redirect_uri;
    let mut metadata = json!({
        "client_name": "Probe",
        "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": method.name(),
        "scope": target.server.scopes.join(" "),
    });
    // Some servers let a web application have no `http` redirect URI, also to loopback.
    if Url::parse(redirect_uri).is_ok_and(|url| is_loopback(&url)) {
        metadata["application_type"] = "native".into();
    }
    metadata
}

/// Makes a registration with this body.
pub fn registration(target: &Target, endpoint: &str, body: impl ToString) -> Request {
    let mut request = Request::new("POST", endpoint);
    request.set_header("content-type", "application/json");
    request.set_header("accept", "application/json");
    if let Some(token) = &target.server.initial_access_token {
        request.set_header("authorization", format!("Bearer {}", token.expose()));
    }
    request.set_body(body.to_string());
    request
}

/// Returns the client of a registration.
pub fn registered(target: &Target, answer: &Answer) -> Result<Client, String> {
    let client_id = answer.text("client_id").ok_or(format!("the registration: {answer}"))?;
    let auth = match answer.text("client_secret") {
        Some(secret) => ClientAuth::basic(Secret::new(secret)),
        None => ClientAuth::none(),
    };
    Client::new(target.client.server().clone(), client_id, auth).map_err(|error| error.to_string())
}

/// Registers a further client; `None` if the server registers none.
pub fn another(target: &Target, method: Method) -> Result<Option<Client>, String> {
    let Some(endpoint) = &target.server.registration_endpoint else { return Ok(None) };
    let cell = match method {
        Method::Basic => &target.confidential,
        Method::None => &target.public,
    };
    let register = || {
        let answer = target.send(&registration(target, endpoint, metadata(target, method)))?;
        registered(target, &answer)
    };
    cell.get_or_init(register).clone().map(Some)
}

/// Says why a check that takes a second client is not run.
pub const NO_SECOND_CLIENT: &str = "the probe cannot register a second client";
