//! Stores that are broken on purpose: the check finds each fault, for its own reason.

mod faults;
mod processes;
mod rivals;

use std::thread;

use oauth2_proto::keeper::blocking::Store;
use store_contract::check;

use faults::{Fault, Faulty};

/// Checks that a store with a fault is told so by a sentence that begins with `says`.
#[track_caller]
fn assert_told<S: Store + Sync>(handles: &[S], says: &str) {
    let violation = check(handles).expect_err(says).to_string();
    assert!(violation.starts_with(says), "{violation:?} begins with {says:?}");
}

#[test]
fn a_store_without_a_fault_passes() {
    let store = Faulty::new(Fault::None);
    check(&[store.another_handle(), store]).unwrap();
}

#[test]
fn checks_of_one_store_do_not_disturb_each_other() {
    let store = Faulty::new(Fault::None);
    let check = || (0..3).try_for_each(|_| check(&[store.another_handle()]));
    thread::scope(|scope| {
        let checks = [(); 4].map(|()| scope.spawn(check));
        checks.into_iter().for_each(|check| check.join().unwrap().unwrap());
    });
}

#[test]
fn a_store_that_compares_wrongly_is_told() {
    for (fault, says) in [
        (Fault::LastWriteWins, "the store accepts a save that expects revision 1 where nothing is stored"),
        (Fault::ReplacesAtFirst, "the store accepts a first save over a stored snapshot"),
        (Fault::ComparesOnlyExistence, "the store accepts a save that expects an earlier revision"),
        (Fault::AcceptsOneRevisionLess, "the store accepts a save that expects an earlier revision"),
        (Fault::AcceptsAnyLater, "the store accepts a save that expects a later revision"),
        (Fault::InsertsNothing, "the store refuses a first save"),
        (Fault::KeepsOneDigitOfTheRevision, "the store refuses a save that expects the stored revision"),
    ] {
        assert_told(&[Faulty::new(fault)], says);
    }
}

#[test]
fn a_store_that_reports_wrongly_is_told() {
    for (fault, says) in [
        (Fault::ReturnsTrueAlways, "compare_and_swap returns true and stores nothing"),
        (Fault::ReturnsFalseAlways, "compare_and_swap stores a save and returns false"),
        (Fault::WritesBeforeItCompares, "compare_and_swap returns false and stores the save nevertheless"),
    ] {
        assert_told(&[Faulty::new(fault)], says);
    }
}

#[test]
fn a_store_that_keeps_something_else_is_told() {
    for (fault, says) in [
        (Fault::KeepsNothing, "load finds nothing after an accepted save"),
        (Fault::LoadsTheFirst, "load returns an earlier snapshot than the last accepted one"),
        (Fault::KeepsAsciiOnly, "with a snapshot of 200 kB, load returns a snapshot that was never saved"),
        (Fault::Keeps64KiB, "with a snapshot of 200 kB, load fails under the key"),
    ] {
        assert_told(&[Faulty::new(fault)], says);
    }
}

#[test]
fn a_store_that_mixes_keys_is_told() {
    assert_told(
        &[Faulty::new(Fault::IgnoresTheKey)],
        "load returns a snapshot under a key that nothing was saved",
    );
    for fault in [
        Fault::FoldsCase,
        Fault::ReplacesSlashes,
        Fault::TrimsSpaces,
        Fault::ComposesAccents,
        Fault::CutsLongKeys,
        Fault::CutsVeryLongKeys,
        Fault::EndsTheKeyAtNul,
    ] {
        let violation = check(&[Faulty::new(fault)]).unwrap_err().to_string();
        assert!(violation.contains("load returns the snapshot of the key"), "{fault:?}: {violation}");
    }
}

#[test]
fn a_store_that_fails_is_told_where_and_why() {
    let violation = check(&[Faulty::new(Fault::FailsAtQuotes)]).unwrap_err().to_string();
    assert!(violation.starts_with("load fails under the key \"contract-"), "{violation}");
    assert!(violation.ends_with("k'ey\": the statement is wrong: a text has no end"), "{violation}");
}

#[test]
fn odd_keys_may_fail() {
    check(&[Faulty::new(Fault::FailsAtOddKeys)]).unwrap();
}
