//! One holder at a time: the saves that a store accepts and refuses, and the snapshots that it loads.

use oauth2_proto::Snapshot;
use oauth2_proto::keeper::blocking::Store;
use oauth2_proto::session::Save;

use crate::saves::{form, save};
use crate::subject::Subject;
use crate::violation::Violation;

pub(crate) fn check<S: Store>(subject: &Subject<'_, S>) -> Result<(), Violation> {
    check_first_save(subject)?;
    check_revisions(subject)?;
    check_large(subject).map_err(|violation| Violation::WithLarge(Box::new(violation)))
}

fn check_first_save<S: Store>(subject: &Subject<'_, S>) -> Result<(), Violation> {
    let mut row = Row::open(subject, "first")?;
    let never_stored = save(None, "never-stored");
    row.refuse(save(Some(never_stored.snapshot()), "without-stored"), Violation::AcceptsWithoutStored)?;
    row.accept(save(None, "first"), Violation::RefusesFirst)?;
    row.refuse(save(None, "first-again"), Violation::AcceptsFirstOverStored)
}

fn check_revisions<S: Store>(subject: &Subject<'_, S>) -> Result<(), Violation> {
    let mut row = Row::open(subject, "revisions")?;
    row.accept(save(None, "1"), Violation::RefusesFirst)?;
    // Passes 10, where texts and numbers have different orders.
    for revision in 2..=11 {
        let stored = row.last().cloned();
        row.accept(save(stored.as_ref(), &revision.to_string()), Violation::RefusesNext)?;
        for stale in [stored.as_ref(), row.accepted.first()] {
            row.refuse(save(stale, "stale"), Violation::AcceptsStale)?;
        }
        let next = save(row.last(), "skipped");
        let after_next = save(Some(next.snapshot()), "skipped-too");
        for future in [&next, &after_next] {
            row.refuse(save(Some(future.snapshot()), "future"), Violation::AcceptsFuture)?;
        }
    }
    row.refuse(save(None, "first-again"), Violation::AcceptsFirstOverStored)
}

/// Checks a snapshot that exceeds 64 KiB, with characters that a store may change.
fn check_large<S: Store>(subject: &Subject<'_, S>) -> Result<(), Violation> {
    const PART: &str = r#"0123456789-é-🗝-e\u0301-"-'-\-%-$1-{}-?-"#;
    let mark = PART.repeat(100_000 / PART.len());
    let mut row = Row::open(subject, "large")?;
    row.accept(save(None, &mark), Violation::RefusesFirst)?;
    row.accept(save(row.last(), &format!("{mark}-2")), Violation::RefusesNext)?;
    row.accept(save(row.last(), "small-again"), Violation::RefusesNext)
}

/// One key, and the snapshots that were accepted under it.
struct Row<'a, S> {
    subject: &'a Subject<'a, S>,
    key: String,
    accepted: Vec<Snapshot>,
}

impl<'a, S: Store> Row<'a, S> {
    /// Takes a new key, and checks that the store has nothing under it.
    fn open(subject: &'a Subject<'a, S>, name: &str) -> Result<Self, Violation> {
        let row = Self { subject, key: subject.key(name), accepted: Vec::new() };
        row.check()?;
        Ok(row)
    }

    fn last(&self) -> Option<&Snapshot> {
        self.accepted.last()
    }

    /// Makes a save that the store must accept.
    fn accept(&mut self, save: Save, refusal: Violation) -> Result<(), Violation> {
        let is_accepted = self.subject.swap(&self.key, &save)?;
        if !is_accepted {
            let is_stored = self.holds(save.snapshot())?;
            return Err(if is_stored { Violation::ReportsRefusal } else { refusal });
        }
        self.accepted.push(save.snapshot().clone());
        self.check()
    }

    /// Makes a save that the store must refuse.
    fn refuse(&self, save: Save, acceptance: Violation) -> Result<(), Violation> {
        let is_accepted = self.subject.swap(&self.key, &save)?;
        match (is_accepted, self.holds(save.snapshot())?) {
            (true, true) => Err(acceptance),
            (true, false) => Err(Violation::ReportsSuccess),
            (false, true) => Err(Violation::WritesRefused),
            (false, false) => self.check(),
        }
    }

    /// Checks that the store holds the last accepted snapshot.
    fn check(&self) -> Result<(), Violation> {
        match self.accepted.split_last() {
            Some((last, earlier)) => self.subject.expect(&self.key, last, earlier),
            None if self.subject.load(&self.key)?.is_some() => Err(Violation::FindsUnsaved),
            None => Ok(()),
        }
    }

    fn holds(&self, snapshot: &Snapshot) -> Result<bool, Violation> {
        let loaded = self.subject.load(&self.key)?;
        Ok(loaded.is_some_and(|loaded| form(&loaded) == form(snapshot)))
    }
}
