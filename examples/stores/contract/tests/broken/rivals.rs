//! Stores that are right for one thread with one handle, and wrong for many.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ThreadId, sleep};
use std::time::Duration;

use oauth2_proto::Snapshot;
use oauth2_proto::keeper::blocking::Store;
use oauth2_proto::session::Save;

use crate::assert_told;
use crate::faults::{Failure, Fault, Faulty};

/// Long enough for other threads to come in between.
const MOMENT: Duration = Duration::from_millis(5);

/// Compares, and then writes in another step.
#[derive(Default)]
struct ComparesThenWrites(Mutex<HashMap<String, Snapshot>>);

impl Store for ComparesThenWrites {
    type Error = Failure;

    fn load(&self, key: &str) -> Result<Option<Snapshot>, Failure> {
        Ok(self.0.lock().unwrap().get(key).cloned())
    }

    fn compare_and_swap(&self, key: &str, save: &Save) -> Result<bool, Failure> {
        let stored = self.load(key)?.map_or(0, |snapshot| snapshot.revision());
        let is_expected = stored == save.expected_revision();
        if is_expected {
            sleep(MOMENT);
            self.0.lock().unwrap().insert(key.to_owned(), save.snapshot().clone());
        }
        Ok(is_expected)
    }
}

#[test]
fn a_store_that_compares_and_writes_in_two_steps_is_told() {
    let violation = store_contract::check(&[ComparesThenWrites::default()]).unwrap_err().to_string();
    assert!(violation.contains(" threads swap the same revision"), "{violation}");
}

/// Writes, then compares, and restores the former content of the row if it has to refuse.
#[derive(Default)]
struct RollsBack(Mutex<HashMap<String, Snapshot>>, Mutex<HashMap<String, u64>>);

impl Store for RollsBack {
    type Error = Failure;

    fn load(&self, key: &str) -> Result<Option<Snapshot>, Failure> {
        Ok(self.0.lock().unwrap().get(key).cloned())
    }

    fn compare_and_swap(&self, key: &str, save: &Save) -> Result<bool, Failure> {
        let former = self.0.lock().unwrap().insert(key.to_owned(), save.snapshot().clone());
        sleep(MOMENT);
        let mut revisions = self.1.lock().unwrap();
        let revision = revisions.entry(key.to_owned()).or_default();
        let is_expected = *revision == save.expected_revision();
        if is_expected {
            *revision += 1;
        } else if let Some(former) = former {
            self.0.lock().unwrap().insert(key.to_owned(), former);
        } else {
            self.0.lock().unwrap().remove(key);
        }
        Ok(is_expected)
    }
}

#[test]
fn a_store_that_rolls_back_over_the_winner_is_told() {
    assert_told(&[RollsBack::default()], "another snapshot is stored than the one that was accepted");
}

/// Refuses every save that another one overlaps.
struct AbortsAll(Faulty, AtomicUsize);

impl Store for AbortsAll {
    type Error = Failure;

    fn load(&self, key: &str) -> Result<Option<Snapshot>, Failure> {
        self.0.load(key)
    }

    fn compare_and_swap(&self, key: &str, save: &Save) -> Result<bool, Failure> {
        self.1.fetch_add(1, Ordering::SeqCst);
        sleep(MOMENT);
        let is_alone = self.1.load(Ordering::SeqCst) == 1;
        sleep(MOMENT);
        self.1.fetch_sub(1, Ordering::SeqCst);
        Ok(is_alone && self.0.compare_and_swap(key, save)?)
    }
}

#[test]
fn a_store_that_aborts_all_rivals_is_told() {
    assert_told(
        &[AbortsAll(Faulty::new(Fault::None), AtomicUsize::new(0))],
        "of threads that swap the same revision at once, none is accepted",
    );
}

/// Remembers for each thread that a key had no snapshot.
struct RemembersNothing(Faulty, Mutex<HashSet<(ThreadId, String)>>);

impl Store for RemembersNothing {
    type Error = Failure;

    fn load(&self, key: &str) -> Result<Option<Snapshot>, Failure> {
        let entry = (thread::current().id(), key.to_owned());
        if self.1.lock().unwrap().contains(&entry) {
            return Ok(None);
        }
        let loaded = self.0.load(key)?;
        if loaded.is_none() {
            self.1.lock().unwrap().insert(entry);
            sleep(MOMENT);
        }
        Ok(loaded)
    }

    fn compare_and_swap(&self, key: &str, save: &Save) -> Result<bool, Failure> {
        let is_accepted = self.0.compare_and_swap(key, save)?;
        if is_accepted {
            self.1.lock().unwrap().remove(&(thread::current().id(), key.to_owned()));
        }
        Ok(is_accepted)
    }
}

#[test]
fn a_store_that_hides_saves_from_other_threads_is_told() {
    assert_told(
        &[RemembersNothing(Faulty::new(Fault::None), Mutex::default())],
        "a thread's saves are refused again and again",
    );
}

/// Keeps a copy of what a handle has loaded or saved.
struct Caches(Faulty, Mutex<HashMap<String, Snapshot>>);

impl Store for Caches {
    type Error = Failure;

    fn load(&self, key: &str) -> Result<Option<Snapshot>, Failure> {
        let mut copies = self.1.lock().unwrap();
        if !copies.contains_key(key) {
            copies.extend(self.0.load(key)?.map(|snapshot| (key.to_owned(), snapshot)));
        }
        Ok(copies.get(key).cloned())
    }

    fn compare_and_swap(&self, key: &str, save: &Save) -> Result<bool, Failure> {
        let is_accepted = self.0.compare_and_swap(key, save)?;
        if is_accepted {
            self.1.lock().unwrap().insert(key.to_owned(), save.snapshot().clone());
        }
        Ok(is_accepted)
    }
}

#[test]
fn a_store_that_caches_in_each_handle_is_told_where_there_are_two() {
    let handle = || Caches(Faulty::new(Fault::None), Mutex::default());
    assert!(store_contract::check(&[handle()]).is_ok());
    let first = handle();
    let second = Caches(first.0.another_handle(), Mutex::default());
    assert_told(&[first, second], "other handles do not see an accepted save");
}
