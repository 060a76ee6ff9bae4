use std::error::Error;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use file_store::FileStore;
use oauth2_proto::keeper::blocking::Store;
use store_contract::{Violation, check, check_processes};
use tempfile::TempDir;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn keeps_the_contract() -> Result<(), Violation> {
    let parent = TempDir::new().unwrap();
    let open = || FileStore::open(parent.path().join("tokens")).unwrap();
    check(&[open(), open(), open()])
}

#[test]
fn processes_lose_no_update() -> Result<(), Violation> {
    let parent = TempDir::new().unwrap();
    let place = parent.path().join("tokens");
    check_processes("processes_lose_no_update", place.to_str().unwrap(), |place| {
        FileStore::open(place).unwrap()
    })
}

#[test]
fn only_the_user_can_read_the_files() -> Result<(), Violation> {
    let parent = TempDir::new().unwrap();
    let directory = parent.path().join("a/tokens");
    check(&[FileStore::open(&directory).unwrap()])?;
    assert_eq!((mode(directory.parent().unwrap()), mode(&directory)), (0o700, 0o700));
    let files: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() > 1);
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    Ok(())
}

#[test]
fn a_directory_that_others_can_read_is_refused() {
    let parent = TempDir::new().unwrap();
    fs::set_permissions(parent.path(), Permissions::from_mode(0o750)).unwrap();
    let error = FileStore::open(parent.path()).unwrap_err();
    assert!(error.to_string().starts_with("other users have access to"), "{error}");
}

#[test]
fn what_a_crash_left_of_a_write_is_not_loaded() -> Result<(), Violation> {
    let parent = TempDir::new().unwrap();
    let store = FileStore::open(parent.path().join("tokens")).unwrap();
    let torn = r#"{"version":2,"authorization":"#.repeat(10_000);
    fs::write(parent.path().join("tokens/new"), torn).unwrap();
    assert!(store.load("key").unwrap().is_none());
    check(&[store])
}

#[test]
fn a_lock_that_is_not_released_ends_the_wait() -> Result<(), Box<dyn Error>> {
    let parent = TempDir::new()?;
    let store = FileStore::open(parent.path().join("tokens"))?;
    let lock = File::create(parent.path().join("tokens/lock"))?;
    lock.lock()?;
    let error = check(&[store]).unwrap_err().to_string();
    assert!(error.starts_with("compare_and_swap fails"), "{error}");
    Ok(())
}
