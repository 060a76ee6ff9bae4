//! Our process with tasks: one async keeper for all of them, and a driver.

use std::time::{Duration, SystemTime};

use file_store::FileStore;
use oauth2_proto::keeper::{Keeper, KeeperError, Runtime, Store, blocking};
use oauth2_proto::{Request, Response, Snapshot, session::Save};
use reqwest::Client;
use reqwest::redirect::Policy;
use tokio::task::{JoinSet, block_in_place};
use tokio::time::sleep;
use ureq::http;

use crate::Failure;
use crate::tally::Tally;
use crate::world::{CALLERS, KEY, PAUSE, Place, policy};

/// What the keeper needs of a program with tasks.
struct Tasks(Client);

impl Runtime for Tasks {
    async fn send(&self, request: &Request, _: SystemTime) -> Option<Response<'static>> {
        let request = http::Request::try_from(request).ok()?.map(|body| body.expose().to_owned());
        let response = self.0.execute(request.try_into().ok()?).await.ok()?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.ok()?;
        Some(Response::new(status, &headers, &body).into_owned())
    }

    async fn sleep(&self, until: SystemTime) {
        sleep(until.duration_since(SystemTime::now()).unwrap_or_default()).await;
    }
}

/// The store, whose methods block, for a program with tasks.
struct Files(FileStore);

impl Store for Files {
    type Error = <FileStore as blocking::Store>::Error;

    async fn load(&self, key: &str) -> Result<Option<Snapshot>, Self::Error> {
        block_in_place(|| blocking::Store::load(&self.0, key))
    }

    async fn compare_and_swap(&self, key: &str, save: &Save) -> Result<bool, Self::Error> {
        block_in_place(|| blocking::Store::compare_and_swap(&self.0, key, save))
    }
}

/// Lets all callers call the API for this many seconds.
pub fn run(place: &Place, seconds: u64) -> Result<Tally, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(call_all(place, seconds))
}

async fn call_all(place: &Place, seconds: u64) -> Result<Tally, Failure> {
    let end = SystemTime::now() + Duration::from_secs(seconds);
    let http = Client::builder().redirect(Policy::none()).timeout(Duration::from_secs(5)).build()?;
    let (client, store) = (place.client.clone(), Files(FileStore::open(&place.directory)?));
    let (keeper, driver) = Keeper::new(client, policy(), SystemTime::now, store, Tasks(http.clone()));
    let driver = tokio::spawn(driver.run());
    let callers: JoinSet<_> = (0..CALLERS)
        .map(|_| {
            let (keeper, http, api) = (keeper.clone(), http.clone(), place.api.clone());
            async move {
                let mut tally = Tally::default();
                while SystemTime::now() < end {
                    let outcome = call(&keeper, &http, &api, &mut tally).await;
                    tally.count("a task", outcome);
                    sleep(PAUSE).await;
                }
                tally
            }
        })
        .collect();
    let tallies = callers.join_all().await;
    drop(keeper);
    driver.await?;
    Ok(Tally::sum(tallies))
}

/// Calls the API, and once more after a 401.
async fn call(keeper: &Keeper, http: &Client, api: &str, tally: &mut Tally) -> Result<(), Failure> {
    let mut status = 0;
    for repetition in 0..2 {
        tally.repeated += repetition;
        let token = keeper.access_token(KEY).await.inspect_err(|error| {
            tally.sign_ins += u64::from(matches!(error, KeeperError::SignIn(_)));
        })?;
        status = http.get(api).bearer_auth(token.bearer()?.expose()).send().await?.status().as_u16();
        match status {
            200 => return Ok(()),
            401 => keeper.access_token_rejected(KEY, token.secret()),
            _ => break,
        }
    }
    Err(format!("the API answered {status}").into())
}
