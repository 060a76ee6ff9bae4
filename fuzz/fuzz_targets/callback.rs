//! A callback is accepted exactly if an independent reader finds one matching `state`, one `code` and no
//! error. Its `state` is found exactly if it is there once. A refused callback leaves the sign-in unchanged.
//!
//! Input: a byte (`k`: the issuer is known; `r`: the issuer is known and `iss` is required), then a query, a
//! form or a URL.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use oauth2_proto::{Callback, Client, PendingAuthorization, error::ErrorKind};
use oauth2_proto_fuzz::{ISSUER, STATE, assert_shows_safely, client, now, server, stored_pending};
use url::form_urlencoded;

/// A client and the stored form of its pending authorization.
type SignIn = (Client, String);

static ISSUER_UNKNOWN: LazyLock<SignIn> = LazyLock::new(|| sign_in(client(server())));
static ISSUER_KNOWN: LazyLock<SignIn> = LazyLock::new(|| sign_in(client_of_issuer(false)));
static ISS_REQUIRED: LazyLock<SignIn> = LazyLock::new(|| sign_in(client_of_issuer(true)));

fn client_of_issuer(iss_required: bool) -> Client {
    let server = server().issuer(ISSUER).unwrap();
    client(server.authorization_response_iss_parameter_supported(iss_required))
}

fn sign_in(client: Client) -> SignIn {
    let stored = stored_pending(&client);
    (client, stored)
}

fuzz_target!(|data: &[u8]| {
    let Some((&mode, text)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(text);
    let before_fragment = text.split('#').next().unwrap_or_default();

    let query = before_fragment.strip_prefix('?').unwrap_or(before_fragment);
    check(mode, Callback::query(&text), &decoded(query));

    let query = before_fragment.split_once('?').map_or("", |(_, query)| query);
    check(mode, Callback::url(&text), &decoded(query));

    check(mode, Callback::form(&text), &decoded(&text));

    let pairs = decoded(&text);
    let form = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    check(mode, Callback::pairs(form), &pairs);
});

fn decoded(query: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

fn check(mode: u8, callback: Callback<'_>, pairs: &[(String, String)]) {
    let (issuer_known, iss_required, (client, stored)) = match mode {
        b'k' => (true, false, &*ISSUER_KNOWN),
        b'r' => (true, true, &*ISS_REQUIRED),
        _ => (false, false, &*ISSUER_UNKNOWN),
    };
    let mut pending: PendingAuthorization = serde_json::from_str(stored).unwrap();

    let all = |name: &str| -> Vec<&str> {
        pairs.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    };
    let (states, codes, issuers) = (all("state"), all("code"), all("iss"));
    let state_is_ours = states == [STATE];
    let issuer_fits = match issuers.as_slice() {
        [] => !iss_required,
        [issuer] => !issuer_known || *issuer == ISSUER,
        _ => false,
    };
    match (states.as_slice(), callback.state()) {
        ([state], Some(found)) => assert_eq!(*state, found),
        ([state], None) => assert!(state.contains('\u{fffd}'), "a state was not found: {pairs:?}"),
        (_, found) => assert_eq!(found, None),
    }
    let nothing_else =
        ["error", "response", "access_token", "id_token"].iter().all(|name| all(name).is_empty());
    let genuine = state_is_ours && issuer_fits && nothing_else && codes.len() == 1 && !codes[0].is_empty();

    match pending.receive(client, callback, now()) {
        Ok(call) => {
            assert!(genuine, "accepted: {pairs:?}");
            let form = call.request().form();
            assert!(form.contains(&("code".to_owned(), codes[0].to_owned())), "another code: {form:?}");
        }
        Err(error) => {
            // Also refused: repeated error details, and known parameters that are not UTF-8.
            let details = ["error_description", "error_uri"].iter().any(|name| all(name).len() > 1);
            let replaced = ["code", "state", "iss", "error_description", "error_uri"]
                .iter()
                .any(|name| all(name).iter().any(|value| value.contains('\u{fffd}')));
            assert!(!genuine || details || replaced, "refused with {error}: {pairs:?}");
            assert!(
                error.kind() != ErrorKind::Refused || (state_is_ours && issuer_fits),
                "believed: {pairs:?}"
            );
            assert!(error.kind() != ErrorKind::Misuse, "a callback is not a misuse: {error}");
            assert_shows_safely(&error.to_string());

            let iss = if iss_required { "&iss=https%3A%2F%2Fas.example" } else { "" };
            let real = format!("code=fake-real-code&state={STATE}{iss}");
            let call =
                pending.receive(client, real.as_str(), now()).expect("the real callback comes after all");
            assert!(call.request().body().contains("code=fake-real-code"));
        }
    }
    let again = format!("code=fake-code&state={STATE}&iss=https%3A%2F%2Fas.example");
    let error = pending.receive(client, again.as_str(), now()).expect_err("a second token request");
    assert_eq!(error.kind(), ErrorKind::Misuse);
}
