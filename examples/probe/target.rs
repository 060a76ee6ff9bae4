//! The server under test: its data and the requests to it. Every request starts as one that the crate makes;
//! a check may then change it.

use std::cell::OnceCell;
use std::time::SystemTime;

use oauth2_proto::{
    AuthorizationServer, Call, Callback, Client, ClientAuth, PendingAuthorization, Request, Secret,
    TokenResponse, grants::Refresh,
};
use serde_json::Value;
use url::form_urlencoded;

use crate::answer::{Answer, End};
use crate::check::Profile;
use crate::dpop;
use crate::user::User;
use crate::{Failure, http};

/// A server and a client that is registered there.
pub struct Server {
    pub authorization_endpoint: String,
    pub token_endpoint: String,
    pub issuer: Option<String>,
    /// Whether the server announces `iss` in every authorization response (RFC 9207 §3).
    pub promises_iss: bool,
    pub revocation_endpoint: Option<String>,
    pub introspection_endpoint: Option<String>,
    /// The pushed authorization request endpoint (RFC 9126).
    pub pushed_endpoint: Option<String>,
    /// The device authorization endpoint (RFC 8628).
    pub device_endpoint: Option<String>,
    /// The registration endpoint (RFC 7591).
    pub registration_endpoint: Option<String>,
    /// The access token that a registration needs.
    pub initial_access_token: Option<Secret>,
    /// An endpoint that answers a valid access token with a success.
    pub resource_endpoint: Option<String>,
    /// The server's metadata (RFC 8414).
    pub metadata: Option<Value>,
    /// The address that the metadata was fetched from.
    pub metadata_url: Option<String>,
    pub client_id: String,
    pub client_secret: Secret,
    pub redirect_uri: String,
    pub scopes: Vec<String>,
}

/// A server under test, after a successful first sign-in.
pub struct Target {
    pub server: Server,
    pub profile: Profile,
    pub user: User,
    /// The response to the first token request.
    pub first: Answer,
    pub client: Client,
    /// A second client, with a secret.
    pub confidential: OnceCell<Result<Client, String>>,
    /// A second client, without one.
    pub public: OnceCell<Result<Client, String>>,
    pub dpop: OnceCell<Result<dpop::Support, String>>,
}

/// The tokens of one sign-in.
pub struct Tokens {
    pub access_token: Secret,
    pub refresh_token: Option<Secret>,
}

impl Target {
    /// Signs in once. A server where the first sign-in fails cannot be tested.
    pub fn new(server: Server, profile: Profile, user: User) -> Result<Self, Failure> {
        let usage = |error: oauth2_proto::Error| Failure::Usage(error.to_string());
        let data = AuthorizationServer::new(&server.authorization_endpoint, &server.token_endpoint);
        let auth = ClientAuth::basic(server.client_secret.clone());
        // Sets no issuer: the crate would refuse a wrong `iss`, which a check must see.
        let client = Client::new(data.map_err(usage)?, server.client_id.as_str(), auth).map_err(usage)?;
        let authorization = client.authorize(&server.redirect_uri).scopes(&server.scopes);
        authorization.start(SystemTime::now()).map_err(usage)?;

        let nothing = Answer::new((0, Vec::new(), Vec::new()));
        let (confidential, public, dpop) = Default::default();
        let mut target = Self { server, profile, user, first: nothing, client, confidential, public, dpop };
        let failed = |what: String| Failure::CouldNotRun(format!("the first sign-in failed: {what}"));
        let call = target.exchange().map_err(failed)?;
        target.first = target.send(call.request()).map_err(failed)?;
        match target.first.access_token() {
            Some(_) => Ok(target),
            None => Err(failed(target.first.to_string())),
        }
    }

    /// Makes a valid authorization request for the server's scopes.
    pub fn attempt(&self) -> Result<Attempt, String> {
        self.attempt_with(&self.server.scopes)
    }

    /// Makes a valid authorization request for these scopes.
    pub fn attempt_with(&self, scopes: &[String]) -> Result<Attempt, String> {
        self.attempt_of(&self.client, scopes)
    }

    /// Makes a valid authorization request of this client.
    pub fn attempt_of(&self, client: &Client, scopes: &[String]) -> Result<Attempt, String> {
        let request = client.authorize(&self.server.redirect_uri).scopes(scopes);
        let (url, pending) = request.start(SystemTime::now()).map_err(|error| error.to_string())?;
        let (address, query) = url.split_once('?').unwrap_or((&url, ""));
        let parameters = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Ok(Attempt { address: address.to_owned(), parameters: Parameters(parameters), pending })
    }

    /// Sends the user to the server with a request that it should accept.
    pub fn sign_in(&self, attempt: &Attempt) -> Result<End, String> {
        self.user.sign_in(&attempt.url(), &self.server.redirect_uri)
    }

    /// Sends the user to the server with a request that it may refuse.
    pub fn try_out(&self, attempt: &Attempt) -> Result<End, String> {
        self.user.try_out(&attempt.url(), &[&self.server.redirect_uri])
    }

    /// Signs in and makes the token request, for a check to change and send.
    pub fn exchange(&self) -> Result<Call<TokenResponse>, String> {
        self.exchange_after(self.attempt()?)
    }

    /// Like `exchange`, after a changed authorization request.
    pub fn exchange_after(&self, attempt: Attempt) -> Result<Call<TokenResponse>, String> {
        self.exchange_of(&self.client, attempt)
    }

    /// Like `exchange_after`, for this client.
    pub fn exchange_of(&self, client: &Client, mut attempt: Attempt) -> Result<Call<TokenResponse>, String> {
        match self.sign_in(&attempt)? {
            End::Redirect(callback) => attempt.receive(client, Callback::url(&callback.url)),
            end => Err(format!("the sign-in ended at a {end}")),
        }
    }

    /// Makes a token request for a code that no server has issued, without a sign-in.
    pub fn exchange_of_unknown_code(&self) -> Result<Call<TokenResponse>, String> {
        self.unknown_code_of(&self.client)
    }

    fn unknown_code_of(&self, client: &Client) -> Result<Call<TokenResponse>, String> {
        let mut attempt = self.attempt_of(client, &self.server.scopes)?;
        let callback = format!("code=fake-unknown-code&state={}", attempt.pending.state());
        attempt.receive(client, Callback::query(&callback))
    }

    pub fn send(&self, request: &Request) -> Result<Answer, String> {
        http::send(request).map(Answer::new)
    }

    /// Signs in and returns the tokens.
    pub fn tokens(&self) -> Result<Tokens, String> {
        self.tokens_of(self.exchange()?.request())
    }

    /// Sends a request and returns the tokens; a response without tokens is an error.
    pub fn tokens_of(&self, request: &Request) -> Result<Tokens, String> {
        let answer = self.send(request)?;
        match answer.access_token() {
            Some(access_token) => Ok(Tokens { access_token, refresh_token: answer.refresh_token() }),
            None => Err(format!("no tokens came: {answer}")),
        }
    }

    pub fn refresh(&self, refresh_token: &Secret) -> Result<Call<Refresh>, String> {
        self.client.refresh(refresh_token).start(SystemTime::now()).map_err(|error| error.to_string())
    }

    /// Makes a request to another endpoint, in the form of a token request with the client's credentials.
    pub fn form_post(&self, endpoint: &str, pairs: &[(&str, &str)]) -> Result<Request, String> {
        self.form_post_of(&self.client, endpoint, pairs)
    }

    /// Like `form_post`, with the credentials of this client.
    pub fn form_post_of(
        &self,
        client: &Client,
        endpoint: &str,
        pairs: &[(&str, &str)],
    ) -> Result<Request, String> {
        let mut request = self.unknown_code_of(client)?.request().clone();
        request.set_url(endpoint);
        request.set_form(pairs).map_err(|error| error.to_string())?;
        Ok(request)
    }

    /// Returns the scope of an access token by introspection; `None` if no endpoint tells it.
    pub fn introspected_scope(&self, access_token: &Secret) -> Result<Option<String>, String> {
        let Some(endpoint) = &self.server.introspection_endpoint else { return Ok(None) };
        let answer = self.send(&self.form_post(endpoint, &[("token", access_token.expose())])?)?;
        let is_active = answer.member("active").and_then(Value::as_bool) == Some(true);
        Ok(answer.text("scope").filter(|_| is_active).map(str::to_owned))
    }

    /// Returns whether an access token works; `None` if no known endpoint can tell.
    pub fn accepts(&self, access_token: &Secret) -> Result<Option<bool>, String> {
        if let Some(endpoint) = &self.server.resource_endpoint {
            let mut request = Request::new("GET", endpoint.as_str());
            request.set_header("authorization", format!("Bearer {}", access_token.expose()));
            return Ok(Some(matches!(self.send(&request)?.status, 200..=299)));
        }
        let Some(endpoint) = &self.server.introspection_endpoint else { return Ok(None) };
        let answer = self.send(&self.form_post(endpoint, &[("token", access_token.expose())])?)?;
        match answer.member("active").and_then(Value::as_bool) {
            Some(active) => Ok(Some(active)),
            None => Err(format!("the introspection endpoint answered {answer}")),
        }
    }
}

/// An authorization request, for a check to change and send.
pub struct Attempt {
    address: String,
    pub parameters: Parameters,
    pending: PendingAuthorization,
}

impl Attempt {
    pub fn url(&self) -> String {
        self.url_with(&self.parameters)
    }

    /// Returns the URL with these parameters in place of the request's own.
    pub fn url_with(&self, parameters: &Parameters) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        format!("{}?{}", self.address, query.extend_pairs(&parameters.0).finish())
    }

    /// Makes the token request for a callback.
    pub fn receive(
        &mut self,
        client: &Client,
        callback: Callback<'_>,
    ) -> Result<Call<TokenResponse>, String> {
        self.pending.receive(client, callback, SystemTime::now()).map_err(|error| error.to_string())
    }
}

/// The parameters of a request, in order.
#[derive(Clone)]
pub struct Parameters(pub Vec<(String, String)>);

impl Parameters {
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// Adds a parameter, and keeps any other with the same name.
    pub fn add(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }

    /// Adds a parameter again, with the same value.
    pub fn repeat(&mut self, name: &str) {
        let value = self.get(name).to_owned();
        self.add(name, &value);
    }

    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| known != name);
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.add(name, value);
    }
}

/// Changes the form of a token request.
pub fn change_form(request: &mut Request, change: impl FnOnce(&mut Parameters)) -> Result<(), String> {
    let mut form = Parameters(request.form());
    change(&mut form);
    request.set_form(&form.0).map_err(|error| error.to_string())
}
