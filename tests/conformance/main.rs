//! The rules of the OpenID Foundation's conformance suite for clients. Each test is named after a module of the
//! suite: a scripted server does what the module's server does, and a client must refuse it, or accept it where
//! the module says so. `docs/conformance.md` has the table.

#[path = "../support/signatures.rs"]
mod signatures;
#[allow(dead_code, reason = "this program needs a part of it")]
#[path = "../support/mod.rs"]
mod support;

mod fapi2;
mod logout;
mod oidcc;
mod program;
mod server;

use oauth2_proto::Error;
use oauth2_proto::error::ErrorKind;
use serde_json::{Value, json};

use program::Program;
use server::Server;

/// Refuses a sign-in at this server for this reason, after these calls and no others.
#[track_caller]
fn refuses_sign_in(server: &Server, kind: ErrorKind, reason: &str, calls: &[&str]) {
    refuses_sign_in_of(server, |_| (), kind, reason, calls);
}

/// Likewise, by a program that is configured in another way.
#[track_caller]
fn refuses_sign_in_of(
    server: &Server,
    configure: fn(&mut Program<'_>),
    kind: ErrorKind,
    reason: &str,
    calls: &[&str],
) {
    let mut program = Program::start(server).unwrap();
    configure(&mut program);
    is_refused(program.sign_in().unwrap_err(), kind, reason);
    assert_eq!(server.calls(), calls);
}

/// Checks the kind of an error, and its reason: the part of a token, or else a text in its message.
#[track_caller]
fn is_refused(error: Error, kind: ErrorKind, reason: &str) {
    assert_eq!(error.kind(), kind, "{error}");
    match error.reason() {
        Some(part) => assert_eq!(part, reason, "{error}"),
        None => assert!(error.to_string().contains(reason), "{error}"),
    }
}

/// Removes a member, which must be there.
#[track_caller]
fn remove(object: &mut Value, name: &str) {
    object.as_object_mut().unwrap().remove(name).unwrap();
}

/// Makes a text another one, as the suite does.
#[track_caller]
fn lengthen(text: &mut Value) {
    *text = json!(format!("{}1", text.as_str().unwrap()));
}
