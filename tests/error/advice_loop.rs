//! A program that does only what [`Error::advice`] says, against every answer of the vectors and others.
//!
//! It must not send a user back who just said no, must not wait without end for a wrong configuration, and
//! must not give up where another try helps.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use oauth2_proto::{Advice, Call, Callback, Client, Error, PendingAuthorization, Response, TokenResponse};
use serde_json::Value;

use crate::support::{client, client_of, now, server, start};

/// The number of times that this program sends a request, and that it sends a user to the server by itself.
const MAX_SENDS: usize = 4;
const MAX_SIGN_INS: usize = 3;

const STATE: &str = "fake-state-of-the-loop";
const GRANTED: &str = r#"{"access_token":"fake","token_type":"Bearer"}"#;

/// An answer of the token endpoint: status, headers, body.
type Answer = (u16, Vec<(String, String)>, Vec<u8>);

/// The input from outside. The last answer of the token endpoint repeats; after the last callback none comes.
struct World<'a> {
    client: Client,
    state: &'a str,
    callbacks: VecDeque<Callback<'a>>,
    answers: VecDeque<Answer>,
}

/// The end of the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    SignedIn,
    /// The user is told that nothing was granted.
    Declined,
    /// An operator is told.
    Operator,
    /// The real callback never came.
    TimedOut,
    /// The program has sent or asked as often as it may.
    GaveUp,
}

#[derive(Debug)]
struct Outcome {
    end: End,
    sign_ins: usize,
    sends: usize,
    /// The last error, as an operator would read it.
    log: String,
}

/// The next action after one sign-in.
enum Next {
    End(End),
    StartAgain,
}

impl World<'_> {
    #[track_caller]
    fn run(mut self) -> Outcome {
        let mut outcome = Outcome { end: End::GaveUp, sign_ins: 0, sends: 0, log: String::new() };
        let mut clock = now();
        while outcome.sign_ins < MAX_SIGN_INS {
            outcome.sign_ins += 1;
            if let Next::End(end) = self.sign_in(&mut clock, &mut outcome) {
                outcome.end = end;
                break;
            }
        }
        outcome
    }

    fn sign_in(&mut self, clock: &mut SystemTime, outcome: &mut Outcome) -> Next {
        let mut pending = pending_with_state(&self.client, self.state);
        loop {
            let Some(callback) = self.callbacks.pop_front() else {
                *clock = pending.expires_at();
                return Next::End(End::TimedOut);
            };
            match pending.receive(&self.client, callback, *clock) {
                Ok(call) => return self.exchange(&call, clock, outcome),
                Err(error) => {
                    outcome.log = error.to_string();
                    match error.advice() {
                        Advice::KeepWaiting => {}
                        Advice::RetryLater => {
                            *clock += pause(&error, *clock, 1);
                            return Next::StartAgain;
                        }
                        other => return obey(other),
                    }
                }
            }
        }
    }

    fn exchange(
        &mut self,
        call: &Call<TokenResponse>,
        clock: &mut SystemTime,
        outcome: &mut Outcome,
    ) -> Next {
        for attempt in 1..=MAX_SENDS {
            outcome.sends += 1;
            let (status, headers, body) = match self.answers.len() {
                1 => self.answers[0].clone(),
                _ => self.answers.pop_front().unwrap(),
            };
            match call.read(Response::new(status, headers, &body)) {
                Ok(_) => return Next::End(End::SignedIn),
                Err(error) => {
                    outcome.log = error.to_string();
                    match error.advice() {
                        Advice::RetryLater => *clock += pause(&error, *clock, attempt),
                        other => return obey(other),
                    }
                }
            }
        }
        Next::End(End::GaveUp)
    }
}

/// Obeys an advice that means the same after a callback and after a response.
fn obey(advice: Advice) -> Next {
    match advice {
        Advice::Reauthorize => Next::StartAgain,
        Advice::Declined => Next::End(End::Declined),
        Advice::FixConfiguration | Advice::Stop => Next::End(End::Operator),
        Advice::KeepWaiting | Advice::RetryLater => panic!("{advice:?} is for the loop"),
    }
}

fn pause(error: &Error, now: SystemTime, attempt: usize) -> Duration {
    error.retry_after(now).unwrap_or(Duration::from_secs(attempt as u64))
}

#[track_caller]
fn pending_with_state(client: &Client, state: &str) -> PendingAuthorization {
    let mut stored = serde_json::to_value(start(client).1).unwrap();
    stored["state"] = state.into();
    serde_json::from_value(stored).unwrap()
}

fn granted() -> Answer {
    (200, Vec::new(), GRANTED.into())
}

/// Every sign-in brings a code, and the token endpoint gives these answers.
#[track_caller]
fn run_exchange(answers: Vec<Answer>) -> Outcome {
    let callback = format!("code=fake&state={STATE}");
    let callbacks = std::iter::repeat_n(Callback::query(&callback), MAX_SIGN_INS).collect();
    World { client: client(), state: STATE, callbacks, answers: answers.into() }.run()
}

/// These callbacks come one after the other, for one user.
#[track_caller]
fn run_callbacks(client: Client, state: &str, callbacks: Vec<Callback<'_>>) -> Outcome {
    World { client, state, callbacks: callbacks.into(), answers: [granted()].into() }.run()
}

#[track_caller]
fn vectors(file: &str) -> Vec<Value> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(file);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[track_caller]
fn answer_of(case: &Value) -> Answer {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let headers = case["headers"].as_array().unwrap().iter();
    let body = match case["body_base64"].as_str() {
        Some(encoded) => STANDARD.decode(encoded).unwrap(),
        None => text(&case["body"]).into_bytes(),
    };
    let status = u16::try_from(case["status"].as_u64().unwrap()).unwrap();
    (status, headers.map(|pair| (text(&pair[0]), text(&pair[1]))).collect(), body)
}

#[test]
fn every_error_response_of_the_vectors_ends_as_it_should() {
    for case in vectors("error_responses.json") {
        let (id, answer) = (&case["id"], answer_of(&case));
        let once = run_exchange(vec![answer.clone(), granted()]);
        let always = run_exchange(vec![answer]);
        let ends = |outcome: &Outcome| (outcome.end, outcome.sign_ins, outcome.sends);
        let expected = match case["expect"]["retry"].as_str().unwrap() {
            "later" => [(End::SignedIn, 1, 2), (End::GaveUp, 1, MAX_SENDS)],
            "reauthorize" => [(End::SignedIn, 2, 2), (End::GaveUp, MAX_SIGN_INS, MAX_SIGN_INS)],
            "declined" => [(End::Declined, 1, 1); 2],
            "fix-config" | "never" => [(End::Operator, 1, 1); 2],
            other => panic!("{id}: {other}"),
        };
        assert_eq!([ends(&once), ends(&always)], expected, "{id}: {once:?}");
    }
}

#[test]
fn every_callback_of_the_vectors_ends_as_it_should() {
    for case in vectors("callbacks.json") {
        let (id, text) = (&case["id"], |member: &str| case[member].as_str());
        let mut server = server();
        if let Some(issuer) = text("issuer") {
            server = server.issuer(issuer).unwrap();
            server = server.authorization_response_iss_parameter_supported(case["iss_advertised"] == true);
        }
        let state = text("expected_state").unwrap();
        let callback = || text("url").map_or_else(|| Callback::query(text("query").unwrap()), Callback::url);
        let real: Vec<_> = [("code", "fake"), ("state", state)]
            .into_iter()
            .chain(text("issuer").map(|issuer| ("iss", issuer)))
            .collect();
        let then_real = vec![callback(), Callback::pairs(real)];
        let outcome = run_callbacks(client_of(server.clone()), state, then_real);
        let alone = run_callbacks(client_of(server), state, vec![callback()]);
        match text("expect").unwrap() {
            "code" => assert_eq!((outcome.end, alone.end), (End::SignedIn, End::SignedIn), "{id}"),
            "suspect" | "invalid" => {
                assert_eq!((outcome.end, outcome.sign_ins), (End::SignedIn, 1), "{id}: {outcome:?}");
                assert_eq!((alone.end, alone.sends), (End::TimedOut, 0), "{id}: {alone:?}");
            }
            "refused" => {
                let says_no = ["access_denied", "consent_required"].contains(&text("error").unwrap());
                assert_eq!(outcome.end == End::Declined, says_no, "{id}: {outcome:?}");
                assert!(!says_no || outcome.sign_ins == 1, "{id}: {outcome:?}");
                assert!(outcome.end != End::TimedOut, "{id}: {outcome:?}");
            }
            other => panic!("{id}: {other}"),
        }
    }
}

#[test]
fn a_user_who_said_no_is_not_sent_back() {
    for no in ["access_denied", "consent_required", "user_cancelled_login", "user_cancelled_authorize"] {
        let callback = format!("error={no}&error_description=x&state={STATE}");
        let callbacks = std::iter::repeat_n(Callback::query(&callback), MAX_SIGN_INS).collect();
        let outcome = run_callbacks(client(), STATE, callbacks);
        assert_eq!((outcome.end, outcome.sign_ins), (End::Declined, 1), "{no}");
    }
}

#[test]
fn a_failing_authorization_endpoint_gets_another_try() {
    let busy = format!("error=temporarily_unavailable&state={STATE}");
    let real = format!("code=fake&state={STATE}");
    let outcome = run_callbacks(client(), STATE, vec![Callback::query(&busy), Callback::query(&real)]);
    assert_eq!((outcome.end, outcome.sign_ins), (End::SignedIn, 2), "{outcome:?}");
}

#[test]
fn what_passes_is_tried_again_without_the_user() {
    for status in [408, 421, 425, 429, 500, 502, 503, 504, 522] {
        for body in ["", "<html>", r#"{"error":"invalid_grant"}"#, r#"{"error":"access_denied"}"#, "{}"] {
            let answer = (status, vec![("retry-after".to_owned(), "2".to_owned())], body.into());
            let outcome = run_exchange(vec![answer.clone(), answer, granted()]);
            assert_eq!(
                (outcome.end, outcome.sign_ins, outcome.sends),
                (End::SignedIn, 1, 3),
                "{status} {body}"
            );
        }
    }
}

#[test]
fn a_wrong_configuration_ends_the_loop_and_can_be_told_from_its_log() {
    let answer = |status, body: &str| (status, Vec::new(), body.into());
    for (answer, log) in [
        (answer(404, "<html>not here</html>"), "\"https://as.example/token\""),
        (answer(404, r#"{"status":404,"error":"Not Found"}"#), "\"https://as.example/token\""),
        (answer(405, ""), "\"https://as.example/token\""),
        (answer(410, ""), "\"https://as.example/token\""),
        (answer(302, ""), "\"https://as.example/token\""),
        (answer(401, r#"{"error":"invalid_client"}"#), "configuration and registration"),
        (answer(400, r#"{"error":"invalid_request"}"#), "configuration and registration"),
    ] {
        let outcome = run_exchange(vec![answer]);
        assert_eq!((outcome.end, outcome.sign_ins, outcome.sends), (End::Operator, 1, 1), "{outcome:?}");
        assert!(outcome.log.contains(log), "{outcome:?}");
    }
    for (configured, sent) in
        [("https://as.example/", "https://as.example"), ("https://as.example", "https://as.example/")]
    {
        let client = client_of(server().issuer(configured).unwrap());
        let callback = format!("code=fake&state={STATE}&iss={sent}");
        let outcome = run_callbacks(client, STATE, vec![Callback::query(&callback)]);
        assert_eq!((outcome.end, outcome.sign_ins), (End::TimedOut, 1), "{outcome:?}");
        for told in [configured, sent].map(|issuer| format!("{issuer:?}")) {
            assert!(outcome.log.contains(&told) && outcome.log.contains("::issuer"), "{outcome:?}");
        }
    }
    let server = server().issuer("https://as.example").unwrap();
    let client_of_sender = client_of(server.authorization_response_iss_parameter_supported(true));
    let callback = format!("code=fake&state={STATE}");
    let outcome = run_callbacks(client_of_sender, STATE, vec![Callback::query(&callback)]);
    assert_eq!((outcome.end, outcome.sign_ins), (End::TimedOut, 1), "{outcome:?}");
    assert!(outcome.log.contains("authorization_response_iss_parameter_supported"), "{outcome:?}");
    let url = format!("https://app.example/cb?code=fake&state={STATE}");
    let outcome = run_callbacks(client(), STATE, vec![Callback::from(url.as_str())]);
    assert!(outcome.end == End::TimedOut && outcome.log.contains("Callback::url"), "{outcome:?}");
}

#[test]
fn a_spent_code_leads_to_one_new_sign_in() {
    for code in ["invalid_grant", "invalid_code", "code_expired", "code_already_used", "expired_code"] {
        let answer = (403, Vec::new(), format!("{{\"error\":\"{code}\"}}").into_bytes());
        let outcome = run_exchange(vec![answer, granted()]);
        assert_eq!((outcome.end, outcome.sign_ins), (End::SignedIn, 2), "{code}");
    }
}
