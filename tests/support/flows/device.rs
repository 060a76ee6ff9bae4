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
];

/// RFC 8628 §3: the device polls before the user has typed the code, is stored, and gets the tokens after
/// that.
fn granted(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts)?;
    let mut device = begin(&client, facts)?;
    check(poll(&mut device, &client)?.is_none(), "there are tokens although no user has typed the code")?;
    let mut device: PendingDevice = serde_json::from_str(&serde_json::to_string(&device)?)?;
    Browser::new().approve_device(device.verification_uri(), device.user_code())?;
    let tokens = loop {
        if let Some(tokens) = poll(&mut device, &client)? {
            break tokens;
        }
    };
    let scopes: Vec<_> = tokens.granted_scopes().collect();
    check(scopes == facts.scopes, format!("granted {scopes:?}"))?;
    check(device.poll(SystemTime::now()) == Step::Ended(End::Granted), format!("{device:?}"))?;
    send(&refresh(&client, &tokens)?).map(drop).map_err(Failed::from)
}

fn declined(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts)?;
    let mut device = begin(&client, facts)?;
    Browser::new().refuse_device(device.verification_uri(), device.user_code())?;
    let error = match poll(&mut device, &client) {
        Ok(_) => return Err("the user's refusal does not end the polls".into()),
        Err(error) => error,
    };
    check(device.poll(SystemTime::now()) == Step::Ended(End::Declined), format!("ended otherwise: {error}"))
}

fn begin(client: &Client, facts: &Facts) -> Result<PendingDevice, Failed> {
    let call = client.device_authorization().scopes(&facts.scopes).start()?;
    Ok(send(&call)?.begin(SystemTime::now()))
}

/// Waits until the next poll is due, and polls once.
#[track_caller]
fn poll(device: &mut PendingDevice, client: &Client) -> Result<Option<TokenResponse>, Error> {
    let now = SystemTime::now;
    loop {
        match device.poll(now()) {
            Step::Wait { until } => {
                let pause = until.duration_since(now()).unwrap_or_default();
                thread::sleep(pause.min(Duration::from_secs(1)));
            }
            Step::Send { until } => {
                let Some(call) = device.send(client, now())? else { continue };
                let (status, headers, body) =
                    http::send_until(call.request(), until).expect("the server answers");
                return device.received(call, Response::new(status, headers, &body), now());
            }
            Step::Ended(end) => panic!("{end}: {:?}", device.last_error()),
        }
    }
}
