//! Sends requests with reqwest: once, without following redirects.

use std::time::{Duration, SystemTime};

use oauth2_proto::keeper::{Refreshed, Runtime};
use oauth2_proto::{Request, Response};
use reqwest::redirect::Policy;
use reqwest::{Client, retry};
use tokio::time::sleep;

use crate::Failure;

/// How long an answer may take. A person waits for it.
const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub struct Transport(Client);

impl Transport {
    /// Makes a transport to the server of this address and its neighbours.
    pub fn new(address: &str) -> Result<Self, Failure> {
        // Fails if the program has chosen another provider before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder().redirect(Policy::none()).retry(retry::never()).timeout(TIMEOUT);
        if address.starts_with("http:") {
            // A proxy would resolve a loopback address on its own machine.
            builder = builder.no_proxy();
        }
        Ok(Self(builder.build()?))
    }

    /// Sends a request, and logs why no answer came.
    pub async fn answer(&self, request: &Request) -> Option<Response<'static>> {
        let answer = self.exchange(request).await;
        let (status, headers, body) = answer.inspect_err(|why| eprintln!("no answer: {why}")).ok()?;
        Some(Response::new(status, &headers, &body).into_owned())
    }

    /// Sends a request to the API, and returns the status and the body of the answer.
    pub async fn get(&self, request: &Request) -> Result<(u16, Vec<u8>), String> {
        self.exchange(request).await.map(|(status, _, body)| (status, body)).map_err(|why| why.to_string())
    }

    async fn exchange(&self, request: &Request) -> Result<(u16, http::HeaderMap, Vec<u8>), Failure> {
        let limit = request.response_limit();
        let request = http::Request::try_from(request)?.map(|body| body.expose().to_owned());
        let mut response = self.0.execute(request.try_into()?).await.map_err(reqwest::Error::without_url)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = Vec::new();
        // One byte more than the limit, so that the crate sees that the body is too long.
        while body.len() <= limit
            && let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)?
        {
            body.extend_from_slice(&chunk);
        }
        Ok((status, headers, body))
    }
}

impl Runtime for Transport {
    async fn send(&self, request: &Request, _: SystemTime) -> Option<Response<'static>> {
        self.answer(request).await
    }

    async fn sleep(&self, until: SystemTime) {
        sleep(until.duration_since(SystemTime::now()).unwrap_or_default()).await;
    }

    fn refreshed(&self, key: &str, outcome: Refreshed) {
        println!("{key}: {outcome}");
    }
}
