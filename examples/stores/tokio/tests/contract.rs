//! `run.sh` starts the servers that some of these tests need.

use std::env;
use std::sync::Arc;
use std::time::SystemTime;

use memory_store::MemoryStore;
use oauth2_proto::keeper::{self, Keeper, KeeperError, Store, blocking};
use oauth2_proto::session::{Reason, Save};
use oauth2_proto::{
    AuthorizationServer, Client, ClientAuth, RefreshPolicy, Request, Response, Snapshot, TokenResponse,
};
use postgres_store::PostgresStore;
use redis_store::RedisStore;
use sqlite_store::SqliteStore;
use store_contract::{Violation, check};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_store::{Awaited, Blocking};

/// Checks a blocking store through both adapters.
fn check_on_tokio<S: blocking::Store + Send + Sync + 'static>(store: S) -> Result<(), Violation> {
    let runtime = Runtime::new().unwrap();
    check(&[Awaited { store: Blocking(Arc::new(store)), runtime: runtime.handle().clone() }])
}

#[test]
fn a_store_in_memory_keeps_the_contract() -> Result<(), Violation> {
    check_on_tokio(MemoryStore::default())
}

#[test]
fn sqlite_keeps_the_contract() -> Result<(), Violation> {
    let directory = TempDir::new().unwrap();
    check_on_tokio(SqliteStore::open(directory.path().join("tokens.db")).unwrap())
}

#[test]
fn postgres_keeps_the_contract() -> Result<(), Violation> {
    check_on_tokio(PostgresStore::new(&env::var("DATABASE_URL").expect("DATABASE_URL is set")).unwrap())
}

#[test]
fn redis_keeps_the_contract() -> Result<(), Violation> {
    check_on_tokio(RedisStore::new(env::var("REDIS_URL").expect("REDIS_URL is set")).unwrap())
}

#[tokio::test]
async fn postgres_can_be_dropped_by_a_task() {
    let store = PostgresStore::new(&env::var("DATABASE_URL").expect("DATABASE_URL is set")).unwrap();
    let store = Blocking(Arc::new(store));
    assert!(store.load("no such key").await.unwrap().is_none());
    drop(store);
}

/// Panics at each load.
struct Panics;

impl blocking::Store for Panics {
    type Error = std::convert::Infallible;

    fn load(&self, _: &str) -> Result<Option<Snapshot>, Self::Error> {
        panic!("the store has a fault")
    }

    fn compare_and_swap(&self, _: &str, _: &Save) -> Result<bool, Self::Error> {
        Ok(false)
    }
}

#[tokio::test]
async fn a_panic_of_the_store_is_an_error_of_the_load() {
    let error = Blocking(Arc::new(Panics)).load("key").await.unwrap_err();
    assert!(error.to_string().contains("panicked"), "{error}");
}

/// Sends nothing, because no refresh is due.
struct NoHttp;

impl keeper::Runtime for NoHttp {
    async fn send(&self, _: &Request, _: SystemTime) -> Option<Response<'static>> {
        unreachable!("no refresh is due")
    }

    async fn sleep(&self, until: SystemTime) {
        tokio::time::sleep(until.duration_since(SystemTime::now()).unwrap_or_default()).await;
    }
}

#[tokio::test]
async fn keepers_share_a_store_that_blocks() {
    let server =
        AuthorizationServer::new("https://as.example/authorize", "https://as.example/token").unwrap();
    let client = Arc::new(Client::new(server, "fake-client", ClientAuth::none()).unwrap());
    let store = Arc::new(MemoryStore::default());
    let start = || {
        let store = Blocking(store.clone());
        let (keeper, driver) =
            Keeper::new(client.clone(), RefreshPolicy::default(), SystemTime::now, store, NoHttp);
        tokio::spawn(driver.run());
        keeper
    };
    let (first, second) = (start(), start());
    let nobody = first.access_token("customer 18").await;
    assert!(matches!(nobody, Err(KeeperError::SignIn(Reason::NotSignedIn))), "{nobody:?}");
    let json = r#"{"access_token":"fake-1","token_type":"Bearer","expires_in":3600}"#;
    first.signed_in("customer 17", TokenResponse::for_test(&client, json).unwrap()).await.unwrap();
    assert_eq!(second.access_token("customer 17").await.unwrap().secret().expose(), "fake-1");
}
