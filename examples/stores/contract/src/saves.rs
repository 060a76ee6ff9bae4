//! Saves to test a store with, made by sessions.

use std::time::{Duration, SystemTime};

use oauth2_proto::session::Save;
use oauth2_proto::{
    AuthorizationServer, Client, ClientAuth, RefreshPolicy, Session, Snapshot, Step, TokenResponse,
};

/// Makes a save over a stored snapshot, or a first save, whose tokens contain `mark`.
pub(crate) fn save(stored: Option<&Snapshot>, mark: &str) -> Save {
    let (policy, now) =
        (RefreshPolicy::default(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    let tokens = tokens(mark);
    let mut session = match stored {
        Some(stored) => Session::signed_in_again(tokens, stored.clone(), policy, now),
        None => Session::new(tokens, policy, now),
    };
    match session.poll(now) {
        Step::Save(save) => save,
        step => unreachable!("a sign-in is saved first: {step:?}"),
    }
}

/// Returns the serialised form, by which snapshots are compared.
pub(crate) fn form(snapshot: &Snapshot) -> String {
    serde_json::to_string(snapshot).expect("a snapshot has a JSON form")
}

fn tokens(mark: &str) -> TokenResponse {
    let server = AuthorizationServer::new("https://as.example/authorize", "https://as.example/token");
    let client = server.and_then(|server| Client::new(server, "fake-client", ClientAuth::none()));
    let json = serde_json::json!({
        "access_token": format!("fake-access-{mark}"),
        "refresh_token": format!("fake-refresh-{mark}"),
        "token_type": "Bearer",
        "expires_in": 3600,
    });
    client
        .and_then(|client| TokenResponse::for_test(&client, &json.to_string()))
        .expect("the tokens are valid")
}
