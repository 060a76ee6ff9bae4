//! The modules `fapi2-security-profile-final-client-…`: the FAPI 2.0 Security Profile, with and without signed
//! responses. The client signs assertions, pushes its requests and binds its tokens to a key.

use oauth2_proto::error::ErrorKind::{self, Invalid, Suspect};
use oauth2_proto::session::Step;
use oauth2_proto::token::TokenType;
use oauth2_proto::{RefreshPolicy, Session};
use serde_json::{Value, json};

use crate::program::{Program, SignedIn, discover};
use crate::server::{ISSUER, Script, Server, Signature, USER, seconds};
use crate::{is_refused, lengthen, refuses_sign_in, refuses_sign_in_of, remove};

/// The calls of a sign-in up to the callback.
const UP_TO_CALLBACK: &[&str] = &["discovery", "keys", "par", "authorize"];
/// Those up to the tokens; the first token request learns the nonce of the server.
const UP_TO_TOKENS: &[&str] = &["discovery", "keys", "par", "authorize", "token", "token"];

/// Refuses an ID token with these claims.
#[track_caller]
fn refuses_id_token(id_token: fn(&mut Value), kind: ErrorKind, reason: &str) {
    let script = Script { id_token, ..Script::fapi2() };
    refuses_sign_in(&Server::new(script), kind, reason, UP_TO_TOKENS);
}

/// Refuses an authorization response with these parameters: the code is never sent.
#[track_caller]
fn refuses_callback(callback: fn(&mut Value), reason: &str) {
    let script = Script { callback, ..Script::fapi2() };
    refuses_sign_in(&Server::new(script), Suspect, reason, UP_TO_CALLBACK);
}

/// Refuses a signed authorization response: the code is never sent.
#[track_caller]
fn refuses_signed_callback(script: Script, kind: ErrorKind, reason: &str) {
    accepts_signed_callback();
    let server = Server::new(script);
    refuses_sign_in_of(
        &server,
        |program| program.asks_for_signed_response = true,
        kind,
        reason,
        UP_TO_CALLBACK,
    );
}

/// Accepts a response that is signed and right, so that the refusals have the causes that they name.
#[track_caller]
fn accepts_signed_callback() {
    let server = Server::new(Script::fapi2());
    let mut program = Program::start(&server).unwrap();
    program.asks_for_signed_response = true;
    program.sign_in().unwrap();
}

/// Signs in and reads the accounts.
#[track_caller]
fn accepts(server: &Server) -> SignedIn {
    let mut program = Program::start(server).unwrap();
    let signed_in = program.sign_in().unwrap();
    assert_eq!(signed_in.id_token.subject(), USER);
    assert_eq!(*signed_in.tokens.token_type(), TokenType::DPoP);
    assert!(!program.read_accounts(signed_in.tokens.access_token()).unwrap());
    signed_in
}

#[test]
fn fapi2_security_profile_final_client_test_happy_path() {
    let server = Server::new(Script::fapi2());
    accepts(&server);
    // The server and the API ask for a nonce once each.
    assert_eq!(server.calls(), [UP_TO_TOKENS, &["accounts", "accounts"]].concat());
}

#[test]
fn fapi2_security_profile_final_client_test_happy_path_no_dpop_nonce() {
    let server = Server::new(Script { wants_nonces: false, ..Script::fapi2() });
    accepts(&server);
    assert_eq!(server.calls(), [UP_TO_CALLBACK, &["token", "accounts"]].concat());
}

#[test]
fn fapi2_security_profile_final_client_test_discovery_issuer_mismatch() {
    let metadata = |metadata: &mut Value| metadata["issuer"] = json!(format!("{ISSUER}INVALID"));
    let server = Server::new(Script { metadata, ..Script::fapi2() });
    is_refused(discover(&server).unwrap_err(), Suspect, "issuer");
    assert_eq!(server.calls(), ["discovery"]);
}

#[test]
fn fapi2_security_profile_final_client_test_ensure_authorization_response_with_invalid_state_fails() {
    refuses_callback(|callback| lengthen(&mut callback["state"]), "state is not the one that was sent");
}

#[test]
fn fapi2_security_profile_final_client_test_ensure_authorization_response_with_invalid_missing_state_fails() {
    refuses_callback(|callback| remove(callback, "state"), "state is missing");
}

#[test]
fn fapi2_security_profile_final_client_test_invalid_authorization_response_iss() {
    refuses_callback(|callback| lengthen(&mut callback["iss"]), "iss is \"https://as.example1\"");
}

#[test]
fn fapi2_security_profile_final_client_test_remove_authorization_response_iss() {
    refuses_callback(|callback| remove(callback, "iss"), "iss is missing");
}

#[test]
fn fapi2_security_profile_final_client_test_ensure_jarm_signature_is_not_none() {
    let script = Script { callback_signature: Signature::Missing, ..Script::fapi2() };
    refuses_signed_callback(script, Suspect, "alg");
    // The profile's algorithms count, whatever the server announces.
    const LIST: &str = "authorization_signing_alg_values_supported";
    let announced: fn(&mut Value) = |metadata| metadata[LIST] = json!(["RS256", "ES256"]);
    for metadata in [announced, |metadata| remove(metadata, LIST)] {
        let callback_signature = Signature::Other("RS256");
        let script = Script { callback_signature, metadata, ..Script::fapi2() };
        refuses_signed_callback(script, Suspect, "alg");
    }
}

#[test]
fn fapi2_security_profile_final_client_test_ensure_jarm_with_expired_exp_fails() {
    let signed_callback = |claims: &mut Value| claims["exp"] = json!(seconds() - 360);
    refuses_signed_callback(Script { signed_callback, ..Script::fapi2() }, Suspect, "exp");
}

#[test]
fn fapi2_security_profile_final_client_test_ensure_jarm_with_invalid_aud_fails() {
    let signed_callback = |claims: &mut Value| lengthen(&mut claims["aud"]);
    refuses_signed_callback(Script { signed_callback, ..Script::fapi2() }, Suspect, "aud");
}

#[test]
fn fapi2_security_profile_final_client_test_ensure_jarm_with_invalid_iss_fails() {
    let signed_callback = |claims: &mut Value| lengthen(&mut claims["iss"]);
    refuses_signed_callback(Script { signed_callback, ..Script::fapi2() }, Suspect, "iss");
}

#[test]
fn fapi2_security_profile_final_client_test_ensure_jarm_with_invalid_sig_fails() {
    let script = Script { callback_signature: Signature::Changed, ..Script::fapi2() };
    refuses_signed_callback(script, Suspect, "signature");
}

#[test]
fn fapi2_security_profile_final_client_test_ensure_jarm_without_aud_fails() {
    let signed_callback = |claims: &mut Value| remove(claims, "aud");
    refuses_signed_callback(Script { signed_callback, ..Script::fapi2() }, Invalid, "aud");
}

#[test]
fn fapi2_security_profile_final_client_test_ensure_jarm_without_exp_fails() {
    let signed_callback = |claims: &mut Value| remove(claims, "exp");
    refuses_signed_callback(Script { signed_callback, ..Script::fapi2() }, Invalid, "exp");
}

#[test]
fn fapi2_security_profile_final_client_test_ensure_jarm_without_iss_fails() {
    let signed_callback = |claims: &mut Value| remove(claims, "iss");
    refuses_signed_callback(Script { signed_callback, ..Script::fapi2() }, Invalid, "iss");
}

#[test]
fn fapi2_security_profile_final_client_test_invalid_iss() {
    refuses_id_token(|claims| lengthen(&mut claims["iss"]), Suspect, "iss");
}

#[test]
fn fapi2_security_profile_final_client_test_invalid_aud() {
    refuses_id_token(|claims| lengthen(&mut claims["aud"]), Suspect, "aud");
}

#[test]
fn fapi2_security_profile_final_client_test_invalid_secondary_aud() {
    refuses_id_token(|claims| claims["aud"] = json!(["fake-client", "fake-client1"]), Suspect, "azp");
}

#[test]
fn fapi2_security_profile_final_client_test_invalid_nonce() {
    refuses_id_token(|claims| lengthen(&mut claims["nonce"]), Suspect, "nonce");
}

#[test]
fn fapi2_security_profile_final_client_test_invalid_null_alg() {
    let script = Script { id_token_signature: Signature::Missing, ..Script::fapi2() };
    refuses_sign_in(&Server::new(script), Suspect, "alg", UP_TO_TOKENS);
}

/// The profile counts, whatever the server announces.
#[test]
fn fapi2_security_profile_final_client_test_invalid_alternate_alg() {
    let script = || Script { id_token_signature: Signature::Other("RS256"), ..Script::fapi2() };
    refuses_sign_in(&Server::new(script()), Suspect, "alg", UP_TO_TOKENS);

    const LIST: &str = "id_token_signing_alg_values_supported";
    let announced: fn(&mut Value) = |metadata| metadata[LIST] = json!(["RS256", "ES256"]);
    for metadata in [announced, |metadata| remove(metadata, LIST)] {
        refuses_sign_in(&Server::new(Script { metadata, ..script() }), Suspect, "alg", UP_TO_TOKENS);
    }
}

#[test]
fn fapi2_security_profile_final_client_test_invalid_expired_exp() {
    refuses_id_token(|claims| claims["exp"] = json!(seconds() - 360), Suspect, "exp");
}

#[test]
fn fapi2_security_profile_final_client_test_invalid_missing_iss() {
    refuses_id_token(|claims| remove(claims, "iss"), Invalid, "iss");
}

#[test]
fn fapi2_security_profile_final_client_test_invalid_missing_aud() {
    refuses_id_token(|claims| remove(claims, "aud"), Invalid, "aud");
}

#[test]
fn fapi2_security_profile_final_client_test_invalid_missing_exp() {
    refuses_id_token(|claims| remove(claims, "exp"), Invalid, "exp");
}

#[test]
fn fapi2_security_profile_final_client_test_invalid_missing_nonce() {
    refuses_id_token(|claims| remove(claims, "nonce"), Suspect, "nonce");
}

#[test]
fn fapi2_security_profile_final_client_test_valid_aud_as_array() {
    let id_token = |claims: &mut Value| claims["aud"] = json!(["fake-client"]);
    let signed_in = accepts(&Server::new(Script { id_token, ..Script::fapi2() }));
    assert_eq!(signed_in.id_token.audience(), ["fake-client"]);
}

#[test]
fn fapi2_security_profile_final_client_test_token_type_case_insensitivity() {
    accepts(&Server::new(Script {
        tokens: |tokens| tokens["token_type"] = json!("dpOp"),
        ..Script::fapi2()
    }));
}

#[test]
fn fapi2_security_profile_final_client_test_rs_dpop_auth_scheme_case_insensitivity() {
    let server = Server::new(Script { nonce_scheme: "dPoP", ..Script::fapi2() });
    accepts(&server);
    assert_eq!(server.calls(), [UP_TO_TOKENS, &["accounts", "accounts"]].concat());
}

#[test]
fn fapi2_security_profile_final_client_test_token_endpoint_response_without_expires_in() {
    let server = Server::new(Script { tokens: |tokens| remove(tokens, "expires_in"), ..Script::fapi2() });
    assert_eq!(accepts(&server).tokens.expires_in(), None);
}

/// The API rejects the tokens of the sign-in and of the first refresh. The server takes each refresh token
/// once.
#[test]
fn fapi2_security_profile_final_client_refresh_token_test() {
    let server = Server::new(Script { refreshes_before_access: 2, ..Script::fapi2() });
    let mut program = Program::start(&server).unwrap();
    let signed_in = program.sign_in().unwrap();
    let mut session = Session::new(signed_in.tokens, RefreshPolicy::default(), program.now);
    let mut used = Vec::new();
    loop {
        run(&mut session, &mut program, &mut used);
        let token = session.access_token(program.now).unwrap().clone();
        match program.read_accounts(&token).unwrap() {
            true => session.access_token_rejected(&token),
            false => break,
        }
    }
    assert_eq!(used, ["fake-refresh-1", "fake-refresh-2"]);
    assert_eq!(session.refresh_token().unwrap().expose(), "fake-refresh-3");
}

/// Does what the session says until it is idle, and notes the refresh tokens that are sent.
#[track_caller]
fn run(session: &mut Session, program: &mut Program<'_>, used: &mut Vec<String>) {
    loop {
        match session.poll(program.now) {
            Step::Idle(_) => return,
            // A pause between two refreshes.
            Step::Wait { until, .. } => program.now = until,
            Step::Save(save) => session.saved(save),
            Step::Send { .. } => {
                let call = session.send(&program.client, program.now).unwrap().unwrap();
                let form = call.request().form();
                used.push(form.into_iter().find(|(name, _)| name == "refresh_token").unwrap().1);
                let answer = program.server.answer(call.request());
                session.received(call, answer.response(), program.now).unwrap();
            }
            step => panic!("{step:?}"),
        }
    }
}
