//! Callers that are dropped while they wait lose no token and strand nobody.

use std::time::Duration;

use oauth2_proto::keeper::{Keeper, KeeperError};
use oauth2_proto::session::Reason;

use crate::calls::{ask, session, sign_in, signed_in, started, token};
use crate::tasks::{Task, Tasks};
use crate::world::{Answer, KEY, LIFETIME, StoreFailure, World};

/// Another process gets a token that the API accepts.
#[track_caller]
fn assert_nobody_is_stranded(world: &World, tasks: &mut Tasks, context: &str) {
    let elsewhere = started(world, tasks);
    assert_is_served(world, tasks, &elsewhere, context);
    assert_eq!(world.state.lock().unwrap().server.reuses, 0, "{context}");
}

/// A process gets a token that the API accepts.
#[track_caller]
fn assert_is_served(world: &World, tasks: &mut Tasks, keeper: &Keeper, context: &str) {
    let token = token(tasks, keeper).unwrap_or_else(|error| panic!("{context}: {error}"));
    assert!(world.accepts(&token), "{context}: the API refuses the token");
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
    let (refreshes, dropped) = histories(5_000, &CALLERS);
    // One refresh on the last day of each history, and more before.
    assert!(refreshes > 5_500, "{refreshes} refreshes only");
    assert!(dropped > 10_000, "{dropped} callers dropped only");
}

#[test]
fn everything_else_that_a_program_does_comes_in_between_at_random() {
    let (refreshes, _) = histories(2_000, &PROGRAM);
    assert!(refreshes > 2_200, "{refreshes} refreshes only");
}

/// Plays so many histories. Returns the number of refreshes, and of callers that were dropped while they waited.
fn histories(number: u64, events: &[Event]) -> (u32, u32) {
    (0..number).map(|seed| history(seed, events)).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

/// An event of a history.
#[derive(Clone, Copy)]
enum Event {
    TimePasses,
    CallerComes,
    CallerIsDropped,
    ServerIsAway,
    StoreFails,
    UserSignsIn,
    TokenIsRejected,
    OperatorResumes,
    OperatorRebinds,
    UserDisconnects,
    ProcessRestarts,
}

use Event::*;

/// The events that a history draws from; more of one kind make it more frequent.
const CALLERS: [Event; 7] =
    [TimePasses, CallerComes, CallerComes, CallerIsDropped, CallerIsDropped, ServerIsAway, StoreFails];

const PROGRAM: [Event; 12] = [
    TimePasses,
    CallerComes,
    CallerComes,
    CallerIsDropped,
    ServerIsAway,
    StoreFails,
    UserSignsIn,
    TokenIsRejected,
    OperatorResumes,
    OperatorRebinds,
    UserDisconnects,
    ProcessRestarts,
];

/// Two processes, and events in an order that the seed chooses. At the end each process, and a new one, has
/// a good token of the last sign-in. Returns the numbers of refreshes and of dropped callers.
fn history(seed: u64, events: &[Event]) -> (u32, u32) {
    let context = format!("seed {seed}");
    let world = World::default();
    let mut tasks = Tasks::new(&world, seed);
    let mut keepers = [signed_in(&world, &mut tasks), started(&world, &mut tasks)];
    let mut callers = Callers::default();
    for _ in 0..60 {
        // The tasks have their turn between two events.
        match events.get(tasks.random(events.len() as u64 + 5) as usize) {
            Some(event) => happens(*event, &world, &mut tasks, &mut keepers, &mut callers),
            None => tasks.steps(1),
        }
    }
    while !callers.present.is_empty() {
        callers.drop_one(&mut tasks);
    }
    // The jobs end, although no caller waits for them.
    tasks.steps(400);
    let mut state = world.state.lock().unwrap();
    (state.store_fails, state.server.answers) = Default::default();
    drop(state);
    sign_in_again_after_an_end(&world, &mut tasks, &context);
    world.pass(Duration::from_secs(24 * 3600));
    for keeper in &keepers {
        assert_is_served(&world, &mut tasks, keeper, &context);
    }
    assert_nobody_is_stranded(&world, &mut tasks, &context);
    let state = world.state.lock().unwrap();
    (state.server.refreshes, callers.dropped)
}

/// The callers of a history.
#[derive(Default)]
struct Callers {
    present: Vec<Task>,
    /// The number of those that were dropped while they waited.
    dropped: u32,
}

impl Callers {
    fn drop_one(&mut self, tasks: &mut Tasks) {
        let caller = tasks.random(self.present.len() as u64) as usize;
        let caller = self.present.swap_remove(caller);
        self.dropped += u32::from(!tasks.is_done(caller));
        tasks.cancel(caller);
    }
}

fn happens(event: Event, world: &World, tasks: &mut Tasks, keepers: &mut [Keeper], callers: &mut Callers) {
    let process = tasks.random(keepers.len() as u64) as usize;
    let keeper = keepers[process].clone();
    // The rare events.
    let is_likely = match event {
        TimePasses | CallerComes | CallerIsDropped => true,
        ServerIsAway | StoreFails | UserSignsIn | TokenIsRejected => tasks.random(4) == 0,
        OperatorResumes | OperatorRebinds | UserDisconnects | ProcessRestarts => tasks.random(4) == 0,
    };
    match event {
        _ if !is_likely => tasks.steps(1),
        // An answer that is on its way while hours pass is lost, which no client can mend.
        TimePasses if !tasks.are_quiet() => {}
        TimePasses => world.pass(Duration::from_secs(LIFETIME / 3)),
        CallerComes => callers.present.push(ask(tasks, &keeper)),
        CallerIsDropped if callers.present.is_empty() => {}
        CallerIsDropped => callers.drop_one(tasks),
        ServerIsAway => {
            let answer = if tasks.random(2) == 0 { Answer::Busy } else { Answer::Nothing };
            world.state.lock().unwrap().server.answers.push_back(answer);
        }
        StoreFails => {
            let failure = if tasks.random(2) == 0 { StoreFailure::Before } else { StoreFailure::After };
            world.state.lock().unwrap().store_fails.push_back(failure);
        }
        UserSignsIn => {
            // Of two sign-ins at one time, no clock can tell the later one.
            world.pass(Duration::from_millis(1));
            drop(keeper.signed_in(KEY, world.sign_in()));
        }
        TokenIsRejected => {
            let token = world.state.lock().unwrap().server.current_access_token();
            keeper.access_token_rejected(KEY, &token);
        }
        OperatorResumes => drop(keeper.resume(KEY)),
        OperatorRebinds => drop(keeper.rebind(KEY)),
        UserDisconnects => disconnect(world, tasks, keeper),
        // The old process stores what it knows, and ends.
        ProcessRestarts => keepers[process] = started(world, tasks),
    }
}

/// Ends the authorization, and revokes its refresh token at the server.
fn disconnect(world: &World, tasks: &mut Tasks, keeper: Keeper) {
    let world = world.clone();
    tasks.spawn(async move {
        if let Ok(Some(refresh_token)) = keeper.end(KEY).await {
            world.state.lock().unwrap().server.revoke(&refresh_token);
        }
    });
}

/// Signs in if the user has disconnected, which an earlier sign-in than the last one does not survive.
#[track_caller]
fn sign_in_again_after_an_end(world: &World, tasks: &mut Tasks, context: &str) {
    let elsewhere = started(world, tasks);
    if matches!(token(tasks, &elsewhere), Err(KeeperError::SignIn(Reason::Ended))) {
        let ended = session(tasks, &elsewhere).unwrap();
        let is_of_the_last = {
            let state = world.state.lock().unwrap();
            state.server.is_of_the_last_sign_in(ended.refresh_token().unwrap())
        };
        assert!(is_of_the_last, "{context}: an end of an earlier sign-in has replaced the last one");
        sign_in(world, tasks, &elsewhere);
    }
}
