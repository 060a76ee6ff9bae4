//! What was read from `WWW-Authenticate` and is written again reads the same, on one line or on several, also
//! in front of a broken challenge. Each line is read by itself. A step-up from any challenge asks for sound
//! scopes, a bounded number of times, and its stored form is restored.
//!
//! Input: header lines.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oauth2_proto::challenge::{Challenge, Challenges, StepUp, StepUpPolicy, Verdict};
use oauth2_proto_fuzz::{assert_shows_safely, client, entropy, now, server};

fuzz_target!(|data: &[u8]| {
    // Escapes make a text longer, and no more than 64 KiB are read.
    let data = &data[..data.len().min(16 << 10)];
    let lines = || data.split(|byte| *byte == b'\n');
    let challenges = Challenges::parse(lines());
    assert_shows_safely(&format!("{challenges:?}"));

    let each: Vec<Challenge> =
        lines().flat_map(|line| Challenges::parse([line]).iter().cloned().collect::<Vec<_>>()).collect();
    assert!(challenges.iter().eq(&each), "lines depend on each other");
    let headers = lines().flat_map(|line| [("Server", line), ("Www-Authenticate", line)]);
    assert_eq!(Challenges::from_headers(headers), challenges);

    let written: Vec<String> = challenges.iter().map(write).collect();
    assert_eq!(Challenges::parse(&written), challenges, "{written:?}");
    let one_line = written.join(" ,, ");
    assert_eq!(Challenges::parse([&one_line]), challenges, "{one_line}");
    if !written.is_empty() {
        for broken in ["Broken a=\"", "Broken a=b c=d", "Broken a b", "Broken a=\"\\\n\""] {
            assert_eq!(Challenges::parse([format!("{one_line}, {broken}, Basic")]), challenges, "{one_line}");
        }
    }

    for challenge in challenges.iter() {
        check(challenge);
    }
    for status in [200, 400, 401, 403, 503] {
        let verdict = challenges.verdict(status, false);
        assert!(!matches!(verdict, Verdict::Rejected | Verdict::StepUp(_)), "about no token");
    }
    check_step_up(&challenges);
});

fn write(challenge: &Challenge) -> String {
    let mut written = challenge.scheme().to_uppercase();
    if let Some(token68) = challenge.token68() {
        written.push(' ');
        written.push_str(token68);
    }
    for (index, (name, value)) in challenge.params().enumerate() {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        let separator = if index == 0 { " " } else { "," };
        written.push_str(&format!("{separator}{name}\t= \"{value}\""));
    }
    written
}

fn check(challenge: &Challenge) {
    assert!(challenge.token68().is_none() || challenge.params().next().is_none());
    for (name, value) in challenge.params() {
        assert!(
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase())
        );
        assert!(!value.chars().any(|it| it.is_ascii_control() && it != '\t'), "{value:?}");
        let values = challenge.params().filter(|(known, _)| *known == name).count();
        assert_eq!(challenge.param(name), (values == 1).then_some(value));
    }
}

fn check_step_up(challenges: &Challenges) {
    let client = client(server());
    let mut step_up = StepUp::default();
    for challenge in challenges.iter() {
        let before = step_up.clone();
        match step_up.demanded(challenge, ["granted"], &StepUpPolicy::any_scope()) {
            Ok(()) => {
                let asked: Vec<_> = step_up.scopes().collect();
                assert_eq!(asked[0], "granted");
                assert!(challenge.scopes().chain(before.scopes()).all(|scope| asked.contains(&scope)));
            }
            Err(error) => {
                assert_eq!(step_up, before);
                assert_shows_safely(&error.to_string());
            }
        }
        let within = StepUpPolicy::within(["granted"]);
        let mut other = StepUp::default();
        if other.demanded(challenge, [""; 0], &within).is_ok() {
            assert!(other.scopes().all(|scope| scope == "granted"));
        }
    }
    assert!(step_up.attempts() <= 3);
    let stored = serde_json::to_string(&step_up).unwrap();
    assert_eq!(serde_json::from_str::<StepUp>(&stored).unwrap(), step_up);
    let request = client.authorize("https://app.example/callback").step_up(&step_up);
    request.start_with(entropy(), now()).expect("every step-up is a sound request");
}
