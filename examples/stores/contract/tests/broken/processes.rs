//! Stores that are right within one process, and wrong for many.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread::sleep;
use std::time::Duration;

use oauth2_proto::Snapshot;
use oauth2_proto::keeper::blocking::Store;
use oauth2_proto::session::Save;
use store_contract::{Violation, check, check_processes};

use crate::faults::{Failure, Fault, Faulty};

/// A file that is replaced at once, with a lock that other processes do not see.
struct LocksThreadsOnly {
    directory: PathBuf,
    lock: Mutex<()>,
}

impl LocksThreadsOnly {
    fn open(directory: &str) -> Self {
        fs::create_dir_all(directory).unwrap();
        Self { directory: directory.into(), lock: Mutex::default() }
    }

    fn path(&self, key: &str) -> PathBuf {
        let name: String = key.bytes().map(|byte| format!("{byte:02x}")).collect();
        self.directory.join(if name.is_empty() { "empty".to_owned() } else { name })
    }
}

impl Store for LocksThreadsOnly {
    type Error = Failure;

    fn load(&self, key: &str) -> Result<Option<Snapshot>, Failure> {
        match fs::read(self.path(key)) {
            Ok(json) => Ok(Some(serde_json::from_slice(&json)?)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn compare_and_swap(&self, key: &str, save: &Save) -> Result<bool, Failure> {
        let _lock = self.lock.lock().unwrap();
        let stored = self.load(key)?.map_or(0, |snapshot| snapshot.revision());
        let is_expected = stored == save.expected_revision();
        if is_expected {
            sleep(Duration::from_millis(2));
            let new = self.directory.join(std::process::id().to_string());
            fs::write(&new, serde_json::to_vec(save.snapshot())?)?;
            fs::rename(new, self.path(key))?;
        }
        Ok(is_expected)
    }
}

#[test]
fn a_lock_that_other_processes_do_not_see_is_found_by_processes_only() {
    let test = "processes::a_lock_that_other_processes_do_not_see_is_found_by_processes_only";
    let directory = std::env::temp_dir().join(format!("store-contract-{}", std::process::id()));
    let outcome = check_processes(test, directory.to_str().unwrap(), LocksThreadsOnly::open);
    if std::env::var_os("STORE_CONTRACT_PLACE").is_some() {
        return outcome.unwrap();
    }
    let within_one = check(&[LocksThreadsOnly::open(directory.to_str().unwrap())]);
    fs::remove_dir_all(directory).unwrap();
    assert!(within_one.is_ok(), "{within_one:?}");
    assert!(matches!(outcome, Err(Violation::LosesUpdates { .. })), "{outcome:?}");
}

#[test]
fn a_process_that_fails_is_reported_with_what_it_printed() {
    let test = "processes::a_process_that_fails_is_reported_with_what_it_printed";
    let open = |place: &str| match std::env::var_os("STORE_CONTRACT_PLACE") {
        Some(_) => panic!("cannot open {place}"),
        None => Faulty::new(Fault::None),
    };
    let outcome = check_processes(test, "the place", open);
    let violation = outcome.unwrap_err().to_string();
    assert!(violation.starts_with("a process that uses the store fails: "), "{violation}");
    assert!(violation.contains("cannot open the place"), "{violation}");
}

#[test]
#[should_panic(expected = "the program has no test called no_such_test")]
fn a_wrong_name_of_the_test_is_noticed() {
    let _ = check_processes("no_such_test", "the place", |_| Faulty::new(Fault::None));
}
