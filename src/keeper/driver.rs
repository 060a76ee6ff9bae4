//! The driver of a keeper: the one future that awaits the store and the runtime.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::keeper::errands::Errand;
use crate::keeper::error::KeeperError;
use crate::keeper::jobs::{Jobs, unless};
use crate::keeper::shared::Shared;
use crate::keeper::table::Entry;
use crate::keeper::{Runtime, Store};

/// Carries out the errands of a [`Keeper`](crate::keeper::Keeper): spawn [`run`](Self::run) once.
#[must_use = "spawn `run`: without it no token is refreshed or saved"]
pub struct Driver<S, R> {
    pub(super) shared: Arc<Shared>,
    pub(super) store: S,
    pub(super) runtime: R,
}

impl<S: Store, R: Runtime> Driver<S, R> {
    /// Carries out errands until every clone of the keeper is dropped and everything is stored. Spawn it
    /// once.
    ///
    /// The future is `Send` where your store and runtime are, and their futures.
    pub async fn run(self) {
        let mut jobs = Jobs::new();
        poll_fn(|context| match self.advance(&mut jobs, |key| self.serve(key), context) {
            true if self.shared.is_released() => Poll::Ready(()),
            _ => Poll::Pending,
        })
        .await;
    }

    /// Carries out errands until `future` is done and everything is stored. It suits a function that starts
    /// from nothing for each request, where nothing outlives the response.
    pub async fn run_until<T>(self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let mut output = None;
        let mut jobs = Jobs::new();
        poll_fn(|context| {
            if output.is_none()
                && let Poll::Ready(value) = future.as_mut().poll(context)
            {
                output = Some(value);
            }
            match self.advance(&mut jobs, |key| self.serve(key), context) {
                true => output.take().map_or(Poll::Pending, Poll::Ready),
                false => Poll::Pending,
            }
        })
        .await
    }
}

impl<S: Store, R: Runtime> Driver<S, R> {
    /// Starts the jobs that were asked for, polls those that are ready, and returns whether none is left.
    fn advance<F: Future<Output = ()>>(
        &self,
        jobs: &mut Jobs<F>,
        start: impl Fn(String) -> F,
        context: &mut Context<'_>,
    ) -> bool {
        let requests = self.shared.take_requests(context.waker());
        requests.into_iter().for_each(|key| jobs.push(start(key)));
        jobs.poll(context)
    }

    /// Carries out the errands of one authorization, one at a time, until there is an outcome.
    async fn serve(&self, key: String) {
        while let Some(errand) = self.shared.with_entry(&key, Entry::next) {
            let done = match errand {
                Errand::Load => self.store.load(&key).await.map(|snapshot| {
                    self.shared.with(&key, |errands, now| errands.loaded(snapshot, now));
                }),
                Errand::Swap(save) => self.store.compare_and_swap(&key, &save).await.map(|accepted| {
                    self.shared.with(&key, |errands, _| errands.swapped(save, accepted));
                }),
                Errand::Send { call, until } => {
                    let send = self.runtime.send(call.request(), until);
                    let answer = unless(send, self.runtime.sleep(until)).await;
                    let outcome = self.shared.with(&key, |errands, now| errands.answered(call, answer, now));
                    self.runtime.refreshed(&key, outcome);
                    Ok(())
                }
                Errand::Sleep(until) => {
                    self.runtime.sleep(until).await;
                    Ok(())
                }
                // `next` publishes the outcome, and returns no such errand.
                Errand::Token(_) | Errand::NoToken(_) => return,
            };
            if let Err(error) = done {
                let error = KeeperError::Store(error.into().into());
                if !self.shared.with_entry(&key, |entry, _| entry.store_failed(error)) {
                    return;
                }
                // Something is not stored yet, so the job goes on although nobody may wait for it.
                let now = self.shared.now();
                self.runtime.sleep(now.checked_add(STORE_PAUSE).unwrap_or(now)).await;
            }
        }
    }
}

/// Without a driver nobody carries out errands, so the callers that wait must not wait on.
impl<S, R> Drop for Driver<S, R> {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

impl<S, R> fmt::Debug for Driver<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}

/// The pause after a failure of the store while something is not stored.
const STORE_PAUSE: Duration = Duration::from_secs(1);
