//! The checks of registrations (RFC 7591) and of their management (RFC 7592).

use oauth2_proto::{Callback, Request, Secret};
use serde_json::{Value, json};

use crate::answer::{Answer, End};
use crate::check::{Check, Outcome, found, not_offered};
use crate::clients::{Method, metadata, registered, registration};
use crate::target::Target;

pub const CHECKS: &[Check] = &[
    Check::must(
        "registration.created",
        "RFC 7591 3.2.1",
        "A registration is answered with the status 201 and a JSON object that contains the client_id.",
        |target| {
            with_registration(target, |answer| {
                let word = if answer.is_json() { "of" } else { "not of" };
                found(
                    answer.status == 201 && answer.is_json(),
                    format!("{answer}, {word} the type application/json"),
                )
            })
        },
    ),
    Check::should(
        "registration.no-store",
        "RFC 7591 3.2.1",
        "The response to a registration has Cache-Control: no-store.",
        |target| with_registration(target, |answer| found(answer.is_not_stored(), answer.cache_control())),
    ),
    Check::must(
        "registration.secret-expiry",
        "RFC 7591 3.2.1",
        "A response with a client secret says when the secret expires.",
        |target| {
            with_registration(target, |answer| {
                if answer.text("client_secret").is_none() {
                    return not_offered("no client secret comes");
                }
                match answer.member("client_secret_expires_at").map(Value::as_u64) {
                    Some(Some(0)) => found(true, "never"),
                    Some(Some(_)) => found(true, "a time"),
                    Some(None) => found(false, "not a whole number"),
                    None => found(false, "no client_secret_expires_at"),
                }
            })
        },
    ),
    Check::must(
        "registration.metadata",
        "RFC 7591 3.2.1",
        "The response contains what was registered: the redirect URI and the authentication.",
        |target| {
            with_registration(target, |answer| {
                let sent = metadata(target, Method::Basic);
                let names = ["redirect_uris", "token_endpoint_auth_method"];
                let wrong: Vec<_> =
                    names.into_iter().filter(|name| answer.member(name) != Some(&sent[*name])).collect();
                let seen =
                    if wrong.is_empty() { "the same".into() } else { format!("other {}", wrong.join(", ")) };
                found(wrong.is_empty(), seen)
            })
        },
    ),
    Check::must(
        "registration.differs",
        "RFC 7591 3.2.1",
        "Two registrations bring different clients.",
        |target| {
            with_registration(target, |first| {
                with_registration(target, |second| {
                    let differ = first.text("client_id") != second.text("client_id");
                    found(differ, if differ { "different" } else { "the same client_id" })
                })
            })
        },
    ),
    Check::must(
        "registration.works",
        "RFC 7591 1.3 and 3.2.1",
        "A registered client gets tokens.",
        |target| with_registration(target, |answer| signs_in(target, answer)),
    ),
    Check::must(
        "registration.other-redirect-uri",
        "RFC 7591 5, RFC 6749 3.1.2.3",
        "The browser is not sent to a redirect URI that the registered client did not register.",
        |target| {
            with_registration(target, |answer| {
                let client = registered(target, answer)?;
                let mut attempt = target.attempt_of(&client, &target.server.scopes)?;
                let wrong = "https://probe.invalid/callback";
                attempt.parameters.set("redirect_uri", wrong);
                match target.user.try_out(&attempt.url(), &[wrong, &target.server.redirect_uri])? {
                    end @ End::Redirect(_) => found(false, end.to_string()),
                    end => end.refused(),
                }
            })
        },
    ),
    Check::must(
        "registration.unknown-member",
        "RFC 7591 2",
        "A member that the server does not know is ignored.",
        |target| {
            at_endpoint(target, |endpoint| {
                let mut body = metadata(target, Method::Basic);
                body["fake_member"] = "1".into();
                let answer = target.send(&registration(target, endpoint, body))?;
                found(answer.text("client_id").is_some(), answer.to_string())
            })
        },
    ),
    Check::must(
        "registration.redirect-fragment",
        "RFC 7591 2 and 3.2.2, RFC 6749 3.1.2",
        "A redirect URI with a fragment is refused.",
        |target| {
            let uri = format!("{}#fake", target.server.redirect_uri);
            changed_is_refused(target, |it| it["redirect_uris"] = json!([uri]))
        },
    ),
    Check::must(
        "registration.redirect-malformed",
        "RFC 7591 3.2.2",
        "A redirect URI that is no URI is refused.",
        |target| changed_is_refused(target, |it| it["redirect_uris"] = json!(["fake redirect uri"])),
    ),
    Check::should(
        "registration.redirect-missing",
        "RFC 7591 5, RFC 6749 3.1.2.2",
        "A client of the code grant without a redirect URI is refused.",
        |target| changed_is_refused(target, |it| it["redirect_uris"] = json!([])),
    ),
    Check::should(
        "registration.inconsistent",
        "RFC 7591 2.1",
        "The response type code without the grant of authorization codes is refused or corrected.",
        |target| {
            at_endpoint(target, |endpoint| {
                let mut body = metadata(target, Method::Basic);
                body["grant_types"] = json!(["refresh_token"]);
                let answer = target.send(&registration(target, endpoint, body))?;
                let has = |name: &str, value: &str| {
                    answer
                        .member(name)
                        .and_then(Value::as_array)
                        .is_some_and(|all| all.contains(&value.into()))
                };
                let contradicts = answer.text("client_id").is_some()
                    && has("response_types", "code")
                    && !has("grant_types", "authorization_code");
                found(!contradicts, answer.to_string())
            })
        },
    ),
    Check::must(
        "registration.not-json",
        "RFC 7591 3.1 and 3.2.2",
        "A body that is no JSON object is refused.",
        |target| {
            at_endpoint(target, |endpoint| refuses(&target.send(&registration(target, endpoint, "fake"))?))
        },
    ),
    Check::must(
        "registration.error-json",
        "RFC 7591 3.2.2",
        "An error response has the status 400 and is a JSON object with an error code.",
        |target| {
            at_endpoint(target, |endpoint| {
                let mut body = metadata(target, Method::Basic);
                body["redirect_uris"] = json!(["fake redirect uri"]);
                let answer = target.send(&registration(target, endpoint, body))?;
                let word = if answer.is_json() { "of" } else { "not of" };
                let holds = answer.status == 400 && answer.is_json() && answer.text("error").is_some();
                found(holds, format!("{answer}, {word} the type application/json"))
            })
        },
    ),
    Check::must(
        "registration.initial-token",
        "RFC 7591 3 and 3.1",
        "Where registrations need an access token, none works without it.",
        |target| {
            at_endpoint(target, |endpoint| {
                if target.server.initial_access_token.is_none() {
                    return not_offered("no initial access token is given");
                }
                let mut request = registration(target, endpoint, metadata(target, Method::Basic));
                request.remove_header("authorization");
                refuses(&target.send(&request)?)
            })
        },
    ),
    Check::must(
        "registration.read",
        "RFC 7592 2.1",
        "A registration is read with its access token.",
        |target| {
            with_management(target, |managed| {
                let answer = target.send(&managed.request("GET"))?;
                let same = answer.text("client_id") == Some(&managed.client_id);
                found(answer.status == 200 && same, answer.to_string())
            })
        },
    ),
    Check::must(
        "registration.wrong-token",
        "RFC 7592 2.1 and 3",
        "A registration is not read with a wrong access token; the status is 401.",
        |target| {
            with_management(target, |managed| {
                let mut request = managed.request("GET");
                request.set_header("authorization", "Bearer fake-wrong-token");
                let answer = target.send(&request)?;
                found(answer.status == 401 && answer.text("client_id").is_none(), answer.to_string())
            })
        },
    ),
    Check::must(
        "registration.token-of-another",
        "RFC 7592 2 and 5",
        "The access token of one registration does not open another.",
        |target| {
            with_management(target, |first| {
                with_management(target, |second| {
                    let mut request = first.request("GET");
                    request.set_header("authorization", format!("Bearer {}", second.token.expose()));
                    let answer = target.send(&request)?;
                    found(answer.text("client_id") != Some(&first.client_id), answer.to_string())
                })
            })
        },
    ),
    Check::must(
        "registration.update",
        "RFC 7592 2.2",
        "A registration is changed with its access token.",
        |target| {
            with_management(target, |managed| {
                let answer = target.send(&managed.update(target, "Probe, renamed", &managed.client_id))?;
                let same = answer.text("client_name") == Some("Probe, renamed");
                let word = if same { "with" } else { "without" };
                found(answer.status == 200 && same, format!("{answer}, {word} the new name"))
            })
        },
    ),
    Check::should(
        "registration.update-other-id",
        "RFC 7592 2.2",
        "A change with the client_id of another client is refused.",
        |target| {
            with_management(target, |managed| {
                let answer = target.send(&managed.update(target, "Probe", "fake-other-client"))?;
                found(matches!(answer.status, 400..=499), answer.to_string())
            })
        },
    ),
    Check::must(
        "registration.delete",
        "RFC 7592 2.3",
        "A deletion is answered with 204, and the client gets no tokens afterwards.",
        |target| {
            with_registration(target, |answer| {
                let Some(managed) = Managed::of(answer) else { return not_offered(NO_MANAGEMENT) };
                let client = registered(target, answer)?;
                let deletion = target.send(&managed.request("DELETE"))?;
                if matches!(deletion.status, 403 | 405 | 501) {
                    return not_offered(format!("the deletion: status {}", deletion.status));
                }
                let form = [("grant_type", "authorization_code"), ("code", "fake-unknown-code")];
                let after = target.form_post_of(&client, &target.server.token_endpoint, &form)?;
                let after = target.send(&after)?;
                let refused = after.text("error") == Some("invalid_client");
                found(
                    deletion.status == 204 && refused,
                    format!("status {}, and then {after}", deletion.status),
                )
            })
        },
    ),
];

const NO_MANAGEMENT: &str = "no registration_client_uri comes";

/// A registration that its client can read and change.
struct Managed {
    address: String,
    token: Secret,
    client_id: String,
    client_secret: Option<Secret>,
}

impl Managed {
    fn of(answer: &Answer) -> Option<Self> {
        Some(Self {
            address: answer.text("registration_client_uri")?.to_owned(),
            token: Secret::new(answer.text("registration_access_token")?),
            client_id: answer.text("client_id")?.to_owned(),
            client_secret: answer.text("client_secret").map(Secret::new),
        })
    }

    fn request(&self, method: &'static str) -> Request {
        let mut request = Request::new(method, self.address.as_str());
        request.set_header("accept", "application/json");
        request.set_header("authorization", format!("Bearer {}", self.token.expose()));
        request
    }

    fn update(&self, target: &Target, name: &str, client_id: &str) -> Request {
        let mut body = metadata(target, Method::Basic);
        body["client_name"] = name.into();
        body["client_id"] = client_id.into();
        if let Some(secret) = &self.client_secret {
            body["client_secret"] = secret.expose().into();
        }
        let mut request = self.request("PUT");
        request.set_header("content-type", "application/json");
        request.set_body(body.to_string());
        request
    }
}

fn at_endpoint(target: &Target, check: impl FnOnce(&str) -> Outcome) -> Outcome {
    match &target.server.registration_endpoint {
        None => not_offered("no registration endpoint"),
        Some(endpoint) => check(endpoint),
    }
}

/// Registers a client, and passes the response to `check`.
fn with_registration(target: &Target, check: impl FnOnce(&Answer) -> Outcome) -> Outcome {
    at_endpoint(target, |endpoint| {
        let answer = target.send(&registration(target, endpoint, metadata(target, Method::Basic)))?;
        match answer.text("client_id") {
            Some(_) => check(&answer),
            None => found(false, format!("the registration: {answer}")),
        }
    })
}

fn with_management(target: &Target, check: impl FnOnce(&Managed) -> Outcome) -> Outcome {
    with_registration(target, |answer| match Managed::of(answer) {
        Some(managed) => check(&managed),
        None => not_offered(NO_MANAGEMENT),
    })
}

fn signs_in(target: &Target, answer: &Answer) -> Outcome {
    let client = registered(target, answer)?;
    let mut attempt = target.attempt_of(&client, &target.server.scopes)?;
    match target.sign_in(&attempt)? {
        End::Redirect(callback) if callback.one("code").is_some() => {
            let call = attempt.receive(&client, Callback::url(&callback.url))?;
            target.send(call.request())?.granted()
        }
        end => found(false, end.to_string()),
    }
}

fn changed_is_refused(target: &Target, change: impl FnOnce(&mut Value)) -> Outcome {
    at_endpoint(target, |endpoint| {
        let mut body = metadata(target, Method::Basic);
        change(&mut body);
        refuses(&target.send(&registration(target, endpoint, body))?)
    })
}

/// Finds whether a registration was refused with a 4xx status and without a client.
fn refuses(answer: &Answer) -> Outcome {
    let holds = matches!(answer.status, 400..=499) && answer.text("client_id").is_none();
    found(holds, answer.to_string())
}
