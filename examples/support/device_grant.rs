//! The device authorizations of the embedded server (RFC 8628), and the page on which a person allows one.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, SystemTime};

/// The pause that the server asks for between two polls.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// The lifetime of the codes.
pub const LIFETIME: Duration = Duration::from_secs(600);

/// The device authorizations that were started.
#[derive(Default)]
pub struct Devices(Vec<Device>);

struct Device {
    device_code: String,
    user_code: String,
    until: SystemTime,
    polls: u32,
    decision: Option<bool>,
}

/// The answer to a poll.
pub enum Verdict {
    Granted,
    /// An error code.
    Refused(&'static str),
}

impl Devices {
    /// Starts a device authorization, and returns its device code and its user code.
    #[allow(clippy::disallowed_methods, reason = "a server keeps its own time")]
    pub fn start(&mut self) -> (String, String) {
        let device_code = format!("{:016x}{:016x}", random(), random());
        // Letters that are no vowels make no words (RFC 8628 §6.1).
        let letters = b"BCDFGHJKLMNPQRSTVWXZ";
        let mut number = random();
        let mut letter = || {
            let letter = char::from(letters[(number % 20) as usize]);
            number /= 20;
            letter
        };
        let [one, other] = [(); 2].map(|()| (0..4).map(|_| letter()).collect::<String>());
        let user_code = format!("{one}-{other}");
        let until = SystemTime::now() + LIFETIME;
        let codes = (device_code.clone(), user_code.clone());
        self.0.push(Device { device_code, user_code, until, polls: 0, decision: None });
        codes
    }

    /// Answers a poll. Each second poll is told to slow down, and a code is spent by its answer.
    #[allow(clippy::disallowed_methods, reason = "a server keeps its own time")]
    pub fn poll(&mut self, device_code: &str) -> Verdict {
        let Some(index) = self.0.iter().position(|device| device.device_code == device_code) else {
            return Verdict::Refused("invalid_grant");
        };
        let device = &mut self.0[index];
        device.polls += 1;
        let verdict = match device.decision {
            _ if device.until <= SystemTime::now() => Verdict::Refused("expired_token"),
            Some(true) => Verdict::Granted,
            Some(false) => Verdict::Refused("access_denied"),
            None if device.polls == 2 => return Verdict::Refused("slow_down"),
            None => return Verdict::Refused("authorization_pending"),
        };
        self.0.remove(index);
        verdict
    }

    /// Takes a person's decision; returns whether the code was waiting for one. Ignores the case and the
    /// signs of the code, as people type it.
    pub fn decide(&mut self, user_code: &str, allows: bool) -> bool {
        let plain = |code: &str| code.replace(|sign: char| !sign.is_ascii_alphanumeric(), "").to_uppercase();
        let waits =
            |device: &&mut Device| device.decision.is_none() && plain(&device.user_code) == plain(user_code);
        let device = self.0.iter_mut().find(waits);
        device.map(|device| device.decision = Some(allows)).is_some()
    }
}

/// Returns a random number, unpredictable enough for a server of examples.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
