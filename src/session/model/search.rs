//! The search through every state of small worlds.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::actions::NOTHING;
use super::properties::Lives;
use super::*;

/// A world to search.
struct Search {
    offsets: &'static [i64],
    budget: Budget,
    until: i64,
    /// It had so many states; fewer mean that the search has become blind.
    least: usize,
}

const THREE: &[i64] = &[0, SKEW, 0];
const TWO: &[i64] = &[0, SKEW];
const OWN_TOKENS: Budget = Budget { own_tokens: true, ..NOTHING };
const SHORT_LIVES: Budget = Budget { short_lives: true, ..NOTHING };

#[test]
fn no_state_of_a_small_world_breaks_a_guarantee() {
    // Until the claim of a holder that crashed is over, and another has refreshed.
    search_all(&[Search {
        offsets: THREE,
        budget: Budget { crashes: 1, ..NOTHING },
        until: 6,
        least: 100_000,
    }]);
}

#[test]
fn no_state_of_a_small_world_with_rarer_events_breaks_a_guarantee() {
    search_all(&[
        Search { offsets: TWO, budget: Budget { jumps: 1, ..NOTHING }, until: 3, least: 80_000 },
        Search { offsets: TWO, budget: Budget { crashes: 1, ..SHORT_LIVES }, until: 6, least: 9_500 },
        Search { offsets: TWO, budget: Budget { lost_writes: 1, ..NOTHING }, until: 5, least: 6_800 },
        Search { offsets: TWO, budget: Budget { late_reports: 2, ..NOTHING }, until: 7, least: 40_000 },
        Search { offsets: TWO, budget: Budget { sign_ins: 2, ..NOTHING }, until: 4, least: 20_000 },
        Search { offsets: TWO, budget: Budget { ends: 1, ..NOTHING }, until: 6, least: 18_000 },
        Search { offsets: TWO, budget: Budget { breaks: 1, ..NOTHING }, until: 6, least: 27_000 },
        Search { offsets: TWO, budget: Budget { nonces: 2, copies: 1, ..NOTHING }, until: 5, least: 16_000 },
        Search { offsets: TWO, budget: Budget { crashes: 1, ..OWN_TOKENS }, until: 6, least: 8_000 },
    ]);
}

#[test]
fn a_jump_of_the_clock_costs_at_most_one_refresh_and_one_claim() {
    let world = World::new(THREE, Budget { jumps: 2, ..NOTHING });
    let (claims, requests) = world.clone().cost_of(&[]).unwrap();
    // Between all actions of a refresh, and some after it; for good, or for a moment, which is two jumps.
    for moment in 0..30 {
        for by in [-1000, -3, 3, 1000] {
            for back in [None, Some(1), Some(3), Some(10), Some(100)] {
                let back = back.map(|back| (moment + back, Action::JumpAll(-by)));
                let jumps: Vec<_> = back.into_iter().chain([(moment, Action::JumpAll(by))]).collect();
                let cost = world.clone().cost_of(&jumps).unwrap();
                let more = (cost.0.saturating_sub(claims), cost.1.saturating_sub(requests));
                let most = jumps.len() as u32;
                assert!(more.0 <= most && more.1 <= most, "{jumps:?} cost {more:?} claims and requests");
            }
        }
    }
}

/// `cargo test --release --lib -- --ignored --nocapture larger_world` runs this search and the next two, side
/// by side.
#[test]
#[ignore = "takes minutes; the gate runs it with optimisation"]
fn no_state_of_a_larger_world_breaks_a_guarantee() {
    search_all(&[
        Search {
            offsets: THREE,
            budget: Budget { crashes: 1, losses: 1, busy: 1, copies: 1, ..NOTHING },
            until: 5,
            least: 2_000_000,
        },
        Search { offsets: THREE, budget: NOTHING, until: 9, least: 500_000 },
        Search { offsets: THREE, budget: Budget { late_reports: 1, ..NOTHING }, until: 6, least: 100_000 },
    ]);
}

#[test]
#[ignore = "takes minutes; the gate runs it with optimisation"]
fn no_state_of_a_larger_world_that_lasts_longer_breaks_a_guarantee() {
    search_all(&[Search {
        offsets: THREE,
        budget: Budget { crashes: 1, losses: 1, ..NOTHING },
        until: 6,
        least: 1_500_000,
    }]);
}

#[test]
#[ignore = "takes minutes; the gate runs it with optimisation"]
fn no_state_of_a_larger_world_with_rarer_events_breaks_a_guarantee() {
    search_all(&[
        Search { offsets: TWO, budget: Budget { jumps: 1, ..NOTHING }, until: 4, least: 780_000 },
        Search {
            offsets: TWO,
            budget: Budget { lost_writes: 1, crashes: 1, ..NOTHING },
            until: 6,
            least: 150_000,
        },
        Search {
            offsets: TWO,
            budget: Budget { sign_ins: 2, crashes: 1, ..NOTHING },
            until: 5,
            least: 340_000,
        },
        Search { offsets: TWO, budget: Budget { sign_ins: 1, ends: 1, ..NOTHING }, until: 6, least: 370_000 },
        Search {
            offsets: TWO,
            budget: Budget { crashes: 1, losses: 1, ..OWN_TOKENS },
            until: 6,
            least: 110_000,
        },
        Search { offsets: TWO, budget: Budget { jumps: 1, ..OWN_TOKENS }, until: 3, least: 75_000 },
        Search { offsets: TWO, budget: Budget { breaks: 1, ends: 1, ..OWN_TOKENS }, until: 5, least: 75_000 },
        Search {
            offsets: TWO,
            budget: Budget { breaks: 1, losses: 1, ..NOTHING },
            until: 8,
            least: 2_800_000,
        },
    ]);
}

#[track_caller]
fn search_all(searches: &[Search]) {
    for Search { offsets, budget, until, least } in searches {
        let visited = search(offsets, *budget, *until);
        println!("{visited} states of holders ahead by {offsets:?} s, {budget:?}, until second {until}");
        assert!(visited >= *least, "{visited} states are fewer than there were");
    }
}

/// Visits every state once, and returns how many there are.
#[track_caller]
fn search(offsets: &[i64], budget: Budget, until: i64) -> usize {
    let start = World::new(offsets, budget);
    let mut came_from = HashMap::from([(start.fingerprint(), None)]);
    let (mut open, mut actions) = (vec![(start.fingerprint(), start)], Vec::new());
    while let Some((here, world)) = open.pop() {
        world.actions(&mut actions);
        for &action in &actions {
            if action == Action::Tick && world.now >= until {
                continue;
            }
            // Two holders whose clocks are apart can take the claim from each other without end.
            let is_endless = |next: &World| next.jumped && next.store.record.revision > 4;
            let Some(next) = world.after(action).filter(|next| !is_endless(next)) else { continue };
            let there = next.fingerprint();
            if came_from.contains_key(&there) {
                continue;
            }
            came_from.insert(there, Some((here, action)));
            // To settle takes as long as a hundred states.
            let lives = if there % 1000 < 500 { Lives::Long } else { Lives::Seconds };
            let settles = if there % 500 == 0 { next.clone().settles(lives) } else { Ok(()) };
            if let Err(broken) = next.check().and(settles) {
                let (mut path, mut at) = (Vec::new(), there);
                while let Some(Some((before, action))) = came_from.get(&at) {
                    path.insert(0, *action);
                    at = *before;
                }
                panic!("{broken}\nafter {path:?}\n{next:#?}");
            }
            open.push((there, next));
        }
    }
    came_from.len()
}

impl World {
    /// Holders whose clocks agree are interchangeable.
    fn fingerprint(&self) -> u64 {
        let mut holders: Vec<u64> =
            self.holders.iter().map(|holder| holder.fingerprint(self.jumped)).collect();
        holders.sort_unstable();
        let server = (&self.server.families, self.server.mode, self.server.refusals);
        let before = self.store.before.as_ref().map(|before| (fingerprint(&before.0), before.1));
        let store = (fingerprint(&self.store.record), self.store.saved_ahead, before);
        hash((self.now, self.budget, (self.jumped, self.write_lost), server, store, holders))
    }
}

impl Holder {
    fn fingerprint(&self, jumped: bool) -> u64 {
        let session = self.session.as_ref().map(|it| {
            let outcome = it.outcome().map(fingerprint);
            let end = match it.record.state {
                State::Claimed(claim) => it.policy.end_of_claim(claim),
                _ => 0,
            };
            let (claimed, sent) = match it.hand {
                Hand::Claim { has_nonce, .. } => (Some(has_nonce), None),
                Hand::Request { has_nonce, .. } => (None, Some(has_nonce)),
                _ => (None, None),
            };
            // Where no clock goes back, the latest time seen and what follows from it say nothing.
            let seen = jumped.then(|| (it.clock.latest(), it.seen == Seen::Valid));
            let keeps = matches!(it.hand, Hand::SignIn { keeps: true, .. });
            (fingerprint(&it.record), outcome, (claimed, sent, keeps), end, it.resting_until, seen)
        });
        let attempt = |it: &Attempt| (it.revision, it.has_nonce);
        let saving = self.saving.as_ref();
        let saving = saving.map(|it| (fingerprint(&it.save.snapshot.0), it.save.claims, it.accepted));
        let flight = self.flight.as_ref();
        let flight =
            flight.map(|it| (attempt(&it.attempt), it.attempt.sent_at, it.serial, it.until, it.answer));
        let copy = self.copy.as_ref().map(|(it, serial, answer)| (attempt(it), *serial, *answer));
        hash((self.ahead, self.knows, self.refused, session, saving, flight, copy))
    }
}

pub(super) fn fingerprint(record: &Record) -> u64 {
    let (state, span) = match record.state {
        State::Quiet => (0, None),
        State::Claimed(span) => (1, Some((span.since, span.until))),
        State::Backoff(span) => (2, Some((span.since, span.until))),
        State::Refused => (3, None),
        State::Ended => (4, None),
    };
    let refusals = record.trouble.as_ref().map(|trouble| trouble.unclear_refusals);
    let counts = (record.revision, record.generation.to_u64(), record.attempts, refusals);
    hash((server::serial(record), counts, (record.signed_in_at, record.issued_at), state, span))
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
