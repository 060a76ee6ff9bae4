//! The reader of `WWW-Authenticate`.

use std::time::Duration;

use oauth2_proto::challenge::{Challenge, Challenges};
use serde_json::Value;

/// The challenges in a form to compare: scheme, parameters, single value.
type Plain<'a> = Vec<(&'a str, Vec<(&'a str, &'a str)>, Option<&'a str>)>;

fn plain(challenges: &Challenges) -> Plain<'_> {
    challenges.iter().map(|one| (one.scheme(), one.params().collect(), one.token68())).collect()
}

/// Reads a line and expects one challenge.
#[track_caller]
fn one(line: &str) -> Challenge {
    let challenges = Challenges::parse([line]);
    assert_eq!(challenges.iter().count(), 1, "{line}");
    challenges.iter().next().unwrap().clone()
}

#[test]
fn rfc9110_section_11_6_1_cases() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("../vectors/www_authenticate.json")).unwrap();
    for case in &cases {
        let values = case["values"].as_array().unwrap().iter().map(|value| value.as_str().unwrap());
        let expected: Plain<'_> = case["expect"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                let pairs = one["params"].as_array().unwrap().iter();
                let pairs = pairs.map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()));
                (one["scheme"].as_str().unwrap(), pairs.collect(), one["token68"].as_str())
            })
            .collect();
        assert_eq!(plain(&Challenges::parse(values.clone())), expected, "{}", case["id"]);
        let headers = values.flat_map(|value| [("Age", "Bearer"), ("WWW-Authenticate", value)]);
        assert_eq!(plain(&Challenges::from_headers(headers)), expected, "{}", case["id"]);
    }
    assert_eq!(cases.len(), 46);
}

/// Lines of which the grammar decides every byte, and the challenges that stay.
#[test]
fn rfc9110_section_11_6_1_and_5_6_grammar() {
    let tokens = "!#$%&'*+-.^_`|~09azAZ";
    let lower = tokens.to_lowercase();
    for (line, expected) in [
        // Where the parameters of a challenge end.
        ("A b=c, D", vec![("a", vec![("b", "c")], None), ("d", vec![], None)]),
        ("A b=c, D ", vec![("a", vec![("b", "c")], None), ("d", vec![], None)]),
        ("A b=c, D\t,", vec![("a", vec![("b", "c")], None), ("d", vec![], None)]),
        ("A b=c, D e", vec![("a", vec![("b", "c")], None), ("d", vec![], Some("e"))]),
        ("A b=c, D e=f", vec![("a", vec![("b", "c")], None), ("d", vec![("e", "f")], None)]),
        ("A b=c, d =e", vec![("a", vec![("b", "c"), ("d", "e")], None)]),
        ("A ,\t, b=c", vec![("a", vec![("b", "c")], None)]),
        ("A , b", vec![("a", vec![], None), ("b", vec![], None)]),
        ("A  b", vec![("a", vec![], Some("b"))]),
        ("A b, C=d", vec![("a", vec![], Some("b"))]),
        ("A a.b_c~d+e/f-9== , B", vec![("a", vec![], Some("a.b_c~d+e/f-9==")), ("b", vec![], None)]),
        ("A\t,B", vec![("a", vec![], None), ("b", vec![], None)]),
        // A broken challenge, and those before it.
        ("A, B c", vec![("a", vec![], None), ("b", vec![], Some("c"))]),
        ("A, @", vec![("a", vec![], None)]),
        ("A, B=c", vec![("a", vec![], None)]),
        ("A b=c d=e", vec![]),
        ("A b=c \"d\"", vec![]),
        ("A b c=d", vec![]),
        ("A b=\"c\"d", vec![]),
        ("A b=c, @", vec![]),
        ("A b=c, d\"e\"", vec![]),
        ("A b=c, d\te", vec![]),
        ("A b=, c=d", vec![("a", vec![], Some("b="))]),
        ("A b=c, d=", vec![]),
        ("A b=c, d==", vec![]),
        ("A =b", vec![]),
        ("A ==", vec![]),
        ("A\tb=c", vec![]),
        ("A\u{a0}b=c", vec![]),
        ("Ä b=c", vec![]),
        ("A b=ä", vec![]),
        ("A b=\"c\n\"", vec![]),
        ("A b=\"c\u{7f}\"", vec![]),
        ("A b=\"c\\\n\"", vec![]),
        ("A b=\"c\\", vec![]),
        ("A b=\"c\\\"", vec![]),
        ("X, A b=\"c\\\"", vec![("x", vec![], None)]),
        ("A b=\"c\td\\\te ä\\ä\"", vec![("a", vec![("b", "c\td\te ää")], None)]),
        (&format!("{tokens} {tokens}={tokens}"), vec![(&lower, vec![(&lower, tokens)], None)]),
    ] {
        assert_eq!(plain(&Challenges::parse([line])), expected, "{line:?}");
    }
}

#[test]
fn rfc6750_section_3_examples() {
    assert_eq!(one("Bearer realm=\"example\"").realm(), Some("example"));
    let expired = one(
        "Bearer realm=\"example\", error=\"invalid_token\", error_description=\"The access token expired\"",
    );
    assert_eq!((expired.realm(), expired.error()), (Some("example"), Some("invalid_token")));
    assert_eq!(expired.error_description(), Some("The access token expired"));

    let scopes = one("Bearer scope=\"urn:example:channel=HBO&urn:example:rating=G,PG-13\"");
    assert_eq!(scopes.scopes().collect::<Vec<_>>(), ["urn:example:channel=HBO&urn:example:rating=G,PG-13"]);
    let scopes = one("Bearer scope=\"openid profile email\"");
    assert_eq!(scopes.scopes().collect::<Vec<_>>(), ["openid", "profile", "email"]);
}

#[test]
fn rfc9470_section_3_examples() {
    let level = one("Bearer error=\"insufficient_user_authentication\", \
         error_description=\"A different authentication level is required\", acr_values=\"myACR\"");
    assert_eq!((level.acr_values().collect::<Vec<_>>(), level.max_age()), (vec!["myACR"], None));
    let recent = one("Bearer error=\"insufficient_user_authentication\", \
         error_description=\"More recent authentication is required\", max_age=\"5\"");
    assert_eq!((recent.acr_values().count(), recent.max_age()), (0, Some(Duration::from_secs(5))));
}

#[test]
fn rfc9728_section_5_1_example() {
    let challenge =
        one("Bearer resource_metadata=\"https://resource.example.com/.well-known/oauth-protected-resource\"");
    assert_eq!(
        challenge.resource_metadata(),
        Some("https://resource.example.com/.well-known/oauth-protected-resource")
    );
}

/// A proxy or an attacker may have added one of the two.
#[test]
fn a_parameter_that_is_there_twice_is_ambiguous_and_returned_by_no_accessor() {
    let twice = one(
        "Bearer error=a, Error=b, scope=a, scope=a, realm=a, realm=b, acr_values=a, acr_values=b, max_age=1, \
         max_age=1, resource_metadata=a, resource_metadata=b, error_description=a, error_description=b",
    );
    assert_eq!(twice.params().count(), 14, "nothing is lost");
    assert_eq!((twice.error(), twice.error_description(), twice.realm()), (None, None, None));
    assert_eq!((twice.max_age(), twice.resource_metadata()), (None, None));
    assert_eq!((twice.scopes().count(), twice.acr_values().count()), (0, 0));
}

#[test]
fn scopes_acr_values_and_max_age_are_read_whole_or_not_at_all() {
    for (value, scopes, acr_values) in [
        ("\" a  b \"", vec!["a", "b"], vec!["a", "b"]),
        (
            "\"urn:x:y https://a.example/~\"",
            vec!["urn:x:y", "https://a.example/~"],
            vec!["urn:x:y", "https://a.example/~"],
        ),
        ("\"a \\\"b\"", vec![], vec!["a", "\"b"]),
        ("\"a b\\\\\"", vec![], vec!["a", "b\\"]),
        ("\"a\tb\"", vec![], vec![]),
        ("\"a ä\"", vec![], vec![]),
        ("\"\"", vec![], vec![]),
    ] {
        let challenge = one(&format!("Bearer scope={value}, acr_values={value}"));
        assert_eq!(challenge.scopes().collect::<Vec<_>>(), scopes, "{value}");
        assert_eq!(challenge.acr_values().collect::<Vec<_>>(), acr_values, "{value}");
    }
    for (value, seconds) in [
        ("0", Some(0)),
        ("007", Some(7)),
        ("2147483647", Some(2_147_483_647)),
        ("2147483648", Some(2_147_483_647)),
        ("99999999999999999999999", Some(2_147_483_647)),
        ("-1", None),
        ("+1", None),
        ("1.5", None),
        ("\" 1\"", None),
        ("\"\"", None),
        ("\"٣\"", None),
    ] {
        let max_age = one(&format!("Bearer max_age={value}")).max_age();
        assert_eq!(max_age, seconds.map(Duration::from_secs), "{value}");
    }
}

#[test]
fn rfc9110_section_5_5_bytes_that_are_not_utf8_are_read_as_iso_8859_1() {
    let challenges = Challenges::parse([
        b"Basic realm=\"Zugang f\xfcr \\\xfc\"".as_slice(),
        "Bearer realm=\"für\", scope=\"für\"".as_bytes(),
        b"Bearer r\xe9alm=a",
    ]);
    assert_eq!(challenges.find("basic").unwrap().realm(), Some("Zugang für ü"));
    assert_eq!(challenges.bearer().unwrap().realm(), Some("für"));
    assert_eq!(challenges.bearer().unwrap().scopes().count(), 0);
    assert_eq!(challenges.iter().count(), 2, "a name is ASCII");
}

#[test]
fn schemes_are_found_in_any_case_and_the_first_counts() {
    let challenges = Challenges::parse(["DPOP algs=\"ES256\", Bearer realm=a", "bearer realm=b"]);
    assert_eq!(challenges.find("BEARER"), challenges.bearer());
    assert_eq!(challenges.bearer().unwrap().realm(), Some("a"));
    assert_eq!(challenges.dpop().unwrap().param("ALGS"), Some("ES256"));
    assert_eq!(challenges.find("basic"), None);
    assert_eq!(Challenges::parse(["dpop"]).bearer(), None);
}

#[test]
fn lines_of_more_than_64_kib_together_are_not_read() {
    let line = |length: usize| format!("Bearer realm=\"{}\"", "x".repeat(length - 15));
    let count = |lines: &[String]| Challenges::parse(lines).iter().count();
    assert_eq!(line(100).len(), 100);
    assert_eq!(count(&[line(64 << 10)]), 1);
    assert_eq!(count(&[line((64 << 10) + 1)]), 0);
    assert_eq!(count(&[line(40 << 10), line(40 << 10), line(24 << 10), line(15)]), 2, "those that fit");
}

#[test]
fn debug_shows_plain_words_of_twenty_challenges() {
    let shown = format!(
        "{:?}",
        Challenges::parse([
            "Bearer realm=\"My API\", error=\"invalid_token\", \
             error_description=\"the token fake-7T was\tgone\u{202e}\", x7T_9d=y",
            "Negotiate YIIfake==",
        ])
    );
    assert_eq!(
        shown,
        "[Challenge { scheme: \"bearer\", params: [\"realm\"=\"My API\", \"error\"=\"invalid_token\", \
         \"error_description\"=\"the token … was …\", \"…\"=\"y\"], token68: None }, \
         Challenge { scheme: \"negotiate\", params: [], token68: Some(\"[redacted]\") }]"
    );
    for (number, ends) in [(20, "}]"), (21, "}, ..]")] {
        let shown = format!("{:?}", Challenges::parse([["A"].repeat(number).join(",")]));
        assert_eq!(shown.matches("Challenge").count(), 20);
        assert!(shown.ends_with(ends), "{shown}");
    }
}
