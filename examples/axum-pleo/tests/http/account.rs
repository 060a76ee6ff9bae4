//! What a connected company sees, and the disconnect.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::browser::Browser;
use crate::support::server::Failure;
use crate::support::{BAKERY, GARAGE, Options, World};

const CONNECTED: &str = "Your company is connected";
const OUR_FAULT: &str = "Something is wrong on our side";
const TROUBLE: &str = "Pleo is not answering at the moment";

#[tokio::test]
async fn a_401_is_repeated_once_with_a_new_token() {
    let world = World::start(Options::default()).await;
    let mut browser = Browser::new(&world);
    browser.sign_in(BAKERY).await.assert(200, &[CONNECTED]);
    world.stand_in.server().end_access_tokens();
    browser.open("/").await.assert(200, &[CONNECTED]);
    assert_eq!(world.stand_in.server().counts().refreshes, 1);
}

#[tokio::test]
async fn an_overloaded_server_is_connection_trouble_that_passes() {
    let world = World::start(Options::default()).await;
    let mut browser = Browser::new(&world);
    browser.sign_in(BAKERY).await.assert(200, &[CONNECTED]);
    world.stand_in.server().end_access_tokens();
    world.stand_in.server().fail_next(Failure::Unavailable, 1);
    let page = browser.open("/").await;
    page.assert(503, &[TROUBLE, "less than a minute", "tried once", "Your company stays connected"]);
    assert_eq!(page.headers["refresh"], "10");
    sleep(Duration::from_millis(1200)).await;
    browser.open("/").await.assert(200, &[CONNECTED]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_gone_is_connection_trouble_that_passes() {
    let mut world = World::start(Options::default()).await;
    let mut browser = Browser::new(&world);
    browser.sign_in(BAKERY).await.assert(200, &[CONNECTED]);
    std::thread::scope(|scope| {
        let outage = scope.spawn(|| world.stand_in.outage(Duration::from_secs(2)));
        std::thread::sleep(Duration::from_millis(300));
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                browser.open("/").await.assert(503, &[TROUBLE]);
            });
        });
        outage.join().unwrap().unwrap();
    });
    browser.open("/").await.assert(200, &[CONNECTED]);
}

#[tokio::test]
async fn a_restart_with_an_expired_token_is_not_noticed() {
    let options = Options { access_token_lifetime: Duration::from_secs(4), ..Options::default() };
    let mut world = World::start(options).await;
    let mut browser = Browser::new(&world);
    browser.sign_in(BAKERY).await.assert(200, &[CONNECTED]);
    world.stop().await;
    sleep(Duration::from_millis(4500)).await;
    world.run_again().await;
    browser.open("/").await.assert(200, &[CONNECTED, BAKERY]);
    assert_eq!(world.stand_in.server().counts().refreshes, 1);
}

#[tokio::test]
async fn a_refresh_that_is_under_way_at_a_shutdown_is_saved() {
    let options = Options { token_latency: Duration::from_millis(800), ..Options::default() };
    let mut world = World::start(options).await;
    let mut browser = Browser::new(&world);
    browser.sign_in(BAKERY).await.assert(200, &[CONNECTED]);
    world.stand_in.server().end_access_tokens();
    timeout(Duration::from_millis(300), browser.open("/")).await.expect_err("the refresh takes longer");
    world.stop().await;
    world.run_again().await;
    browser.open("/").await.assert(200, &[CONNECTED]);
    assert_eq!(world.stand_in.server().counts().refreshes, 1);
}

#[tokio::test]
async fn a_server_that_forgot_everything_asks_for_another_sign_in() {
    let world = World::start(Options::default()).await;
    let mut browser = Browser::new(&world);
    browser.sign_in(BAKERY).await.assert(200, &[CONNECTED]);
    world.stand_in.server().forget_everything();
    browser.open("/").await.assert(200, &["Please connect again", "Pleo no longer accepts our access"]);
    browser.sign_in(BAKERY).await.assert(200, &[CONNECTED]);
}

#[tokio::test]
async fn a_secret_that_was_rotated_is_our_fault_and_asks_nobody_to_sign_in() {
    let mut world = World::start(Options::default()).await;
    let mut browser = Browser::new(&world);
    browser.sign_in(BAKERY).await.assert(200, &[CONNECTED]);
    world.stop().await;
    world.options.client_secret = "fake-outdated";
    world.run_again().await;
    world.stand_in.server().end_access_tokens();
    browser.open("/").await.assert(500, &[OUR_FAULT]);
    world.stop().await;
    world.options.client_secret = "fake-secret";
    world.run_again().await;
    sleep(Duration::from_millis(1500)).await;
    browser.open("/").await.assert(200, &[CONNECTED]);
}

#[tokio::test]
async fn a_broken_database_is_our_fault() {
    let world = World::start(Options::default()).await;
    let mut browser = Browser::new(&world);
    browser.sign_in(BAKERY).await.assert(200, &[CONNECTED]);
    world.break_database();
    browser.open("/").await.assert(500, &[OUR_FAULT]);
}

#[tokio::test]
async fn an_application_that_forgot_everything_begins_anew() {
    let mut world = World::start(Options::default()).await;
    let mut browser = Browser::new(&world);
    browser.sign_in(BAKERY).await.assert(200, &[CONNECTED]);
    let consent = browser.connect().await;
    world.stop().await;
    world.lose_database();
    world.run_again().await;
    browser.open("/").await.assert(200, &["Connect your company to Pleo"]);
    let callback = browser.answer(&consent, BAKERY).await;
    browser.open_from_elsewhere(&callback).await.assert(400, &["This link is not valid"]);
    browser.sign_in(BAKERY).await.assert(200, &[CONNECTED]);
}

#[tokio::test]
async fn a_disconnect_ends_the_connection_in_every_browser() {
    let world = World::start(Options::default()).await;
    let (mut browser, mut other) = (Browser::new(&world), Browser::new(&world));
    browser.sign_in(BAKERY).await.assert(200, &[CONNECTED]);
    other.sign_in(BAKERY).await.assert(200, &[CONNECTED]);
    let copied = browser.cookies.clone();
    browser.press("/disconnect").await.assert(200, &["You are disconnected"]);
    assert!(browser.cookies.is_empty());
    for cookies in [browser.cookies.clone(), copied] {
        browser.cookies = cookies;
        browser.open("/").await.assert(200, &["Connect your company to Pleo"]);
    }
    other.open("/").await.assert(200, &["Please connect again", "The connection was ended here"]);
}

#[tokio::test]
async fn another_site_cannot_disconnect() {
    let world = World::start(Options::default()).await;
    let mut browser = Browser::new(&world);
    browser.sign_in(BAKERY).await.assert(200, &[CONNECTED]);
    browser.press_elsewhere("/disconnect").await.assert(403, &["Nothing was changed"]);
    browser.open("/").await.assert(200, &[CONNECTED]);
}

#[tokio::test]
async fn a_company_never_gets_the_tokens_of_another() {
    let world = World::start(Options::default()).await;
    let (mut browser, mut other) = (Browser::new(&world), Browser::new(&world));
    browser.sign_in(BAKERY).await.assert(200, &[BAKERY]);
    other.sign_in(BAKERY).await.assert(200, &[BAKERY]);
    browser.sign_in(GARAGE).await.assert(200, &[GARAGE]);
    other.open("/").await.assert(200, &[BAKERY]);
    browser.open("/").await.assert(200, &[GARAGE]);
}

#[tokio::test]
async fn every_answer_has_strict_headers() {
    let world = World::start(Options::default()).await;
    let mut browser = Browser::new(&world);
    for (path, status, caching) in
        [("/", 200, "no-store"), ("/nothing", 404, "no-store"), ("/style.css", 200, "max-age=3600")]
    {
        let page = browser.open(path).await;
        page.assert(status, &[]);
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(page.headers["referrer-policy"], "no-referrer");
        assert_eq!(page.headers["x-content-type-options"], "nosniff");
        assert_eq!(page.headers["cache-control"], caching);
    }
}
