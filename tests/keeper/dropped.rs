//! Callers that are dropped while they wait lose no token and strand nobody.

use std::time::Duration;

use oauth2_proto::keeper::Keeper;

use crate::shared::{signed_in, started};
use crate::tasks::{Task, Tasks};
use crate::world::{Answer, KEY, LIFETIME, StoreFailure, World};

/// Asks for a token and forgets it.
fn ask(tasks: &mut Tasks, keeper: &Keeper) -> Task {
    let keeper = keeper.clone();
    tasks.spawn(async move { drop(keeper.access_token(KEY).await) })
}

/// Another process gets a token that the API accepts.
#[track_caller]
fn assert_nobody_is_stranded(world: &World, tasks: &mut Tasks, context: &str) {
    let elsewhere = started(world, tasks);
    let token = tasks.block_on(async move { elsewhere.access_token(KEY).await });
    let token = token.unwrap_or_else(|error| panic!("{context}: {error}"));
    assert!(world.accepts(&token), "{context}: the API refuses the token");
    assert_eq!(world.state.lock().unwrap().server.reuses, 0, "{context}");
}

#[test]
fn a_caller_may_be_dropped_at_every_await_point_of_a_refresh() {
    for steps in 0.. {
        let world = World::default();
        let mut tasks = Tasks::new(&world, 1);
        let keeper = signed_in(&world, &mut tasks);
        world.pass(Duration::from_secs(LIFETIME));
        let caller = ask(&mut tasks, &keeper);
        tasks.steps(steps);
        let is_done = tasks.is_done(caller);
        tasks.cancel(caller);
        assert_nobody_is_stranded(&world, &mut tasks, &format!("dropped after {steps} steps"));
        assert_eq!(world.state.lock().unwrap().server.refreshes, 1, "dropped after {steps} steps");
        if is_done {
            assert!(steps > 10, "a refresh has more steps than {steps}");
            break;
        }
    }
}

#[test]
fn a_sign_in_may_be_dropped_at_every_await_point() {
    for steps in 0.. {
        let world = World::default();
        let mut tasks = Tasks::new(&world, 1);
        let keeper = started(&world, &mut tasks);
        let tokens = world.sign_in();
        // The keeper has the tokens before the future is polled for the first time.
        let saved = keeper.signed_in(KEY, tokens);
        drop(saved);
        let caller = ask(&mut tasks, &keeper);
        tasks.steps(steps);
        let is_done = tasks.is_done(caller);
        tasks.cancel(caller);
        // The driver stores the tokens although nobody waits.
        while world.revision() == 0 {
            assert!(tasks.step(), "dropped after {steps} steps: the tokens are not stored");
        }
        assert_nobody_is_stranded(&world, &mut tasks, &format!("dropped after {steps} steps"));
        if is_done {
            break;
        }
    }
}

#[test]
fn callers_of_two_processes_are_dropped_at_random() {
    let refreshes: u32 = (0..10_000).map(history).sum();
    // One on the last day of each history, and more before.
    assert!(refreshes > 11_000, "{refreshes} refreshes only");
}

/// Two processes with callers that come, wait and are dropped in an order that the seed chooses, while the server is
/// busy and the store fails now and then. Returns the number of refreshes.
fn history(seed: u64) -> u32 {
    let world = World::default();
    let mut tasks = Tasks::new(&world, seed);
    let keepers = [signed_in(&world, &mut tasks), started(&world, &mut tasks)];
    let mut callers = Vec::new();
    for _ in 0..60 {
        match tasks.random(12) {
            // An answer that is on its way while hours pass is lost, which no client can mend.
            0 if tasks.are_quiet() => world.pass(Duration::from_secs(LIFETIME / 3)),
            1 | 2 => {
                let keeper = tasks.random(2) as usize;
                callers.push(ask(&mut tasks, &keepers[keeper]));
            }
            3 | 4 if !callers.is_empty() => {
                let caller = tasks.random(callers.len() as u64) as usize;
                tasks.cancel(callers.swap_remove(caller));
            }
            5 if tasks.random(4) == 0 => {
                let answer = if tasks.random(2) == 0 { Answer::Busy } else { Answer::Nothing };
                world.state.lock().unwrap().server.answers.push_back(answer);
            }
            6 if tasks.random(4) == 0 => {
                let failure = if tasks.random(2) == 0 { StoreFailure::Before } else { StoreFailure::After };
                world.state.lock().unwrap().store_fails.push_back(failure);
            }
            _ => tasks.steps(1),
        }
    }
    callers.into_iter().for_each(|caller| tasks.cancel(caller));
    // What is under way ends, although nobody waits for it.
    tasks.steps(400);
    let mut state = world.state.lock().unwrap();
    (state.store_fails, state.server.answers) = Default::default();
    drop(state);
    world.pass(Duration::from_secs(24 * 3600));
    assert_nobody_is_stranded(&world, &mut tasks, &format!("seed {seed}"));
    let state = world.state.lock().unwrap();
    state.server.refreshes
}
