//! The guarantees of the [`Session`, looked for in every state of a small world and in long histories.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::*;

#[test]
fn no_state_of_a_small_world_breaks_a_guarantee() {
    // Until the claim of a holder that crashed is over, and another has refreshed.
    search_all(&[(Faults { crashes: 1, losses: 0, busy: 0, copies: 0 }, 6, 100_000)]);
}

/// `cargo test --release --lib -- --ignored --nocapture larger_world`
#[test]
#[ignore = "takes minutes; the gate runs it with optimisation"]
fn no_state_of_a_larger_world_breaks_a_guarantee() {
    search_all(&[
        (Faults { crashes: 1, losses: 1, busy: 1, copies: 1 }, 5, 2_000_000),
        (Faults { crashes: 1, losses: 1, busy: 0, copies: 0 }, 6, 1_500_000),
        (Faults { crashes: 0, losses: 0, busy: 0, copies: 0 }, 9, 500_000),
    ]);
}

/// Searches worlds with these faults until these seconds, each of which has so many states at least.
fn search_all(worlds: &[(Faults, u64, usize)]) {
    for (faults, until, least) in worlds {
        let visited = search(&[0, SKEW, 0], *faults, *until);
        println!(
            "{visited} states of three holders, clocks {SKEW} s apart, {faults:?}, until second {until}"
        );
        assert!(visited >= *least, "{visited} states are fewer than there were");
    }
}

#[test]
fn no_long_history_breaks_a_guarantee() {
    play_all(1..=20, 100, 3);
}

/// As `no_state_of_a_larger_world_breaks_a_guarantee`, with `more_long_histories`.
#[test]
#[ignore = "takes minutes; the gate runs it with optimisation"]
fn more_long_histories_break_no_guarantee() {
    play_all(1000..=1400, 2_000, 50);
}

fn play_all(seeds: std::ops::RangeInclusive<u64>, least_refreshes: u32, least_sign_ins: u32) {
    println!("seeds {seeds:?}");
    let (mut refreshes, mut sign_ins) = (0, 0);
    for seed in seeds {
        let (refreshed, again) = play(seed);
        refreshes += refreshed;
        sign_ins += again;
    }
    println!("{refreshes} refreshes, {sign_ins} new sign-ins");
    assert!(refreshes >= least_refreshes && sign_ins >= least_sign_ins, "{refreshes} {sign_ins}");
}

/// Visits every state once, and says how many there are.
fn search(offsets: &[u64], faults: Faults, until: u64) -> usize {
    let start = World::new(offsets, faults);
    let mut came_from: HashMap<u64, Option<(u64, Action)>> = HashMap::from([(start.fingerprint(), None)]);
    let mut open = vec![start];
    while let Some(world) = open.pop() {
        let here = world.fingerprint();
        for action in world.actions() {
            if action == Action::Tick && world.now >= until {
                continue;
            }
            let Some(next) = world.after(action) else { continue };
            let there = next.fingerprint();
            if came_from.contains_key(&there) {
                continue;
            }
            came_from.insert(there, Some((here, action)));
            // To settle takes as long as a thousand states.
            let settles = if there % 500 == 0 { next.settles() } else { Ok(()) };
            if let Err(broken) = next.check().and(settles) {
                let (mut path, mut at) = (Vec::new(), there);
                while let Some(Some((before, action))) = came_from.get(&at) {
                    path.insert(0, *action);
                    at = *before;
                }
                panic!("{broken}\nafter {path:?}\n{next:#?}");
            }
            open.push(next);
        }
    }
    came_from.len()
}

/// One history by chance: how many refreshes were saved, and how often the user signed in again.
fn play(seed: u64) -> (u32, u32) {
    let mut dice = seed;
    let mut world = World::new(
        &[0, SKEW, 0, SKEW, 0, SKEW, 0, SKEW],
        Faults { crashes: 30, losses: 30, busy: 30, copies: 30 },
    );
    let mut history = Vec::new();
    while history.len() < 2000 {
        let actions = world.actions();
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let action = actions[(dice >> 33) as usize % actions.len()];
        // Faults are rarer than work, and work is faster than time.
        let often = match action {
            Action::Tick | Action::Restart(_) => 4,
            Action::Again(_) => 40,
            _ if action.is_a_fault() => 40,
            _ => 1,
        };
        if !(dice >> 20).is_multiple_of(often) {
            continue;
        }
        if let Some(next) = world.after(action) {
            world = next;
            history.push(action);
            if let Err(broken) = world.check() {
                let last = &history[history.len().saturating_sub(60)..];
                panic!(
                    "seed {seed}: {broken}\nafter {} actions, at last {last:?}\n{world:#?}",
                    history.len()
                );
            }
        }
    }
    world.settles().unwrap_or_else(|broken| panic!("seed {seed}: {broken}\n{world:#?}"));
    (world.saved(), world.sign_ins)
}

impl World {
    /// Whether all is well again after a while without faults, or the user is asked to sign in for a reason.
    fn settles(&self) -> Result<(), String> {
        use Action::{Adopt, Answered, Handled, Restart, Stored, Tick};
        let mut world = self.clone();
        for _ in 0..40 {
            for i in 0..world.holders.len() {
                let round = [
                    Answered(i),
                    Handled(i),
                    Answered(i),
                    Stored(i),
                    Restart(i),
                    Adopt(i),
                    Action::Step(i),
                    Stored(i),
                    Action::Step(i),
                ];
                for action in round {
                    world = world.after(action).unwrap_or(world);
                    world.check()?;
                }
            }
            world = world.after(Tick).unwrap_or(world);
        }
        let now = world.clock(0);
        let session = world.holders[0].session.as_mut().ok_or("a holder is not restarted")?;
        match session.poll(now) {
            Step::Reauthorize(Reason::Refused) if world.lost_in_the_window => Ok(()),
            step => {
                let current = serial(world.store.access_token.expose());
                let used = session.access_token(now).is_some()
                    || matches!(step, Step::Wait { .. } | Step::Send { .. } | Step::Save(_));
                // In forty seconds there is time for several lifetimes.
                let goes_on = used && current >= serial(self.store.access_token.expose()) + 3;
                if goes_on { Ok(()) } else { Err(format!("it does not settle: {step:?}\n{world:#?}")) }
            }
        }
    }

    /// Holders whose clocks agree are interchangeable.
    fn fingerprint(&self) -> u64 {
        let mut holders: Vec<u64> = self.holders.iter().map(Holder::fingerprint).collect();
        holders.sort_unstable();
        let server = (self.server.serial, self.server.issued_at, self.server.ended);
        let store = (fingerprint(&self.store), self.saved_ahead);
        hash((self.now, self.faults, (self.lost_in_the_window, self.saved_late), server, store, holders))
    }
}

impl Holder {
    fn fingerprint(&self) -> u64 {
        let session = self.session.as_ref().map(|it| {
            let outcome = it.outcome().map(fingerprint);
            // The clocks of this world never go back, so the latest time seen and what follows from it say nothing.
            let end = match it.record.state {
                State::Claimed(claim) => it.policy.end_of_claim(claim),
                _ => 0,
            };
            let is_claimed = matches!(it.hand, Hand::Claim(_));
            let is_sent = matches!(it.hand, Hand::Request(_));
            (fingerprint(&it.record), outcome, is_claimed, is_sent, end)
        });
        let saving = self.saving.as_ref().map(|saving| (fingerprint(&saving.snapshot.0), saving.claims));
        let flight = self.flight.as_ref();
        let flight =
            flight.map(|it| (it.attempt.revision, it.attempt.sent_at, it.serial, it.until, it.answer));
        let copy = self.copy.map(|(attempt, serial, answer)| (attempt.revision, serial, answer));
        hash((self.ahead, self.knows, self.refused, session, saving, flight, copy))
    }
}

fn fingerprint(record: &Record) -> u64 {
    let (state, span) = match record.state {
        State::Quiet => (0, None),
        State::Claimed(span) => (1, Some((span.since, span.until))),
        State::Backoff(span) => (2, Some((span.since, span.until))),
        State::Refused => (3, None),
        State::Ended => (4, None),
    };
    let counts = (record.revision, record.generation.to_u64(), record.attempts);
    hash((serial(record.access_token.expose()), counts, record.issued_at, state, span))
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
