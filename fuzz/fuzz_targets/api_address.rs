//! The header for an API is made only for an address that the `url` crate finds under the base too: the same
//! origin, and a path that begins with all segments of the base's, also after its escapes are undone.
//!
//! Input: a line with the base, and a line with the address.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oauth2_proto::challenge::ProtectedApi;
use oauth2_proto::{Secret, error::ErrorKind, token::TokenType};
use oauth2_proto_fuzz::assert_shows_safely;
use url::Url;

fuzz_target!(|text: &str| {
    let (base, address) = text.split_once('\n').unwrap_or(("https://api.example/v1", text));
    for base in [base, "https://api.example/v1"] {
        check(base, address);
    }
});

fn check(base: &str, address: &str) {
    let api = match ProtectedApi::new([base]) {
        Ok(api) => api,
        Err(error) => return assert_shows_safely(&error.to_string()),
    };
    assert!(ProtectedApi::new([base, base]).is_ok());
    let token = Secret::new("fake-token");
    match api.authorization(&TokenType::Bearer, &token, address) {
        Ok(header) => {
            assert_eq!(header.expose(), "Bearer fake-token");
            let [base, address] = [base, address].map(|text| Url::parse(text).unwrap());
            assert_eq!(base.origin(), address.origin());
            assert!(address.username().is_empty() && address.password().is_none());
            assert_eq!(address.fragment(), None);
            assert!(address.query_pairs().all(|(name, _)| name != "access_token"));
            let mut path = address.path().to_owned();
            for _ in 0..4 {
                assert!(is_under(&path, base.path()), "{address} is not under {base}");
                path = once_more(&path);
            }
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Misuse);
            assert_shows_safely(&error.to_string());
        }
    }
}

/// Resolves the dot segments of a path, and compares the rest segment by segment.
fn is_under(path: &str, base: &str) -> bool {
    let mut segments = Vec::new();
    for segment in path.split(['/', '\\']) {
        match segment {
            ".." => drop(segments.pop()),
            "." => {}
            segment => segments.push(segment),
        }
    }
    let base: Vec<_> = base.trim_end_matches('/').split('/').collect();
    // An escaped name of the base means the same.
    let same = |(one, other): (&&str, &&str)| one == other || other.contains('%');
    segments.len() >= base.len() && segments.iter().zip(&base).all(same)
}

/// Undoes the escapes of a path, as a form does (whose `+` means something else, and stays out of the way).
fn once_more(path: &str) -> String {
    let form = format!("={}", path.replace('+', "%2b").replace('&', "%26"));
    url::form_urlencoded::parse(form.as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}
