//! Keys that sign elsewhere: bytes out, signatures in, one client for one request.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2_proto::dpop::DpopKey;
use oauth2_proto::error::ErrorKind;
use oauth2_proto::{Call, Client, ClientAuth, Error, Secret, call::Reply};

use crate::keys::{ISSUER, assertion, client, local_key, parameter, remote_key, server};
use crate::operations;
use crate::support::{self, later, now};

fn remote_client() -> Client {
    client(ClientAuth::private_key_jwt(remote_key()))
}

/// Has everything signed by one byte after the other.
#[track_caller]
fn signed(client: &Client) -> Client {
    let mut signing = client.signing(now()).unwrap();
    let mut byte = 0;
    while signing.next().is_some() {
        byte += 1;
        signing.signed(&[byte; 64]).unwrap();
    }
    signing.client().unwrap()
}

#[track_caller]
fn misuse<T>(result: Result<T, Error>, says: &str) {
    let error = result.err().expect("it is refused");
    assert_eq!(error.kind(), ErrorKind::Misuse);
    assert!(error.to_string().contains(says), "{error}");
}

#[test]
fn every_operation_is_signed_elsewhere() {
    let client = remote_client();
    for (operation, _, start) in operations::ALL {
        let request = start(&|| signed(&client)).unwrap();
        assert_eq!(assertion(&request).2, [1; 64], "{operation}");
    }
}

#[test]
fn no_operation_makes_a_request_without_its_signature() {
    let client = remote_client();
    for (operation, _, start) in operations::ALL {
        // The session and the device poll come with signed clients up to their own request.
        let error = start(&|| client.clone()).expect_err(operation);
        assert_eq!(error.kind(), ErrorKind::Misuse, "{operation}");
        assert!(error.to_string().contains("call Client::signing"), "{operation}: {error}");
    }
}

#[test]
fn the_message_is_what_the_request_holds_and_names_the_key() {
    let client = remote_client();
    let mut signing = client.signing(now()).unwrap();
    let unsigned = signing.next().unwrap();
    assert_eq!(unsigned.key().public_key().key_id(), Some("fake-key-1"));
    let message = String::from_utf8(unsigned.message().to_vec()).unwrap();
    // The same message comes until it is signed.
    assert_eq!(signing.next().unwrap().message(), message.as_bytes());
    signing.signed(&[7; 64]).unwrap();
    let call = signing.client().unwrap().client_credentials().start(later(1)).unwrap();
    assert_eq!(
        parameter(call.request(), "client_assertion").unwrap(),
        format!("{message}.{}", URL_SAFE_NO_PAD.encode([7; 64]))
    );
}

#[test]
fn rfc7518_section_3_4_a_signature_of_another_length_changes_nothing() {
    let mut signing = remote_client().signing(now()).unwrap();
    for length in [0, 63, 65, 70, 71, 72, 128] {
        misuse(signing.signed(&vec![7; length]), "r and s side by side");
    }
    assert!(signing.next().is_some());
    signing.signed(&[7; 64]).unwrap();
    assert!(signing.next().is_none());
    misuse(signing.signed(&[7; 64]), "all signatures are there");
    assert!(signing.client().unwrap().client_credentials().start(now()).is_ok());
    misuse(remote_client().signing(now()).unwrap().client(), "a signature is missing");
}

#[test]
fn a_key_here_and_a_key_elsewhere_work_together() {
    let basic = || ClientAuth::basic("fake-secret");
    let key = ClientAuth::private_key_jwt;
    for (auth, proof, elsewhere) in [
        (key(remote_key()), None, 1),
        (key(remote_key()), Some(remote_key()), 2),
        (key(remote_key()), Some(local_key()), 1),
        (key(local_key()), Some(remote_key()), 1),
        (key(local_key()), Some(local_key()), 0),
        (basic(), Some(remote_key()), 1),
        (basic(), None, 0),
    ] {
        let client = client(auth);
        let client = match proof {
            Some(key) => client.dpop(DpopKey::new(key)),
            None => client,
        };
        let mut signing = client.signing(now()).unwrap();
        let mut order = Vec::new();
        while let Some(unsigned) = signing.next() {
            let header = unsigned.message().split(|byte| *byte == b'.').next().unwrap();
            let header = URL_SAFE_NO_PAD.decode(header).unwrap();
            let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
            order.push(header["typ"].as_str().unwrap().to_owned());
            signing.signed(&[order.len() as u8; 64]).unwrap();
        }
        assert_eq!(order.len(), elsewhere);
        // The assertion comes first, then the proof.
        assert!(order.is_sorted(), "{order:?}");
        let call = signing.client().unwrap().client_credentials().start(now()).unwrap();
        let has_assertion = parameter(call.request(), "client_assertion").is_some();
        let has_proof = call.request().header("dpop").is_some();
        assert_eq!(has_assertion, call.request().header("authorization").is_none());
        assert!(usize::from(has_assertion) + usize::from(has_proof) >= elsewhere);
    }
}

#[test]
fn a_call_is_renewed_with_signatures_that_were_made_elsewhere() {
    let client = remote_client().dpop(DpopKey::new(remote_key()));
    let mut call = signed(&client).client_credentials().start(now()).unwrap();
    let (before, proof) =
        (call.request().body().to_owned(), call.request().header("dpop").unwrap().to_owned());
    misuse(call.renew(&client, later(1)), "call Client::signing");
    assert_eq!(call.request().body(), before);
    call.renew(&signed(&client), later(1)).unwrap();
    assert_ne!(call.request().body(), before);
    assert_ne!(call.request().header("dpop").unwrap(), proof);
    assert_eq!(call.request().headers().filter(|(name, _)| *name == "dpop").count(), 1);
}

/// A key here and one elsewhere: without the signature of the latter, the call stays byte for byte.
#[test]
fn a_renewal_that_lacks_a_signature_changes_nothing() {
    let client = client(ClientAuth::private_key_jwt(local_key())).dpop(DpopKey::new(remote_key()));
    let mut call = signed(&client).client_credentials().start(now()).unwrap();
    let (body, proof) = (call.request().body().to_owned(), call.request().header("dpop").unwrap().to_owned());
    misuse(call.renew(&client, later(1)), "call Client::signing");
    assert_eq!((call.request().body(), call.request().header("dpop")), (body.as_str(), Some(proof.as_str())));
}

/// The attack: a new key, or a new address, for a client whose proof is signed already. The proof of the old
/// key would bind tokens that the client takes for the new key's.
#[test]
fn what_was_signed_for_another_key_or_address_is_not_sent() {
    let remote = || DpopKey::new(remote_key());
    let bound = signed(&remote_client().dpop(remote()));
    misuse(bound.clone().dpop(remote()).client_credentials().start(now()), "call Client::signing");
    misuse(signed(&remote_client()).dpop(remote()).client_credentials().start(now()), "call Client::signing");
    // A key that signs here signs again.
    let local = signed(&remote_client().dpop(remote())).dpop(DpopKey::new(local_key()));
    misuse(local.client_credentials().start(now()), "call Client::signing");
    let basic = client(ClientAuth::basic("fake-secret")).dpop(remote());
    let call = signed(&basic).dpop(DpopKey::new(local_key())).client_credentials().start(now()).unwrap();
    assert!(call.request().header("dpop").is_some());

    let server = server().mtls_endpoint_alias("token_endpoint", "https://mtls.as.example/token").unwrap();
    let client = Client::new(server, "fake-client", ClientAuth::none()).unwrap().dpop(remote());
    let moved = signed(&client).presents_certificate().unwrap();
    misuse(moved.refresh(&Secret::new("fake-token")).start(now()), "call Client::signing");
    // Nor is a proof that was signed for the token endpoint a proof for another request.
    let mut call = signed(&client).refresh(&Secret::new("fake-token")).start(now()).unwrap();
    call.request_mut().set_method("PUT");
    misuse(call.renew(&signed(&client), now()), "for a request to the token endpoint");
}

/// A call with an assertion is renewed by a client that makes one; a call without signatures by anybody.
#[test]
fn a_renewal_leaves_no_old_assertion_and_touches_no_unsigned_call() {
    let with_key = client(ClientAuth::private_key_jwt(local_key()));
    let with_secret = client(ClientAuth::basic("fake-secret"));
    let mut call = with_key.client_credentials().start(now()).unwrap();
    misuse(call.renew(&with_secret, later(1)), "another client made this call");
    let mut call = with_secret.client_credentials().start(now()).unwrap();
    call.request_mut().set_url("https://proxy.example/token");
    call.renew(&with_key, later(1)).unwrap();
    assert!(assertion_free(&call));
}

fn assertion_free<R: Reply>(call: &Call<R>) -> bool {
    parameter(call.request(), "client_assertion").is_none()
}

/// A callback, a claim and a turn to poll are worth more than a signature.
#[test]
fn what_lacks_a_signature_is_not_used_up() {
    let client = remote_client();
    let (_, mut pending) =
        client.authorize(support::REDIRECT_URI).start_with(support::entropy(), now()).unwrap();
    let callback = format!("code=fake-code&state={}&iss={ISSUER}", pending.state());
    misuse(pending.receive(&client, callback.as_str(), now()), "call Client::signing");
    let call = pending.receive(&signed(&client), callback.as_str(), now()).unwrap();
    assert_eq!(parameter(call.request(), "code").as_deref(), Some("fake-code"));

    let mut session = operations::session(&client);
    misuse(session.send(&client, later(600)), "call Client::signing");
    assert!(session.send(&signed(&client), later(600)).unwrap().is_some());

    let mut device = operations::device(&signed(&client)).unwrap();
    misuse(device.send(&client, later(5)), "call Client::signing");
    assert!(device.send(&signed(&client), later(5)).unwrap().is_some());
}

/// A token that authorizes an introspection takes the place of the assertion, so there is nothing to sign.
#[test]
fn rfc7662_section_2_1_an_introspection_with_a_token_of_its_own_needs_no_signature() {
    let client = remote_client();
    let (token, own) = (Secret::new("fake-token"), Secret::new("fake-own"));
    let call = client.introspect(&token).authorize_with(&own).start(now()).unwrap();
    assert_eq!(call.request().body(), "token=fake-token");
    assert_eq!(call.request().header("authorization"), Some("Bearer fake-own"));
}
