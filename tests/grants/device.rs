//! The device authorization grant (RFC 8628): the request, and what the other files share.

mod answer;
mod clock;
mod polls;
mod stored;

use oauth2_proto::error::ErrorKind;
use oauth2_proto::grants::device::{DevicePoll, PendingDevice, Step};
use oauth2_proto::{AuthorizationServer, Call, Client, ClientAuth, Error, Response, TokenResponse, pleo};
use std::time::SystemTime;

use crate::responses::json;
use crate::support::later;

/// The grant type of a poll, as a form holds it.
const GRANT_TYPE: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code";

/// The answer of RFC 8628 §3.2.
const ANSWER: &str = r#"{
    "device_code": "GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS",
    "user_code": "WDJB-MJHT",
    "verification_uri": "https://example.com/device",
    "verification_uri_complete": "https://example.com/device?user_code=WDJB-MJHT",
    "expires_in": 1800,
    "interval": 5
}"#;

/// The members of [`ANSWER`], in seconds.
const LIFETIME: u64 = 1800;
const INTERVAL: u64 = 5;

/// The time that an answer to a poll has, in seconds.
const ANSWER_TIME: u64 = 30;

const PENDING: &str = r#"{"error":"authorization_pending"}"#;
const SLOW_DOWN: &str = r#"{"error":"slow_down"}"#;
const TOKENS: &str = r#"{"access_token":"fake-access","token_type":"Bearer","expires_in":3600,
    "refresh_token":"fake-refresh"}"#;

#[track_caller]
fn server() -> AuthorizationServer {
    let server = AuthorizationServer::without_authorization_endpoint("https://server.example.com/token");
    server.unwrap().device_authorization_endpoint("https://server.example.com/device_authorization").unwrap()
}

#[track_caller]
fn client() -> Client {
    Client::new(server(), "1406020730", ClientAuth::none()).unwrap()
}

/// A device whose codes were given out at 0 seconds.
#[track_caller]
fn begin(answer: &str) -> PendingDevice {
    let call =
        client().device_authorization().scopes(["example_scope"]).start(SystemTime::UNIX_EPOCH).unwrap();
    call.read(json(answer)).unwrap().begin(later(0))
}

#[track_caller]
fn device() -> PendingDevice {
    begin(ANSWER)
}

/// The machine waits at `now`, until this time.
#[track_caller]
fn assert_waits(device: &mut PendingDevice, now: u64, until: u64) {
    assert_eq!(device.poll(later(now)), Step::Wait { until: later(until) }, "at {now}");
    assert!(device.send(&client(), later(now)).unwrap().is_none(), "it sends at {now}");
}

/// The machine sends at `now`.
#[track_caller]
fn send(device: &mut PendingDevice, now: u64) -> Call<DevicePoll> {
    assert_eq!(device.poll(later(now)), Step::Send { until: later(now + ANSWER_TIME) }, "at {now}");
    device.send(&client(), later(now)).unwrap().expect("a request")
}

/// The machine takes this answer at `now`.
fn receive(
    device: &mut PendingDevice,
    call: Call<DevicePoll>,
    (status, body): (u16, &str),
    now: u64,
) -> Result<Option<TokenResponse>, Error> {
    let headers = [("content-type", "application/json")];
    device.received(call, Response::new(status, headers, body.as_bytes()), later(now))
}

/// The machine sends at `now`, and the user has not decided.
#[track_caller]
fn poll_pending(device: &mut PendingDevice, now: u64) {
    let call = send(device, now);
    assert!(receive(device, call, (400, PENDING), now).unwrap().is_none());
    assert!(device.last_error().is_none());
}

#[test]
fn rfc8628_section_3_1_the_example_request() {
    let call =
        client().device_authorization().scopes(["example_scope"]).start(SystemTime::UNIX_EPOCH).unwrap();
    let request = call.request();
    assert_eq!(
        (request.method(), request.url()),
        ("POST", "https://server.example.com/device_authorization")
    );
    assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(request.header("authorization"), None);
    assert_eq!(request.body(), "scope=example_scope&client_id=1406020730");
}

/// `client_id` alone is no client authentication, so this does not break RFC 6749 §2.3. django-oauth-toolkit
/// wants it, and oidc-provider accepts it as long as both are the same.
#[test]
fn rfc8628_section_3_1_the_client_id_is_in_the_body_whatever_the_authentication() {
    let basic = Some("Basic ZmFrZS1jbGllbnQ6ZmFrZS1zZWNyZXQ=");
    for (auth, header, body) in [
        (ClientAuth::basic("fake-secret"), basic, "client_id=fake-client"),
        (ClientAuth::basic_unencoded("fake-secret"), basic, "client_id=fake-client"),
        (ClientAuth::post("fake-secret"), None, "client_id=fake-client&client_secret=fake-secret"),
        (ClientAuth::none(), None, "client_id=fake-client"),
    ] {
        let client = Client::new(server(), "fake-client", auth).unwrap();
        let call = client.device_authorization().start(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!((call.request().header("authorization"), call.request().body()), (header, body));
    }
}

#[test]
fn rfc8707_section_2_resources_are_in_the_request_and_in_every_poll() {
    let client = client();
    let request = client.device_authorization().resource("https://api.example/a").resource("urn:example:b");
    let call = request.scopes(["a", "b"]).scopes(["c"]).start(SystemTime::UNIX_EPOCH).unwrap();
    let resources = "resource=https%3A%2F%2Fapi.example%2Fa&resource=urn%3Aexample%3Ab";
    assert_eq!(call.request().body(), format!("scope=a+b+c&client_id=1406020730&{resources}"));
    let mut device = call.read(json(ANSWER)).unwrap().begin(later(0));
    for now in [INTERVAL, 2 * INTERVAL] {
        let call = send(&mut device, now);
        assert!(call.request().body().ends_with(resources), "{}", call.request().body());
        receive(&mut device, call, (400, PENDING), now).unwrap();
    }
}

#[test]
fn what_cannot_be_sent_is_a_misuse_that_says_why() {
    let without = AuthorizationServer::without_authorization_endpoint("https://as.example/token").unwrap();
    let unsupported = server().grant_types_supported(["authorization_code", "refresh_token"]);
    for (server, says) in [
        (without, "has no device authorization endpoint"),
        (unsupported, "not urn:ietf:params:oauth:grant-type:device_code"),
        (pleo::staging(), "has no device authorization endpoint"),
    ] {
        let client = Client::new(server, "fake-client", ClientAuth::basic("fake-secret")).unwrap();
        let error = client.device_authorization().start(SystemTime::UNIX_EPOCH).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse);
        assert!(error.to_string().contains(says), "{error}");
    }
    let client = client();
    let request = || client.device_authorization();
    for (request, says) in
        [(request().scopes(["a b"]), "the scope"), (request().resource("b"), "the resource")]
    {
        let error = request.start(SystemTime::UNIX_EPOCH).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse);
        assert!(error.to_string().contains(says), "{error}");
    }
    let supported = server().grant_types_supported(["urn:ietf:params:oauth:grant-type:device_code"]);
    let client = Client::new(supported, "fake-client", ClientAuth::none()).unwrap();
    assert!(client.device_authorization().start(SystemTime::UNIX_EPOCH).is_ok());
}

#[test]
fn what_is_printed_holds_no_code() {
    let client = client();
    let request = client.device_authorization().scopes(["example_scope"]);
    let printed_request = format!("{request:?}");
    let authorization = request.start(SystemTime::UNIX_EPOCH).unwrap().read(json(ANSWER)).unwrap();
    let printed_authorization = format!("{authorization:?}");
    for (printed, shown) in [
        (printed_request, "\"example_scope\""),
        (printed_authorization, "expires_in: 1800s"),
        (format!("{:?}", authorization.begin(later(0))), "phase: Waiting"),
    ] {
        assert!(printed.contains(shown), "{printed}");
        assert!(!printed.contains("GmRhm") && !printed.contains("WDJB"), "{printed}");
    }
}
