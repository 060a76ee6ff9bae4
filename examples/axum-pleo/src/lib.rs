//! A web application whose users connect their companies to Pleo, with axum and SQLite.
//!
//! - `sign_in`: to Pleo and back.
//! - `account`: what a connected company sees, and the disconnect.
//! - `browsers`: the session behind the cookie, and the sign-ins that a browser has started.
//! - `api`: a call to Pleo's API, repeated once after a 401.
//! - `transport`: how requests are sent, for the sign-in, the keeper and the API.
//! - `pages`: every page.

mod account;
mod api;
mod browsers;
mod pages;
mod sign_in;
mod transport;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use oauth2_proto::keeper::Keeper;
use oauth2_proto::{Client, PendingAuthorization, RefreshPolicy};
use sqlite_store::SqliteStore;
use tokio::net::TcpListener;
use tokio_store::Blocking;

use api::Api;
use browsers::Browsers;
use sign_in::Outcome;
use transport::Transport;

/// What differs between installations.
pub struct Settings {
    pub client: Client,
    /// The address of the callback; its path is `/callback`.
    pub redirect_uri: String,
    pub scopes: Vec<String>,
    /// The base URL of Pleo's API.
    pub api: String,
    /// The file for tokens and browser sessions.
    pub database: PathBuf,
    pub policy: RefreshPolicy,
    /// The time that a user has at Pleo.
    pub sign_in_lifetime: Duration,
}

impl Settings {
    /// Returns settings for no scopes, with the default lifetimes.
    pub fn new(client: Client, redirect_uri: String, api: String, database: impl Into<PathBuf>) -> Self {
        Self {
            client,
            redirect_uri,
            scopes: Vec::new(),
            api,
            database: database.into(),
            // A person waits for the page, and can load it again.
            policy: RefreshPolicy::default().patience(Duration::from_secs(3)),
            sign_in_lifetime: PendingAuthorization::LIFETIME,
        }
    }
}

/// What the handlers share.
struct App {
    client: Client,
    redirect_uri: String,
    scopes: Vec<String>,
    sign_in_lifetime: Duration,
    keeper: Keeper,
    api: Api,
    transport: Transport,
    browsers: Browsers,
}

/// Serves the application until `stop` is done, and returns once every token is stored.
pub async fn serve(
    listener: TcpListener,
    settings: Settings,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Failure> {
    let Settings { client, redirect_uri, scopes, api, database, policy, sign_in_lifetime } = settings;
    // The store is opened first, because it creates the file for its user alone.
    let store = Blocking(Arc::new(SqliteStore::open(&database)?));
    let browsers = Browsers::open(&database, redirect_uri.starts_with("https:"))?;
    let transport = Transport::new(&api)?;
    let (keeper, driver) = Keeper::new(client.clone(), policy, SystemTime::now, store, transport.clone());
    let driver = tokio::spawn(driver.run());
    let api = Api::new(&api, transport.clone(), keeper.clone());
    let app = App { client, redirect_uri, scopes, sign_in_lifetime, keeper, api, transport, browsers };
    // The routes hold the keeper, so it is dropped when the last request is answered.
    axum::serve(listener, routes(app)).with_graceful_shutdown(stop).await?;
    // A refresh that is under way is saved before the program ends.
    driver.await?;
    Ok(())
}

fn routes(app: App) -> Router {
    let mut routes = Router::new()
        .route("/", get(account::home))
        .route("/disconnect", post(account::disconnect))
        .route("/disconnected", get(async || pages::disconnected()))
        .route("/connect", get(sign_in::connect))
        .route("/callback", get(sign_in::callback))
        .route("/style.css", get(async || file("text/css", include_str!("style.css"))))
        .route("/icon.svg", get(async || file("image/svg+xml", include_str!("icon.svg"))))
        .fallback(async || pages::not_found())
        .method_not_allowed_fallback(async || pages::not_found());
    for outcome in Outcome::ALL {
        routes = routes.route(outcome.path(), get(async move || pages::sign_in(outcome)));
    }
    routes.layer(map_response(async |response| with_strict_headers(response))).with_state(Arc::new(app))
}

fn file(media_type: &'static str, content: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, media_type), (CACHE_CONTROL, "max-age=3600")], content)
}

fn with_strict_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
             frame-ancestors 'none'",
        ),
    );
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// An error that is nobody's fault but ours: the operator finds it in the log, and the user gets a page.
#[derive(Debug)]
pub struct Failure(Box<dyn std::error::Error + Send + Sync>);

impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        eprintln!("{self}");
        pages::our_fault().into_response()
    }
}
