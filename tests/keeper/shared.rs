//! Many callers, one refresh.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use oauth2_proto::keeper::Keeper;

use crate::tasks::Tasks;
use crate::world::{KEY, LIFETIME, World, client, policy};

/// Starts a keeper and its driver, signs a user in, and returns the keeper.
pub fn signed_in(world: &World, tasks: &mut Tasks) -> Keeper {
    let keeper = started(world, tasks);
    let tokens = world.sign_in();
    let signed_in = keeper.clone();
    tasks.block_on(async move { signed_in.signed_in(KEY, tokens).await }).unwrap();
    keeper
}

pub fn started(world: &World, tasks: &mut Tasks) -> Keeper {
    let (keeper, driver) = Keeper::new(client(), policy(), world.clock(), world.clone(), world.clone());
    tasks.spawn(driver.run());
    keeper
}

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
