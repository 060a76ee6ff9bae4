//! Signs in and refreshes with `reqwest` 0.13, which is async.

use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use http_clients::{Demo, Failure};
use hyper::http;
use oauth2_proto::{Request, Response};
use reqwest::{Client, redirect::Policy, retry};

fn client() -> reqwest::Result<Client> {
    // Redirects off: they would carry the code and the secret to another address. Retries off: a code works
    // once.
    Client::builder().redirect(Policy::none()).retry(retry::never()).build()
}

/// Sends a request and returns its response, whatever the status.
async fn send(client: &Client, request: &Request, time: Duration) -> Result<Response<'static>, Failure> {
    let limit = request.response_limit();
    let request = http::Request::try_from(request)?.map(|body| body.expose().to_owned());
    let mut request = reqwest::Request::try_from(request)?;
    *request.timeout_mut() = Some(time);
    // 4xx is an answer: only `error_for_status` would make it an error.
    let (head, body) = http::Response::from(client.execute(request).await?).into_parts();
    let body = Limited::new(body, limit).collect().await?.to_bytes(); // The body is bounded.
    Ok(Response::new(head.status.as_u16(), &head.headers, &body).into_owned())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let client = client()?;
    let time = Duration::from_secs(10);
    let mut demo = Demo::start()?;
    let call = demo.sign_in()?;
    let tokens = call.read(send(&client, call.request(), time).await?)?;
    let refresh = demo.refresh(&tokens)?;
    let tokens = refresh.read(send(&client, refresh.request(), time).await?)?;
    demo.end(&tokens)
}

#[test]
fn keeps_the_rules() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = client()?;
    http_clients::rules::check(|request, time| runtime.block_on(send(&client, request, time)))
}
