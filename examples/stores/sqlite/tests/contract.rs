use std::fs;
use std::os::unix::fs::PermissionsExt;

use rusqlite::Connection;
use sqlite_store::SqliteStore;
use store_contract::{Violation, check, check_processes};
use tempfile::TempDir;

#[test]
fn keeps_the_contract() -> Result<(), Violation> {
    let directory = TempDir::new().unwrap();
    let open = || SqliteStore::open(directory.path().join("tokens.db")).unwrap();
    check(&[open(), open(), open()])
}

#[test]
fn processes_lose_no_update() -> Result<(), Violation> {
    let directory = TempDir::new().unwrap();
    let place = directory.path().join("tokens.db");
    let open = |place: &str| SqliteStore::open(place).unwrap();
    check_processes("processes_lose_no_update", place.to_str().unwrap(), open)
}

#[test]
fn only_the_user_can_read_the_files() -> Result<(), Violation> {
    let directory = TempDir::new().unwrap();
    let store = SqliteStore::open(directory.path().join("tokens.db")).unwrap();
    check(std::slice::from_ref(&store))?;
    let files: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap()).collect();
    let mut names: Vec<_> = files.iter().map(|file| file.file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["tokens.db", "tokens.db-shm", "tokens.db-wal"]);
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
    Ok(())
}

#[test]
fn a_writer_that_does_not_end_ends_the_wait() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("tokens.db");
    let store = SqliteStore::open(&path).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = check(&[store]).unwrap_err().to_string();
    assert!(error.starts_with("compare_and_swap fails") && error.ends_with("database is locked"), "{error}");
}
