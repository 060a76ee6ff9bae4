//! Real authorization servers: one client drives each of them through every flow that it offers.
//!
//! The embedded server always takes part. The others need `tests/servers/install.sh`; a server that is not
//! installed is skipped with its reason printed, or is a failure with `OAUTH2_PROTO_REQUIRE_SERVERS=1`. The
//! program ends with a matrix of the results and the times of slow flows; where all servers are required,
//! docs/servers.md must hold the same matrix.

#![allow(clippy::disallowed_methods, reason = "a program has a clock and an environment; the crate has none")]

#[path = "support/announced.rs"]
mod announced;
#[path = "support/browser.rs"]
mod browser;
#[path = "../examples/support/server.rs"]
mod embedded;
#[path = "support/flows.rs"]
mod flows;
#[path = "support/foreign.rs"]
mod foreign;
#[path = "../examples/support/http.rs"]
mod http;
#[path = "support/keys.rs"]
mod keys;
#[path = "support/matrix.rs"]
mod matrix;
#[allow(dead_code, reason = "this program needs a part of it")]
#[path = "support/signatures.rs"]
mod signatures;
#[path = "support/store.rs"]
mod store;

use std::any::Any;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flows::Flow;
use foreign::{Facts, NoServer, RefreshTokenReuse, Wider};
use libtest_mimic::{Arguments, Failed, Trial};
use matrix::{Cell, Matrix};

/// The lifetime of access tokens in seconds, at servers that accept so short a one, so that a session sees
/// several lifetimes.
const LIFETIME: u64 = 2;

/// The time from which on a flow's time is printed.
const SLOW: Duration = Duration::from_secs(1);

type Start = fn(&str) -> Result<Server, NoServer>;

/// The servers by name, with how each is started.
const SERVERS: &[(&str, Start)] = &[
    ("oxide-auth", start_embedded),
    ("oidc-provider", start_foreign),
    ("authlib", start_foreign),
    ("django-oauth-toolkit", start_foreign),
    ("workers-oauth-provider", start_foreign),
];

/// A server that runs until this is dropped.
struct Server {
    facts: Facts,
    _running: Box<dyn Any + Send + Sync>,
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let required = std::env::var("OAUTH2_PROTO_REQUIRE_SERVERS").is_ok_and(|value| value == "1");
    let matrix = Arc::new(Matrix::new(SERVERS.iter().map(|(name, _)| *name), flows().map(|flow| flow.title)));
    let mut trials = Vec::new();
    for (name, start) in SERVERS {
        match start(name) {
            Ok(server) => {
                let server = Arc::new(server);
                let of_trial = Arc::clone(&server);
                trials.push(Trial::test(
                    format!("{name}: what its metadata announces is offered"),
                    move || announced::is_offered(&of_trial.facts),
                ));
                for flow in flows() {
                    match (flow.is_offered)(&server.facts) {
                        true => trials.push(trial(name, flow, &server, &matrix)),
                        false => matrix.set(name, flow.title, Cell::NotOffered),
                    }
                }
            }
            Err(reason) => {
                let is_skipped = !required && matches!(reason, NoServer::NotInstalled(_));
                let cell = if is_skipped { Cell::Skipped } else { Cell::Failed };
                flows().for_each(|flow| matrix.set(name, flow.title, cell));
                let trial = Trial::test(format!("start: {reason}"), move || Err(reason.into()));
                trials.push(trial.with_ignored_flag(is_skipped));
            }
        }
    }
    #[cfg(unix)]
    trials.push(Trial::test("a server that is installed and does not start says why", unstartable_server));
    let result = libtest_mimic::run(&arguments, trials);
    if arguments.list {
        return ExitCode::SUCCESS;
    }
    println!("{matrix}");
    for (time, name, flow) in matrix.times().iter().take_while(|(time, ..)| *time >= SLOW) {
        println!("{:4.1} s  {name}: {flow}", time.as_secs_f32());
    }
    // A filtered run fills only a part of the matrix.
    if required
        && result.num_filtered_out == 0
        && let Err(reason) = matrix.is_on_page()
    {
        eprintln!("{reason}");
        return ExitCode::FAILURE;
    }
    result.exit_code()
}

fn flows() -> impl Iterator<Item = &'static Flow> {
    flows::FLOWS.iter().copied().flatten()
}

fn trial(name: &'static str, flow: &'static Flow, server: &Arc<Server>, matrix: &Arc<Matrix>) -> Trial {
    let (server, matrix) = (Arc::clone(server), Arc::clone(matrix));
    Trial::test(format!("{name}: {}", flow.title), move || {
        // If the flow panics, this is the result.
        matrix.set(name, flow.title, Cell::Failed);
        let start = Instant::now();
        (flow.run)(&server.facts)?;
        matrix.set(name, flow.title, Cell::Done(start.elapsed()));
        Ok(())
    })
}

fn start_foreign(name: &str) -> Result<Server, NoServer> {
    let server = foreign::start_with(name, &[("ACCESS_TOKEN_TTL", &LIFETIME.to_string())])?;
    Ok(Server { facts: server.facts.clone(), _running: Box::new(server) })
}

fn start_embedded(name: &str) -> Result<Server, NoServer> {
    let config = embedded::Config {
        access_token_lifetime: Duration::from_secs(LIFETIME),
        scopes: "export:read export:write".to_owned(),
        ..embedded::Config::new("http://127.0.0.1:9/callback")
    };
    let running = embedded::spawn(embedded::AuthorizationServer::new(config.clone()), 0)
        .map_err(|error| NoServer::DidNotStart(format!("{name} does not start: {error}")))?;
    let base = running.base_url();
    let facts = Facts {
        issuer: None,
        metadata_url: None,
        authorization_endpoint: format!("{base}/oauth/authorize"),
        token_endpoint: format!("{base}/oauth/token"),
        revocation_endpoint: None,
        introspection_endpoint: None,
        device_authorization_endpoint: None,
        pushed_authorization_request_endpoint: None,
        iss_parameter_supported: false,
        iss_in_error_responses: false,
        client_id: config.client_id,
        client_secret: config.client_secret,
        redirect_uris: vec![config.redirect_uri],
        scopes: config.scopes.split(' ').map(str::to_owned).collect(),
        access_token_lifetime: LIFETIME,
        code_lifetime: 600,
        post_client_id: None,
        refused_scope: Some("deny:me".to_owned()),
        resource: None,
        refresh_narrows_scope: true,
        refresh_token_reuse: RefreshTokenReuse::Rejected,
        wider: Wider::default(),
    };
    Ok(Server { facts, _running: Box::new(running) })
}

/// The script in place of Python ends as Python does when a package is missing.
#[cfg(unix)]
fn unstartable_server() -> Result<(), Failed> {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    let folder = std::env::temp_dir().join(format!("oauth2-proto-unstartable-{}", std::process::id()));
    let python = folder.join(".venv/bin/python");
    fs::create_dir_all(folder.join(".venv/bin"))?;
    fs::write(folder.join("server.py"), "")?;
    fs::write(folder.join(".venv/.installed"), "")?;
    fs::write(&python, "#!/bin/sh\nprintf 'Traceback:\\n  raise\\nImportError: no flask\\n' >&2\nexit 1\n")?;
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755))?;
    let result = foreign::start(&folder.to_string_lossy());
    fs::remove_dir_all(&folder)?;
    match result {
        Err(NoServer::DidNotStart(reason)) if reason.ends_with("did not start: ImportError: no flask") => {
            Ok(())
        }
        other => Err(format!("{other:?}").into()),
    }
}
