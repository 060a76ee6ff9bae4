//! How the steps of a sign-in are shown to a person: everything but the secrets.

use std::sync::atomic::{AtomicUsize, Ordering};

use oauth2_proto::{Advice, Error, Request, TokenResponse};
use url::Url;

/// A numbered heading.
pub fn step(title: &str) {
    static STEP: AtomicUsize = AtomicUsize::new(1);
    println!("\n{}. {title}\n", STEP.fetch_add(1, Ordering::Relaxed));
}

/// A URL, one line a parameter, with a word on each.
pub fn url(url: &str) {
    let (address, _) = url.split_once('?').unwrap_or((url, ""));
    println!("{address}");
    if let Ok(url) = Url::parse(url) {
        url.query_pairs().for_each(|(name, value)| parameter(&name, &value));
    }
}

/// A request, with its secrets hidden.
pub fn request(request: &Request) {
    println!("{} {}", request.method(), request.url());
    for (name, value) in request.headers() {
        match (name, value.split_once(' ')) {
            ("content-type" | "accept", _) => println!("  {name}: {value}"),
            ("authorization", Some((scheme, _))) => println!("  {name}: {scheme} [hidden]"),
            _ => println!("  {name}: [hidden]"),
        }
    }
    println!();
    request.form().iter().for_each(|(name, value)| parameter(name, value));
}

/// What was granted, without the tokens.
pub fn tokens(tokens: &TokenResponse) {
    let lifetime = tokens.expires_in().map(|seconds| format!("{} s", seconds.as_secs()));
    println!("  token type      {}", tokens.token_type());
    println!("  expires in      {}", lifetime.as_deref().unwrap_or("not said"));
    println!("  refresh token   {}", if tokens.refresh_token().is_some() { "yes" } else { "no" });
    println!("  scopes granted  {}", list(tokens.granted_scopes()));
    println!("  scopes missing  {}", list(tokens.missing_scopes()));
}

/// What went wrong, and what the crate says to do about it.
pub fn refusal(error: &Error) {
    let advice = match error.advice() {
        Advice::KeepWaiting => "wait on for the real callback",
        Advice::RetryLater => "send the same request again later",
        Advice::Reauthorize => "send the user to the authorization server again",
        Advice::FixConfiguration => "change the code, the configuration or the registration",
        Advice::Stop => "nothing; the same request will fail again",
    };
    println!("  error   {error}\n  advice  {:?}: {advice}", error.advice());
}

/// Whether a refresh brought another refresh token.
pub fn replaced(tokens: &TokenResponse) {
    println!(
        "\n{}",
        match tokens.refresh_token_is_new() {
            true => "Both tokens were replaced. A real program stores the new ones before it uses them.",
            false => "The access token was replaced; the refresh token stays in force.",
        }
    );
}

fn parameter(name: &str, value: &str) {
    let (value, word) = match name {
        "response_type" => (value, "the authorization code grant"),
        "client_id" => (value, "who asks"),
        "redirect_uri" => (value, "where the answer goes"),
        "scope" => (value, "what is asked for"),
        "state" => (value, "ties the answer to this browser"),
        "code_challenge" => (value, "SHA-256 of the code verifier"),
        "code_challenge_method" => (value, "always S256"),
        "grant_type" => (value, "what is exchanged"),
        "code" => ("[hidden]", "good once, with the verifier"),
        "code_verifier" => ("[hidden]", "proves that the code is ours"),
        "refresh_token" => ("[hidden]", "good for one use"),
        "iss" => (value, "which server answers"),
        // What is not known to be harmless may be a secret.
        _ => ("[hidden]", ""),
    };
    println!("{}", format!("  {name:21} {value:43} {word}").trim_end());
}

fn list<'a>(scopes: impl Iterator<Item = &'a str>) -> String {
    // A scope is the server's text: it must not reach the terminal as control characters.
    let scopes: Vec<_> = scopes.map(|scope| scope.escape_debug().to_string()).collect();
    if scopes.is_empty() { "none".to_owned() } else { scopes.join(", ") }
}
