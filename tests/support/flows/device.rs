//! The sign-in of a device without a browser.

use std::thread;
use std::time::{Duration, SystemTime};

use libtest_mimic::Failed;
use oauth2_proto::grants::device::{End, PendingDevice, Step};
use oauth2_proto::{Client, Error, Response, TokenResponse};

use super::{Flow, check, client, refresh, send};
use crate::browser::Browser;
use crate::foreign::Facts;
use crate::http;

pub const FLOWS: &[Flow] = &[
    Flow {
        title: "a device gets tokens",
        is_offered: |facts| facts.device_authorization_endpoint.is_some(),
        run: granted,
    },
    Flow {
        title: "a device is refused",
        is_offered: |facts| facts.device_authorization_endpoint.is_some(),
        run: declined,
    },
    Flow { title: "a device slows down", is_offered: |facts| facts.wider.device_slow_down, run: slow_down },
];

/// RFC 8628 §3: the device polls before the user has typed the code, is stored, and gets the tokens after
/// that.
fn granted(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts)?;
    let mut device = Device::begin(&client, facts)?;
    check(device.poll(&client)?.is_none(), "there are tokens although no user has typed the code")?;
    device.restart()?;
    device.approve()?;
    let tokens = loop {
        if let Some(tokens) = device.poll(&client)? {
            break tokens;
        }
    };
    let scopes: Vec<_> = tokens.granted_scopes().collect();
    check(scopes == facts.scopes, format!("granted {scopes:?}"))?;
    check(device.next_step() == Step::Ended(End::Granted), format!("{:?}", device.pending))?;
    send(&refresh(&client, &tokens)?).map(drop).map_err(Failed::from)
}

fn declined(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts)?;
    let mut device = Device::begin(&client, facts)?;
    Browser::new().refuse_device(device.pending.verification_uri(), device.pending.user_code())?;
    let error = match device.poll(&client) {
        Ok(_) => return Err("the user's refusal does not end the polls".into()),
        Err(error) => error,
    };
    check(device.next_step() == Step::Ended(End::Declined), format!("ended otherwise: {error}"))
}

/// RFC 8628 §3.5: each `slow_down` adds 5 seconds for good; the tokens come later.
fn slow_down(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts)?;
    let mut device = Device::begin(&client, facts)?;
    let mut interval = device.pending.interval();
    check(device.poll_at_once(&client)?.is_none(), "there are tokens although no user has typed the code")?;
    check(device.pending.interval() == interval, format!("after the first poll: {:?}", device.pending))?;
    for _ in 0..2 {
        check(device.poll_at_once(&client)?.is_none(), "a poll that comes too fast brings tokens")?;
        interval += Duration::from_secs(5);
        check(device.pending.interval() == interval, format!("not {interval:?}: {:?}", device.pending))?;
        check(device.pending.last_error().is_none(), "`slow_down` counts as trouble")?;
        device.restart()?;
    }
    device.approve()?;
    device.poll(&client)?.ok_or("a device that has slowed down gets no tokens")?;
    check(device.pending.interval() == interval, format!("in the end: {:?}", device.pending))
}

/// A device whose clock can jump.
struct Device {
    pending: PendingDevice,
    /// The time by which its clock is ahead.
    ahead: Duration,
}

impl Device {
    fn begin(client: &Client, facts: &Facts) -> Result<Self, Failed> {
        let call = client.device_authorization().scopes(&facts.scopes).start(SystemTime::now())?;
        Ok(Self { pending: send(&call)?.begin(SystemTime::now()), ahead: Duration::ZERO })
    }

    /// Goes on with what is stored.
    fn restart(&mut self) -> Result<(), Failed> {
        self.pending = serde_json::from_str(&serde_json::to_string(&self.pending)?)?;
        Ok(())
    }

    fn approve(&self) -> Result<(), Failed> {
        Browser::new().approve_device(self.pending.verification_uri(), self.pending.user_code())?;
        Ok(())
    }

    fn next_step(&mut self) -> Step {
        self.pending.poll(self.now())
    }

    /// Waits until the next poll is due, and polls once.
    #[track_caller]
    fn poll(&mut self, client: &Client) -> Result<Option<TokenResponse>, Error> {
        self.poll_after(SERVER_INTERVAL, client)
    }

    /// Polls once, and only the device's clock says that it is time.
    #[track_caller]
    fn poll_at_once(&mut self, client: &Client) -> Result<Option<TokenResponse>, Error> {
        self.poll_after(Duration::ZERO, client)
    }

    /// Waits no longer than `limit`; for the rest of the pause, the clock jumps.
    #[track_caller]
    fn poll_after(&mut self, limit: Duration, client: &Client) -> Result<Option<TokenResponse>, Error> {
        loop {
            match self.next_step() {
                Step::Wait { until } => {
                    let pause = until.duration_since(self.now()).unwrap_or_default();
                    thread::sleep(pause.min(limit));
                    self.ahead += pause.saturating_sub(limit);
                }
                Step::Send { until } => {
                    let Some(call) = self.pending.send(client, self.now())? else { continue };
                    let time = until.duration_since(self.now()).unwrap_or_default();
                    let (status, headers, body) =
                        http::send_within(call.request(), time).expect("the server answers");
                    return self.pending.received(call, Response::new(status, headers, &body), self.now());
                }
                Step::Ended(end) => panic!("{end}: {:?}", self.pending.last_error()),
            }
        }
    }

    fn now(&self) -> SystemTime {
        SystemTime::now() + self.ahead
    }
}

/// The longest interval that a server of the tests insists on.
const SERVER_INTERVAL: Duration = Duration::from_secs(1);
