//! Keepers of a client whose key signs elsewhere: a service that may fail, hang or sign nonsense.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2_proto::jose::{Algorithm, PublicKey, SignerError, SigningKey, Unsigned};
use oauth2_proto::keeper::{Errand, Errands, Keeper, KeeperError, Refreshed, Runtime, blocking};
use oauth2_proto::{Advice, AuthorizationServer, Client, ClientAuth, Entropy, Request, Response};

use crate::calls::{end, session, sign_in, token};
use crate::tasks::Tasks;
use crate::world::{Answer, KEY, LIFETIME, World, client, policy};

/// The runtime of the world, and a service that holds the key.
#[derive(Clone, Default)]
struct Service {
    world: World,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// What the service does with the next messages; it signs when this is empty.
    does: VecDeque<Does>,
    /// The messages that it was asked to sign.
    asked: Vec<String>,
    /// The assertions that were sent.
    sent: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
enum Does {
    Fail,
    Hang,
    /// It signs after so many seconds.
    Wait(u64),
    /// A signature in DER, which is longer.
    Der,
}

impl Service {
    fn plan(&self, does: impl IntoIterator<Item = Does>) {
        self.state.lock().unwrap().does.extend(does);
    }

    /// The numbers of messages that were asked for, and of assertions that were sent.
    fn counts(&self) -> (usize, usize) {
        let state = self.state.lock().unwrap();
        (state.asked.len(), state.sent.len())
    }

    fn record(&self, request: &Request) {
        let form = request.form();
        let assertion = form.iter().find(|(name, _)| name == "client_assertion").unwrap();
        let mut state = self.state.lock().unwrap();
        // Each assertion is signed, is sent once, and says nothing of a time that has long passed.
        let (message, signature) = assertion.1.rsplit_once('.').unwrap();
        let claims = URL_SAFE_NO_PAD.decode(message.split_once('.').unwrap().1).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
        let made_at = SystemTime::UNIX_EPOCH + Duration::from_secs(claims["iat"].as_u64().unwrap());
        let age = self.world.now().duration_since(made_at).unwrap();
        assert!(age <= Duration::from_secs(21), "{age:?}");
        assert_eq!(signature, URL_SAFE_NO_PAD.encode([7; 64]));
        assert!(state.asked.iter().any(|asked| asked == message));
        assert!(!state.sent.contains(&assertion.1));
        state.sent.push(assertion.1.clone());
    }

    /// The time that the service takes for the next message.
    fn delay(&self) -> Duration {
        match self.state.lock().unwrap().does.front() {
            Some(Does::Wait(seconds)) => Duration::from_secs(*seconds),
            _ => Duration::from_millis(30),
        }
    }

    fn sign_now(&self, unsigned: &Unsigned) -> Option<Result<Vec<u8>, SignerError>> {
        let mut state = self.state.lock().unwrap();
        state.asked.push(String::from_utf8(unsigned.message().to_vec()).unwrap());
        match state.does.pop_front() {
            None | Some(Does::Wait(_)) => Some(Ok(vec![7; 64])),
            Some(Does::Fail) => Some(Err("the service is away".into())),
            Some(Does::Der) => Some(Ok(vec![7; 71])),
            Some(Does::Hang) => None,
        }
    }
}

impl Runtime for Service {
    async fn send(&self, request: &Request, until: SystemTime) -> Option<Response<'static>> {
        self.record(request);
        Runtime::send(&self.world, request, until).await
    }

    async fn sign(&self, unsigned: &Unsigned) -> Result<Vec<u8>, SignerError> {
        self.world.sleep(self.delay()).await;
        match self.sign_now(unsigned) {
            Some(signed) => signed,
            None => std::future::pending().await,
        }
    }

    async fn sleep(&self, until: SystemTime) {
        self.world.sleep_until(until).await;
    }

    fn refreshed(&self, key: &str, outcome: Refreshed) {
        Runtime::refreshed(&self.world, key, outcome);
    }
}

impl blocking::Runtime for Service {
    fn send(&self, request: &Request, until: SystemTime) -> Option<Response<'static>> {
        self.record(request);
        blocking::Runtime::send(&self.world, request, until)
    }

    fn sign(&self, unsigned: &Unsigned) -> Result<Vec<u8>, SignerError> {
        self.world.pass(self.delay());
        self.sign_now(unsigned).unwrap_or_else(|| Err("the service did not answer".into()))
    }

    fn sleep(&self, until: SystemTime) {
        blocking::Runtime::sleep(&self.world, until);
    }
}

/// The client of the world, which authenticates with a key that signs elsewhere.
#[track_caller]
fn remote_client() -> Client {
    let public_key = PublicKey::from_jwk(
        r#"{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
            "y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}"#,
    );
    let entropy = Entropy::from_bytes([5; 128]);
    let key = SigningKey::remote_with(Algorithm::ES256, public_key.unwrap(), entropy).unwrap();
    let server =
        AuthorizationServer::new("https://as.example/oauth/authorize", "https://as.example/oauth/token");
    let server = server.unwrap().issuer("https://as.example").unwrap();
    Client::new(server, "fake-client", ClientAuth::private_key_jwt(key)).unwrap()
}

/// A process with the service, and a signed-in user.
#[track_caller]
fn signed_in(service: &Service, tasks: &mut Tasks) -> Keeper {
    let keeper = started(service, tasks);
    sign_in(&service.world, tasks, &keeper);
    keeper
}

fn started(service: &Service, tasks: &mut Tasks) -> Keeper {
    let world = service.world.clone();
    let (keeper, driver) = Keeper::new(remote_client(), policy(), world.clock(), world, service.clone());
    tasks.spawn(driver.run());
    keeper
}

#[test]
fn each_refresh_has_a_signature_of_its_own_and_two_processes_share_one_refresh() {
    for seed in 0..20 {
        let service = Service::default();
        let mut tasks = Tasks::new(&service.world, seed);
        let keepers = [signed_in(&service, &mut tasks), started(&service, &mut tasks)];
        for lifetime in 1..=4 {
            for keeper in &keepers {
                let token = token(&mut tasks, keeper).unwrap();
                assert_eq!(token.secret().expose(), format!("fake-access-{lifetime}"), "seed {seed}");
            }
            service.world.pass(Duration::from_secs(LIFETIME));
        }
        assert_eq!(service.counts().1, 3, "seed {seed}");
        let state = service.world.state.lock().unwrap();
        assert_eq!((state.server.refreshes, state.server.reuses), (3, 0));
    }
}

#[test]
fn a_key_that_does_not_sign_claims_nothing_and_loses_nothing() {
    let service = Service::default();
    let mut tasks = Tasks::new(&service.world, 1);
    let keeper = signed_in(&service, &mut tasks);
    service.world.pass(Duration::from_secs(LIFETIME));
    let revision = service.world.revision();
    service.plan([Does::Fail, Does::Hang]);
    for says in ["the service is away", "no signature came in time"] {
        let error = token(&mut tasks, &keeper).unwrap_err();
        assert!(matches!(error, KeeperError::Signing(_)), "{error}");
        assert_eq!(error.to_string(), format!("the key did not sign, so nothing was sent: {says}"));
        assert_eq!(error.advice(), Advice::RetryLater);
        assert_eq!(service.world.revision(), revision, "there is no claim");
    }
    // A process whose key signs is not held up.
    let other = started(&service, &mut tasks);
    assert_eq!(token(&mut tasks, &other).unwrap().secret().expose(), "fake-access-2");
    assert_eq!(token(&mut tasks, &keeper).unwrap().secret().expose(), "fake-access-2");
    assert_eq!(service.counts(), (3, 1));
}

#[test]
fn while_the_key_does_not_sign_a_living_token_is_used() {
    let service = Service::default();
    let mut tasks = Tasks::new(&service.world, 1);
    let keeper = signed_in(&service, &mut tasks);
    // A refresh is due before the token ends.
    service.world.pass(Duration::from_secs(LIFETIME - 30));
    service.plan([Does::Fail; 3]);
    for _ in 0..3 {
        assert_eq!(token(&mut tasks, &keeper).unwrap().secret().expose(), "fake-access-1");
    }
}

#[test]
fn a_signature_of_the_wrong_form_is_the_programs_fault() {
    let service = Service::default();
    let mut tasks = Tasks::new(&service.world, 1);
    let keeper = signed_in(&service, &mut tasks);
    service.world.pass(Duration::from_secs(LIFETIME));
    service.plan([Does::Der]);
    let error = token(&mut tasks, &keeper).unwrap_err();
    assert!(matches!(error, KeeperError::Misuse(_)), "{error}");
    assert!(error.to_string().contains("r and s side by side"), "{error}");
    assert_eq!(error.advice(), Advice::FixConfiguration);
    assert_eq!(token(&mut tasks, &keeper).unwrap().secret().expose(), "fake-access-2");
}

#[test]
fn a_runtime_without_the_method_says_so() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let (keeper, driver) =
        Keeper::new(remote_client(), policy(), world.clock(), world.clone(), world.clone());
    tasks.spawn(driver.run());
    sign_in(&world, &mut tasks, &keeper);
    world.pass(Duration::from_secs(LIFETIME));
    let threads =
        blocking::Keeper::new(remote_client(), policy(), world.clock(), world.clone(), world.clone());
    for error in [token(&mut tasks, &keeper).unwrap_err(), threads.access_token(KEY).unwrap_err()] {
        assert!(error.to_string().contains("has no `sign`"), "{error}");
        assert_eq!(error.advice(), Advice::FixConfiguration);
    }
}

#[test]
fn the_clients_own_tokens_are_signed_for_too() {
    let service = Service::default();
    let mut tasks = Tasks::new(&service.world, 1);
    let keeper = started(&service, &mut tasks);
    let starting = keeper.clone();
    tasks
        .block_on(async move {
            let client = remote_client();
            let request = client.client_credentials().scopes(["reports:read"]);
            starting.start_from_client_credentials(KEY, request).await
        })
        .unwrap();
    for lifetime in 1..=3 {
        service.plan([Does::Fail]);
        let error = token(&mut tasks, &keeper).unwrap_err();
        assert!(matches!(error, KeeperError::Signing(_)), "{error}");
        assert_eq!(token(&mut tasks, &keeper).unwrap().secret().expose(), format!("fake-own-{lifetime}"));
        service.world.pass(Duration::from_secs(LIFETIME));
    }
    assert_eq!(service.counts(), (6, 3));
}

/// The signature is made anew after every pause, and a wasted one harms nobody.
#[test]
fn a_refresh_that_fails_is_signed_again() {
    let service = Service::default();
    let mut tasks = Tasks::new(&service.world, 1);
    let keeper = signed_in(&service, &mut tasks);
    service.world.pass(Duration::from_secs(LIFETIME));
    service.world.state.lock().unwrap().server.answers.extend([Answer::Busy, Answer::Nothing]);
    let mut tries = 0;
    while token(&mut tasks, &keeper).is_err() {
        tries += 1;
        assert!(tries < 20);
        service.world.pass(Duration::from_secs(60));
    }
    assert_eq!(service.counts().1, 3);
    assert_eq!(service.world.state.lock().unwrap().server.reuses, 0);
}

#[test]
fn an_end_is_stored_while_the_key_hangs() {
    let service = Service::default();
    let mut tasks = Tasks::new(&service.world, 1);
    let keeper = signed_in(&service, &mut tasks);
    service.world.pass(Duration::from_secs(LIFETIME));
    service.plan([Does::Hang]);
    let before = service.world.now();
    let caller = {
        let keeper = keeper.clone();
        tasks.spawn(async move { drop(keeper.access_token(KEY).await) })
    };
    while service.counts().0 == 0 {
        assert!(tasks.step());
    }
    assert_eq!(end(&mut tasks, &keeper).unwrap().expose(), "fake-refresh-1");
    let passed = service.world.now().duration_since(before).unwrap();
    assert!(passed < Duration::from_secs(1), "{passed:?}");
    tasks.cancel(caller);
    assert_eq!(service.counts(), (1, 0));
}

#[test]
fn threads_wait_for_the_signature() {
    let service = Service::default();
    let world = service.world.clone();
    let keeper =
        blocking::Keeper::new(remote_client(), policy(), world.clock(), world.clone(), service.clone());
    keeper.signed_in(KEY, world.sign_in()).unwrap();
    for lifetime in 1..=3 {
        assert_eq!(keeper.access_token(KEY).unwrap().secret().expose(), format!("fake-access-{lifetime}"));
        world.pass(Duration::from_secs(LIFETIME));
        let revision = world.revision();
        service.plan([Does::Fail, Does::Hang, Does::Der]);
        for says in ["the service is away", "did not answer", "r and s side by side"] {
            let error = keeper.access_token(KEY).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
            assert_eq!(world.revision(), revision);
        }
        // What needs no signature goes on.
        assert!(keeper.session(KEY).unwrap().is_some());
    }
    assert_eq!(service.counts(), (2 + 9, 2));
}

/// The attack: a service that answers late. The server would take what it signed for a client that it does not
/// know, and pauses of minutes would hold up every process.
#[test]
fn a_signature_that_comes_late_is_neither_waited_for_nor_sent() {
    for seconds in [9, 10, 12, 29, 45, 59, 300] {
        let service = Service::default();
        let mut tasks = Tasks::new(&service.world, seconds);
        let keeper = signed_in(&service, &mut tasks);
        service.world.pass(Duration::from_secs(LIFETIME));
        let (revision, before) = (service.world.revision(), service.world.now());
        service.plan([Does::Wait(seconds)]);
        let late = token(&mut tasks, &keeper);
        let waited = service.world.now().duration_since(before).unwrap();
        assert!(waited < Duration::from_secs(11), "{seconds}: {waited:?}");
        if seconds > 10 {
            let error = late.unwrap_err();
            assert!(error.to_string().ends_with("no signature came in time"), "{error}");
            assert_eq!(service.world.revision(), revision, "there is no claim");
        }
        // `plan` is used up when the service would have answered.
        service.state.lock().unwrap().does.clear();
        assert_eq!(token(&mut tasks, &keeper).unwrap().secret().expose(), "fake-access-2", "{seconds}");

        let service = Service::default();
        let world = service.world.clone();
        let threads =
            blocking::Keeper::new(remote_client(), policy(), world.clock(), world.clone(), service.clone());
        threads.signed_in(KEY, world.sign_in()).unwrap();
        world.pass(Duration::from_secs(LIFETIME));
        let revision = world.revision();
        service.plan([Does::Wait(seconds)]);
        if seconds > 10 {
            let error = threads.access_token(KEY).unwrap_err();
            assert!(error.to_string().ends_with("no signature came in time"), "{error}");
            assert_eq!(world.revision(), revision, "there is no claim");
        }
        assert_eq!(threads.access_token(KEY).unwrap().secret().expose(), "fake-access-2", "{seconds}");
    }
}

/// The store was slow after the signature: the claim is ours, and the signature is made anew.
#[test]
fn a_signature_that_waited_for_the_store_is_made_again() {
    let world = World::default();
    let mut errands = Errands::new(remote_client(), policy());
    let mut row = None;
    errands.signed_in(world.sign_in(), world.now()).unwrap();
    let mut words = Vec::new();
    let mut slow = Duration::ZERO;
    for _ in 0..12 {
        match errands.next(world.now()) {
            Errand::Load => {
                words.push("load");
                errands.loaded(row.clone(), world.now());
            }
            Errand::Swap(save) => {
                words.push("swap");
                row = Some(save.snapshot().clone());
                world.pass(std::mem::take(&mut slow));
                errands.swapped(save, true, world.now());
            }
            Errand::Sign { mut signing, until } => {
                words.push("sign");
                assert!(world.now() < until);
                // Not reported, it comes again.
                let Errand::Sign { signing: again, .. } = errands.next(world.now()) else {
                    panic!("the errand comes again")
                };
                // Without its signature, it is none.
                assert!(errands.signed(again).is_err());
                signing.signed(&[7; 64]).unwrap();
                errands.signed(signing).unwrap();
            }
            Errand::Send { call, .. } => {
                words.push("send");
                errands.answered(call, None, world.now());
                break;
            }
            Errand::Sleep(_) => panic!("there is something to do"),
            Errand::Token(_) => {
                words.push("token");
                world.pass(Duration::from_secs(LIFETIME));
                slow = Duration::from_secs(20);
            }
            Errand::NoToken(error) => panic!("{error}"),
        }
    }
    assert_eq!(words, ["load", "swap", "token", "load", "sign", "swap", "sign", "send"]);
}

/// A client with a key in this process, or without one, meets no such errand.
#[test]
fn a_client_with_a_secret_is_never_asked_to_sign() {
    let service = Service::default();
    let world = service.world.clone();
    let keeper = blocking::Keeper::new(client(), policy(), world.clock(), world.clone(), world.clone());
    keeper.signed_in(KEY, world.sign_in()).unwrap();
    world.pass(Duration::from_secs(LIFETIME));
    assert_eq!(keeper.access_token(KEY).unwrap().secret().expose(), "fake-access-2");
    assert_eq!(service.counts(), (0, 0));
    let mut tasks = Tasks::new(&world, 1);
    let keeper = started(&service, &mut tasks);
    assert!(session(&mut tasks, &keeper).is_some());
}
