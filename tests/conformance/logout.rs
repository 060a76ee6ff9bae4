//! The modules `oidcc-client-test-rp-…`: logouts that this client or the server begins.

use oauth2_proto::error::ErrorKind::{self, Invalid, Suspect};
use oauth2_proto::jose::Verification;
use oauth2_proto::oidc::LogoutToken;
use oauth2_proto::{Callback, Error};
use serde_json::{Value, json};
use url::Url;

use crate::program::{Program, entropy};
use crate::server::{CLIENT_ID, ISSUER, Script, Server, Signature, USER, seconds};
use crate::signatures::Ring;
use crate::{is_refused, lengthen, remove};

const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// Signs a user in, and reads the logout token that the server posts.
#[track_caller]
fn receive_logout(change: fn(&mut Value), signature: Signature) -> Result<LogoutToken, Error> {
    let server = Server::new(Script::openid());
    let mut program = Program::start(&server).unwrap();
    program.sign_in().unwrap();
    let mut claims = json!({
        "iss": ISSUER, "sub": USER, "aud": CLIENT_ID, "iat": seconds(), "exp": seconds() + 120,
        "jti": "fake-id", "events": {LOGOUT_EVENT: {}},
    });
    change(&mut claims);
    let form = format!("logout_token={}", server.sign(&claims, signature));
    let verification = Verification::by(&program.keys, &Ring);
    program.client.read_logout_token(&form, &verification, program.now)
}

#[track_caller]
fn refuses_logout(change: fn(&mut Value), kind: ErrorKind, reason: &str) {
    is_refused(receive_logout(change, Signature::Sound).unwrap_err(), kind, reason);
}

#[test]
fn oidcc_client_test_rp_backchannel_rpinitlogout() {
    let token = receive_logout(|_| (), Signature::Sound).unwrap();
    assert_eq!((token.issuer(), token.subject()), (ISSUER, Some(USER)));
}

#[test]
fn oidcc_client_test_rp_backchannel_rpinitlogout_alg_none() {
    is_refused(receive_logout(|_| (), Signature::Missing).unwrap_err(), Suspect, "alg");
}

/// The server announces RS256 only.
#[test]
fn oidcc_client_test_rp_backchannel_rpinitlogout_wrong_alg() {
    for algorithm in ["HS256", "ES256", "PS256"] {
        is_refused(receive_logout(|_| (), Signature::Other(algorithm)).unwrap_err(), Suspect, "alg");
    }
}

#[test]
fn oidcc_client_test_rp_backchannel_rpinitlogout_no_event() {
    refuses_logout(|claims| remove(claims, "events"), Invalid, "events");
}

#[test]
fn oidcc_client_test_rp_backchannel_rpinitlogout_wrong_event() {
    refuses_logout(|claims| claims["events"] = json!({"fake-event": {}}), Suspect, "events");
}

#[test]
fn oidcc_client_test_rp_backchannel_rpinitlogout_with_nonce() {
    refuses_logout(|claims| claims["nonce"] = json!("fake-nonce"), Suspect, "nonce");
}

#[test]
fn oidcc_client_test_rp_backchannel_rpinitlogout_wrong_aud() {
    refuses_logout(|claims| lengthen(&mut claims["aud"]), Suspect, "aud");
}

#[test]
fn oidcc_client_test_rp_backchannel_rpinitlogout_wrong_iss() {
    refuses_logout(|claims| lengthen(&mut claims["iss"]), Suspect, "iss");
}

/// Signs the user out in the browser, which comes back with the state that this function returns.
#[track_caller]
fn sign_out(returned: fn(String) -> String) -> Result<(), Error> {
    let server = Server::new(Script::openid());
    let mut program = Program::start(&server).unwrap();
    let signed_in = program.sign_in().unwrap();
    let logout = program.client.logout().id_token_hint(signed_in.id_token.as_secret());
    let logout = logout.post_logout_redirect_uri("https://app.example/bye");
    let (url, pending) = logout.start_with(entropy(4)).unwrap();
    let url = Url::parse(&url).unwrap();
    assert_eq!(url.as_str().split('?').next().unwrap(), format!("{ISSUER}/logout"));
    let asked = |name: &str| url.query_pairs().find(|(known, _)| known == name).unwrap().1.into_owned();
    assert_eq!(asked("id_token_hint"), signed_in.id_token.as_secret().expose());
    assert_eq!(asked("post_logout_redirect_uri"), "https://app.example/bye");
    pending.receive(Callback::query(&returned(asked("state"))))
}

#[test]
fn oidcc_client_test_rp_init_logout() {
    sign_out(|state| format!("state={state}")).unwrap();
}

/// The user is signed out; only what the program kept with the state is not found.
#[test]
fn oidcc_client_test_rp_init_logout_other_state() {
    is_refused(sign_out(|state| format!("state={state}1")).unwrap_err(), Suspect, "state");
}

/// Likewise.
#[test]
fn oidcc_client_test_rp_init_logout_no_state() {
    is_refused(sign_out(|_| String::new()).unwrap_err(), Suspect, "state");
}
