//! Step-up: from a challenge to the next authorization request.

use std::time::Duration;

use oauth2_proto::challenge::{Challenges, StepUp, StepUpPolicy, Verdict};
use oauth2_proto::error::ErrorKind;
use oauth2_proto::{Advice, Error, Response};

use crate::support::{REDIRECT_URI, client, entropy, now, token_call};

const SCOPE: &str = "Bearer error=insufficient_scope";
const AUTHENTICATION: &str = "Bearer error=insufficient_user_authentication";

/// Takes the demand of a challenge with these parameters, with one granted scope.
fn demand(step_up: &mut StepUp, challenge: &str) -> Result<(), Error> {
    demand_of(step_up, challenge, &["read"], &StepUpPolicy::any_scope())
}

#[track_caller]
fn demand_of(
    step_up: &mut StepUp,
    challenge: &str,
    granted: &[&str],
    policy: &StepUpPolicy,
) -> Result<(), Error> {
    let before = step_up.clone();
    let challenges = Challenges::parse([challenge]);
    let demanded = step_up.demanded(challenges.bearer().unwrap(), granted, policy);
    assert_eq!(demanded.is_err(), before == *step_up, "an error changes nothing: {challenge}");
    demanded
}

/// The parameters of an authorization request that asks for these `own` scopes and for a step-up.
#[track_caller]
fn asked(own: &[&str], step_up: &StepUp) -> Vec<(String, String)> {
    let client = client();
    let request = client.authorize(REDIRECT_URI).scopes(own).step_up(step_up);
    let (url, _) = request.start_with(entropy(), now()).unwrap();
    let asked = url::form_urlencoded::parse(url.split_once('?').unwrap().1.as_bytes()).into_owned();
    asked.filter(|(name, _)| ["scope", "acr_values", "max_age"].contains(&name.as_str())).collect()
}

#[track_caller]
fn asks(own: &[&str], step_up: &StepUp, expected: &[(&str, &str)]) {
    let expected: Vec<_> = expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    assert_eq!(asked(own, step_up), expected);
}

#[test]
fn a_step_up_without_a_demand_asks_for_nothing() {
    asks(&["read"], &StepUp::default(), &[("scope", "read")]);
    asks(&[], &StepUp::default(), &[]);
}

/// RFC 9470 §3 and §4, and the flow of §2: challenge, request, tokens, request to the API.
#[test]
fn rfc9470_section_4_the_challenge_becomes_an_authorization_request() {
    let mut step_up = StepUp::default();
    let line = "Bearer error=\"insufficient_user_authentication\", \
                error_description=\"A different authentication level is required\", acr_values=\"myACR\"";
    let challenges = Challenges::parse([line]);
    let Verdict::StepUp(challenge) = challenges.verdict(401, true) else { panic!() };
    step_up.demanded(challenge, ["purchase"], &StepUpPolicy::within(["purchase"])).unwrap();
    asks(&[], &step_up, &[("scope", "purchase"), ("acr_values", "myACR")]);
    assert_eq!((step_up.acr_values().collect::<Vec<_>>(), step_up.max_age()), (vec!["myACR"], None));

    // A later operation wants a recent sign-in too; then the API accepts.
    demand(&mut step_up, &format!("{AUTHENTICATION}, max_age=5")).unwrap();
    assert_eq!(step_up.max_age(), Some(Duration::from_secs(5)));
    asks(&[], &step_up, &[("scope", "read purchase"), ("acr_values", "myACR"), ("max_age", "5")]);
    step_up.reset();
    assert_eq!(step_up, StepUp::default());

    // In time the authentication is too old again.
    demand(&mut step_up, &format!("{AUTHENTICATION}, max_age=5")).unwrap();
}

/// RFC 9470 §3: the challenge may name scopes as well.
#[test]
fn rfc9470_section_3_a_challenge_with_scopes_demands_both() {
    let mut step_up = StepUp::default();
    demand(&mut step_up, &format!("{AUTHENTICATION}, scope=pay, acr_values=\"gold  silver\", max_age=0"))
        .unwrap();
    asks(&[], &step_up, &[("scope", "read pay"), ("acr_values", "gold silver"), ("max_age", "0")]);
}

/// MCP, step-up flow: the union of the scopes, so that no permission is lost.
#[test]
fn the_request_asks_for_the_union_of_granted_earlier_and_demanded_scopes() {
    let mut step_up = StepUp::default();
    demand(&mut step_up, &format!("{SCOPE}, scope=\"write read\"")).unwrap();
    asks(&["offline_access", "write"], &step_up, &[("scope", "offline_access write read")]);
    // The server granted less, and the API wants something else now.
    demand(&mut step_up, &format!("{SCOPE}, scope=\"delete\"")).unwrap();
    assert_eq!(step_up.scopes().collect::<Vec<_>>(), ["read", "write", "delete"]);
    assert_eq!(step_up.attempts(), 2);
}

#[test]
fn the_granted_scopes_of_a_response_are_taken_as_they_are() {
    let client = client();
    let json = r#"{"access_token":"fake-1","token_type":"Bearer","scope":"a  größe b a"}"#;
    let tokens = token_call(&client).read(Response::new(200, [("a", "b")], json.as_bytes())).unwrap();
    let mut step_up = StepUp::default();
    let challenges = Challenges::parse([format!("{SCOPE}, scope=c")]);
    let policy = StepUpPolicy::any_scope();
    step_up.demanded(challenges.bearer().unwrap(), tokens.granted_scopes(), &policy).unwrap();
    assert_eq!(step_up.scopes().collect::<Vec<_>>(), ["a", "b", "c"], "what no request can hold is left out");
}

#[test]
fn a_demand_without_progress_stops_at_once() {
    for (first, second, progress) in [
        ("scope=a", "scope=a", false),
        ("scope=\"a b\"", "scope=b", false),
        ("scope=a", "scope=\"a b\"", true),
        ("scope=a", "scope=read", false),
        ("acr_values=x", "acr_values=x", false),
        ("acr_values=\"x y\"", "acr_values=\"y x\"", true),
        ("acr_values=x", "scope=read, acr_values=x", false),
        ("acr_values=x", "scope=a, acr_values=x", true),
        ("max_age=5", "max_age=5", false),
        ("max_age=5", "max_age=6", false),
        ("max_age=5", "max_age=4", true),
        ("acr_values=x, max_age=5", "max_age=5", false),
    ] {
        let mut step_up = StepUp::default();
        demand(&mut step_up, &format!("{AUTHENTICATION}, {first}")).unwrap();
        let again = demand(&mut step_up, &format!("{AUTHENTICATION}, {second}"));
        assert_eq!(again.is_ok(), progress, "{first}, then {second}");
        if let Err(error) = again {
            assert_eq!((error.kind(), error.advice()), (ErrorKind::Refused, Advice::Stop));
            assert_eq!(error.code(), Some("insufficient_user_authentication"));
        }
    }
    // Everything is granted already: the first demand has no progress either.
    let mut step_up = StepUp::default();
    assert!(demand(&mut step_up, &format!("{SCOPE}, scope=read")).is_err());
}

#[test]
fn the_latest_acr_values_and_the_smallest_max_age_count() {
    let mut step_up = StepUp::default();
    for challenge in ["acr_values=x, max_age=5", "acr_values=y, max_age=9", "scope=a, max_age=1"] {
        demand(&mut step_up, &format!("{AUTHENTICATION}, {challenge}")).unwrap();
    }
    asks(&[], &step_up, &[("scope", "read a"), ("acr_values", "y"), ("max_age", "1")]);
}

#[test]
fn the_number_of_demands_is_the_policys() {
    for (policy, max) in [
        (StepUpPolicy::any_scope(), 3),
        (StepUpPolicy::within(["a0", "a1", "a2", "a3", "a4"]), 3),
        (StepUpPolicy::any_scope().max_attempts(1), 1),
        (StepUpPolicy::any_scope().max_attempts(0), 0),
    ] {
        let mut step_up = StepUp::default();
        let results: Vec<_> = (0..5)
            .map(|number| demand_of(&mut step_up, &format!("{SCOPE}, scope=a{number}"), &[], &policy).is_ok())
            .collect();
        assert_eq!(results, (0..5).map(|number| number < max).collect::<Vec<_>>());
        step_up.reset();
        assert_eq!(demand_of(&mut step_up, &format!("{SCOPE}, scope=a4"), &[], &policy).is_ok(), max > 0);
    }
}

#[test]
fn the_policy_decides_about_new_scopes_only() {
    let policy = StepUpPolicy::within(["write"]);
    let mut step_up = StepUp::default();
    let both = format!("{SCOPE}, scope=\"read write\"");
    assert!(demand_of(&mut step_up, &both, &[], &policy).is_err(), "read is not granted");
    demand_of(&mut step_up, &both, &["read"], &policy).unwrap();
    assert_eq!(step_up.scopes().collect::<Vec<_>>(), ["read", "write"]);
    // A stronger sign-in needs no permission.
    demand_of(&mut step_up, &format!("{AUTHENTICATION}, acr_values=x"), &[], &policy).unwrap();
}

#[test]
fn a_challenge_that_names_nothing_to_ask_for_is_an_error() {
    for (challenge, kind) in [
        (SCOPE.to_owned(), ErrorKind::Invalid),
        (AUTHENTICATION.to_owned(), ErrorKind::Invalid),
        (format!("{SCOPE}, scope=\"a\\\"b\""), ErrorKind::Invalid),
        (format!("{SCOPE}, scope=a, scope=b"), ErrorKind::Invalid),
        (format!("{AUTHENTICATION}, max_age=soon"), ErrorKind::Invalid),
        (format!("{SCOPE}, scope=\"{}\"", "x".repeat(4097)), ErrorKind::Invalid),
        (format!("{SCOPE}, scope=\"{}\", acr_values=y", "x".repeat(4096)), ErrorKind::Invalid),
        ("Bearer scope=a".to_owned(), ErrorKind::Misuse),
        ("Bearer error=invalid_token, scope=a".to_owned(), ErrorKind::Misuse),
    ] {
        let error = demand(&mut StepUp::default(), &challenge).unwrap_err();
        assert_eq!(error.kind(), kind, "{challenge}: {error}");
    }
    let longest = format!("{SCOPE}, scope=\"{}\"", "x".repeat(4096));
    demand(&mut StepUp::default(), &longest).unwrap();
}

#[test]
fn a_parameter_that_the_program_sets_itself_is_not_sent_twice() {
    let mut step_up = StepUp::default();
    demand(&mut step_up, &format!("{AUTHENTICATION}, max_age=5")).unwrap();
    let client = client();
    let request = client.authorize(REDIRECT_URI).parameter("max_age", "60").step_up(&step_up);
    assert_eq!(request.start_with(entropy(), now()).unwrap_err().kind(), ErrorKind::Misuse);
}

/// Stored by this version; later ones read it for good.
#[test]
fn the_stored_form_of_version_1_is_read() {
    let mut step_up = StepUp::default();
    demand(&mut step_up, &format!("{AUTHENTICATION}, scope=a, acr_values=\"x y\", max_age=5")).unwrap();
    let stored = r#"{"version":1,"scope":"read a","acr_values":"x y","max_age":"5","attempts":1}"#;
    assert_eq!(serde_json::to_string(&step_up).unwrap(), stored);
    assert_eq!(serde_json::from_str::<StepUp>(stored).unwrap(), step_up);
    let empty = serde_json::to_string(&StepUp::default()).unwrap();
    assert_eq!(serde_json::from_str::<StepUp>(&empty).unwrap(), StepUp::default());
}

#[test]
fn debug_shows_the_demands() {
    let mut step_up = StepUp::default();
    demand(&mut step_up, &format!("{AUTHENTICATION}, scope=a, acr_values=x, max_age=5")).unwrap();
    assert_eq!(
        format!("{step_up:?}"),
        "StepUp { scopes: [\"read\", \"a\"], acr_values: [\"x\"], max_age: Some(5s), attempts: 1 }"
    );
    let policy = StepUpPolicy::within(["a"]);
    assert_eq!(format!("{policy:?}"), "StepUpPolicy { allowed: Some({\"a\"}), max_attempts: 3 }");
}
