//! Keepers whose client has a key (RFC 9449): proofs and nonces by themselves, and another key is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use oauth2_proto::challenge::ProtectedApi;
use oauth2_proto::dpop::DpopKey;
use oauth2_proto::error::ErrorKind;
use oauth2_proto::jose::{Algorithm, PublicKey, Signer, SignerError, SigningKey};
use oauth2_proto::keeper::{KeeperError, blocking};
use oauth2_proto::session::{TroubleKind, WaitReason};
use oauth2_proto::token::TokenType;
use oauth2_proto::{Advice, AuthorizationServer, Client, ClientAuth, Entropy};

use crate::bound::{key, public_key, signature};
use crate::calls::{ask, rebind, session, sign_in, started_with, token};
use crate::tasks::Tasks;
use crate::world::{KEY, LIFETIME, World, client, policy};

/// A world whose server binds tokens to a key, and wants a nonce in each proof.
fn bound_world() -> World {
    let world = World::default();
    let mut state = world.state.lock().unwrap();
    (state.server.bound_to, state.server.nonce) = (Some(key(0)), 1);
    drop(state);
    world
}

fn blocking_keeper(world: &World, client: Client) -> blocking::Keeper<World, World> {
    blocking::Keeper::new(client, policy(), world.clock(), world.clone(), world.clone())
}

/// The server takes no nonce any longer that it has given out.
fn change_nonce(world: &World) {
    world.state.lock().unwrap().server.nonce += 1;
}

/// What the keepers must have done after so many lifetimes, in each of which the server asked for a nonce.
#[track_caller]
fn assert_each_refresh_was_asked_once(world: &World, lifetimes: u32) {
    let state = world.state.lock().unwrap();
    let server = &state.server;
    assert_eq!((server.refreshes, server.demands, server.reuses), (lifetimes, lifetimes, 0));
    // Nothing else is logged: what the server asked for is no failure.
    assert_eq!(state.log, vec!["the tokens were refreshed"; lifetimes as usize]);
}

#[test]
fn rfc9449_section_8_a_driver_meets_each_demand_with_one_more_request() {
    for seed in 0..20 {
        let world = bound_world();
        let mut tasks = Tasks::new(&world, seed);
        let keepers = [(); 2].map(|()| started_with(&world, &mut tasks, world.client()));
        sign_in(&world, &mut tasks, &keepers[0]);
        for lifetime in 1..=4 {
            world.pass(Duration::from_secs(LIFETIME));
            let callers: Vec<_> = (0..6).map(|caller| ask(&mut tasks, &keepers[caller % 2])).collect();
            for keeper in &keepers {
                let token = token(&mut tasks, keeper).unwrap();
                assert_eq!(token.secret().expose(), format!("fake-access-{}", lifetime + 1), "seed {seed}");
            }
            callers.into_iter().for_each(|caller| tasks.cancel(caller));
            change_nonce(&world);
        }
        assert_each_refresh_was_asked_once(&world, 4);
        assert!(session(&mut tasks, &keepers[0]).unwrap().trouble().is_none());
    }
}

#[test]
fn rfc9449_section_8_a_blocking_keeper_meets_each_demand_with_one_more_request() {
    let world = bound_world();
    let keeper = blocking_keeper(&world, world.client());
    keeper.signed_in(KEY, world.sign_in()).unwrap();
    for lifetime in 1..=4 {
        world.pass(Duration::from_secs(LIFETIME));
        let token = keeper.access_token(KEY).unwrap();
        assert_eq!(token.secret().expose(), format!("fake-access-{}", lifetime + 1));
        change_nonce(&world);
    }
    assert_each_refresh_was_asked_once(&world, 4);
}

/// The attack: a server that asks for ever. Each claim makes two requests, and pauses grow between them.
#[test]
fn a_server_that_asks_for_ever_is_in_trouble() {
    let world = bound_world();
    world.state.lock().unwrap().server.always_wants_another_nonce = true;
    let mut tasks = Tasks::new(&world, 1);
    let keeper = started_with(&world, &mut tasks, world.client());
    sign_in(&world, &mut tasks, &keeper);
    world.pass(Duration::from_secs(LIFETIME));
    let error = token(&mut tasks, &keeper).unwrap_err();
    let KeeperError::NotNow { reason: WaitReason::Pause, trouble: Some(trouble), .. } = error else {
        panic!("{error}")
    };
    assert_eq!((trouble.kind(), trouble.code()), (TroubleKind::Unavailable, Some("use_dpop_nonce")));
    let demands = world.state.lock().unwrap().server.demands;
    assert_eq!(demands, 2 * trouble.failures());
    assert!(demands <= 20, "{demands}");

    // The server is repaired, and the refresh token is as good as before.
    world.state.lock().unwrap().server.always_wants_another_nonce = false;
    world.pass(Duration::from_secs(600));
    assert_eq!(token(&mut tasks, &keeper).unwrap().secret().expose(), "fake-access-2");
    assert_eq!(world.state.lock().unwrap().server.reuses, 0);
}

#[test]
fn a_keeper_with_another_key_or_none_is_told_and_sends_nothing() {
    let world = bound_world();
    blocking_keeper(&world, world.client()).signed_in(KEY, world.sign_in()).unwrap();
    let stored = world.revision();
    for (client, says) in
        [(client().dpop(key(1)), "bound to another key"), (client(), "this client has none")]
    {
        let mut tasks = Tasks::new(&world, 1);
        let keeper = started_with(&world, &mut tasks, client.clone());
        for passed in [0, LIFETIME] {
            world.pass(Duration::from_secs(passed));
            for error in [
                token(&mut tasks, &keeper).unwrap_err(),
                blocking_keeper(&world, client.clone()).access_token(KEY).unwrap_err(),
            ] {
                assert!(matches!(error, KeeperError::Misuse(_)), "{error}");
                assert!(error.to_string().contains(says), "{error}");
            }
        }
        // Tokens of a sign-in with the right key are stored, and are not this keeper's.
        let error = blocking_keeper(&world, client).signed_in("customer 18", world.sign_in()).unwrap_err();
        assert!(matches!(error, KeeperError::Misuse(_)), "{error}");
    }
    assert_eq!((world.revision(), world.state.lock().unwrap().server.demands), (stored, 0));
}

/// A key in this process that signs only while it works, such as one in a device that can be unplugged.
fn unsteady_key(works: &Arc<AtomicBool>) -> DpopKey {
    let signer = Unsteady(public_key(0), works.clone());
    DpopKey::new(SigningKey::new_with(signer, Entropy::from_bytes([6; 128])).unwrap())
}

struct Unsteady(PublicKey, Arc<AtomicBool>);

impl Signer for Unsteady {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }

    fn public_key(&self) -> &PublicKey {
        &self.0
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        match self.1.load(Ordering::Relaxed) {
            true => Ok(signature(message)),
            false => Err("the device is unplugged".into()),
        }
    }
}

/// The attack: a key in this process that fails. Its holder makes no claim, which would hold up the others while
/// nothing is sent, and ends no token.
#[test]
fn a_key_in_this_process_that_fails_holds_up_no_other_process() {
    let works = Arc::new(AtomicBool::new(false));
    let unsteady = || client().dpop(unsteady_key(&works));
    for is_blocking in [true, false] {
        let world = bound_world();
        let mut tasks = Tasks::new(&world, 1);
        let threads = blocking_keeper(&world, unsteady());
        let keeper = started_with(&world, &mut tasks, unsteady());
        let mut ask = || if is_blocking { threads.access_token(KEY) } else { token(&mut tasks, &keeper) };
        let other = blocking_keeper(&world, world.client());
        other.signed_in(KEY, world.sign_in()).unwrap();
        let revision = world.revision();
        // A refresh is due before the token ends.
        world.pass(Duration::from_secs(LIFETIME - 30));
        assert_eq!(ask().unwrap().secret().expose(), "fake-access-1");
        world.pass(Duration::from_secs(30));
        for _ in 0..3 {
            let error = ask().unwrap_err();
            assert!(matches!(error, KeeperError::Signing(_)), "{error}");
            assert!(error.to_string().contains("the device is unplugged"), "{error}");
            assert_eq!(error.advice(), Advice::RetryLater);
        }
        assert_eq!(world.revision(), revision, "there is no claim");
        // A process whose key works is not held up, and is waited for.
        let before = world.now();
        assert_eq!(other.access_token(KEY).unwrap().secret().expose(), "fake-access-2");
        assert!(world.now() < before + Duration::from_secs(1));
        world.pass(Duration::from_secs(1));
        assert_eq!(ask().unwrap().secret().expose(), "fake-access-2");
        works.store(true, Ordering::Relaxed);
        world.pass(Duration::from_secs(LIFETIME));
        assert_eq!(ask().unwrap().secret().expose(), "fake-access-3");
        works.store(false, Ordering::Relaxed);
    }
}

/// The attack: a server whose list does not name the algorithm of the key. No request can be made, so there is
/// no claim either.
#[test]
fn a_key_of_an_algorithm_that_the_server_does_not_list_claims_nothing() {
    let world = bound_world();
    blocking_keeper(&world, world.client()).signed_in(KEY, world.sign_in()).unwrap();
    world.pass(Duration::from_secs(LIFETIME));
    let revision = world.revision();
    let server: AuthorizationServer = serde_json::from_value(serde_json::json!({
        "issuer": "https://as.example",
        "authorization_endpoint": "https://as.example/oauth/authorize",
        "token_endpoint": "https://as.example/oauth/token",
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        "response_types_supported": ["code"],
        "dpop_signing_alg_values_supported": ["EdDSA"],
    }))
    .unwrap();
    let client = Client::new(server, "fake-client", ClientAuth::basic("fake-secret")).unwrap().dpop(key(0));
    let error = blocking_keeper(&world, client).access_token(KEY).unwrap_err();
    assert!(matches!(error, KeeperError::Misuse(_)), "{error}");
    assert_eq!(world.revision(), revision, "there is no claim");
}

#[test]
fn a_sign_in_with_another_key_takes_over() {
    let world = bound_world();
    let old = blocking_keeper(&world, world.client());
    old.signed_in(KEY, world.sign_in()).unwrap();
    world.pass(Duration::from_secs(1));
    world.state.lock().unwrap().server.bound_to = Some(key(1));
    let new = blocking_keeper(&world, world.client());
    new.signed_in(KEY, world.sign_in()).unwrap();
    world.pass(Duration::from_secs(LIFETIME));
    assert_eq!(new.access_token(KEY).unwrap().secret().expose(), "fake-access-3");
    assert!(matches!(old.access_token(KEY).unwrap_err(), KeeperError::Misuse(_)));
}

/// The server binds the refresh tokens of clients without credentials only (RFC 9449 §5).
#[test]
fn a_keeper_rebinds_the_tokens_of_its_old_key() {
    let world = bound_world();
    blocking_keeper(&world, world.client()).signed_in(KEY, world.sign_in()).unwrap();
    world.state.lock().unwrap().server.bound_to = Some(key(1));
    let mut tasks = Tasks::new(&world, 1);
    let keeper = started_with(&world, &mut tasks, world.client());
    assert!(matches!(token(&mut tasks, &keeper).unwrap_err(), KeeperError::Misuse(_)));
    rebind(&mut tasks, &keeper);
    assert_eq!(token(&mut tasks, &keeper).unwrap().secret().expose(), "fake-access-2");
}

/// The attack: a token that is bound to a key, sent as one that works for whoever has it. The token says what it
/// is, also while tokens of both types are around.
#[test]
fn rfc9449_section_7_2_a_keeper_says_how_to_send_a_token() {
    let world = World::default();
    let keeper = blocking_keeper(&world, world.client());
    keeper.signed_in(KEY, world.sign_in()).unwrap();
    let token = keeper.access_token(KEY).unwrap();
    assert_eq!((token.token_type(), token.bearer().unwrap()), (&TokenType::Bearer, token.secret()));

    // The client gets a key, and its next tokens are bound.
    world.state.lock().unwrap().server.bound_to = Some(key(0));
    let threads = blocking_keeper(&world, world.client());
    let mut tasks = Tasks::new(&world, 1);
    let tasked = started_with(&world, &mut tasks, world.client());
    assert_eq!(threads.access_token(KEY).unwrap(), token);
    world.pass(Duration::from_secs(LIFETIME));
    let api = ProtectedApi::new(["https://api.example"]).unwrap();
    let url = "https://api.example/items";
    for bound in [threads.access_token(KEY).unwrap(), self::token(&mut tasks, &tasked).unwrap()] {
        assert_eq!((bound.token_type(), bound.secret().expose()), (&TokenType::DPoP, "fake-access-2"));
        for error in [
            bound.bearer().unwrap_err(),
            api.authorization(bound.token_type(), bound.secret(), url).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Misuse);
            assert!(error.to_string().contains("call bound_request"), "{error}");
        }
        assert!(api.bound_request(&key(0), bound.secret(), "GET", url).is_ok());
    }
}
