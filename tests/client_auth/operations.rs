//! Every operation of a client, as a table: each authenticates the client in the same way.

use oauth2_proto::grants::device::{self, PendingDevice};
use oauth2_proto::grants::token_type;
use oauth2_proto::{Client, Error, RefreshPolicy, Request, Secret, Session, Step, TokenResponse};

use crate::responses::json;
use crate::support::{REDIRECT_URI, entropy, later, now};

/// The endpoint that an operation sends its request to, by its member of RFC 8705 §5.
pub const TOKEN: &str = "token_endpoint";

type Operation = fn(&dyn Fn() -> Client) -> Result<Request, Error>;

/// The operations, each with its endpoint. Each takes a new client from the function for each request, as a
/// client whose key signs elsewhere must.
pub const ALL: &[(&str, &str, Operation)] = &[
    ("code exchange", TOKEN, |client| {
        let (_, mut pending) = client().authorize(REDIRECT_URI).start_with(entropy(), now())?;
        let callback = format!("code=fake-code&state={}&iss=https://as.example", pending.state());
        pending.receive(&client(), callback.as_str(), now()).map(|call| call.request().clone())
    }),
    ("refresh", TOKEN, |client| {
        client().refresh(&Secret::new("fake-token")).start(now()).map(|call| call.request().clone())
    }),
    ("client credentials", TOKEN, |client| {
        client().client_credentials().start(now()).map(|call| call.request().clone())
    }),
    ("token exchange", TOKEN, |client| {
        let (client, token) = (client(), Secret::new("fake-token"));
        let request = client.token_exchange(&token, token_type::ACCESS_TOKEN);
        request.start(now()).map(|call| call.request().clone())
    }),
    ("JWT bearer", TOKEN, |client| {
        client().jwt_bearer(&Secret::new("fake.j.wt")).start(now()).map(|call| call.request().clone())
    }),
    ("identity assertion", TOKEN, |client| {
        let (client, token) = (client(), Secret::new("fake.id.token"));
        let request = client.identity_assertion(&token, "https://as.example");
        request.start(now()).map(|call| call.request().clone())
    }),
    ("extension grant", TOKEN, |client| {
        client().extension_grant("urn:example:grant").start(now()).map(|call| call.request().clone())
    }),
    ("session", TOKEN, |client| {
        let mut session = session(&client());
        let Step::Send { .. } = session.poll(later(600)) else { panic!("the claim is stored") };
        session.send(&client(), later(600)).map(|call| call.unwrap().request().clone())
    }),
    ("device authorization", "device_authorization_endpoint", |client| {
        client().device_authorization().start(now()).map(|call| call.request().clone())
    }),
    ("device poll", TOKEN, |client| {
        let mut pending = device(&client())?;
        let device::Step::Wait { until } = pending.poll(now()) else { panic!("the first poll waits") };
        pending.send(&client(), until).map(|call| call.unwrap().request().clone())
    }),
    ("revocation", "revocation_endpoint", |client| {
        client().revoke(&Secret::new("fake-token")).start(now()).map(|call| call.request().clone())
    }),
    ("introspection", "introspection_endpoint", |client| {
        client().introspect(&Secret::new("fake-token")).start(now()).map(|call| call.request().clone())
    }),
];

/// A session whose refresh is due, and whose claim is stored.
#[track_caller]
pub fn session(client: &Client) -> Session {
    let body =
        r#"{"access_token":"fake","token_type":"Bearer","expires_in":600,"refresh_token":"fake-refresh"}"#;
    let tokens = TokenResponse::for_test(client, body).unwrap();
    let mut session = Session::new(tokens, RefreshPolicy::default(), now());
    for _ in 0..2 {
        let Step::Save(save) = session.poll(later(600)) else { panic!("a sign-in, then a claim is saved") };
        session.saved(save);
    }
    session
}

pub fn device(client: &Client) -> Result<PendingDevice, Error> {
    let call = client.device_authorization().start(now())?;
    let answer = r#"{"device_code":"fake-device-code","user_code":"FAKE-CODE","expires_in":600,
        "verification_uri":"https://as.example/activate"}"#;
    Ok(call.read(json(answer))?.begin(now()))
}
