//! The application with its stand-in for Pleo, on ports of their own.

#![allow(dead_code, reason = "each test uses a part of it")]

#[path = "../../../support/server.rs"]
pub mod server;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum_pleo::{Failure, Settings, serve};
use oauth2_proto::{Client, ClientAuth, RefreshPolicy, pleo};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use server::{AuthorizationServer, Config, Running};

pub const BAKERY: &str = "urn:pleo:company:blue-bakery";
pub const GARAGE: &str = "urn:pleo:company:green-garage";

/// What differs between the tests.
pub struct Options {
    pub access_token_lifetime: Duration,
    pub sign_in_lifetime: Duration,
    pub client_secret: &'static str,
    /// The time that an answer of the token endpoint is under way.
    pub token_latency: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            access_token_lifetime: Duration::from_secs(3600),
            sign_in_lifetime: Duration::from_secs(600),
            client_secret: "fake-secret",
            token_latency: Duration::ZERO,
        }
    }
}

pub struct World {
    pub stand_in: Running,
    pub options: Options,
    address: SocketAddr,
    directory: TempDir,
    app: Option<App>,
}

struct App {
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), Failure>>,
}

impl World {
    pub async fn start(options: Options) -> Self {
        // The tests' own HTTP clients need it before the application installs it. A second time it fails.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let config = Config {
            scopes: "export-jobs:read users:read".to_owned(),
            owners: vec![BAKERY.to_owned(), GARAGE.to_owned()],
            access_token_lifetime: options.access_token_lifetime,
            token_latency: options.token_latency,
            ..Config::new(format!("http://{address}/callback"))
        };
        let stand_in = server::spawn(AuthorizationServer::new(config), 0).unwrap();
        let mut world =
            Self { stand_in, options, address, directory: tempfile::tempdir().unwrap(), app: None };
        world.run(listener);
        world
    }

    /// The scheme, the host and the port of the application.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub async fn stop(&mut self) {
        let App { stop, running } = self.app.take().unwrap();
        stop.send(()).unwrap();
        running.await.unwrap().unwrap();
    }

    pub async fn run_again(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.run(listener);
    }

    /// Destroys the table of the browsers' sessions.
    pub fn break_database(&self) {
        let database = rusqlite::Connection::open(self.database()).unwrap();
        database.execute_batch("PRAGMA foreign_keys = OFF; DROP TABLE browsers").unwrap();
    }

    /// Deletes the application's database, as on a machine that lost its disk.
    pub fn lose_database(&self) {
        for file in std::fs::read_dir(self.directory.path()).unwrap() {
            std::fs::remove_file(file.unwrap().path()).unwrap();
        }
    }

    fn database(&self) -> PathBuf {
        self.directory.path().join("fake.sqlite")
    }

    fn run(&mut self, listener: TcpListener) {
        let base = self.stand_in.base_url();
        let auth = ClientAuth::basic(self.options.client_secret);
        let client = Client::new(pleo::at(&base).unwrap(), "fake-client", auth).unwrap();
        let redirect_uri = format!("{}/callback", self.origin());
        let settings = Settings {
            scopes: vec!["export-jobs:read".to_owned(), "users:read".to_owned()],
            policy: impatient(),
            sign_in_lifetime: self.options.sign_in_lifetime,
            ..Settings::new(client, redirect_uri, base, self.database())
        };
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(serve(listener, settings, async {
            // A world that is dropped stops its application, too.
            let _ = stopped.await;
        }));
        self.app = Some(App { stop, running });
    }
}

/// A policy for tokens of seconds.
fn impatient() -> RefreshPolicy {
    RefreshPolicy::default()
        .min_interval(Duration::from_millis(100))
        .clock_skew(Duration::from_millis(100))
        .claim_duration(Duration::from_secs(2))
        .backoff(Duration::from_millis(200), Duration::from_secs(1))
        .patience(Duration::from_millis(300))
}
