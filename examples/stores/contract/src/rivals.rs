//! Many threads at once.

use std::sync::Barrier;
use std::thread;

use oauth2_proto::Snapshot;
use oauth2_proto::keeper::blocking::Store;

use crate::saves::{form, save};
use crate::subject::{Subject, load, swap};
use crate::violation::Violation;

const THREADS: usize = 8;
/// The number of keys that the threads swap at once, from the first save on, and the saves of each.
const KEYS: usize = 5;
const SAVES: usize = 4;
/// The number of saves that each thread or process adds to one key.
pub(crate) const INCREMENTS: u64 = 20;
/// Rivals can be faster this often, and not more.
const MAX_TRIES: usize = 2_000;

pub(crate) fn check<S: Store + Sync>(subject: &Subject<'_, S>) -> Result<(), Violation> {
    for number in 0..KEYS {
        let key = subject.key(&format!("race-{number}"));
        let mut stored = None;
        for _ in 0..SAVES {
            stored = Some(race(subject, &key, stored.as_ref())?);
        }
    }
    let key = subject.key("increments");
    let each = at_once(subject.handles, |handle, _| increment(handle, &key));
    each.into_iter().collect::<Result<(), _>>()?;
    check_sum(&subject.handles[0], &key, INCREMENTS * THREADS as u64)
}

/// Lets all threads swap one revision at once, and returns the snapshot of the only winner.
fn race<S: Store + Sync>(
    subject: &Subject<'_, S>,
    key: &str,
    stored: Option<&Snapshot>,
) -> Result<Snapshot, Violation> {
    let outcomes = at_once(subject.handles, |handle, thread| {
        let save = save(stored, &format!("thread-{thread}"));
        swap(handle, key, &save).map(|is_accepted| is_accepted.then(|| save.snapshot().clone()))
    });
    let mut winners: Vec<_> = outcomes.into_iter().filter_map(Result::transpose).collect::<Result<_, _>>()?;
    match (winners.len(), winners.pop()) {
        (1, Some(winner)) => {
            let loaded = subject.load(key)?;
            let is_stored = loaded.is_some_and(|loaded| form(&loaded) == form(&winner));
            if is_stored { Ok(winner) } else { Err(Violation::LosesWinner) }
        }
        (0, _) => Err(Violation::NobodyWins),
        (winners, _) => Err(Violation::SeveralWin { winners }),
    }
}

/// Adds [`INCREMENTS`] saves under a key, each over the snapshot that it loads.
pub(crate) fn increment<S: Store>(store: &S, key: &str) -> Result<(), Violation> {
    for number in 0..INCREMENTS {
        let is_accepted = (0..MAX_TRIES).find_map(|_| {
            let save = load(store, key).map(|stored| save(stored.as_ref(), &number.to_string()));
            match save.and_then(|save| swap(store, key, &save)) {
                Ok(false) => None,
                outcome => Some(outcome),
            }
        });
        is_accepted.unwrap_or(Err(Violation::Starves))?;
    }
    Ok(())
}

/// Checks that every one of the accepted saves counts.
pub(crate) fn check_sum<S: Store>(store: &S, key: &str, accepted: u64) -> Result<(), Violation> {
    let stored = load(store, key)?.map_or(0, |snapshot| snapshot.revision());
    if stored == accepted { Ok(()) } else { Err(Violation::LosesUpdates { accepted, stored }) }
}

/// Runs `work` in all threads at once, with the handles shared among them.
fn at_once<S: Sync, T: Send>(handles: &[S], work: impl Fn(&S, usize) -> T + Sync) -> Vec<T> {
    let start = Barrier::new(THREADS);
    thread::scope(|scope| {
        let run = |number| {
            start.wait();
            work(&handles[number % handles.len()], number)
        };
        let threads: Vec<_> = (0..THREADS).map(|number| scope.spawn(move || run(number))).collect();
        threads.into_iter().map(|thread| thread.join().expect("the store does not panic")).collect()
    })
}
