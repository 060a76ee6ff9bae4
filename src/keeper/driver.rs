//! The driver of a keeper: the one future that awaits the store and the runtime.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use crate::client_auth::Signing;
use crate::jose::SignerError;
use crate::keeper::errands::{Errand, Errands, Refreshed, after};
use crate::keeper::error::KeeperError;
use crate::keeper::jobs::{Jobs, race, unless_it_panics};
use crate::keeper::shared::Shared;
use crate::keeper::{NO_SIGNATURE, Runtime, Store};

/// Carries out the errands of a [`Keeper`](crate::keeper::Keeper): spawn [`run`](Self::run) once.
#[must_use = "spawn `run`: without it no token is refreshed or saved"]
pub struct Driver<S, R> {
    pub(super) shared: Arc<Shared>,
    pub(super) store: S,
    pub(super) runtime: R,
    /// The longest time that the driver waits for its last jobs.
    pub(super) longest_end: Duration,
}

impl<S: Store, R: Runtime> Driver<S, R> {
    /// Carries out errands until every clone of the keeper is dropped and everything is stored. Spawn it
    /// once.
    ///
    /// After the last clone is dropped, the driver waits for answers and saves for at most 90 seconds by
    /// default (the sum of the policy's [`patience`](crate::RefreshPolicy::patience) and
    /// [`claim_duration`](crate::RefreshPolicy::claim_duration)), because the store may be down. The future
    /// is `Send` if your store, your runtime and their futures are.
    pub async fn run(self) {
        let mut jobs = Jobs::new();
        poll_fn(|context| {
            self.advance(&mut jobs, |key| self.serve(key), context);
            if self.shared.is_released() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        self.finish(&mut jobs, |key| self.serve(key)).await;
    }

    /// Carries out errands until `future` is done and everything is stored, for serverless functions, where
    /// no task outlives the response.
    ///
    /// When `future` is done, the driver waits for answers and saves like [`run`](Self::run) at its end. Put
    /// a timeout around `future`, not around this function: dropping the driver also drops the answer to a
    /// refresh.
    pub async fn run_until<T>(self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let mut jobs = Jobs::new();
        let output = poll_fn(|context| {
            let output = future.as_mut().poll(context);
            self.advance(&mut jobs, |key| self.serve(key), context);
            output
        })
        .await;
        self.finish(&mut jobs, |key| self.serve(key)).await;
        output
    }
}

impl<S: Store, R: Runtime> Driver<S, R> {
    /// Waits for the last jobs.
    async fn finish<F: Future<Output = ()>>(&self, jobs: &mut Jobs<F>, start: impl Fn(String) -> F) {
        let end = self.sleep(self.longest_end);
        let jobs = poll_fn(|context| match self.advance(jobs, &start, context) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        });
        race(jobs, end).await;
    }

    /// Starts the requested jobs, polls the ready ones, and returns whether no job is left.
    fn advance<F: Future<Output = ()>>(
        &self,
        jobs: &mut Jobs<F>,
        start: impl Fn(String) -> F,
        context: &mut Context<'_>,
    ) -> bool {
        let requests = self.shared.take_requests(context.waker());
        requests.into_iter().for_each(|key| jobs.push(start(key)));
        jobs.poll(context) && !self.shared.has_requests()
    }

    async fn sleep(&self, time: Duration) {
        self.runtime.sleep(after(self.shared.now(), time)).await;
    }

    /// Serves one authorization. A panic of the store or of the HTTP client ends this job only.
    async fn serve(&self, key: String) {
        loop {
            let outcome = unless_it_panics(self.carry_out(&key)).await;
            let Err(error) = outcome.unwrap_or(Err(KeeperError::Panicked)) else { return };
            if !self.shared.with_entry(&key, |entry, _| entry.failed(error)) {
                return;
            }
            // Something is not stored yet, so the job goes on even if no caller waits for it.
            self.sleep(PAUSE).await;
        }
    }

    /// Carries out the errands of one authorization, one at a time, until there is an outcome.
    async fn carry_out(&self, key: &str) -> Result<(), KeeperError> {
        let mut refreshed = None;
        let done = self.carry_out_all(key, &mut refreshed).await;
        // The entry may have another job by now, which a panic of the log must not end.
        unless_it_panics(async { self.log(key, &mut refreshed) }).await;
        done
    }

    async fn carry_out_all(&self, key: &str, refreshed: &mut Option<Refreshed>) -> Result<(), KeeperError> {
        while let Some(errand) = self.shared.with_entry(key, |entry, now| {
            let is_awaited = entry.is_awaited();
            entry.next(now, is_awaited)
        }) {
            match errand {
                Errand::Sign { signing, until } => {
                    let signed = self.meanwhile(key, async { Some(self.sign(signing).await) }, until).await;
                    let late = || Err(NO_SIGNATURE.into());
                    let signing = signed.unwrap_or_else(late).map_err(KeeperError::signing)?;
                    self.shared
                        .with(key, |errands, _| errands.signed(signing))
                        .map_err(KeeperError::Misuse)?;
                }
                Errand::Send { call, until } => {
                    let send = self.runtime.send(call.request(), until);
                    let answer = self.meanwhile(key, send, until).await;
                    *refreshed =
                        Some(self.shared.with(key, |errands, now| errands.answered(call, answer, now)));
                }
                errand => self.carry_out_one(key, errand, refreshed).await?,
            }
        }
        Ok(())
    }

    /// Carries out one errand of the store, or a sleep.
    async fn carry_out_one(
        &self,
        key: &str,
        errand: Errand,
        refreshed: &mut Option<Refreshed>,
    ) -> Result<(), KeeperError> {
        match errand {
            Errand::Load => {
                let snapshot = self.store.load(key).await.map_err(KeeperError::store)?;
                self.shared.with(key, |errands, now| errands.loaded(snapshot, now));
            }
            Errand::Swap(save) => {
                let accepted = self.store.compare_and_swap(key, &save).await.map_err(KeeperError::store)?;
                self.shared.with(key, |errands, now| errands.swapped(save, accepted, now));
                // The tokens are stored before the program's code runs, which may panic.
                self.log(key, refreshed);
            }
            Errand::Sleep(until) => race(self.runtime.sleep(until), self.shared.order(key)).await,
            Errand::NoToken(error) => return Err(error),
            // `carry_out_all` signs and sends, and `Entry::next` keeps the outcomes.
            Errand::Sign { .. } | Errand::Send { .. } | Errand::Token(_) => {}
        }
        Ok(())
    }

    async fn sign(&self, mut signing: Signing) -> Result<Signing, SignerError> {
        while let Some(unsigned) = signing.next() {
            let signature = self.runtime.sign(unsigned).await?;
            signing.signed(&signature)?;
        }
        Ok(signing)
    }

    /// Awaits an answer or a signature. Gives up at `until`. Meanwhile, saves a new sign-in or an end of the
    /// authorization.
    async fn meanwhile<T>(
        &self,
        key: &str,
        work: impl Future<Output = Option<T>>,
        until: SystemTime,
    ) -> Option<T> {
        let give_up = async {
            self.runtime.sleep(until).await;
            None
        };
        let save = async {
            loop {
                self.shared.order(key).await;
                while let Some(errand) = self.shared.with(key, Errands::next_save) {
                    // A panic must not drop the request.
                    let done = unless_it_panics(self.carry_out_one(key, errand, &mut None)).await;
                    let Err(error) = done.unwrap_or(Err(KeeperError::Panicked)) else { continue };
                    self.shared.with_entry(key, |entry, _| entry.failed(error));
                    self.sleep(PAUSE).await;
                }
            }
        };
        race(work, race(give_up, save)).await
    }

    fn log(&self, key: &str, refreshed: &mut Option<Refreshed>) {
        if let Some(refreshed) = refreshed.take() {
            self.runtime.refreshed(key, refreshed);
        }
    }
}

/// Tells the waiting callers to stop, because without a driver nothing carries out their errands.
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
const PAUSE: Duration = Duration::from_secs(1);
