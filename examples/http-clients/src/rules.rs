//! What a transport must do, tested at a hostile server. Call [`check`] with your own.

use std::time::SystemTime;
use std::time::{Duration, Instant};

use oauth2_proto::grants::Refresh;
use oauth2_proto::{Call, Client, ClientAuth, Error, Request, Response, Secret, TokenResponse, pleo};

use crate::Failure;
use crate::hostile::{Answer, Hostile};

/// The time of a request that is answered, on a busy machine too.
const TIME: Duration = Duration::from_secs(10);

/// The time of a request whose answer never ends.
const SHORT_TIME: Duration = Duration::from_millis(300);

/// The maximum delay after which the end of `SHORT_TIME` is noticed, on a busy machine too.
const MAX_DELAY: Duration = Duration::from_secs(2);

/// The maximum number of bytes that a server can send before it notices that the client has stopped: the limit
/// of a body, and the buffers of both sockets.
const MAX_SENT: usize = 16 << 20;

/// Checks that a transport follows no redirect, sends nothing twice, bounds the body, returns every status,
/// and gives up in time. It gets a request and the time that the whole exchange may take.
pub fn check(send: impl Fn(&Request, Duration) -> Result<Response<'static>, Failure>) -> Result<(), Failure> {
    let server = Hostile::start()?;
    let client = Client::new(pleo::at(&server.base_url())?, "fake-client", ClientAuth::basic("fake-secret"))?;
    let call = client.refresh(&Secret::new("fake-refresh")).start(SystemTime::now())?;
    let ask = |answer| {
        server.begin(answer);
        Outcome::of(answer, &call, &send, &server)
    };

    for status in [301, 302, 303, 307, 308] {
        let outcome = ask(Answer::Redirect(status));
        outcome.must(outcome.requests == 1, "follows a redirect: switch redirects off")?;
        outcome.must(outcome.status() == Some(status), "makes a redirect an error: return every status")?;
    }
    for status in [400, 401, 403, 404, 429, 500, 503] {
        let outcome = ask(Answer::Refusal(status));
        let is_read = outcome.status() == Some(status) && outcome.code() == Some("invalid_grant");
        outcome.must(is_read, "makes 4xx or 5xx an error: return every status with its body")?;
        outcome.must(outcome.requests == 1, "repeats a request after an error status: switch retries off")?;
    }
    let limit = call.request().response_limit();
    let outcome = ask(Answer::Tokens(limit));
    outcome.must(outcome.is_read(), "refuses a body that is as long as the limit")?;
    for answer in [Answer::Tokens(limit + 1), Answer::Endless, Answer::EndlessChunks, Answer::Huge] {
        let outcome = ask(answer);
        outcome.must(!outcome.is_read(), "accepts a body that is longer than the limit: bound the body")?;
        outcome.must(server.sent() < MAX_SENT, "reads a body far behind the limit: stop reading there")?;
    }
    for answer in [Answer::Silence, Answer::SlowHead, Answer::SlowBody] {
        let outcome = ask(answer);
        outcome.must(!outcome.is_read(), "returns an answer that did not end in time")?;
        outcome.must(outcome.time < SHORT_TIME + MAX_DELAY, "waits for a hanging server: limit the time")?;
    }
    // The last request arrives on a connection that was used before, if the transport keeps connections.
    for answer in [Answer::Close, Answer::Tokens(200), Answer::Close] {
        let outcome = ask(answer);
        outcome.must(outcome.requests == 1, "repeats a request after a lost answer: switch retries off")?;
        outcome.must(outcome.is_read() == (answer != Answer::Close), "loses an answer")?;
    }
    Ok(())
}

/// What a request came to.
struct Outcome {
    answer: Answer,
    result: Result<Result<TokenResponse, Error>, Failure>,
    requests: usize,
    time: Duration,
}

impl Outcome {
    fn of(
        answer: Answer,
        call: &Call<Refresh>,
        send: impl Fn(&Request, Duration) -> Result<Response<'static>, Failure>,
        server: &Hostile,
    ) -> Self {
        let never_ends = matches!(answer, Answer::Silence | Answer::SlowHead | Answer::SlowBody);
        let start = Instant::now();
        let response = send(call.request(), if never_ends { SHORT_TIME } else { TIME });
        let time = start.elapsed();
        let result = response.map(|response| call.read(response));
        Self { answer, result, requests: server.requests(), time }
    }

    fn status(&self) -> Option<u16> {
        self.result.as_ref().ok()?.as_ref().err()?.status()
    }

    fn code(&self) -> Option<&str> {
        self.result.as_ref().ok()?.as_ref().err()?.code()
    }

    /// Returns whether there are tokens.
    fn is_read(&self) -> bool {
        matches!(self.result, Ok(Ok(_)))
    }

    fn must(&self, holds: bool, violation: &str) -> Result<(), Failure> {
        if holds {
            return Ok(());
        }
        let outcome = match &self.result {
            Ok(Ok(_)) => "tokens".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(failure) => failure.to_string(),
        };
        Err(format!(
            "the transport {violation} (the server's answer: {:?}; the outcome: {outcome})",
            self.answer
        )
        .into())
    }
}
