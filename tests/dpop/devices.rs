//! The polls of a device whose tokens are bound to a key.

use oauth2_proto::grants::device::{End, PendingDevice, Step};
use oauth2_proto::{Client, Response};

use crate::responses::json;
use crate::support::{client_of, later, now, server};
use crate::{asks_for, bound_tokens, proof, some_key};

#[track_caller]
fn client() -> Client {
    let server = server().device_authorization_endpoint("https://as.example/device_authorization").unwrap();
    client_of(server).dpop(some_key())
}

#[track_caller]
fn device(client: &Client) -> PendingDevice {
    let call = client.device_authorization().start(now()).unwrap();
    let body = r#"{"device_code":"fake-device-code","user_code":"WDJB-MJHT",
        "verification_uri":"https://as.example/device","expires_in":1800}"#;
    call.read(json(body)).unwrap().begin(now())
}

fn pending() -> Response<'static> {
    Response::new(400, None::<(&str, &str)>, br#"{"error":"authorization_pending"}"#)
}

#[test]
fn rfc9449_section_8_a_poll_without_the_nonce_is_repeated_at_once() {
    let client = client();
    let mut device = device(&client);
    let first = device.send(&client, later(5)).unwrap().unwrap();
    let id = proof(&first).id().to_owned();
    assert!(device.received(first, asks_for("fake-1"), later(5)).unwrap().is_none());
    // It is no failure.
    assert!(device.last_error().is_none() && device.failures() == 0);
    assert!(matches!(device.poll(later(5)), Step::Send { .. }));
    let second = device.send(&client, later(5)).unwrap().unwrap();
    assert_eq!(proof(&second).nonce(), Some("fake-1"));
    assert_ne!(proof(&second).id(), id);
    assert!(device.received(second, pending(), later(5)).unwrap().is_none());
    assert_eq!(device.poll(later(6)), Step::Wait { until: later(10) });
    // After a readable answer the server may ask again.
    let third = device.send(&client, later(10)).unwrap().unwrap();
    assert!(device.received(third, asks_for("fake-2"), later(10)).unwrap().is_none());
    let fourth = device.send(&client, later(10)).unwrap().unwrap();
    assert_eq!(proof(&fourth).nonce(), Some("fake-2"));
    assert!(device.received(fourth, bound_tokens(), later(11)).unwrap().is_some());
    assert_eq!(device.poll(later(11)), Step::Ended(End::Granted));
}

/// The attack: a server that asks for ever does not make the device poll without a pause.
#[test]
fn a_server_that_asks_for_ever_is_in_trouble() {
    let client = client();
    let mut device = device(&client);
    let call = device.send(&client, later(5)).unwrap().unwrap();
    device.received(call, asks_for("fake-1"), later(5)).unwrap();
    for (failures, at, next) in [(1, 5, 15), (2, 15, 35), (3, 35, 75)] {
        let call = device.send(&client, later(at)).unwrap().unwrap();
        device.received(call, asks_for("fake-2"), later(at)).unwrap();
        assert_eq!(device.failures(), failures);
        assert_eq!(device.last_error().unwrap().code(), Some("use_dpop_nonce"));
        assert_eq!(device.poll(later(at)), Step::Wait { until: later(next) }, "{failures}");
    }
}

/// The nonce is not stored, so a program that was restarted polls no faster than the server allows.
#[test]
fn a_restarted_program_keeps_the_interval() {
    let client = client();
    let mut device = device(&client);
    let call = device.send(&client, later(5)).unwrap().unwrap();
    device.received(call, asks_for("fake-1"), later(5)).unwrap();
    let stored = serde_json::to_string(&device).unwrap();
    let mut restored: PendingDevice = serde_json::from_str(&stored).unwrap();
    assert_eq!(restored.poll(later(6)), Step::Wait { until: later(10) });
}

#[test]
fn a_downgrade_to_bearer_ends_the_sign_in() {
    let client = client();
    let mut device = device(&client);
    let call = device.send(&client, later(5)).unwrap().unwrap();
    let bearer = json(r#"{"access_token":"fake","token_type":"Bearer"}"#);
    device.received(call, bearer, later(5)).unwrap_err();
    assert_eq!(device.poll(later(5)), Step::Ended(End::Failed));
}
