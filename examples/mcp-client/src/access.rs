//! Obtains tokens for an MCP server, as MCP's authorization specification says.
//!
//! [`Access::sign_in`] is the way from a challenge to a token; what follows it are its steps, in their order.

use std::collections::HashMap;
use std::time::SystemTime;

use oauth2_proto::challenge::{Challenge, ProtectedApi, StepUp, StepUpPolicy};
use oauth2_proto::discovery::{ProtectedResource, ResourceDiscovery, ServerDiscovery};
use oauth2_proto::dpop::{BoundRequest, DpopKey};
use oauth2_proto::jose::{Algorithm, LocalKey, SigningKey};
use oauth2_proto::registration::{self, ClientMetadata};
use oauth2_proto::token::TokenType;
use oauth2_proto::{
    Advice, AuthorizationServer, Callback, Client, ClientAuth, Request, Secret, TokenResponse,
};
use url::Url;

use crate::Failure;
use crate::arguments::{Settings, Subject};
use crate::http::{self, Answer};
use crate::redirect::Landing;

/// The access to one MCP server.
pub struct Access<'a> {
    settings: &'a Settings,
    /// The clients by the issuer of their server: what one server issued is never sent to another one.
    clients: HashMap<String, Client>,
    grant: Option<Grant>,
    /// The key that tokens are bound to, if they are to be.
    key: Option<DpopKey>,
    /// The demands of the MCP server since it last accepted a token.
    step_up: StepUp,
}

/// The grant of an authorization server.
struct Grant {
    client: Client,
    target: Target,
    /// The addresses that the token may be sent to.
    api: ProtectedApi,
    scopes: Vec<String>,
    tokens: TokenResponse,
    received_at: SystemTime,
    trial: Trial,
}

/// The parties of a request for a token, other than the client.
#[derive(Clone)]
struct Target {
    /// The identifier of the MCP server, where it has metadata that names one.
    resource: Option<String>,
    /// The authorization server.
    issuer: String,
}

/// The state of the access token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trial {
    /// No answer since the sign-in says that the MCP server accepts it.
    SignedIn,
    /// It was refreshed, and no answer since then says so; the one before was accepted.
    Refreshed,
    /// The MCP server has accepted it.
    Accepted,
}

impl<'a> Access<'a> {
    pub fn new(settings: &'a Settings) -> Result<Self, Failure> {
        let key = match settings.binds_tokens {
            true => Some(DpopKey::new(SigningKey::new(LocalKey::generate(Algorithm::ES256)?)?)),
            false => None,
        };
        Ok(Self { settings, clients: HashMap::new(), grant: None, key, step_up: StepUp::default() })
    }

    /// Returns the authorization of a request to the MCP server; `None` before the first sign-in. Refreshes
    /// first if the token has expired.
    pub fn authorization(&mut self) -> Result<Option<Authorization>, Failure> {
        // A new token is sent even if it has expired: otherwise the client would sign in without end.
        if let Some(grant) = &mut self.grant
            && grant.has_expired()
            && !grant.refresh()?
            && grant.trial != Trial::SignedIn
        {
            self.grant = None;
        }
        let Some(Grant { api, tokens, .. }) = &self.grant else { return Ok(None) };
        let (token, url) = (tokens.access_token(), &self.settings.url);
        Ok(Some(match &self.key {
            Some(key) if *tokens.token_type() == TokenType::DPoP => {
                Authorization::Bound(api.bound_request(key, token, "POST", url)?)
            }
            _ => Authorization::Bearer(api.authorization(tokens.token_type(), token, url)?),
        }))
    }

    /// Records that the MCP server did not object to the token.
    pub fn accepted(&mut self) {
        if let Some(grant) = &mut self.grant {
            grant.trial = Trial::Accepted;
            self.step_up.reset();
        }
    }

    /// Obtains another token in place of one that the MCP server rejects.
    pub fn replace(&mut self, challenge: Option<&Challenge>) -> Result<(), Failure> {
        let is_replaced = match &mut self.grant {
            Some(grant) => match grant.trial {
                Trial::SignedIn => return Err(NEW_AND_REJECTED.to_owned().into()),
                Trial::Refreshed => false,
                Trial::Accepted => grant.refresh()?,
            },
            None => false,
        };
        // Without a refresh begin again: the MCP server may have moved to another authorization server.
        if is_replaced { Ok(()) } else { self.sign_in(challenge) }
    }

    /// Obtains a token that meets a demand of the MCP server, from the server that granted the present one.
    pub fn step_up(&mut self, challenge: &Challenge) -> Result<(), Failure> {
        let Some(grant) = self.grant.take() else { return self.sign_in(Some(challenge)) };
        // An MCP client does not know its servers. The user sees what is asked for, and decides.
        self.step_up.demanded(challenge, &grant.scopes, &StepUpPolicy::any_scope())?;
        let scopes = self.step_up.scopes().map(str::to_owned).collect();
        self.obtain(grant.client, grant.target, scopes)
    }

    /// Obtains a token by all steps, from the challenge on.
    pub fn sign_in(&mut self, challenge: Option<&Challenge>) -> Result<(), Failure> {
        self.grant = None;
        let resource = self.find_resource(challenge)?;
        let server = self.find_server(resource.as_ref())?;
        let scopes = self.choose_scopes(challenge, resource.as_ref(), &server);
        let target = Target {
            resource: resource.map(|resource| resource.resource().to_owned()),
            issuer: server.metadata().issuer().unwrap_or_default().to_owned(),
        };
        let client = self.find_client(server, &target.issuer)?;
        self.obtain(client, target, scopes)
    }

    /// Step 1: the MCP server's metadata, which names its authorization servers. `None` for the version of
    /// MCP that had none.
    fn find_resource(&self, challenge: Option<&Challenge>) -> Result<Option<ProtectedResource>, Failure> {
        if self.settings.has_no_resource_metadata() {
            return Ok(None);
        }
        let named = challenge.and_then(Challenge::resource_metadata);
        let mut discovery = ResourceDiscovery::from_challenge(&self.settings.url, named)?;
        if self.settings.accepts_parent {
            discovery = discovery.accept_parent();
        }
        loop {
            match http::read(discovery.call())? {
                Ok(resource) => return Ok(Some(resource)),
                Err(error) => discovery.next_address(error)?,
            }
        }
    }

    /// Step 2: the authorization server's metadata.
    fn find_server(&self, resource: Option<&ProtectedResource>) -> Result<AuthorizationServer, Failure> {
        let Some(resource) = resource else { return self.find_server_at_origin() };
        let wanted = self.settings.issuer.as_deref();
        let mut issuers = resource.authorization_servers();
        let issuer = resource.authorization_servers().find(|issuer| Some(*issuer) == wanted);
        let issuer = issuer.or_else(|| issuers.next());
        let issuer = issuer.ok_or_else(|| "the server names no authorization server".to_owned())?;
        discover(ServerDiscovery::new(issuer)?.require_pkce_announced())
    }

    /// Step 2 in MCP 2025-03-26: the origin of the MCP server is the authorization server, with endpoints at
    /// fixed paths if it has no metadata.
    fn find_server_at_origin(&self) -> Result<AuthorizationServer, Failure> {
        let url = Url::parse(&self.settings.url).map_err(|error| Failure::Usage(format!("URL: {error}")))?;
        let origin = url.origin().ascii_serialization();
        let mut discovery = ServerDiscovery::new(&origin)?;
        loop {
            match http::read(discovery.call())? {
                Ok(server) => return Ok(server),
                Err(error) => match discovery.next_address(error) {
                    Ok(()) => {}
                    Err(error) if error.status() == Some(404) => break,
                    Err(error) => return Err(error.into()),
                },
            }
        }
        let at = |path: &str| format!("{origin}{path}");
        let server = AuthorizationServer::new(&at("/authorize"), &at("/token"))?.issuer(origin.as_str())?;
        Ok(server.registration_endpoint(&at("/register"))?)
    }

    /// Step 3: the scopes of the challenge, or else all that the MCP server names; and a refresh token, if
    /// the authorization server says how to ask for one.
    fn choose_scopes(
        &self,
        challenge: Option<&Challenge>,
        resource: Option<&ProtectedResource>,
        server: &AuthorizationServer,
    ) -> Vec<String> {
        let of_challenge = challenge.into_iter().flat_map(Challenge::scopes);
        let mut scopes: Vec<_> = of_challenge.map(str::to_owned).collect();
        if scopes.is_empty() {
            let of_resource = resource.and_then(ProtectedResource::scopes_supported);
            scopes = of_resource.into_iter().flatten().map(str::to_owned).collect();
        }
        let mut supported = server.metadata().scopes_supported().into_iter().flatten();
        // `offline_access` alone would replace the server's default scopes.
        if !scopes.is_empty()
            && matches!(self.settings.subject, Subject::User)
            && supported.any(|scope| scope == OFFLINE_ACCESS)
            && !scopes.iter().any(|scope| scope == OFFLINE_ACCESS)
        {
            scopes.push(OFFLINE_ACCESS.to_owned());
        }
        scopes
    }

    /// Step 4: a client of this server: one that is registered, one with a metadata document, or one that
    /// this program registers.
    fn find_client(&mut self, server: AuthorizationServer, issuer: &str) -> Result<Client, Failure> {
        if let Some(client) = self.clients.get(issuer) {
            return Ok(client.clone());
        }
        let settings = self.settings;
        let is_first = self.clients.is_empty();
        let is_theirs = settings.issuer.as_ref().map_or(is_first, |known| known == issuer);
        let takes_documents = server.metadata().client_id_metadata_document_supported();
        let client = match (&settings.client_id, &settings.client_id_url) {
            (Some(client_id), _) if is_theirs => {
                let auth = match (&settings.private_key, &settings.client_secret) {
                    (Some(pem), _) => {
                        let key = LocalKey::from_pem(pem.expose(), settings.signing_algorithm)?;
                        ClientAuth::private_key_jwt(SigningKey::new(key)?)
                    }
                    (None, None) => ClientAuth::none(),
                    (None, Some(secret)) if method(&server, &[BASIC, POST]) == POST => {
                        ClientAuth::post(secret.clone())
                    }
                    (None, Some(secret)) => ClientAuth::basic(secret.clone()),
                };
                Client::new(server, client_id, auth)?
            }
            (_, Some(url)) if takes_documents => {
                registration::ClientIdUrl::new(url)?.client(server, ClientAuth::none())?
            }
            _ => self.register(server)?,
        };
        let client = self.key.iter().fold(client, |client, key| client.dpop(key.clone()));
        self.clients.insert(issuer.to_owned(), client.clone());
        Ok(client)
    }

    fn register(&self, server: AuthorizationServer) -> Result<Client, Failure> {
        let metadata = server.metadata();
        let is_supported = |grant_type: &&str| metadata.supports_grant_type(grant_type);
        let metadata = ClientMetadata::new()
            .client_name("oauth2-proto mcp-client")
            .redirect_uris([&self.settings.redirect_uri])
            .grant_types(["authorization_code", "refresh_token"].into_iter().filter(is_supported))
            .response_types(["code"])
            .token_endpoint_auth_method(method(&server, &["none", BASIC, POST]));
        let registered = http::read(&registration::register(&server, &metadata).start()?)??;
        Ok(registered.client(server)?)
    }

    /// Step 5: the token.
    fn obtain(&mut self, client: Client, target: Target, scopes: Vec<String>) -> Result<(), Failure> {
        let resource = &target.resource;
        let tokens = match &self.settings.subject {
            Subject::User => self.ask_user(&client, resource.as_deref(), &scopes)?,
            Subject::Client => {
                let request = client.client_credentials().scopes(&scopes);
                let request = resource.iter().fold(request, |request, resource| request.resource(resource));
                http::read_tokens(&client, request.start(SystemTime::now())?)??
            }
            Subject::Workload { token } => {
                let request = client.jwt_bearer(token).scopes(&scopes);
                let request = resource.iter().fold(request, |request, resource| request.resource(resource));
                http::read_tokens(&client, request.start(SystemTime::now())?)??
            }
            Subject::Employee { identity_provider, client_id, id_token } => {
                let provider = discover(ServerDiscovery::new(identity_provider)?)?;
                let provider = Client::new(provider, client_id, ClientAuth::none())?;
                let request = provider.identity_assertion(id_token, &target.issuer).scopes(&scopes);
                let request = resource.iter().fold(request, |request, resource| request.resource(resource));
                let assertion = http::read(&request.start(SystemTime::now())?)??;
                http::read_tokens(&client, client.redeem(&assertion, SystemTime::now())?)??
            }
        };
        let base = resource.as_ref().unwrap_or(&self.settings.url);
        let api = ProtectedApi::new([base.split('?').next().unwrap_or(base)])?;
        let (received_at, trial) = (SystemTime::now(), Trial::SignedIn);
        self.grant = Some(Grant { client, target, api, scopes, tokens, received_at, trial });
        Ok(())
    }

    /// The authorization code flow.
    fn ask_user(
        &self,
        client: &Client,
        resource: Option<&str>,
        scopes: &[String],
    ) -> Result<TokenResponse, Failure> {
        let redirect_uri = &self.settings.redirect_uri;
        let request = client.authorize(redirect_uri).scopes(scopes).step_up(&self.step_up);
        let request = resource.into_iter().fold(request, |request, resource| request.resource(resource));
        let (url, mut pending) = request.start(SystemTime::now())?;
        let deadline = pending.expires_at();
        let mut receive =
            |callback: &str| pending.receive(client, Callback::url(callback), SystemTime::now());
        let call = if self.settings.follows {
            receive(&http::follow(&url)?)?
        } else {
            let landing = Landing::open(redirect_uri)?;
            println!("{} asks you to sign in. Open this in your browser:\n\n{url}\n", self.settings.url);
            landing.wait(deadline, receive)?
        };
        Ok(http::read_tokens(client, call)??)
    }
}

/// The authorization of one request to the MCP server.
pub enum Authorization {
    /// A header with the token.
    Bearer(Secret),
    /// A header with the token and one with a proof of the key that it is bound to.
    Bound(BoundRequest),
}

impl Authorization {
    /// Adds the headers to a request.
    pub fn add_to(&self, request: &mut Request) -> Result<(), Failure> {
        match self {
            Self::Bearer(header) => request.set_header("authorization", header.clone()),
            Self::Bound(bound) => {
                for (name, value) in bound.headers(SystemTime::now())? {
                    request.set_header(name, value);
                }
            }
        }
        Ok(())
    }

    /// Takes an answer, and returns whether to send the request once more with another proof.
    pub fn received(&mut self, answer: &Answer) -> Result<bool, Failure> {
        match self {
            Self::Bearer(_) => Ok(false),
            Self::Bound(bound) => Ok(bound.received(answer.status(), answer.headers())?),
        }
    }
}

impl Grant {
    fn has_expired(&self) -> bool {
        let expires_at = self.tokens.expires_in().map(|lifetime| self.received_at + lifetime);
        expires_at.is_some_and(|expires_at| expires_at <= SystemTime::now())
    }

    /// Refreshes; returns false if that needs a sign-in.
    fn refresh(&mut self) -> Result<bool, Failure> {
        let Some(refresh_token) = self.tokens.refresh_token() else { return Ok(false) };
        let request = self.client.refresh(refresh_token);
        let request =
            self.target.resource.iter().fold(request, |request, resource| request.resource(resource));
        match http::read_tokens(&self.client, request.start(SystemTime::now())?)? {
            Ok(tokens) => {
                self.tokens = tokens;
                self.received_at = SystemTime::now();
                // A token stays new until an answer accepts it, so that a server that rejects all ends the program.
                if self.trial == Trial::Accepted {
                    self.trial = Trial::Refreshed;
                }
                Ok(true)
            }
            Err(error) if error.advice() == Advice::Reauthorize => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Finds an authorization server.
fn discover(mut discovery: ServerDiscovery) -> Result<AuthorizationServer, Failure> {
    loop {
        match http::read(discovery.call())? {
            Ok(server) => return Ok(server),
            Err(error) => discovery.next_address(error)?,
        }
    }
}

/// Returns the first of these client authentication methods that the server supports or may support.
fn method<'m>(server: &AuthorizationServer, methods: &[&'m str]) -> &'m str {
    let is_supported = |method: &&&str| server.metadata().supports_auth_method(method);
    methods.iter().find(is_supported).or(methods.first()).copied().unwrap_or_default()
}

const NEW_AND_REJECTED: &str = "the server rejects a token that is new; it may be for another server";
const OFFLINE_ACCESS: &str = "offline_access";
const BASIC: &str = "client_secret_basic";
const POST: &str = "client_secret_post";
