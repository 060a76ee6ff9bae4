//! Many callers, one refresh.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use oauth2_proto::session::Reason;

use crate::calls::{reason, session, signed_in, started, token};
use crate::tasks::Tasks;
use crate::world::{KEY, LIFETIME, World};

#[test]
fn fifty_callers_share_one_refresh() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keeper = signed_in(&world, &mut tasks);
    for lifetime in 1..=3 {
        world.pass(Duration::from_secs(LIFETIME));
        let good = Arc::new(AtomicU32::new(0));
        let callers: Vec<_> = (0..50)
            .map(|_| {
                let (keeper, world, good) = (keeper.clone(), world.clone(), good.clone());
                tasks.spawn(async move {
                    let token = keeper.access_token(KEY).await.unwrap();
                    good.fetch_add(u32::from(world.accepts(&token)), Ordering::Relaxed);
                })
            })
            .collect();
        while callers.iter().any(|caller| !tasks.is_done(*caller)) {
            assert!(tasks.step());
        }
        assert_eq!(good.load(Ordering::Relaxed), 50);
        assert_eq!(world.state.lock().unwrap().server.refreshes, lifetime);
    }
}

/// Polls a caller whose task does nothing by itself, as one that is busy elsewhere.
fn poll<F: Future>(caller: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    caller.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_caller_that_is_polled_late_gets_no_token_that_has_ended() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    drop(signed_in(&world, &mut tasks));
    let keeper = started(&world, &mut tasks);
    let mut late = pin!(keeper.access_token(KEY));
    assert!(poll(late.as_mut()).is_pending());
    assert_eq!(token(&mut tasks, &keeper).unwrap().secret().expose(), "fake-access-1");
    world.pass(Duration::from_secs(LIFETIME));
    assert!(poll(late.as_mut()).is_pending(), "the token has ended");
    // The question was asked again, so the keeper refreshes for this caller.
    while world.state.lock().unwrap().server.refreshes == 0 {
        assert!(tasks.step(), "nobody refreshes");
    }
    tasks.steps(20);
    let Poll::Ready(Ok(token)) = poll(late.as_mut()) else { panic!("there is a token") };
    assert!(world.accepts(&token));
}

#[test]
fn a_caller_that_is_polled_late_gets_no_token_that_was_rejected() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    drop(signed_in(&world, &mut tasks));
    let keeper = started(&world, &mut tasks);
    let mut late = pin!(keeper.access_token(KEY));
    assert!(poll(late.as_mut()).is_pending());
    let rejected = token(&mut tasks, &keeper).unwrap();
    keeper.access_token_rejected(KEY, rejected.secret());
    assert!(poll(late.as_mut()).is_pending(), "the token was rejected");
    let next = token(&mut tasks, &keeper).unwrap();
    let Poll::Ready(Ok(token)) = poll(late.as_mut()) else { panic!("there is a token") };
    assert!(token == next && next != rejected);
}

#[test]
fn a_look_at_nobodys_session_is_answered_however_late_it_is_polled() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keeper = started(&world, &mut tasks);
    let mut late = pin!(keeper.session(KEY));
    assert!(poll(late.as_mut()).is_pending());
    assert_eq!(reason(&mut tasks, &keeper), Reason::NotSignedIn);
    world.pass(Duration::from_secs(2));
    // What was read two seconds ago is read again, and the outcome of another caller is no answer.
    assert!(poll(late.as_mut()).is_pending());
    assert!(session(&mut tasks, &keeper).is_none());
    let Poll::Ready(nobody) = poll(late.as_mut()) else { panic!("the store was read") };
    assert!(nobody.unwrap().is_none());
}
