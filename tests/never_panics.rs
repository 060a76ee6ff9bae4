//! Any bytes may arrive: nothing panics, and nothing that must not be accepted is.

mod support;

use oauth2_proto::{
    AuthorizationServer, Callback, Client, ClientAuth, CodeVerifier, Entropy, PendingAuthorization, Response,
    Secret, pleo,
};
use proptest::prelude::*;
use std::time::{Duration, SystemTime};
use support::{client, now, start, token_call};

/// Texts that look like a callback more often than random ones do.
fn callback() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("code=".to_owned()),
        Just("state=".to_owned()),
        Just("error=".to_owned()),
        Just("iss=".to_owned()),
        Just("&".to_owned()),
        Just("%".to_owned()),
        Just("+".to_owned()),
        Just("#".to_owned()),
        Just("?".to_owned()),
        Just(support::entropy_state()),
        any::<String>(),
        "%[0-9a-fA-F]{2}",
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

/// Texts that look like JSON of a token response more often than random ones do.
fn body() -> impl Strategy<Value = String> {
    let member = prop_oneof![
        Just("access_token"),
        Just("token_type"),
        Just("expires_in"),
        Just("refresh_token"),
        Just("scope"),
        Just("error"),
        Just("error_description"),
        Just("other"),
    ];
    let value = prop_oneof![
        Just("\"Bearer\"".to_owned()),
        Just("null".to_owned()),
        Just("[\"a\"]".to_owned()),
        Just("{}".to_owned()),
        any::<f64>().prop_map(|number| number.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<String>().prop_map(|text| format!("{text:?}")),
        any::<String>(),
    ];
    prop::collection::vec((member, value), 0..6).prop_map(|members| {
        let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    })
}

proptest! {
    #[test]
    fn any_text_as_a_callback(text in callback()) {
        let client = client();
        for callback in [Callback::query(&text), Callback::url(&text), Callback::form([(&*text, &*text), ("state", &*text)])] {
            let (_, mut pending) = start(&client);
            let state = pending.state().to_owned();
            if pending.receive(&client, callback, now()).is_ok() {
                prop_assert!(text.contains(&state));
            } else {
                let real = format!("code=fake&state={state}");
                prop_assert!(pending.receive(&client, real.as_str(), now()).is_ok());
            }
        }
    }

    #[test]
    fn any_time(seconds: u64, nanoseconds in 0..1_000_000_000_u32, after: bool) {
        let duration = Duration::new(seconds, nanoseconds);
        let epoch = SystemTime::UNIX_EPOCH;
        let time = if after { epoch.checked_add(duration) } else { epoch.checked_sub(duration) };
        let time = time.unwrap_or(epoch);
        let client = client();
        let request = client.authorize(support::REDIRECT_URI).lifetime(duration);
        let (_, mut pending) = request.start_with(support::entropy(), time).unwrap();
        let callback = format!("code=fake&state={}", pending.state());
        prop_assert!(pending.expires_at() >= epoch);
        let _ = pending.receive(&client, callback.as_str(), now());
    }

    #[test]
    fn any_bytes_as_a_response(status: u16, body in prop::collection::vec(any::<u8>(), 0..200), header: String) {
        let headers = [("retry-after", header.as_str()), ("content-type", header.as_str()), (header.as_str(), "x")];
        prop_assert!(token_call(&client()).finish(Response::new(status, headers, &body)).is_err());
    }

    #[test]
    fn any_json_as_a_response(status in prop_oneof![Just(200_u16), any::<u16>()], body in body()) {
        let headers = [("content-type", "application/json")];
        if let Ok(tokens) = token_call(&client()).finish(Response::new(status, headers, body.as_bytes())) {
            prop_assert!((200..300).contains(&status));
            prop_assert!(!tokens.access_token().expose().is_empty());
            prop_assert!(!tokens.access_token().expose().contains(char::is_control));
        }
    }

    #[test]
    fn any_text_as_configuration(text: String, address in "https?://[a-z@:#?\\[\\]/.0-9-]{0,20}") {
        for address in [&text, &address] {
            let _ = pleo::at(address);
            let _ = CodeVerifier::new(address);
            let _ = serde_json::from_str::<PendingAuthorization>(address);
            if let Ok(server) = AuthorizationServer::new(address, address).and_then(|server| server.issuer(address)) {
                let client = Client::new(server, text.as_str(), ClientAuth::basic(text.as_str()));
                if let Ok(client) = client {
                    let request = client.authorize(address).scopes([&text]).parameter(&text, address).resource(address);
                    let _ = request.start_with(Entropy::from_bytes([1; 32], [2; 32]), now());
                    let _ = client.refresh(&Secret::new(text.as_str())).scopes([&text]).resource(address).start();
                }
            }
        }
    }

    #[test]
    fn a_pending_authorization_survives_serialisation(
        verifier: [u8; 32], state: [u8; 32], scope in "[!#-\\[\\]-~]{1,20}", lifetime in 0..1_000_000_u64,
    ) {
        let client = client();
        let request = client.authorize(support::REDIRECT_URI).scopes([scope]).lifetime(Duration::from_secs(lifetime));
        let (_, pending) = request.start_with(Entropy::from_bytes(verifier, state), now()).unwrap();
        let stored = serde_json::to_string(&pending).unwrap();
        let restored: PendingAuthorization = serde_json::from_str(&stored).unwrap();
        prop_assert_eq!(serde_json::to_string(&restored).unwrap(), stored);
    }
}
