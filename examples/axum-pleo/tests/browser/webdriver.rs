//! A headless Chromium, driven by WebDriver.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::Agent;

/// How long a page may take to show a text. One page loads itself again after 10 seconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// The screens: a name, a width, a height, and whether it is a phone.
const SCREENS: [(&str, u32, u32, bool); 2] = [("phone", 390, 844, true), ("desktop", 1024, 768, false)];

pub struct Browser {
    agent: Agent,
    driver: Child,
    session: String,
    pictures: PathBuf,
    _profile: TempDir,
}

impl Browser {
    /// Starts a browser without any history, whose pictures go into this directory.
    pub fn start(pictures: &Path) -> Self {
        fs::create_dir_all(pictures).unwrap();
        let profile = tempfile::tempdir().unwrap();
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .spawn()
            .expect("install Debian's packages chromium and chromium-driver");
        let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines.map_while(Result::ok).find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse::<u16>().ok()
        });
        let port = port.expect("chromedriver ended before it started");
        let mut browser = Self {
            agent: Agent::config_builder().proxy(None).http_status_as_error(false).build().new_agent(),
            driver,
            session: format!("http://127.0.0.1:{port}/session"),
            pictures: pictures.to_owned(),
            _profile: profile,
        };
        let profile = format!("--user-data-dir={}", browser._profile.path().display());
        let mut flags = vec![profile];
        flags.extend(FLAGS.map(str::to_owned));
        let options = json!({ "binary": "/usr/bin/chromium", "args": flags });
        let capabilities = json!({ "alwaysMatch": { "goog:chromeOptions": options } });
        let session = browser.post("", &json!({ "capabilities": capabilities }));
        browser.session += &format!("/{}", text(&session["sessionId"]));
        browser
    }

    pub fn open(&self, url: &str) {
        self.post("/url", &json!({ "url": url }));
    }

    /// Presses the link or the button with this label.
    #[track_caller]
    pub fn press(&self, label: &str) {
        let path = format!("//a[normalize-space()='{label}'] | //button[normalize-space()='{label}']");
        let found = self.post("/element", &json!({ "using": "xpath", "value": path }));
        let element = found.as_object().and_then(|object| object.values().next()).map(text);
        self.post(&format!("/element/{}/click", element.unwrap()), &json!({}));
    }

    /// Waits until the page shows a text.
    #[track_caller]
    pub fn wait_for(&self, expected: &str) {
        let start = Instant::now();
        loop {
            let shown = self.run("return document.body ? document.body.innerText : ''");
            if shown.contains(expected) {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "no {expected:?} at {} in {shown}", self.address());
            sleep(Duration::from_millis(50));
        }
    }

    pub fn address(&self) -> String {
        self.run("return location.href")
    }

    /// Runs a script in the page, and returns its result as text.
    pub fn run(&self, script: &str) -> String {
        match self.post("/execute/sync", &json!({ "script": script, "args": [] })) {
            Value::String(text) => text,
            other => other.to_string(),
        }
    }

    pub fn tab(&self) -> String {
        text(&self.call("/window", |url| self.agent.get(url).call()))
    }

    pub fn open_tab(&self) {
        let tab = self.post("/window/new", &json!({ "type": "tab" }));
        self.switch_to(&text(&tab["handle"]));
    }

    pub fn switch_to(&self, tab: &str) {
        self.post("/window", &json!({ "handle": tab }));
    }

    /// Takes pictures of the page: on a phone and on a desktop, light and dark. Nothing may be cut off.
    #[track_caller]
    pub fn take_pictures(&self, name: &str) {
        for (screen, width, height, mobile) in SCREENS {
            let metrics =
                json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile });
            self.devtools("Emulation.setDeviceMetricsOverride", &metrics);
            for scheme in ["light", "dark"] {
                let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
                self.devtools("Emulation.setEmulatedMedia", &json!({ "features": features }));
                let overhang = "return document.documentElement.scrollWidth - innerWidth";
                assert_eq!(self.run(overhang), "0", "{name} is wider than a {screen}");
                let picture = self.devtools("Page.captureScreenshot", &json!({ "format": "png" }));
                let picture = STANDARD.decode(text(&picture["data"])).unwrap();
                fs::write(self.pictures.join(format!("{name}-{screen}-{scheme}.png")), picture).unwrap();
            }
        }
    }

    fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    #[track_caller]
    fn post(&self, path: &str, body: &Value) -> Value {
        self.call(path, |url| self.agent.post(url).send_json(body))
    }

    #[track_caller]
    fn call(
        &self,
        path: &str,
        send: impl FnOnce(String) -> Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Value {
        let mut answer = send(format!("{}{path}", self.session)).unwrap();
        let mut body: Value = answer.body_mut().read_json().unwrap();
        assert!(answer.status().is_success(), "{path}: {body}");
        body["value"].take()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends Chromium, which would outlive its driver.
        let _ = self.agent.delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

#[track_caller]
fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

const FLAGS: [&str; 8] = [
    "--headless",
    // The sandbox does not start in a container, nor for root.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];
