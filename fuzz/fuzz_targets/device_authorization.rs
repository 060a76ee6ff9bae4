//! A device authorization is accepted only if what the user sees is sound, and its stored form is stable and
//! hides its codes. Whatever the events and the clock, the polls keep to the interval and to the lifetime,
//! one is in flight at a time, and tokens are delivered once.
//!
//! Input: lines with the status, the answer (JSON) or a stored form, then one event per line: `+5` and `-5`
//! move the clock by seconds, `p` polls, `s` sends, `n` reports that the newest request was not answered, `o`
//! the oldest, `r` restarts from the stored form, and `400 {…}` answers the newest request.
#![no_main]

use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use oauth2_proto::grants::device::{DevicePoll, PendingDevice, Step};
use oauth2_proto::{Call, Client, Response};
use oauth2_proto_fuzz::{assert_hides, assert_shows_safely, client, json_object, lines, now, server};
use serde_json::Value;
use url::Url;

fuzz_target!(|data: &[u8]| {
    let Some(([status, first], events)) = lines(data) else { return };
    let (Ok(status), Ok(events)) = (status.parse::<u16>(), std::str::from_utf8(events)) else { return };
    let server = server().device_authorization_endpoint("https://as.example/device_authorization").unwrap();
    let client = client(server);
    if let Ok(value) = serde_json::from_str::<Value>(first) {
        assert_hides(value, &[("device_code", 2), ("user_code", 3)], |stored| {
            match serde_json::from_str::<PendingDevice>(stored) {
                Ok(device) => format!("{device:?}"),
                Err(error) => error.to_string(),
            }
        });
    }
    let device = match read(&client, status, first) {
        Some(device) => device,
        None => match serde_json::from_str::<PendingDevice>(first) {
            Ok(device) => device,
            Err(error) => return assert_shows_safely(&error.to_string()),
        },
    };
    check_shown(&device);
    let Some(stored) = store(&device) else { return };
    // A restored machine may belong to another client.
    let is_ours = stored["client"] == own_mark(&client);
    if is_ours {
        World::new(client, device, &stored).play(events);
    }
});

/// Reads the answer, and begins to wait.
fn read(client: &Client, status: u16, body: &str) -> Option<PendingDevice> {
    let call = client.device_authorization().start(SystemTime::UNIX_EPOCH).unwrap();
    let none: [(&str, &str); 0] = [];
    match call.read(Response::new(status, none, body.as_bytes())) {
        Ok(authorization) => {
            assert!((200..=299).contains(&status));
            let printed = format!("{authorization:?}");
            let object = json_object(body.as_bytes());
            let device = authorization.begin(now());
            let stored = serde_json::to_value(&device).unwrap();
            if let Some(object) = object {
                assert_eq!(object["device_code"], stored["device_code"]);
                assert_eq!(object["user_code"], device.user_code());
                let address = ["verification_uri", "verification_url"].map(|name| object.get(name));
                assert!(address.contains(&Some(&device.verification_uri().into())));
            }
            assert_shows_safely(&printed);
            Some(device)
        }
        Err(error) => {
            assert_shows_safely(&error.to_string());
            None
        }
    }
}

/// What the user sees is what another parser of URLs finds, and holds no character that hides another.
fn check_shown(device: &PendingDevice) {
    assert!(!device.user_code().trim().is_empty() && device.user_code().chars().count() <= 128);
    let hides = |sign: char| {
        sign.is_control()
            || matches!(sign, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    assert!(!device.user_code().contains(hides), "{:?}", device.user_code());
    for address in [Some(device.verification_uri()), device.verification_uri_complete()].into_iter().flatten()
    {
        assert!(address.bytes().all(|byte| byte.is_ascii_graphic()), "{address:?}");
        let url = Url::parse(address).expect("a URL");
        assert!(matches!(url.scheme(), "http" | "https"), "{address}");
        assert!(url.username().is_empty() && url.password().is_none(), "{address}");
        let host = url.host_str().unwrap();
        assert!(address.to_ascii_lowercase().contains(host), "{address} means {host}");
    }
}

/// Returns the stored form, if the machine has not ended. A restored machine has the same.
fn store(device: &PendingDevice) -> Option<Value> {
    let stored = serde_json::to_string(device).ok()?;
    let restored: PendingDevice = serde_json::from_str(&stored).expect("the stored form is valid");
    assert_eq!(serde_json::to_string(&restored).unwrap(), stored);
    serde_json::from_str(&stored).ok()
}

/// Returns what the stored form of this client's authorizations begins with.
fn own_mark(client: &Client) -> Value {
    let body =
        r#"{"device_code":"d","user_code":"u","verification_uri":"https://as.example","expires_in":9}"#;
    store(&read(client, 200, body).unwrap()).unwrap()["client"].clone()
}

struct World {
    client: Client,
    device: PendingDevice,
    /// Milliseconds of Unix time.
    clock: u64,
    /// The earliest time that the machine was shown since its last request, or since the beginning.
    earliest: u64,
    /// The least pause before the next request.
    interval: u64,
    in_flight: Vec<Call<DevicePoll>>,
    delivered: u32,
}

impl World {
    fn new(client: Client, device: PendingDevice, stored: &Value) -> Self {
        let clock = u64::try_from(now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()).unwrap();
        let since = stored["pause_since"].as_u64().unwrap();
        let interval = stored["pause"].as_u64().unwrap();
        Self { client, device, clock, earliest: since, interval, in_flight: Vec::new(), delivered: 0 }
    }

    fn play(&mut self, events: &str) {
        for event in events.lines().take(200) {
            self.event(event);
        }
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.clock)
    }

    fn event(&mut self, event: &str) {
        let now = self.now();
        match event.split_at_checked(1) {
            Some(("+", seconds)) => {
                let by = seconds.parse::<u32>().unwrap_or(0);
                self.clock = (self.clock + 1000 * u64::from(by)).min(200_000_000_000_000);
                return;
            }
            Some(("-", seconds)) => {
                let by = seconds.parse::<u32>().unwrap_or(0);
                self.clock = self.clock.saturating_sub(1000 * u64::from(by));
                return;
            }
            Some(("r", _)) => {
                if let Some(stored) = store(&self.device) {
                    self.device = serde_json::from_str(&stored.to_string()).unwrap();
                }
                return;
            }
            _ => self.earliest = self.earliest.min(self.clock),
        }
        match event.as_bytes().first() {
            Some(b'p') => {
                let step = self.device.poll(now);
                assert_eq!(self.device.poll(now), step);
                if let Step::Wait { until } = step {
                    assert!(until > now);
                }
            }
            Some(b's') => self.send(now),
            Some(b'n') => {
                if let Some(call) = self.in_flight.pop() {
                    self.device.no_response(call, now);
                }
            }
            Some(b'o') if !self.in_flight.is_empty() => {
                let call = self.in_flight.remove(0);
                self.device.no_response(call, now);
            }
            Some(b'0'..=b'9') => self.answer(event, now),
            _ => {}
        }
        self.interval = self.interval.max(self.interval_now());
    }

    fn interval_now(&self) -> u64 {
        u64::try_from(self.device.interval().as_millis()).unwrap()
    }

    fn send(&mut self, now: SystemTime) {
        let step = self.device.poll(now);
        let is_over = self.device.expires_at() <= now;
        let Some(call) = self.device.send(&self.client, now).expect("our own client") else {
            assert!(!matches!(step, Step::Send { .. }));
            return;
        };
        assert!(matches!(step, Step::Send { .. }));
        assert!(!is_over && self.delivered == 0, "a request after the end");
        assert!(self.clock - self.earliest >= self.interval, "too early");
        (self.earliest, self.interval) = (self.clock, self.interval_now());
        assert!(self.device.send(&self.client, now).unwrap().is_none(), "two at a time");
        self.in_flight.push(call);
    }

    fn answer(&mut self, event: &str, now: SystemTime) {
        let (status, body) = event.split_once(' ').unwrap_or((event, ""));
        let (Ok(status), Some(call)) = (status.parse::<u16>(), self.in_flight.pop()) else { return };
        let none: [(&str, &str); 0] = [];
        match self.device.received(call, Response::new(status, none, body.as_bytes()), now) {
            Ok(Some(_)) => {
                assert!((200..=299).contains(&status));
                self.delivered += 1;
                assert_eq!(self.delivered, 1);
                assert!(store(&self.device).is_none(), "a spent code is stored");
            }
            Ok(None) => {}
            Err(error) => {
                assert_shows_safely(&error.to_string());
                assert!(matches!(self.device.poll(now), Step::Ended(_)), "an error is the end");
            }
        }
    }
}
