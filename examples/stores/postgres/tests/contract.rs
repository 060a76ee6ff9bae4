//! `run.sh` starts the PostgreSQL that these tests need.

use std::env;

use oauth2_proto::keeper::blocking::Store;
use postgres::{Client, NoTls};
use postgres_store::PostgresStore;
use store_contract::{Violation, check, check_processes};

fn database() -> String {
    env::var("DATABASE_URL").expect("DATABASE_URL is set, as run.sh does")
}

fn open(database: &str) -> PostgresStore {
    PostgresStore::new(database).unwrap()
}

#[test]
fn keeps_the_contract() -> Result<(), Violation> {
    let database = database();
    check(&[open(&database), open(&database), open(&database)])
}

#[test]
fn one_store_serves_many_threads() -> Result<(), Violation> {
    check(&[open(&database())])
}

#[test]
fn processes_lose_no_update() -> Result<(), Violation> {
    check_processes("processes_lose_no_update", &database(), open)
}

#[test]
fn a_lost_connection_is_replaced() {
    let store = open(&format!("{} application_name=lost", database()));
    assert!(store.load("no such key").unwrap().is_none());
    let end = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'lost'";
    let ended = Client::connect(&database(), NoTls).unwrap().query(end, &[]).unwrap();
    assert_eq!(ended.len(), 1);
    assert!(store.load("no such key").unwrap().is_none());
}

#[test]
fn a_table_that_stays_locked_ends_the_wait() {
    let mut other = Client::connect(&database(), NoTls).unwrap();
    other.batch_execute("CREATE SCHEMA locked; SET search_path = locked").unwrap();
    other.batch_execute(include_str!("../schema.sql")).unwrap();
    other.batch_execute("BEGIN; LOCK TABLE oauth_sessions IN EXCLUSIVE MODE").unwrap();
    let store = open(&format!("{} options='-c search_path=locked'", database()));
    let error = check(&[store]).unwrap_err().to_string();
    other.batch_execute("ROLLBACK; DROP SCHEMA locked CASCADE").unwrap();
    assert!(error.starts_with("compare_and_swap fails") && error.ends_with("statement timeout"), "{error}");
}
