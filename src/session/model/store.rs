//! The store of the world: it compares and swaps. It may answer late, or lose its last write.

use super::*;

#[derive(Clone, Debug)]
pub(super) struct Store {
    pub(super) record: Record,
    /// How far the clock of the one who saved last is ahead.
    pub(super) saved_ahead: i64,
    /// What it held before the last write, where that may be lost.
    pub(super) before: Option<Box<(Record, i64)>>,
}

/// A save under way.
#[derive(Clone, Debug)]
pub(super) struct Saving {
    pub(super) save: Save,
    /// What the store made of it, if the holder has not heard of it yet.
    pub(super) accepted: Option<bool>,
}

impl Store {
    pub(super) fn new(record: Record) -> Self {
        Self { record, saved_ahead: 0, before: None }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot(Box::new(self.record.clone()))
    }
}

impl World {
    /// The store compares and swaps.
    pub(super) fn apply(&mut self, i: usize) -> Option<()> {
        let mut saving = self.holders[i].saving.take_if(|saving| saving.accepted.is_none())?;
        let is_accepted = self.store.record.revision == saving.save.expected_revision();
        if is_accepted {
            let after = (*saving.save.snapshot.0).clone();
            self.check_save(i, &after);
            let is_forked = self.write_lost && self.is_forked(i);
            self.claims += u32::from(saving.save.claims);
            let family = self.server.family_mut(serial(&after));
            family.saved = family.saved.max(number_of(serial(&after)));
            let before = (std::mem::replace(&mut self.store.record, after), self.store.saved_ahead);
            self.store.before = (self.budget.lost_writes > 0).then(|| Box::new(before));
            self.store.saved_ahead = self.holders[i].ahead;
            if is_forked {
                self.note_losses();
            }
        }
        saving.accepted = Some(is_accepted);
        self.holders[i].saving = Some(saving);
        if self.holders[i].session.is_none() {
            self.note_losses();
        }
        Some(())
    }

    /// The holder hears what the store made of its save.
    pub(super) fn hear(&mut self, i: usize) -> Option<()> {
        let saving = self.holders[i].saving.take_if(|saving| saving.accepted.is_some())?;
        match (&mut self.holders[i].session, saving.accepted) {
            (Some(session), Some(true)) => session.saved(saving.save),
            (Some(_), _) => self.look(i)?,
            (None, _) => {}
        }
        self.learn_stored(i);
        Some(())
    }

    /// The holder hears nothing of its save any more.
    pub(super) fn forget_save(&mut self, i: usize) -> Option<()> {
        self.holders[i].saving = None;
        if self.holders[i].session.is_none() {
            self.note_losses();
        }
        Some(())
    }

    /// The holder takes what the store has: newer things, or older ones where the store has lost a write.
    pub(super) fn look(&mut self, i: usize) -> Option<()> {
        let (snapshot, now) = (self.store.snapshot(), self.clock(i));
        let session = self.holders[i].session.as_mut()?;
        let knows_more = session.record.revision > self.store.record.revision;
        let adopted = session.adopt(snapshot.clone(), now);
        // A late report of a refusal finds nothing newer either, and then to roll back changes nothing.
        if !matches!(adopted, Ok(true)) {
            session.roll_back(snapshot, now).unwrap();
        }
        if !self.write_lost && (knows_more || adopted.is_err()) {
            self.breaks(format!("the store has lost nothing, and holder {i} knows better: {adopted:?}"));
        }
        self.learn_stored(i);
        Some(())
    }

    /// The store holds what it held before its last write.
    pub(super) fn lose_write(&mut self) -> Option<()> {
        self.store.before.as_ref()?;
        spend(&mut self.budget.lost_writes)?;
        let (record, saved_ahead) = *self.store.before.take()?;
        (self.store.record, self.store.saved_ahead) = (record, saved_ahead);
        self.write_lost = true;
        self.void_promise();
        self.note_losses();
        Some(())
    }

    /// Looks whether a save takes something back.
    fn check_save(&mut self, i: usize, after: &Record) {
        let before = &self.store.record;
        let (old, new) = (serial(before), serial(after));
        let is_same_family = family_of(old) == family_of(new);
        // A clock that jumped dates a sign-in wrongly. And a holder that knows a revision which the store has
        // lost may meet another one of the same number there.
        let is_excused = (self.jumped && !is_same_family) || (self.write_lost && self.is_forked(i));
        if is_excused {
            return;
        }
        let goes_back = self.is_later(old, new) || (old != new && after.generation <= before.generation);
        let ended = |record: &Record| record.state == State::Ended;
        if goes_back {
            self.breaks(format!("saved tokens go back from {before:?} of {old} to {after:?} of {new}"));
        } else if is_same_family && ended(before) && !ended(after) && !self.write_lost {
            self.breaks(format!("the end is undone by {after:?}"));
        }
    }

    /// Returns whether the holder knows another record of the store's revision than the store has.
    fn is_forked(&self, i: usize) -> bool {
        let store = &self.store.record;
        self.holders[i].session.as_ref().is_none_or(|session| {
            let record = &session.record;
            record.revision == store.revision
                && (record.generation, record.state, serial(record))
                    != (store.generation, store.state, serial(store))
        })
    }
}
