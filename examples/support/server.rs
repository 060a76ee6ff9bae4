//! An authorization server for examples and tests, with one client. Its resource owner always consents,
//! unless the requested scope contains `deny:me`; or a page asks one of several owners.
//!
//! `oxide-auth` implements the protocol; this file adds the requirements of RFC 6749 that it omits.

#![allow(dead_code, reason = "each file that includes this one uses a part of it")]

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use oxide_auth::endpoint::{AccessTokenFlow, AuthorizationFlow, RefreshFlow};
use oxide_auth::endpoint::{Endpoint, OwnerConsent, Solicitation};
use oxide_auth::frontends::simple::endpoint::{Error, FnSolicitor, Generic, Vacant};
use oxide_auth::frontends::simple::extensions::{AccessTokenAddon, AddonList, AuthorizationAddon};
use oxide_auth::frontends::simple::extensions::{Extended, Pkce};
use oxide_auth::frontends::simple::request::{Body, Request, Response, Status};
use oxide_auth::primitives::prelude::{AuthMap, Client, ClientMap, IssuedToken, RandomGenerator};
use oxide_auth::primitives::prelude::{Issuer, TokenMap};
use oxide_auth::primitives::{grant::Grant, registrar::ExactUrl};
use serde_json::{Value, json};

#[path = "consent.rs"]
mod consent;
#[path = "device_grant.rs"]
mod device_grant;
#[path = "web.rs"]
pub mod web;

use device_grant::{Devices, Verdict};
use web::{Delivery, Listening, Reply};

/// The registration of the one client, and the lifetimes of its tokens.
#[derive(Clone, Debug)]
pub struct Config {
    /// The client's identifier.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: String,
    /// The redirect URI, compared as text.
    pub redirect_uri: String,
    /// Further redirect URIs.
    pub more_redirect_uris: Vec<String>,
    /// The lifetime of an access token; `expires_in` announces whole seconds.
    pub access_token_lifetime: Duration,
    /// The lifetime of a refresh token, which begins anew with each refresh and is not announced. A shorter
    /// one than that of the access token counts as the same.
    pub refresh_token_lifetime: Duration,
    /// The scopes of every grant, separated by spaces, whatever the request.
    pub scopes: String,
    /// Whether a refresh token that is used a second time ends all tokens of its sign-in (RFC 9700 §4.14.2).
    pub revokes_on_reuse: bool,
    /// The time between the processing of a token request and the delivery of its answer.
    pub token_latency: Duration,
    /// The owners of whom the consent page lets the browser choose one. Without any there is no page, and the
    /// owner `user` consents.
    pub owners: Vec<String>,
}

impl Config {
    /// Returns a fake client with this redirect URI, access tokens that live for an hour, and refresh tokens
    /// that live for 30 days. The reuse of a refresh token is refused and revokes nothing.
    pub fn new(redirect_uri: impl Into<String>) -> Self {
        Self {
            client_id: "fake-client".into(),
            client_secret: "fake-secret".into(),
            redirect_uri: redirect_uri.into(),
            more_redirect_uris: Vec::new(),
            access_token_lifetime: Duration::from_secs(60 * 60),
            refresh_token_lifetime: Duration::from_secs(30 * 24 * 60 * 60),
            scopes: "users:read".into(),
            revokes_on_reuse: false,
            token_latency: Duration::ZERO,
            owners: Vec::new(),
        }
    }
}

/// An HTTP request to the server.
#[derive(Clone, Copy, Debug)]
pub struct HttpRequest<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// The path, with the query if there is one.
    pub target: &'a str,
    /// The headers: names, in any case, and values.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body, empty if there is none.
    pub body: &'a [u8],
}

impl HttpRequest<'_> {
    /// Returns the parameters of the query and of the form; `None` if one of them is repeated.
    pub fn parameters(&self) -> Option<HashMap<String, String>> {
        let (_, query) = self.target.split_once('?').unwrap_or((self.target, ""));
        unique_parameters(&[query.as_bytes(), b"&", self.body].concat())
    }

    /// Returns the scheme, host and port by which the client reaches this server.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.header("host").unwrap_or("localhost"))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(*value))
    }

    /// Returns the credentials of the `Authorization` header, if it uses this scheme.
    fn authorization(&self, scheme: &str) -> Option<&str> {
        let (given, credentials) = self.header("authorization")?.split_once(' ')?;
        given.eq_ignore_ascii_case(scheme).then(|| credentials.trim())
    }
}

/// An HTTP response of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// The headers: names and values.
    pub headers: Vec<(&'static str, String)>,
    /// The body, possibly empty.
    pub body: String,
    /// How much of the response reaches the client.
    pub delivery: Delivery,
}

impl HttpResponse {
    /// Returns the value of the first header with this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(&header.1)
    }

    fn new(status: u16, content_type: &str, body: String) -> Self {
        let headers = vec![("Content-Type", content_type.into()), ("Cache-Control", "no-store".into())];
        Self { status, headers, body, delivery: Delivery::Whole }
    }

    /// Returns a page of plain text.
    pub fn page(status: u16, text: &str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", text.into())
    }

    /// Returns a JSON document.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    fn error(status: u16, code: &str) -> Self {
        Self::json(status, &json!({ "error": code }))
    }

    /// Adds a header.
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// A failure of the token endpoint. Unless it says so, the request is not processed, and the tokens stay as
/// they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// 503 with a page and `Retry-After: 1`.
    Unavailable,
    /// 429 with `Retry-After: 1`.
    TooManyRequests,
    /// 400 with an empty body.
    Empty400,
    /// 401 with an empty body.
    Empty401,
    /// 502 with an HTML page, as of a gateway.
    Gateway,
    /// 400 with an error code that no specification has.
    UnknownCode,
    /// No answer; the connection stays open.
    Hang,
    /// The request is processed, and no answer comes, so its tokens are lost.
    Lost,
    /// The request is processed, and the answer ends in the middle, so its tokens are lost.
    CutOff,
}

impl Failure {
    /// The failures by their names on a command line.
    pub const NAMES: [(&str, Self); 9] = [
        ("503", Self::Unavailable),
        ("429", Self::TooManyRequests),
        ("empty-400", Self::Empty400),
        ("empty-401", Self::Empty401),
        ("html-502", Self::Gateway),
        ("unknown-code", Self::UnknownCode),
        ("hang", Self::Hang),
        ("lost", Self::Lost),
        ("cut-off", Self::CutOff),
    ];

    /// Returns the response to a request, of which `process` is the proper one.
    fn respond(self, process: impl FnOnce() -> HttpResponse) -> HttpResponse {
        let empty = |status| HttpResponse::new(status, "application/json", String::new());
        let cut = |response, delivery| HttpResponse { delivery, ..response };
        match self {
            Self::Unavailable => HttpResponse::page(503, "Try again.").with_header("Retry-After", "1"),
            Self::TooManyRequests => empty(429).with_header("Retry-After", "1"),
            Self::Empty400 => empty(400),
            Self::Empty401 => empty(401),
            Self::Gateway => HttpResponse::new(502, "text/html", "<html>Bad Gateway</html>".into()),
            Self::UnknownCode => HttpResponse::error(400, "fake_unknown_code"),
            Self::Hang => cut(empty(500), Delivery::Never),
            Self::Lost => cut(process(), Delivery::Never),
            Self::CutOff => cut(process(), Delivery::CutOff),
        }
    }
}

/// A further part of the server, in a file of its own. As an add-on, it keeps with each grant what it needs
/// of the authorization request.
pub trait Part: AuthorizationAddon + AccessTokenAddon + Send + Sync {
    /// Answers a request that the server itself does not answer.
    fn handle(&self, server: &AuthorizationServer, request: &HttpRequest<'_>) -> Option<HttpResponse>;

    /// Adds members to the token response of a sign-in or of a refresh of it.
    fn add_members(&self, issuer: &str, grant: &Grant, is_refresh: bool, body: &mut Value);
}

/// The authorization server, without sockets.
pub struct AuthorizationServer {
    config: Config,
    registrar: ClientMap,
    authorizer: AuthMap<RandomGenerator>,
    issuer: TokenMap<RandomGenerator>,
    addons: AddonList,
    /// The failures of the next requests to the token endpoint.
    failures: VecDeque<Failure>,
    /// The access tokens that were ended before their time.
    ended: HashSet<String>,
    families: Families,
    devices: Devices,
    part: Option<Arc<dyn Part>>,
}

/// What has happened to the refresh tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The refreshes that were answered with new tokens.
    pub refreshes: u64,
    /// The requests with a refresh token that had been used before.
    pub reuses: u64,
    /// The sign-ins whose tokens a reuse has ended.
    pub families_revoked: u64,
}

/// The families of tokens: a sign-in and its refreshes make one.
#[derive(Default)]
struct Families {
    /// The family of each refresh token, used or not.
    of: HashMap<String, usize>,
    all: Vec<Family>,
    counts: Counts,
}

/// The last tokens of a family.
struct Family {
    access_token: String,
    refresh_token: String,
    is_revoked: bool,
}

impl AuthorizationServer {
    /// Registers the client. Panics if a redirect URI is not a URL or the scopes are malformed.
    pub fn new(config: Config) -> Self {
        let exact = |uri: &String| ExactUrl::new(uri.clone()).expect("a redirect URI");
        let redirect_uri = exact(&config.redirect_uri);
        let more = config.more_redirect_uris.iter().map(|uri| exact(uri).into()).collect();
        let scopes = config.scopes.parse().expect("scopes");

        let mut registrar = ClientMap::new();
        // `oxide-auth` does not form-decode Basic credentials, and splits them at a colon of the
        // identifier. So `token` checks the credentials, and `oxide-auth` sees a public client.
        let client = Client::public(&config.client_id, redirect_uri.into(), scopes);
        registrar.register_client(client.with_additional_redirect_uris(more));

        let mut issuer = TokenMap::new(RandomGenerator::new(16));
        // `oxide-auth` takes a duration of `chrono` and does not re-export the type.
        let time = |at: SystemTime| IssuedToken::without_refresh(String::new(), at.into()).until;
        let end = UNIX_EPOCH + config.access_token_lifetime + refresh_window(&config);
        issuer.valid_for(time(end) - time(UNIX_EPOCH));

        let mut addons = AddonList::new();
        addons.push_code(Pkce::required());

        let authorizer = AuthMap::new(RandomGenerator::new(16));
        let (failures, ended, families) = (VecDeque::new(), HashSet::new(), Families::default());
        let (devices, part) = (Devices::default(), None);
        Self { config, registrar, authorizer, issuer, addons, failures, ended, families, devices, part }
    }

    /// Adds a further part. There is one at most.
    pub fn add_part(&mut self, part: Arc<dyn Part>) {
        self.addons.push_code(Arc::clone(&part));
        self.part = Some(part);
    }

    /// Lets the next `times` requests to the token endpoint fail, after those that were set before.
    pub fn fail_next(&mut self, failure: Failure, times: usize) {
        self.failures.extend((0..times).map(|_| failure));
    }

    /// Ends an access token before its time, so that the API answers 401.
    pub fn end_access_token(&mut self, token: &str) {
        self.ended.insert(token.to_owned());
    }

    /// Ends every access token before its time; the refresh tokens stay valid.
    pub fn end_access_tokens(&mut self) {
        self.ended.extend(self.families.all.iter().map(|family| family.access_token.clone()));
    }

    /// Forgets every code and every token, as after the loss of a database.
    pub fn forget_everything(&mut self) {
        let part = self.part.take();
        *self = Self::new(self.config.clone());
        part.into_iter().for_each(|part| self.add_part(part));
    }

    /// Returns what has happened to the refresh tokens so far.
    pub fn counts(&self) -> Counts {
        self.families.counts
    }

    /// Answers `/oauth/authorize`, `POST` to `/oauth/token`, `/oauth/token/introspect` (RFC 7662, at Pleo's
    /// path) and `/oauth/revoke` (RFC 7009), and the API, which is `GET /api/me` and Pleo's
    /// `GET /v1/introspect`. Unlike Pleo, answers `POST /oauth/device_authorization` and the page `/device`,
    /// too. Any other request goes to the further part, or gets 404.
    pub fn handle(&mut self, request: HttpRequest<'_>) -> HttpResponse {
        let (path, query) = request.target.split_once('?').unwrap_or((request.target, ""));
        match (request.method, path) {
            ("GET", "/oauth/authorize") => self.authorize(query, &[]),
            ("POST", "/oauth/authorize") => self.authorize(query, request.body),
            ("POST", "/oauth/token") => {
                let failure = self.failures.pop_front();
                let mut process = || self.token(&request).unwrap_or_else(|refusal| refusal);
                match failure {
                    Some(failure) => failure.respond(process),
                    None => process(),
                }
            }
            ("POST", "/oauth/token/introspect") => {
                self.introspect(&request).unwrap_or_else(|refusal| refusal)
            }
            ("POST", "/oauth/revoke") => self.revoke(&request).unwrap_or_else(|refusal| refusal),
            ("POST", "/oauth/device_authorization") => {
                self.device_authorization(&request).unwrap_or_else(|refusal| refusal)
            }
            ("GET", "/device") => self.device_page(query.as_bytes()),
            ("POST", "/device") => self.device_page(request.body),
            ("GET", "/api/me") => self.api(&request, |grant| json!({ "id": grant.owner_id })),
            ("GET", "/v1/introspect") => self.api(&request, |grant| {
                json!({ "data": {
                    "applicationName": "Stand-in",
                    "authMethod": "OAUTH2",
                    "clientId": grant.client_id,
                    "scope": grant.scope.to_string(),
                    "subjectURN": grant.owner_id,
                }})
            }),
            _ => {
                let answer = self.part.as_ref().and_then(|part| part.handle(self, &request));
                answer.unwrap_or_else(|| HttpResponse::page(404, "There is nothing here."))
            }
        }
    }

    /// Returns whether this access token was issued and has neither been replaced nor ended nor expired.
    pub fn is_access_token_valid(&self, token: &str) -> bool {
        self.live_grant(token).is_some()
    }

    #[allow(clippy::disallowed_methods, reason = "a server keeps its own time")]
    fn live_grant(&self, token: &str) -> Option<Grant> {
        let grant = self.issuer.recover_token(token).ok()??;
        // `oxide-auth` lets a refresh token expire with its access token. So the grant lasts longer
        // by `refresh_window`, and the access token's end is that much before the grant's.
        let alive = SystemTime::from(grant.until) > SystemTime::now() + refresh_window(&self.config);
        (alive && !self.ended.contains(token)).then_some(grant)
    }

    #[allow(clippy::disallowed_methods, reason = "a server keeps its own time")]
    fn live_refresh_grant(&self, token: &str) -> Option<Grant> {
        let family = &self.families.all[*self.families.of.get(token)?];
        let grant = self.issuer.recover_refresh(token).ok()??;
        let alive = SystemTime::from(grant.until) > SystemTime::now() && !family.is_revoked;
        (alive && family.refresh_token == token).then_some(grant)
    }

    fn endpoint(&mut self) -> impl Endpoint<Request, Error = Error<Request>> {
        let Self { config, registrar, authorizer, issuer, addons, .. } = self;
        let solicitor =
            FnSolicitor(|request: &mut Request, _: Solicitation<'_>| ask_owner(&config.owners, request));
        let (scopes, response) = (Vacant, Vacant);
        let inner = Generic { registrar: &*registrar, authorizer, issuer, solicitor, scopes, response };
        Extended::extend_with(inner, addons)
    }

    /// Answers an authorization request; `form` is the owner's answer to the consent page.
    fn authorize(&mut self, query: &str, form: &[u8]) -> HttpResponse {
        let parameters = unique_parameters(query.as_bytes()).zip(unique_parameters(form));
        let answer = parameters.and_then(|(query, urlbody)| {
            let request = Request { query, urlbody, ..Request::default() };
            let flow = AuthorizationFlow::prepare(self.endpoint());
            flow.and_then(|mut flow| flow.execute(request)).ok()
        });
        match answer {
            Some(Response { location: Some(url), .. }) => {
                HttpResponse::page(302, "").with_header("Location", url)
            }
            Some(Response { body: Some(Body::Text(page)), .. }) => {
                HttpResponse::new(200, "text/html; charset=utf-8", page)
            }
            _ => HttpResponse::page(400, "This authorization request cannot be trusted."),
        }
    }

    fn token(&mut self, request: &HttpRequest<'_>) -> Result<HttpResponse, HttpResponse> {
        let mut form = self.form(request)?;
        let grant_type = form.get("grant_type").ok_or_else(invalid_request)?;
        let (is_refresh, required) = match grant_type.as_str() {
            "authorization_code" => (false, &["code", "redirect_uri", "code_verifier"][..]),
            "refresh_token" => (true, &["refresh_token"][..]),
            "urn:ietf:params:oauth:grant-type:device_code" => {
                return self.device_token(form.get("device_code").ok_or_else(invalid_request)?);
            }
            _ => return Err(HttpResponse::error(400, "unsupported_grant_type")),
        };
        if required.iter().any(|name| !form.contains_key(*name)) {
            return Err(invalid_request());
        }

        let used = form.get("refresh_token").filter(|_| is_refresh).cloned();
        if let Some(used) = &used {
            self.check_reuse(used)?;
        }
        form.insert("client_id".into(), self.config.client_id.clone());
        let base_url = request.base_url();
        let request = Request { urlbody: form, ..Request::default() };
        let endpoint = self.endpoint();
        let answer = if is_refresh {
            RefreshFlow::prepare(endpoint).and_then(|mut flow| flow.execute(request))
        } else {
            AccessTokenFlow::prepare(endpoint).and_then(|mut flow| flow.execute(request))
        };
        let response = answer.ok().and_then(|answer| self.token_response(answer, used.as_deref(), &base_url));
        response.ok_or_else(|| HttpResponse::error(500, "server_error"))
    }

    fn authenticate(&self, request: &HttpRequest<'_>) -> Result<(), HttpResponse> {
        let client = (self.config.client_id.clone(), self.config.client_secret.clone());
        if basic_credentials(request) == Some(client) {
            return Ok(());
        }
        let refusal = HttpResponse::error(401, "invalid_client");
        Err(refusal.with_header("WWW-Authenticate", "Basic realm=\"token\""))
    }

    /// Gives out the codes for a sign-in on another device (RFC 8628 §3.2).
    fn device_authorization(&mut self, request: &HttpRequest<'_>) -> Result<HttpResponse, HttpResponse> {
        let form = unique_parameters(request.body).filter(|form| {
            // It alone is no client authentication (RFC 6749 §2.3).
            form.get("client_id") == Some(&self.config.client_id) && !form.contains_key("client_secret")
        });
        form.ok_or_else(|| HttpResponse::error(400, "invalid_request"))?;
        self.authenticate(request)?;
        let (device_code, user_code) = self.devices.start();
        let page = format!("{}/device", request.base_url());
        let body = json!({
            "device_code": device_code,
            "verification_uri_complete": format!("{page}?user_code={user_code}"),
            "user_code": user_code,
            "verification_uri": page,
            "expires_in": device_grant::LIFETIME.as_secs(),
            "interval": device_grant::INTERVAL.as_secs(),
        });
        Ok(HttpResponse::json(200, &body))
    }

    /// Answers a person who allows or refuses a device's access. A real server asks who they are, shows the
    /// code for a comparison, and asks whether they allow it (RFC 8628 §3.3.1 and §5.4).
    fn device_page(&mut self, form: &[u8]) -> HttpResponse {
        let parameters = unique_parameters(form).unwrap_or_default();
        match parameters.get("user_code") {
            None => HttpResponse::new(200, "text/html; charset=utf-8", DEVICE_PAGE.to_owned()),
            Some(code) if !self.devices.decide(code, !parameters.contains_key("deny")) => {
                HttpResponse::page(404, "No device waits for this code.")
            }
            Some(_) => HttpResponse::page(200, "Done. Go back to your device."),
        }
    }

    /// Answers a poll with a device code (RFC 8628 §3.5).
    #[allow(clippy::disallowed_methods, reason = "a server keeps its own time")]
    fn device_token(&mut self, device_code: &str) -> Result<HttpResponse, HttpResponse> {
        if let Verdict::Refused(code) = self.devices.poll(device_code) {
            return Err(HttpResponse::error(400, code));
        }
        let failed = || HttpResponse::error(500, "server_error");
        let scope = self.config.scopes.parse().map_err(|_| failed())?;
        let grant = Grant {
            owner_id: "user".into(),
            client_id: self.config.client_id.clone(),
            scope,
            redirect_uri: self.config.redirect_uri.parse().map_err(|_| failed())?,
            until: SystemTime::now().into(),
            extensions: Default::default(),
        };
        let issued = self.issuer.issue(grant).map_err(|()| failed())?;
        let refresh_token = issued.refresh.ok_or_else(failed)?;
        let body = json!({
            "access_token": issued.token,
            "token_type": "bearer",
            "expires_in": self.config.access_token_lifetime.as_secs(),
            "refresh_token": refresh_token,
            "scope": self.config.scopes,
        });
        self.families.issue(None, issued.token, refresh_token);
        Ok(HttpResponse::json(200, &body))
    }

    /// Counts a reuse, which revokes the family if the configuration says so, and refuses a revoked family.
    fn check_reuse(&mut self, refresh_token: &str) -> Result<(), HttpResponse> {
        let Families { of, all, counts } = &mut self.families;
        let Some(family) = of.get(refresh_token).map(|family| &mut all[*family]) else { return Ok(()) };
        if family.refresh_token != refresh_token {
            counts.reuses += 1;
            if self.config.revokes_on_reuse && !family.is_revoked {
                counts.families_revoked += 1;
                family.is_revoked = true;
                self.ended.insert(family.access_token.clone());
            }
        }
        if family.is_revoked { Err(HttpResponse::error(400, "invalid_grant")) } else { Ok(()) }
    }

    /// Returns the response to a token request; `used` is the refresh token of a refresh.
    fn token_response(
        &mut self,
        answer: Response,
        used: Option<&str>,
        base_url: &str,
    ) -> Option<HttpResponse> {
        let mut body: Value = serde_json::from_str(answer.body?.as_str()).ok()?;
        if let Status::Ok = answer.status {
            let token = |name: &str| Some(body[name].as_str()?.to_owned());
            let access_token = token("access_token")?;
            let grant = self.live_grant(&access_token);
            self.families.issue(used, access_token, token("refresh_token")?);
            // `oxide-auth` gives the lifetime of the grant, not that of the access token.
            body["expires_in"] = self.config.access_token_lifetime.as_secs().into();
            if let Some((part, grant)) = self.part.as_ref().zip(grant) {
                part.add_members(base_url, &grant, used.is_some(), &mut body);
            }
            return Some(HttpResponse::json(200, &body));
        }
        // The form was complete, so the code or its verifier was wrong. `oxide-auth` then answers
        // `invalid_request`, but RFC 6749 §5.2 and RFC 7636 §4.6 require `invalid_grant`.
        if body["error"] == "invalid_request" {
            body["error"] = "invalid_grant".into();
        }
        Some(HttpResponse::json(400, &body))
    }

    /// Reads the form of a request that authenticates the client by HTTP Basic.
    fn form(&self, request: &HttpRequest<'_>) -> Result<HashMap<String, String>, HttpResponse> {
        let media_type = request.header("content-type").map(str::to_ascii_lowercase).unwrap_or_default();
        let form = unique_parameters(request.body).ok_or_else(invalid_request)?;
        let credentials_in_form = form.contains_key("client_id") || form.contains_key("client_secret");
        if credentials_in_form || !media_type.starts_with("application/x-www-form-urlencoded") {
            return Err(invalid_request());
        }
        self.authenticate(request)?;
        Ok(form)
    }

    /// Says whether a token is active (RFC 7662 §2.2).
    fn introspect(&self, request: &HttpRequest<'_>) -> Result<HttpResponse, HttpResponse> {
        let form = self.form(request)?;
        let token = form.get("token").ok_or_else(invalid_request)?;
        let live = match self.live_grant(token) {
            Some(grant) => Some((SystemTime::from(grant.until) - refresh_window(&self.config), grant)),
            None => self.live_refresh_grant(token).map(|grant| (grant.until.into(), grant)),
        };
        let Some((expires_at, grant)) = live else {
            return Ok(HttpResponse::json(200, &json!({ "active": false })));
        };
        Ok(HttpResponse::json(
            200,
            &json!({
                "active": true,
                "client_id": grant.client_id,
                "exp": expires_at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
                "scope": grant.scope.to_string(),
                "sub": grant.owner_id,
                "urn:pleo:params:oauth:subject_urn": grant.owner_id,
            }),
        ))
    }

    /// Ends a token (RFC 7009 §2.1); a refresh token ends the access token of its sign-in, too.
    fn revoke(&mut self, request: &HttpRequest<'_>) -> Result<HttpResponse, HttpResponse> {
        let form = self.form(request)?;
        let token = form.get("token").ok_or_else(invalid_request)?;
        if let Some(family) = self.families.of.get(token).map(|family| &mut self.families.all[*family]) {
            family.is_revoked = true;
            self.ended.insert(family.access_token.clone());
        } else if self.is_access_token_valid(token) {
            self.end_access_token(token);
        }
        Ok(HttpResponse::page(200, ""))
    }

    /// Answers a request to the API, which needs an access token.
    pub fn api(&self, request: &HttpRequest<'_>, body: impl FnOnce(Grant) -> Value) -> HttpResponse {
        let token = request.authorization("Bearer");
        match token.and_then(|token| self.live_grant(token)) {
            Some(grant) => HttpResponse::json(200, &body(grant)),
            None => HttpResponse::error(401, "invalid_token")
                .with_header("WWW-Authenticate", "Bearer error=\"invalid_token\""),
        }
    }
}

impl Families {
    /// Records the tokens of a sign-in, or those that replace the refresh token `used`.
    fn issue(&mut self, used: Option<&str>, access_token: String, refresh_token: String) {
        let tokens = Family { access_token, refresh_token: refresh_token.clone(), is_revoked: false };
        let family = match used.and_then(|used| self.of.get(used)) {
            Some(family) => {
                self.counts.refreshes += 1;
                self.all[*family] = tokens;
                *family
            }
            None => {
                self.all.push(tokens);
                self.all.len() - 1
            }
        };
        self.of.insert(refresh_token, family);
    }
}

fn invalid_request() -> HttpResponse {
    HttpResponse::error(400, "invalid_request")
}

/// The page on which a person types the code of a device.
const DEVICE_PAGE: &str = r#"<!DOCTYPE html>
<html lang="en">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Connect a device</title>
<form method="post">
<label>Code on your device <input name="user_code" autocomplete="off" autofocus required></label>
<button>Allow access</button> <button name="deny" value="yes">Do not allow</button>
</form>
</html>
"#;

/// Returns the time by which a refresh token outlives its access token.
fn refresh_window(config: &Config) -> Duration {
    config.refresh_token_lifetime.saturating_sub(config.access_token_lifetime)
}

fn ask_owner(owners: &[String], request: &Request) -> OwnerConsent<Response> {
    let parameter = |name| request.query.get(name).map_or("", String::as_str);
    match request.urlbody.get("owner") {
        _ if parameter("scope").split(' ').any(|word| word == "deny:me") => OwnerConsent::Denied,
        _ if owners.is_empty() => OwnerConsent::Authorized("user".into()),
        None => {
            let page = consent::page(owners, parameter("client_id"), parameter("scope"));
            OwnerConsent::InProgress(Response { body: Some(Body::Text(page)), ..Response::default() })
        }
        Some(owner) if owners.contains(owner) => OwnerConsent::Authorized(owner.clone()),
        Some(_) => OwnerConsent::Denied,
    }
}

/// Decodes form parameters. RFC 6749 §3.1 forbids repeated parameters and ignores empty ones.
fn unique_parameters(encoded: &[u8]) -> Option<HashMap<String, String>> {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(encoded).ok()?;
    let mut parameters = HashMap::new();
    let mut given = pairs.into_iter().filter(|(_, value)| !value.is_empty());
    let unique = given.all(|(name, value)| parameters.insert(name, value).is_none());
    unique.then_some(parameters)
}

/// Reads Basic credentials, of which each half is form-encoded (RFC 6749 §2.3.1).
fn basic_credentials(request: &HttpRequest<'_>) -> Option<(String, String)> {
    let decoded = STANDARD.decode(request.authorization("Basic")?).ok()?;
    let credentials = String::from_utf8(decoded).ok()?;
    let (id, secret) = credentials.split_once(':')?;
    Some((form_decode(id)?, form_decode(secret)?))
}

fn form_decode(half: &str) -> Option<String> {
    // Refuses any byte that form-encoding escapes, so that unencoded credentials are noticed.
    let encoded = |byte: u8| byte.is_ascii_alphanumeric() || b"*-._~+%".contains(&byte);
    let mut pairs: Vec<(String, String)> = serde_urlencoded::from_str(half).ok()?;
    half.bytes().all(encoded).then(|| pairs.pop())?.map(|(name, _)| name)
}

/// A server that answers on a local port until it is dropped.
pub struct Running {
    server: Arc<Mutex<AuthorizationServer>>,
    address: SocketAddr,
    listening: Option<Listening>,
}

/// Serves on `127.0.0.1` at `port`; with port 0, the system picks one.
pub fn spawn(server: AuthorizationServer, port: u16) -> io::Result<Running> {
    let server = Arc::new(Mutex::new(server));
    let listening = listen(&server, SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    Ok(Running { server, address: listening.address(), listening: Some(listening) })
}

#[allow(clippy::disallowed_methods, reason = "a server keeps its own time")]
fn listen(server: &Arc<Mutex<AuthorizationServer>>, address: SocketAddr) -> io::Result<Listening> {
    let server = Arc::clone(server);
    web::serve(TcpListener::bind(address)?, move |request| {
        let headers = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let headers: Vec<_> = headers.collect();
        let response = lock(&server).handle(HttpRequest {
            method: &request.method,
            target: &request.target,
            headers: &headers,
            body: &request.body,
        });
        if request.target == "/oauth/token" {
            let latency = lock(&server).config.token_latency;
            thread::sleep(latency);
        }
        let HttpResponse { status, headers, body, delivery } = response;
        Reply { status, headers, body, delivery }
    })
}

fn lock(server: &Mutex<AuthorizationServer>) -> MutexGuard<'_, AuthorizationServer> {
    server.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Running {
    /// Returns the scheme, host and port of the server, without a trailing slash.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Locks and returns the server, which answers no request until the guard is dropped.
    pub fn server(&self) -> MutexGuard<'_, AuthorizationServer> {
        lock(&self.server)
    }

    /// Closes the port and every connection for this long, and keeps what the server knows.
    #[allow(clippy::disallowed_methods, reason = "a server keeps its own time")]
    pub fn outage(&mut self, duration: Duration) -> io::Result<()> {
        self.listening = None;
        thread::sleep(duration);
        self.listening = Some(listen(&self.server, self.address)?);
        Ok(())
    }
}
