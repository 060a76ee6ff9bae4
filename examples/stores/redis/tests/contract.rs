//! `run.sh` starts the Redis that these tests need.

use std::env;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use oauth2_proto::keeper::blocking::Store;
use redis_store::RedisStore;
use store_contract::{Violation, check, check_processes};

const LIMIT: Duration = Duration::from_secs(5);

fn server() -> String {
    env::var("REDIS_URL").expect("REDIS_URL is set, as run.sh does")
}

fn open(server: &str) -> RedisStore {
    RedisStore::new(server).unwrap()
}

#[test]
fn keeps_the_contract() -> Result<(), Violation> {
    let server = server();
    check(&[open(&server), open(&server), open(&server)])
}

#[test]
fn one_store_serves_many_threads() -> Result<(), Violation> {
    check(&[open(&server())])
}

#[test]
fn processes_lose_no_update() -> Result<(), Violation> {
    check_processes("processes_lose_no_update", &server(), open)
}

#[test]
fn a_lost_connection_is_replaced() {
    // The number of a database that no other test uses tells which connection to end.
    let store = open(&format!("{}?db=1", server()));
    assert!(store.load("no such key").unwrap().is_none());
    let mut other = redis::Client::open(server()).unwrap().get_connection().unwrap();
    let clients: String = redis::cmd("CLIENT").arg("LIST").query(&mut other).unwrap();
    let client = clients.lines().find(|line| line.contains(" db=1 ")).unwrap();
    let id = client.split(' ').find_map(|field| field.strip_prefix("id=")).unwrap();
    let ended: u64 = redis::cmd("CLIENT").arg("KILL").arg("ID").arg(id).query(&mut other).unwrap();
    assert_eq!(ended, 1);
    assert!(store.load("no such key").unwrap().is_none());
}

#[test]
fn a_server_that_does_not_answer_ends_the_wait() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let store = open(&format!("redis://{}/", listener.local_addr().unwrap()));
    let start = Instant::now();
    assert!(store.load("key").is_err());
    // `redis` waits for an answer to each of the commands by which it introduces itself.
    assert!(start.elapsed() < 4 * LIMIT, "{:?}", start.elapsed());
}
