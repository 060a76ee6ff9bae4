//! Signs in and refreshes with `hyper` 1 and the connection pool of `hyper-util`.

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use http_clients::{Demo, Failure};
use hyper::{body::Bytes, http};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use oauth2_proto::{Request, Response};
use tokio::time::timeout;

type Http = Client<HttpConnector, Full<Bytes>>;

fn client() -> Http {
    // Retries off: a code works once. Redirects off: hyper follows none.
    Client::builder(TokioExecutor::new()).retry_canceled_requests(false).build_http()
}

/// Sends a request and returns its response, whatever the status.
async fn send(client: &Http, request: &Request, time: Duration) -> Result<Response<'static>, Failure> {
    let limit = request.response_limit();
    let request = http::Request::try_from(request)?.map(|body| body.expose().to_owned().into());
    let exchange = async {
        // 4xx is an answer: hyper makes no status an error.
        let (head, body) = client.request(request).await?.into_parts();
        let body = Limited::new(body, limit).collect().await?.to_bytes(); // The body is bounded.
        Ok(Response::new(head.status.as_u16(), &head.headers, &body).into_owned())
    };
    timeout(time, exchange).await?
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let client = client();
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
    let client = client();
    http_clients::rules::check(|request, time| runtime.block_on(send(&client, request, time)))
}
