//! The processes of a program, and the calls that they make, each awaited until it returns.

use oauth2_proto::keeper::{Keeper, KeeperError};
use oauth2_proto::session::Reason;
use oauth2_proto::{Client, Secret, Session, token::AccessToken};

use crate::tasks::{Task, Tasks};
use crate::world::{KEY, World, client, policy};

/// Starts a process: a keeper and its driver.
pub fn started(world: &World, tasks: &mut Tasks) -> Keeper {
    started_with(world, tasks, client())
}

/// Starts a process with this client.
pub fn started_with(world: &World, tasks: &mut Tasks, client: Client) -> Keeper {
    let (keeper, driver) = Keeper::new(client, policy(), world.clock(), world.clone(), world.clone());
    tasks.spawn(driver.run());
    keeper
}

/// Starts a process and signs a user in.
#[track_caller]
pub fn signed_in(world: &World, tasks: &mut Tasks) -> Keeper {
    let keeper = started(world, tasks);
    sign_in(world, tasks, &keeper);
    keeper
}

#[track_caller]
pub fn sign_in(world: &World, tasks: &mut Tasks, keeper: &Keeper) {
    let (keeper, tokens) = (keeper.clone(), world.sign_in());
    tasks.block_on(async move { keeper.signed_in(KEY, tokens).await }).unwrap();
}

#[track_caller]
pub fn token(tasks: &mut Tasks, keeper: &Keeper) -> Result<AccessToken, KeeperError> {
    let keeper = keeper.clone();
    tasks.block_on(async move { keeper.access_token(KEY).await })
}

/// The reason why the user must sign in.
#[track_caller]
pub fn reason(tasks: &mut Tasks, keeper: &Keeper) -> Reason {
    match token(tasks, keeper).unwrap_err() {
        KeeperError::SignIn(reason) => reason,
        other => panic!("{other}"),
    }
}

#[track_caller]
pub fn session(tasks: &mut Tasks, keeper: &Keeper) -> Option<Session> {
    let keeper = keeper.clone();
    tasks.block_on(async move { keeper.session(KEY).await }).unwrap()
}

#[track_caller]
pub fn end(tasks: &mut Tasks, keeper: &Keeper) -> Option<Secret> {
    let keeper = keeper.clone();
    tasks.block_on(async move { keeper.end(KEY).await }).unwrap()
}

#[track_caller]
pub fn resume(tasks: &mut Tasks, keeper: &Keeper) {
    let keeper = keeper.clone();
    tasks.block_on(async move { keeper.resume(KEY).await }).unwrap();
}

#[track_caller]
pub fn rebind(tasks: &mut Tasks, keeper: &Keeper) {
    let keeper = keeper.clone();
    tasks.block_on(async move { keeper.rebind(KEY).await }).unwrap();
}

/// Asks for a token and forgets it.
pub fn ask(tasks: &mut Tasks, keeper: &Keeper) -> Task {
    let keeper = keeper.clone();
    tasks.spawn(async move { drop(keeper.access_token(KEY).await) })
}
