//! The checks of tokens that are bound to a key (DPoP, RFC 9449).

use std::cell::RefCell;

use oauth2_proto::{Client, Request};
use serde_json::{Value, json};

use crate::answer::{Answer, End};
use crate::check::{Check, Outcome, found, not_offered};
use crate::clients::{Method, another};
use crate::proof::{Key, Proof};
use crate::pushed::{push, reference};
use crate::target::{Target, Tokens};

pub const CHECKS: &[Check] = &[
    Check::must(
        "dpop.token-type",
        "RFC 9449 5",
        "A token request with a proof brings a token of the type DPoP.",
        |target| with_support(target, |support| found(support.is_bound(), support.seen.clone())),
    ),
    Check::must(
        "dpop.nonce",
        "RFC 9449 8",
        "A demand for a nonce has the status 400, use_dpop_nonce and a DPoP-Nonce, which then works.",
        |target| {
            with_support(target, |support| match &support.demand {
                None => not_offered("no nonce is demanded"),
                Some(demand) => found(demand.holds && support.is_bound(), demand.seen.clone()),
            })
        },
    ),
    Check::must(
        "dpop.nonce-unknown",
        "RFC 9449 4.3 and 8",
        "A proof with a nonce that the server never issued is refused as use_dpop_nonce, where it uses nonces.",
        |target| {
            with_bound(target, |support| {
                if support.nonce.borrow().is_none() {
                    return not_offered("the server sends no nonce");
                }
                let request = target.exchange()?.request().clone();
                let mut proof = support.proof(target, &target.server.token_endpoint)?;
                proof.claims["nonce"] = "fake-nonce".into();
                let answer = sent(target, &request, &proof.signed_by(&support.key)?)?;
                answer.refused_as(&["use_dpop_nonce", "invalid_dpop_proof"])
            })
        },
    ),
    Check::must(
        "dpop.htm",
        "RFC 9449 4.3",
        "A proof for another method is refused as invalid_dpop_proof.",
        |target| changed_is_refused(target, |proof, _| proof.claims["htm"] = "GET".into()),
    ),
    Check::must(
        "dpop.htu",
        "RFC 9449 4.3",
        "A proof for another address is refused as invalid_dpop_proof.",
        |target| {
            changed_is_refused(target, |proof, _| proof.claims["htu"] = "https://probe.invalid/token".into())
        },
    ),
    Check::must(
        "dpop.iat-old",
        "RFC 9449 4.3 and 11.1",
        "A proof that is a day old is refused as invalid_dpop_proof; a valid nonce may stand for its age.",
        |target| at_another_time(target, -86_400),
    ),
    Check::must(
        "dpop.iat-future",
        "RFC 9449 4.3 and 11.1",
        "A proof from tomorrow is refused as invalid_dpop_proof; a valid nonce may stand for its age.",
        |target| at_another_time(target, 86_400),
    ),
    Check::must(
        "dpop.typ",
        "RFC 9449 4.3",
        "A proof with another typ than dpop+jwt is refused as invalid_dpop_proof.",
        |target| changed_is_refused(target, |proof, _| proof.header["typ"] = "JWT".into()),
    ),
    Check::must(
        "dpop.jti-missing",
        "RFC 9449 4.2 and 4.3",
        "A proof without a jti is refused as invalid_dpop_proof.",
        |target| changed_is_refused(target, |proof, _| remove(&mut proof.claims, "jti")),
    ),
    Check::must(
        "dpop.iat-missing",
        "RFC 9449 4.2 and 4.3",
        "A proof without an iat is refused as invalid_dpop_proof.",
        |target| changed_is_refused(target, |proof, _| remove(&mut proof.claims, "iat")),
    ),
    Check::must(
        "dpop.jwk-missing",
        "RFC 9449 4.2 and 4.3",
        "A proof without its public key is refused as invalid_dpop_proof.",
        |target| changed_is_refused(target, |proof, _| remove(&mut proof.header, "jwk")),
    ),
    Check::must(
        "dpop.private-jwk",
        "RFC 9449 4.3",
        "A proof that shows its private key is refused as invalid_dpop_proof.",
        |target| {
            changed_is_refused(target, |proof, key| proof.header["jwk"]["d"] = key.private_member().into())
        },
    ),
    Check::must(
        "dpop.signature",
        "RFC 9449 4.3",
        "A proof that another key has signed is refused as invalid_dpop_proof.",
        |target| {
            let other = Key::generate()?;
            is_refused(target, |proof, _| proof.signed_by(&other))
        },
    ),
    Check::must(
        "dpop.alg-none",
        "RFC 9449 4.3",
        "A proof with the algorithm none is refused as invalid_dpop_proof.",
        |target| is_refused(target, |proof, _| Ok(proof.unsigned())),
    ),
    Check::must(
        "dpop.alg-symmetric",
        "RFC 9449 4.3",
        "A proof with a symmetric key is refused as invalid_dpop_proof.",
        |target| is_refused(target, |proof, _| proof.with_symmetric_key()),
    ),
    Check::must(
        "dpop.malformed",
        "RFC 9449 4.3",
        "A proof that is no JSON Web Token is refused as invalid_dpop_proof.",
        |target| is_refused(target, |_, _| Ok("fake-proof".to_owned())),
    ),
    Check::should("dpop.replay", "RFC 9449 11.1", "A proof works once.", |target| {
        with_bound(target, |support| {
            let proof = support.proof(target, &target.server.token_endpoint)?.signed_by(&support.key)?;
            let first = sent(target, target.exchange()?.request(), &proof)?;
            if first.access_token().is_none() {
                return Err(format!("the first use: {first}"));
            }
            sent(target, target.exchange()?.request(), &proof)?.refused()
        })
    }),
    Check::must(
        "dpop.jkt",
        "RFC 9449 10",
        "A code whose request named a key by dpop_jkt is not exchanged with another key.",
        |target| {
            with_bound(target, |support| {
                let mut attempt = target.attempt()?;
                attempt.parameters.set("dpop_jkt", &Key::generate()?.thumbprint());
                let request = target.exchange_after(attempt)?.request().clone();
                support.send(target, &request, |_, _| ())?.refused()
            })
        },
    ),
    Check::must(
        "dpop.jkt-works",
        "RFC 9449 10",
        "A code whose request named a key by dpop_jkt is exchanged with this key.",
        |target| {
            with_bound(target, |support| {
                let mut attempt = target.attempt()?;
                attempt.parameters.set("dpop_jkt", &support.key.thumbprint());
                let request = target.exchange_after(attempt)?.request().clone();
                support.send(target, &request, |_, _| ())?.granted()
            })
        },
    ),
    Check::must(
        "dpop.pushed",
        "RFC 9449 10.1",
        "A code whose request was pushed with a proof is not exchanged with another key.",
        pushed_with_proof,
    ),
    Check::must(
        "dpop.pushed-jkt",
        "RFC 9449 10.1",
        "A push whose dpop_jkt names another key than its proof is refused.",
        |target| {
            with_bound(target, |support| {
                if target.server.pushed_endpoint.is_none() {
                    return not_offered("no pushed authorization request endpoint");
                }
                let mut parameters = target.attempt()?.parameters;
                parameters.set("dpop_jkt", &Key::generate()?.thumbprint());
                crate::pushed::refuses(&support.send(target, &push(target, &parameters)?, |_, _| ())?)
            })
        },
    ),
    Check::must(
        "dpop.introspection",
        "RFC 9449 6.2",
        "Introspection of a bound token names its key.",
        |target| {
            with_bound(target, |support| {
                let Some(endpoint) = &target.server.introspection_endpoint else {
                    return not_offered("no introspection endpoint");
                };
                let answer = support.send(target, target.exchange()?.request(), |_, _| ())?;
                let token = answer.access_token().ok_or(format!("no tokens came: {answer}"))?;
                let answer = target.send(&target.form_post(endpoint, &[("token", token.expose())])?)?;
                let jkt = answer.member("cnf").and_then(|cnf| cnf.get("jkt"));
                match jkt {
                    Some(jkt) if *jkt == support.key.thumbprint() => found(true, "the key"),
                    Some(_) => found(false, "another key"),
                    None => found(false, format!("{answer}, without a key")),
                }
            })
        },
    ),
    Check::must(
        "dpop.refresh-works",
        "RFC 9449 5",
        "A refresh token of a public client works with the key that it is bound to.",
        |target| {
            with_public_tokens(target, |support, client, tokens| {
                support.send(target, &refresh(target, client, tokens)?, |_, _| ())?.granted()
            })
        },
    ),
    Check::must(
        "dpop.refresh-other-key",
        "RFC 9449 5",
        "A refresh token of a public client does not work with another key.",
        |target| {
            with_public_tokens(target, |support, client, tokens| {
                let other = support.with(Key::generate()?);
                other.send(target, &refresh(target, client, tokens)?, |_, _| ())?.refused()
            })
        },
    ),
    Check::must(
        "dpop.refresh-no-proof",
        "RFC 9449 5",
        "A bound refresh token of a public client does not work without a proof.",
        |target| {
            with_public_tokens(target, |_, client, tokens| {
                target.send(&refresh(target, client, tokens)?)?.refused()
            })
        },
    ),
];

/// What a first token request with a proof has shown.
pub struct Support {
    key: Key,
    /// The newest nonce of the server.
    nonce: RefCell<Option<String>>,
    token_type: Option<String>,
    /// The demand for a nonce, if there was one.
    demand: Option<Demand>,
    seen: String,
}

#[derive(Clone)]
struct Demand {
    holds: bool,
    seen: String,
}

impl Support {
    /// Signs in once with a proof.
    fn find(target: &Target) -> Result<Self, String> {
        let key = Key::generate()?;
        let nothing = RefCell::new(None);
        let mut support = Self { key, nonce: nothing, token_type: None, demand: None, seen: String::new() };
        let request = target.exchange()?.request().clone();
        let proof = support.proof(target, &target.server.token_endpoint)?.signed_by(&support.key)?;
        let mut answer = sent(target, &request, &proof)?;
        let nonce = answer.header("dpop-nonce").map(str::to_owned);
        support.nonce.replace(nonce.clone());
        if answer.text("error") == Some("use_dpop_nonce") {
            let word = if nonce.is_some() { "with" } else { "without" };
            let seen = format!("{answer}, {word} a DPoP-Nonce");
            let holds = answer.status == 400 && nonce.is_some();
            // The code may have died with the refusal.
            let again = target.exchange()?.request().clone();
            answer = support.send(target, &again, |_, _| ())?;
            support.demand = Some(Demand { holds, seen: format!("{seen}, and then {answer}") });
        }
        support.token_type = answer.text("token_type").map(str::to_ascii_lowercase);
        support.seen = match support.token_type.as_deref() {
            Some("dpop") => format!("{answer}, of the type DPoP"),
            Some("bearer") => format!("{answer}, of the type Bearer"),
            _ => answer.to_string(),
        };
        Ok(support)
    }

    fn is_bound(&self) -> bool {
        self.token_type.as_deref() == Some("dpop")
    }

    /// Returns the same with another key.
    fn with(&self, key: Key) -> Self {
        let (nonce, token_type) = (self.nonce.clone(), self.token_type.clone());
        Self { key, nonce, token_type, demand: self.demand.clone(), seen: self.seen.clone() }
    }

    fn proof(&self, target: &Target, url: &str) -> Result<Proof, String> {
        Proof::new(&self.key, &target.client, url, self.nonce.borrow().as_deref())
    }

    /// Sends a request with a changed proof of the key.
    fn send(
        &self,
        target: &Target,
        request: &Request,
        change: impl Fn(&mut Proof, &Key),
    ) -> Result<Answer, String> {
        self.send_as(target, request, |mut proof, key| {
            change(&mut proof, key);
            proof.signed_by(key)
        })
    }

    /// Sends a request with what `write` makes of a valid proof, and once more if the nonce is too old.
    fn send_as(
        &self,
        target: &Target,
        request: &Request,
        write: impl Fn(Proof, &Key) -> Result<String, String>,
    ) -> Result<Answer, String> {
        let send = || {
            let answer = sent(target, request, &write(self.proof(target, request.url())?, &self.key)?)?;
            if let Some(nonce) = answer.header("dpop-nonce") {
                self.nonce.replace(Some(nonce.to_owned()));
            }
            Ok(answer)
        };
        match send() {
            Ok(answer) if answer.text("error") == Some("use_dpop_nonce") => send(),
            settled => settled,
        }
    }
}

fn sent(target: &Target, request: &Request, proof: &str) -> Result<Answer, String> {
    let mut request = request.clone();
    request.set_header("dpop", proof);
    target.send(&request)
}

/// Passes what the server does with a proof to `check`, unless its metadata says that it knows no proofs.
fn with_support(target: &Target, check: impl FnOnce(&Support) -> Outcome) -> Outcome {
    let algorithms = target.server.metadata.as_ref().map(|it| &it["dpop_signing_alg_values_supported"]);
    let offers = |known: &Value| known.as_array().is_some_and(|all| all.contains(&json!("ES256")));
    if algorithms.is_some_and(|known| !offers(known)) {
        return not_offered("the metadata lists no DPoP with ES256");
    }
    let support = target.dpop.get_or_init(|| Support::find(target)).as_ref().map_err(String::clone)?;
    // Without metadata, only the behaviour can tell.
    if algorithms.is_none() && support.token_type.as_deref() == Some("bearer") {
        return not_offered("the proof is ignored");
    }
    check(support)
}

/// Like `with_support`, for checks that take a server which binds tokens.
fn with_bound(target: &Target, check: impl FnOnce(&Support) -> Outcome) -> Outcome {
    with_support(target, |support| match support.is_bound() {
        true => check(support),
        false => found(false, format!("a valid proof: {}", support.seen)),
    })
}

fn changed_is_refused(target: &Target, change: impl Fn(&mut Proof, &Key)) -> Outcome {
    is_refused(target, |mut proof, key| {
        change(&mut proof, key);
        proof.signed_by(key)
    })
}

/// Finds whether a code is not exchanged with what `write` makes of a valid proof.
fn is_refused(target: &Target, write: impl Fn(Proof, &Key) -> Result<String, String>) -> Outcome {
    with_bound(target, |support| {
        let answer = support.send_as(target, target.exchange()?.request(), write)?;
        answer.refused_as(&["invalid_dpop_proof"])
    })
}

fn at_another_time(target: &Target, offset: i64) -> Outcome {
    with_bound(target, |support| {
        let answer = support.send(target, target.exchange()?.request(), |proof, _| {
            let iat = proof.claims["iat"].as_i64().unwrap_or_default();
            proof.claims["iat"] = (iat + offset).into();
        })?;
        match answer.access_token() {
            Some(_) if support.nonce.borrow().is_some() => {
                not_offered(format!("{answer}: the nonce stands for the age"))
            }
            _ => answer.refused_as(&["invalid_dpop_proof"]),
        }
    })
}

fn remove(part: &mut Value, name: &str) {
    part.as_object_mut().map(|members| members.remove(name));
}

fn pushed_with_proof(target: &Target) -> Outcome {
    with_bound(target, |support| {
        if target.server.pushed_endpoint.is_none() {
            return not_offered("no pushed authorization request endpoint");
        }
        let mut attempt = target.attempt()?;
        let answer = support.send(target, &push(target, &attempt.parameters)?, |_, _| ())?;
        if answer.text("request_uri").is_none() {
            return found(false, format!("the push with a proof: {answer}"));
        }
        let url = attempt.url_with(&reference(target, &answer));
        let End::Redirect(callback) = target.user.sign_in(&url, &target.server.redirect_uri)? else {
            return Err("the pushed request ended at a page".to_owned());
        };
        let call = attempt.receive(&target.client, oauth2_proto::Callback::url(&callback.url))?;
        support.with(Key::generate()?).send(target, call.request(), |_, _| ())?.refused()
    })
}

/// Signs in as a public client with a proof.
fn with_public_tokens(target: &Target, check: impl FnOnce(&Support, &Client, &Tokens) -> Outcome) -> Outcome {
    with_bound(target, |support| {
        let Some(client) = another(target, Method::None)? else {
            return not_offered("the probe cannot register a public client");
        };
        let attempt = target.attempt_of(&client, &target.server.scopes)?;
        let request = target.exchange_of(&client, attempt)?.request().clone();
        let answer = support.send(target, &request, |_, _| ())?;
        match (answer.access_token(), answer.refresh_token()) {
            (Some(access_token), Some(refresh_token)) => {
                check(support, &client, &Tokens { access_token, refresh_token: Some(refresh_token) })
            }
            (Some(_), None) => not_offered("a public client gets no refresh token"),
            (None, _) => Err(format!("no tokens came: {answer}")),
        }
    })
}

fn refresh(target: &Target, client: &Client, tokens: &Tokens) -> Result<Request, String> {
    let refresh_token = tokens.refresh_token.as_ref().ok_or("no refresh token came")?;
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token.expose()),
        ("client_id", client.client_id()),
    ];
    target.form_post_of(client, &target.server.token_endpoint, &form)
}
