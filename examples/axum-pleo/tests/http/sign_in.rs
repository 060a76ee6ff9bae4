//! To Pleo and back.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::browser::Browser;
use crate::support::server::Failure;
use crate::support::{BAKERY, GARAGE, Options, World};

const CONNECTED: &str = "Your company is connected";
const NOT_VALID: &str = "This link is not valid";

#[tokio::test]
async fn a_company_signs_in_and_sees_its_connection() {
    let world = World::start(Options::default()).await;
    let mut browser = Browser::new(&world);
    browser.open("/").await.assert(200, &["Connect your company to Pleo"]);
    let page = browser.sign_in(BAKERY).await;
    page.assert(200, &[CONNECTED, BAKERY, "export-jobs:read", "users:read", "59 minutes"]);
}

#[tokio::test]
async fn the_callback_leads_to_a_clean_address() {
    let world = World::start(Options::default()).await;
    let mut browser = Browser::new(&world);
    for (owner, clean) in [("nobody", "/sign-in/refused"), (BAKERY, "/")] {
        let consent = browser.connect().await;
        let callback = browser.answer(&consent, owner).await;
        let page = browser.request(Method::GET, &callback, "cross-site").await;
        assert_eq!((page.status, page.location().as_str()), (303, clean));
    }
}

#[tokio::test]
async fn two_tabs_at_once_both_end_well() {
    let world = World::start(Options::default()).await;
    let mut browser = Browser::new(&world);
    let (first, second) = (browser.connect().await, browser.connect().await);
    for consent in [second, first] {
        let callback = browser.answer(&consent, BAKERY).await;
        browser.open_from_elsewhere(&callback).await.assert(200, &[CONNECTED]);
    }
}

#[tokio::test]
async fn the_eleventh_tab_replaces_the_first() {
    let world = World::start(Options::default()).await;
    let mut browser = Browser::new(&world);
    let mut tabs = Vec::new();
    for _ in 0..11 {
        tabs.push(browser.connect().await);
    }
    let callback = browser.answer(&tabs[0], BAKERY).await;
    browser.open_from_elsewhere(&callback).await.assert(400, &[NOT_VALID]);
    let callback = browser.answer(&tabs[1], BAKERY).await;
    browser.open_from_elsewhere(&callback).await.assert(200, &[CONNECTED]);
}

#[tokio::test]
async fn a_refusal_connects_nothing() {
    let world = World::start(Options::default()).await;
    let mut browser = Browser::new(&world);
    browser.sign_in("nobody").await.assert(200, &["Nothing was connected", "Try again"]);
    browser.open("/").await.assert(200, &["Connect your company to Pleo"]);
}

#[tokio::test]
async fn a_forged_callback_is_stopped_and_the_sign_in_goes_on() {
    let world = World::start(Options::default()).await;
    let mut browser = Browser::new(&world);
    let consent = browser.connect().await;
    let state = consent.split('&').find_map(|pair| pair.strip_prefix("state=")).unwrap();
    for forged in [
        "/callback".to_owned(),
        "/callback?code=stolen&state=guessed".to_owned(),
        "/callback?error=access_denied&state=guessed".to_owned(),
        format!("/callback?code=one&code=two&state={state}"),
        format!("/callback?access_token=stolen&state={state}"),
    ] {
        browser.open_from_elsewhere(&forged).await.assert(400, &[NOT_VALID, "still works"]);
    }
    let callback = browser.answer(&consent, BAKERY).await;
    browser.open_from_elsewhere(&callback).await.assert(200, &[CONNECTED]);
}

#[tokio::test]
async fn a_callback_works_in_the_browser_that_started_the_sign_in_only() {
    let world = World::start(Options::default()).await;
    let (mut attacker, mut victim) = (Browser::new(&world), Browser::new(&world));
    let consent = attacker.connect().await;
    let callback = attacker.answer(&consent, GARAGE).await;
    victim.open_from_elsewhere(&callback).await.assert(400, &[NOT_VALID]);
    victim.sign_in(BAKERY).await.assert(200, &[BAKERY]);
    victim.open_from_elsewhere(&callback).await.assert(400, &[NOT_VALID]);
    victim.open("/").await.assert(200, &[BAKERY]);
}

#[tokio::test]
async fn a_stale_tab_is_told_that_it_took_too_long() {
    let options = Options { sign_in_lifetime: Duration::from_secs(1), ..Options::default() };
    let world = World::start(options).await;
    let mut browser = Browser::new(&world);
    let consent = browser.connect().await;
    sleep(Duration::from_millis(2100)).await;
    let callback = browser.answer(&consent, BAKERY).await;
    browser.open_from_elsewhere(&callback).await.assert(400, &["That took too long", "Start again"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_callback_that_comes_many_times_at_once_sends_the_code_once() {
    let world = World::start(Options::default()).await;
    // Whether two of them meet between the look-up and the removal is a matter of luck.
    for _ in 0..5 {
        let mut browser = Browser::new(&world);
        let consent = browser.connect().await;
        let callback = browser.answer(&consent, BAKERY).await;
        let mut reloads = JoinSet::new();
        let start = Arc::new(Barrier::new(10));
        for _ in 0..10 {
            let (mut reload, callback, start) = (Browser::new(&world), callback.clone(), start.clone());
            reload.cookies = browser.cookies.clone();
            reloads.spawn(async move {
                // Opens the connection, so that the callbacks arrive together.
                reload.open("/").await.assert(200, &[]);
                start.wait().await;
                reload.request(Method::GET, &callback, "cross-site").await.location()
            });
        }
        let mut locations = reloads.join_all().await;
        locations.sort();
        assert_eq!(locations.remove(0), "/");
        assert!(locations.iter().all(|location| location == "/sign-in/not-valid"), "{locations:?}");
    }
}

#[tokio::test]
async fn the_sign_in_gives_the_browser_a_new_session() {
    let world = World::start(Options::default()).await;
    let (mut browser, mut other) = (Browser::new(&world), Browser::new(&world));
    let consent = browser.connect().await;
    let planted = browser.cookies.clone();
    let callback = browser.answer(&consent, BAKERY).await;
    browser.open_from_elsewhere(&callback).await.assert(200, &[CONNECTED]);
    assert_ne!(browser.cookies, planted);
    other.cookies = planted;
    other.open("/").await.assert(200, &["Not connected"]);
}

#[tokio::test]
async fn the_cookie_is_kept_from_scripts_and_from_other_sites() {
    let world = World::start(Options::default()).await;
    let page = Browser::new(&world).request(Method::GET, "/connect", "same-origin").await;
    let cookie = page.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.ends_with("; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax"), "{cookie}");
}

#[tokio::test]
async fn a_link_on_another_site_starts_no_sign_in() {
    let world = World::start(Options::default()).await;
    let mut browser = Browser::new(&world);
    browser.open_from_elsewhere("/connect").await.assert(200, &["Connect your company to Pleo"]);
    assert!(browser.cookies.is_empty());
}

#[tokio::test]
async fn a_server_in_trouble_connects_nothing() {
    let world = World::start(Options::default()).await;
    let mut browser = Browser::new(&world);
    for failure in [Failure::Unavailable, Failure::TooManyRequests, Failure::CutOff] {
        world.stand_in.server().fail_next(failure, 1);
        browser.sign_in(BAKERY).await.assert(503, &["Pleo is busy", "Try again"]);
    }
    browser.sign_in(BAKERY).await.assert(200, &[CONNECTED]);
}

#[tokio::test]
async fn a_server_that_forgot_the_code_asks_for_another_sign_in() {
    let world = World::start(Options::default()).await;
    let mut browser = Browser::new(&world);
    let consent = browser.connect().await;
    let callback = browser.answer(&consent, BAKERY).await;
    world.stand_in.server().forget_everything();
    browser.open_from_elsewhere(&callback).await.assert(400, &["Start again"]);
    browser.sign_in(BAKERY).await.assert(200, &[CONNECTED]);
}

#[tokio::test]
async fn a_wrong_client_secret_is_our_fault() {
    let world = World::start(Options { client_secret: "fake-wrong", ..Options::default() }).await;
    let page = Browser::new(&world).sign_in(BAKERY).await;
    page.assert(500, &["Something is wrong on our side"]);
}
