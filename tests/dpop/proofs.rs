//! The proofs in token requests, and the key in an authorization request.

use std::collections::HashSet;

use oauth2_proto::grants::token_type;
use oauth2_proto::{Client, ClientAuth, Secret, error::ErrorKind};

use crate::bound::{Proof, key, public_key, remote_key, signature};
use crate::support::{self, REDIRECT_URI, entropy, later, now, start, token_call};
use crate::{client, proof, public_client, refresh_token, some_key};

#[test]
fn rfc9449_section_5_each_token_request_has_a_proof_for_the_token_endpoint() {
    let client = client(&some_key());
    let token = refresh_token();
    let exchange = client.token_exchange(&token, token_type::ACCESS_TOKEN).start(now()).unwrap();
    for proof in [
        proof(&token_call(&client)),
        proof(&client.refresh(&token).start(now()).unwrap()),
        proof(&client.client_credentials().start(now()).unwrap()),
        proof(&client.jwt_bearer(&Secret::new("fake.fake.fake")).start(now()).unwrap()),
        proof(&exchange),
    ] {
        assert_eq!(proof.header["alg"], "ES256");
        assert_eq!(proof.header["jwk"]["kty"], "EC");
        assert_eq!(proof.header.as_object().unwrap().len(), 3);
        assert_eq!(proof.claims["htm"], "POST");
        assert_eq!(proof.claims["htu"], "https://as.example/token");
        assert_eq!(proof.claims["iat"], 1_700_000_000);
        assert_eq!(proof.claims.as_object().unwrap().len(), 4, "{proof:?}");
    }
}

#[test]
fn a_call_is_renewed_with_the_key_that_it_was_made_with() {
    let client = public_client(&key(0));
    let mut call = client.refresh(&refresh_token()).start(now()).unwrap();
    let before = proof(&call).id().to_owned();
    let without = Client::new(support::server(), "fake-client", ClientAuth::none()).unwrap();
    for other in [without, public_client(&key(1))] {
        assert_eq!(call.renew(&other, now()).unwrap_err().kind(), ErrorKind::Misuse);
        assert_eq!(proof(&call).id(), before);
    }
    call.renew(&client, now()).unwrap();
    assert_ne!(proof(&call).id(), before);
}

#[test]
fn a_client_without_a_key_proves_nothing() {
    let call = support::client().refresh(&refresh_token()).start(now()).unwrap();
    assert_eq!(call.request().header("dpop"), None);
    let (url, _) = start(&support::client());
    assert!(!url.contains("dpop_jkt"), "{url}");
}

#[test]
fn rfc9449_section_11_1_no_proof_is_sent_twice() {
    let key = some_key();
    let client = client(&key);
    let mut ids = HashSet::new();
    let mut call = client.refresh(&refresh_token()).start(now()).unwrap();
    for second in 0..10 {
        assert!(ids.insert(proof(&call).id().to_owned()));
        call.renew(&client, later(second)).unwrap();
        assert_eq!(proof(&call).claims["iat"], 1_700_000_000 + second);
        let another = client.refresh(&refresh_token()).start(later(second)).unwrap();
        assert!(ids.insert(proof(&another).id().to_owned()));
    }
    // A renewed request has one proof, and is otherwise the same.
    assert_eq!(call.request().headers().filter(|(name, _)| *name == "dpop").count(), 1);
    assert_eq!(call.request().form()[0].1, "refresh_token");
}

#[test]
fn rfc9449_section_10_the_authorization_request_names_the_key() {
    let (url, _) = start(&client(&some_key()));
    let thumbprint = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
    assert_eq!(some_key().thumbprint(), thumbprint);
    assert!(url.ends_with(&format!("&dpop_jkt={thumbprint}")), "{url}");
    assert_eq!(url.matches("dpop_jkt").count(), 1);
    let (other, _) = start(&client(&key(1)));
    assert!(!other.contains(thumbprint));
}

/// A code that is bound to a foreign key would be of use to somebody else.
#[test]
fn rfc9449_section_10_a_program_names_no_other_key() {
    for client in [support::client(), client(&some_key())] {
        let request = client.authorize(REDIRECT_URI).parameter("dpop_jkt", "fake-thumbprint");
        let error = request.start_with(entropy(), now()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse, "{error}");
    }
    let endpoint = "https://as.example/authorize?dpop_jkt=fake";
    let error = oauth2_proto::AuthorizationServer::new(endpoint, "https://as.example/token").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse, "{error}");
}

#[test]
fn rfc9449_section_5_a_client_without_credentials_proves_its_key_at_a_refresh() {
    let call = public_client(&some_key()).refresh(&refresh_token()).start(now()).unwrap();
    assert_eq!(call.request().header("authorization"), None);
    let jwk = &proof(&call).header["jwk"];
    let sent = oauth2_proto::jose::PublicKey::from_jwk(&jwk.to_string()).unwrap();
    assert_eq!(sent.thumbprint(), public_key(0).thumbprint());
}

#[test]
fn a_key_that_signs_elsewhere_signs_before_the_request_exists() {
    let client = client(&remote_key(0));
    let error = client.client_credentials().start(now()).unwrap_err();
    assert!(error.to_string().contains("Client::signing"), "{error}");

    let sign = || {
        let mut signing = client.signing(now()).unwrap();
        while let Some(unsigned) = signing.next() {
            let signature = signature(unsigned.message());
            signing.signed(&signature).unwrap();
        }
        signing.client().unwrap()
    };
    let signed = sign();
    let mut call = signed.client_credentials().start(now()).unwrap();
    let first = proof(&call).id().to_owned();
    // The signature serves one request.
    assert_eq!(call.renew(&signed, now()).unwrap_err().kind(), ErrorKind::Misuse);
    call.renew(&sign(), now()).unwrap();
    assert_ne!(proof(&call).id(), first);
}

/// A tester may send a request elsewhere; the proof of the first address is not good there.
#[test]
fn rfc9449_section_4_3_a_renewed_proof_is_for_the_address_and_the_method_of_the_request() {
    let client = client(&some_key());
    let mut call = client.refresh(&refresh_token()).start(now()).unwrap();
    call.request_mut().set_url("https://as2.example/token?x=1");
    call.request_mut().set_method("PUT");
    call.renew(&client, now()).unwrap();
    let Proof { claims, .. } = proof(&call);
    assert_eq!((&claims["htm"], &claims["htu"]), (&"PUT".into(), &"https://as2.example/token".into()));
}

#[test]
fn a_removed_proof_stays_away() {
    let client = client(&some_key());
    let mut call = client.refresh(&refresh_token()).start(now()).unwrap();
    call.request_mut().remove_header("DPoP");
    call.renew(&client, now()).unwrap();
    assert_eq!(call.request().header("dpop"), None);
}
