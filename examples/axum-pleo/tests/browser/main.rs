//! Drives the application with a real browser, reads the pages as a person does, and takes pictures of them.

#[path = "../support/mod.rs"]
mod support;
mod webdriver;

use std::path::PathBuf;

use support::server::Failure;
use support::{BAKERY, Options, World};
use webdriver::Browser;

/// Where the pictures go: to SCREENSHOTS, or to a directory of the build.
fn pictures() -> PathBuf {
    let directory = std::env::var_os("SCREENSHOTS").map(PathBuf::from);
    directory.unwrap_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("axum-pleo"))
}

#[test]
#[ignore = "needs Debian's packages chromium and chromium-driver"]
fn a_person_connects_is_attacked_and_disconnects() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::start(Options::default()));
    let browser = Browser::start(&pictures());
    let app = world.origin();
    // Another host name, so that the browser takes it for another site.
    let elsewhere = world.stand_in.base_url().replace("127.0.0.1", "localhost");

    browser.open(&app);
    browser.wait_for("Connect your company to Pleo");
    browser.take_pictures("start");

    browser.press("Connect to Pleo");
    browser.wait_for("Allow access?");
    browser.take_pictures("consent");
    browser.press("No, do not allow");
    browser.wait_for("Nothing was connected");
    assert_eq!(browser.address(), format!("{app}/sign-in/refused"));
    browser.take_pictures("refused");

    browser.press("Try again");
    browser.wait_for("Allow access?");
    let sign_in = browser.tab();
    browser.open_tab();
    browser.open(&elsewhere);
    browser.run(&format!("location.href = '{app}/callback?code=stolen&state=guessed'"));
    browser.wait_for("This link is not valid");
    assert_eq!(browser.address(), format!("{app}/sign-in/not-valid"));
    browser.take_pictures("not-valid");
    browser.switch_to(&sign_in);
    browser.press("Allow, for blue-bakery");
    browser.wait_for("Your company is connected");
    browser.wait_for(BAKERY);
    assert_eq!(browser.address(), format!("{app}/"));
    assert_eq!(browser.run("return document.cookie"), "", "scripts see no cookie");
    browser.take_pictures("connected");

    browser.open_tab();
    browser.open(&elsewhere);
    browser.run(&format!(
        "const form = document.createElement('form');
         form.method = 'post';
         form.action = '{app}/disconnect';
         document.body.append(form);
         form.submit()"
    ));
    browser.wait_for("Nothing was changed");
    browser.take_pictures("from-elsewhere");
    browser.switch_to(&sign_in);

    world.stand_in.server().end_access_tokens();
    world.stand_in.server().fail_next(Failure::Unavailable, 1);
    browser.open(&app);
    browser.wait_for("Pleo is not answering at the moment");
    browser.take_pictures("trouble");
    // Nobody presses anything: the page looks again by itself.
    browser.wait_for("Your company is connected");

    world.stand_in.server().forget_everything();
    browser.open(&app);
    browser.wait_for("Please connect again");
    browser.take_pictures("sign-in-again");
    browser.press("Connect again");
    browser.press("Allow, for blue-bakery");
    browser.wait_for("Your company is connected");
    browser.press("Disconnect");
    browser.wait_for("You are disconnected");
    browser.take_pictures("disconnected");

    for (page, title) in [
        ("too-late", "That took too long"),
        ("busy", "Pleo is busy"),
        ("our-fault", "Something is wrong on our side"),
    ] {
        browser.open(&format!("{app}/sign-in/{page}"));
        browser.wait_for(title);
        browser.take_pictures(page);
    }
}
