//! The meaning of an API's answer for the token.

use oauth2_proto::challenge::{Challenges, Verdict};

/// A verdict without its challenge.
fn name(verdict: Verdict<'_>) -> &'static str {
    match verdict {
        Verdict::Unrelated => "unrelated",
        Verdict::SignIn(_) => "sign in",
        Verdict::Rejected => "rejected",
        Verdict::StepUp(_) => "step up",
        Verdict::NewProof => "new proof",
        Verdict::FixRequest => "fix",
        Verdict::Forbidden => "forbidden",
    }
}

#[test]
fn rfc6750_section_3_1_and_rfc9470_section_3_error_codes_decide() {
    for (status, line, with_token, without) in [
        (401, "", "rejected", "sign in"),
        (401, "Bearer", "rejected", "sign in"),
        (401, "Basic realm=a", "rejected", "sign in"),
        (401, "Bearer error=invalid_token", "rejected", "sign in"),
        (401, "Bearer error=expired", "rejected", "sign in"),
        // Which of the two is meant is unknown, so the status decides.
        (401, "Bearer error=insufficient_scope, error=invalid_token", "rejected", "sign in"),
        (401, "Bearer error=insufficient_user_authentication", "step up", "sign in"),
        (401, "Bearer error=insufficient_scope", "step up", "sign in"),
        (401, "DPoP error=use_dpop_nonce", "new proof", "new proof"),
        (401, "DPoP error=invalid_dpop_proof", "fix", "fix"),
        (401, "Bearer error=invalid_request", "fix", "fix"),
        (403, "Bearer error=insufficient_scope", "step up", "sign in"),
        (403, "DPoP error=insufficient_scope", "step up", "sign in"),
        (403, "Basic error=insufficient_scope", "forbidden", "forbidden"),
        (403, "Bearer error=invalid_token", "rejected", "sign in"),
        (403, "Bearer", "forbidden", "forbidden"),
        (403, "", "forbidden", "forbidden"),
        (400, "Bearer error=invalid_request", "fix", "fix"),
        (400, "Bearer error=invalid_token", "rejected", "sign in"),
        (400, "Bearer", "unrelated", "unrelated"),
        (400, "Bearer error=other", "unrelated", "unrelated"),
        // RFC 9110 §11.6.1: any answer may say that credentials could change it.
        (200, "Bearer error=invalid_token", "unrelated", "unrelated"),
        (302, "Bearer error=invalid_token", "unrelated", "unrelated"),
        (404, "Bearer error=insufficient_scope", "unrelated", "unrelated"),
        (407, "Bearer error=invalid_token", "unrelated", "unrelated"),
        // In trouble, whatever else it says.
        (429, "Bearer error=invalid_token", "unrelated", "unrelated"),
        (500, "Bearer error=invalid_token", "unrelated", "unrelated"),
        (503, "Bearer error=insufficient_scope", "unrelated", "unrelated"),
    ] {
        let challenges = Challenges::parse([line]);
        assert_eq!(name(challenges.verdict(status, true)), with_token, "{status} {line}");
        assert_eq!(name(challenges.verdict(status, false)), without, "{status} {line}, without a token");
    }
}

#[test]
fn the_challenge_that_says_most_decides() {
    for (lines, says_most) in [
        (vec!["Basic error=invalid_request", "Bearer error=insufficient_scope, scope=a"], "scope"),
        (vec!["Bearer realm=a, DPoP error=insufficient_scope, scope=a"], "scope"),
        (vec!["Bearer error=insufficient_scope, scope=a", "DPoP error=invalid_token"], "scope"),
    ] {
        let challenges = Challenges::parse(&lines);
        let Verdict::StepUp(challenge) = challenges.verdict(403, true) else { panic!("{lines:?}") };
        assert!(challenge.param(says_most).is_some(), "{lines:?}");
    }
}

#[test]
fn rfc9728_section_5_1_a_request_without_a_token_learns_where_the_metadata_is() {
    for lines in [
        vec!["Bearer resource_metadata=\"https://api.example/m\""],
        vec!["Basic resource_metadata=x, Bearer realm=a, DPoP resource_metadata=\"https://api.example/m\""],
        vec!["Bearer error=invalid_token, resource_metadata=\"https://api.example/m\""],
    ] {
        let challenges = Challenges::parse(&lines);
        let Verdict::SignIn(Some(challenge)) = challenges.verdict(401, false) else { panic!("{lines:?}") };
        assert_eq!(challenge.resource_metadata(), Some("https://api.example/m"));
    }
    let challenges = Challenges::parse(["Basic realm=a", "Bearer realm=b"]);
    let Verdict::SignIn(Some(challenge)) = challenges.verdict(401, false) else { panic!() };
    assert_eq!(challenge.realm(), Some("b"));
}
