//! The four commands.

use std::env;
use std::fs;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use file_store::FileStore;
use oauth2_proto::call::Readable;
use oauth2_proto::keeper::blocking::{Keeper, Store};
use oauth2_proto::management::TokenKind;
use oauth2_proto::session::Reason;
use oauth2_proto::{
    Advice, Call, Callback, Error, PendingAuthorization, RefreshPolicy, Secret, Session, Step, TokenResponse,
};

use crate::arguments::Arguments;
use crate::http::Http;
use crate::landing::{Landing, NOT_SIGNED_IN};
use crate::profile::Profile;
use crate::{Failure, browser};

/// The key of the only tokens in a directory.
const KEY: &str = "token";

/// Sends the user to the server, and keeps the tokens. Until then, nothing is written.
pub fn sign_in(arguments: Arguments) -> Result<(), Failure> {
    let profile = profile(&arguments)?;
    let client = profile.client()?;
    if arguments.directory.exists() {
        // Others may have access to it; better to know before a sign-in than after it.
        open(&arguments.directory)?;
    }
    let landing = Landing::open(profile.redirect_uri.clone())?;
    let request = client.authorize(landing.redirect_uri()).scopes(&profile.scopes);
    let (url, mut pending) = request.start(SystemTime::now())?;
    let is_open = arguments.opens_browser && browser::open(&url);
    eprintln!("{}\n\n{url}\n", if is_open { "Your browser opens:" } else { "Open this in your browser:" });
    let place = if landing.is_listening() { landing.redirect_uri() } else { "this terminal" };
    let minutes = PendingAuthorization::LIFETIME.as_secs() / 60;
    eprintln!("Waiting for the answer at {place}, for {minutes} minutes.");
    eprintln!("If the browser ends at a page that does not load, paste the address of that page here:");

    let deadline = pending.expires_at();
    let receive = |callback: &str| pending.receive(&client, Callback::url(callback), SystemTime::now());
    let (call, visitor) = landing.wait(deadline, receive)?;
    let outcome = exchange(&call).and_then(|tokens| keep(&profile, &arguments.directory, tokens));
    if let Some(visitor) = visitor {
        let (signed_in, not) = ("You are signed in. You can close this window.", NOT_SIGNED_IN);
        visitor.show(200, if outcome.is_ok() { signed_in } else { not });
    }
    outcome
}

/// Returns the registration to sign in with: the flags, and for what they omit, the last sign-in.
fn profile(arguments: &Arguments) -> Result<Profile, Failure> {
    let last = Profile::load(&arguments.directory)?;
    let server = arguments.server.as_ref().or(last.as_ref().map(|last| &last.server));
    let server = server.ok_or_else(|| Failure::usage("name the server; see token --help"))?.clone();
    if last.as_ref().is_some_and(|last| last.server != server) {
        return Err(Failure::new(
            "you are signed in at another server: run `token end` first, or give --directory DIR",
        ));
    }
    let (last_id, last_secret) = last.as_ref().map(|last| (&last.client_id, &last.client_secret)).unzip();
    let client_id = setting("TOKEN_CLIENT_ID", last_id, || {
        eprint!("Client id: ");
        io::stdin().lines().next().unwrap_or_else(|| Err(ErrorKind::UnexpectedEof.into()))
    })?;
    let client_secret =
        setting("TOKEN_CLIENT_SECRET", last_secret, || rpassword::prompt_password("Client secret: "))?;
    let (last_scopes, last_uri) = last.map(|last| (last.scopes, last.redirect_uri)).unwrap_or_default();
    Ok(Profile {
        server,
        client_id: client_id.trim().to_owned(),
        client_secret,
        scopes: if arguments.scopes.is_empty() { last_scopes } else { arguments.scopes.clone() },
        redirect_uri: arguments.redirect_uri.clone().or(last_uri),
    })
}

/// Returns a setting of the client from the environment, from the last sign-in, or from the user.
fn setting(
    variable: &str,
    last: Option<&String>,
    ask: impl FnOnce() -> io::Result<String>,
) -> Result<String, Failure> {
    if let Ok(value) = env::var(variable) {
        return Ok(value);
    }
    match last {
        Some(value) => Ok(value.clone()),
        None if !io::stdin().is_terminal() => {
            Err(Failure::usage(format!("set {variable}, because there is no terminal to ask at")))
        }
        None => ask().map_err(|error| Failure::new(format!("the terminal: {error}; set {variable} instead"))),
    }
}

/// Redeems the code.
fn exchange(call: &Call<TokenResponse>) -> Result<TokenResponse, Failure> {
    eprintln!("Getting the tokens ...");
    send(call).map_err(|failed| match failed {
        Failed::NoAnswer(message) => Failure::new(format!("{message}; run `token sign-in` again")),
        Failed::Refused(error) => error.into(),
    })
}

/// The reason why a call gave nothing.
enum Failed {
    NoAnswer(String),
    Refused(Error),
}

/// Sends a call, and tries again a few times while the server is busy.
fn send<R: Readable>(call: &Call<R>) -> Result<R::Output, Failed> {
    let http = Http::new();
    let mut tries = 0..3;
    loop {
        tries.next();
        let response = http
            .post(call.request(), Duration::from_secs(30))
            .map_err(|error| Failed::NoAnswer(format!("no answer from {}: {error}", call.request().url())))?;
        match call.read(response) {
            Err(error) if error.advice() == Advice::RetryLater && !tries.is_empty() => {
                let pause = error.retry_after(SystemTime::now()).unwrap_or(Duration::from_secs(1));
                if pause > Duration::from_secs(10) {
                    return Err(Failed::Refused(error));
                }
                eprintln!("The server is busy; trying again in {} s ...", pause.as_secs());
                sleep(pause);
            }
            outcome => return outcome.map_err(Failed::Refused),
        }
    }
}

fn keep(profile: &Profile, directory: &Path, tokens: TokenResponse) -> Result<(), Failure> {
    let missing: Vec<_> = tokens.missing_scopes().map(str::to_owned).collect();
    let keeper = keeper(profile, directory)?;
    profile.save(directory).map_err(|error| cannot(directory, &error))?;
    keeper.signed_in(KEY, tokens)?;
    eprintln!("You are signed in.");
    if !missing.is_empty() {
        eprintln!("These scopes were not granted: {}", missing.join(" "));
    }
    Ok(())
}

/// Prints the `Authorization` header, and refreshes before if it is due.
pub fn header(directory: &Path) -> Result<(), Failure> {
    let keeper = keeper(&signed_in(directory)?, directory)?;
    let token = keeper.access_token(KEY)?;
    let token = token.bearer().map_err(|_| {
        Failure::new("the token is no Bearer token, so a header alone does not do; use another client")
    })?;
    print(&format!("Authorization: Bearer {}", token.expose()))
}

/// Shows what is stored, without a request.
pub fn status(directory: &Path) -> Result<(), Failure> {
    let profile = signed_in(directory)?;
    let store = open(directory)?;
    let snapshot = store.load(KEY).map_err(|error| cannot(directory, &*error))?;
    let snapshot =
        snapshot.ok_or_else(|| Failure::new(format!("{}: run `token sign-in`", Reason::NotSignedIn)))?;
    let now = SystemTime::now();
    let mut session = Session::restore(&profile.client()?, snapshot, RefreshPolicy::default(), now)?;
    let scopes: Vec<_> = session.granted_scopes().collect();
    print(&format!(
        "client    {}\nscopes    {}\nexpiry    {}\nrefresh   {}\ntrouble   {}",
        profile.client_id,
        if scopes.is_empty() { "unknown".to_owned() } else { scopes.join(" ") },
        session.expires_at().map_or("unknown".to_owned(), |at| distance(at, now)),
        if session.refresh_token().is_some() { "when it is due" } else { "not possible" },
        session.trouble().map_or("none".to_owned(), ToString::to_string),
    ))?;
    match session.poll(now) {
        Step::Reauthorize(reason) => Err(Failure::new(format!("{reason}: run `token sign-in`"))),
        _ => Ok(()),
    }
}

/// Returns how far a time is from now.
fn distance(at: SystemTime, now: SystemTime) -> String {
    match (at.duration_since(now), now.duration_since(at)) {
        (Ok(left), _) => format!("in {} s", left.as_secs()),
        (_, Ok(since)) => format!("{} s ago", since.as_secs()),
        _ => "now".to_owned(),
    }
}

/// Ends the authorization for every process that shares the directory, revokes the tokens if the server can,
/// and deletes them. If the server may revoke them later, they stay, so that the command can be repeated.
pub fn end(directory: &Path) -> Result<(), Failure> {
    let profile = signed_in(directory)?;
    let refresh_token = keeper(&profile, directory)?.end(KEY)?;
    let revoked = match refresh_token.filter(|_| profile.server.revokes()) {
        Some(refresh_token) => Some(revoke(&profile, &refresh_token)?),
        None => None,
    };
    let new = directory.join("new");
    for file in [open(directory)?.path(KEY), new] {
        match fs::remove_file(&file) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(cannot(directory, &error)),
            _ => {}
        }
    }
    Profile::delete(directory).map_err(|error| cannot(directory, &error))?;
    match revoked {
        Some(Ok(())) => print("The tokens are revoked at the server and deleted here."),
        Some(Err(error)) => Err(Failure::new(format!(
            "the tokens are deleted here and not revoked: {error}; disconnect the app at the server"
        ))),
        None => print(
            "The tokens are deleted here. This program cannot revoke them: to end them at the server, disconnect \
             the app there.",
        ),
    }
}

/// Revokes the refresh token; the inner error is the server's final word.
fn revoke(profile: &Profile, refresh_token: &Secret) -> Result<Result<(), Error>, Failure> {
    let again = |message: String| Failure::new(format!("{message}; run `token end` again"));
    let client = profile.client()?;
    let call = client.revoke(refresh_token).hint(TokenKind::RefreshToken).start(SystemTime::now())?;
    match send(&call) {
        Ok(()) => Ok(Ok(())),
        Err(Failed::NoAnswer(message)) => Err(again(message)),
        Err(Failed::Refused(error)) if error.advice() == Advice::RetryLater => Err(again(error.to_string())),
        Err(Failed::Refused(error)) => Ok(Err(error)),
    }
}

/// Prints to standard output, whose reader may be gone.
pub fn print(text: &str) -> Result<(), Failure> {
    writeln!(io::stdout(), "{text}").map_err(|error| Failure::new(format!("standard output: {error}")))
}

fn signed_in(directory: &Path) -> Result<Profile, Failure> {
    let profile = Profile::load(directory)?;
    profile.ok_or_else(|| Failure::new("you are not signed in: run `token sign-in`"))
}

fn keeper(profile: &Profile, directory: &Path) -> Result<Keeper<FileStore, Http>, Failure> {
    let (client, store) = (profile.client()?, open(directory)?);
    Ok(Keeper::new(client, RefreshPolicy::default(), SystemTime::now, store, Http::new()))
}

fn open(directory: &Path) -> Result<FileStore, Failure> {
    FileStore::open(directory).map_err(|error| cannot(directory, &error))
}

fn cannot(directory: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(format!(
        "the directory {}: {error}; correct that or give another --directory",
        directory.display()
    ))
}
