//! Futures that run side by side in one task.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Futures that run side by side; each is polled only after it has been woken.
pub(super) struct Jobs<F> {
    running: HashMap<u64, (Pin<Box<F>>, Arc<Flag>)>,
    /// The number of jobs started so far; it numbers the next one.
    started: u64,
    ready: Arc<Ready>,
}

/// The jobs that were woken, and the task that polls them.
#[derive(Default)]
struct Ready {
    state: Mutex<(Vec<u64>, Option<Waker>)>,
}

/// Marks one job as ready when it is woken.
struct Flag {
    job: u64,
    is_ready: AtomicBool,
    ready: Arc<Ready>,
}

impl<F: Future<Output = ()>> Jobs<F> {
    pub(super) fn new() -> Self {
        Self { running: HashMap::new(), started: 0, ready: Arc::default() }
    }

    pub(super) fn push(&mut self, future: F) {
        self.started = self.started.wrapping_add(1);
        let flag = Flag { job: self.started, is_ready: AtomicBool::new(false), ready: self.ready.clone() };
        let flag = Arc::new(flag);
        self.running.insert(self.started, (Box::pin(future), flag.clone()));
        flag.wake();
    }

    /// Polls the jobs that are ready, and returns whether none is left.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> bool {
        let (ready, earlier) = {
            let mut state = self.ready.lock();
            (std::mem::take(&mut state.0), state.1.replace(context.waker().clone()))
        };
        drop(earlier);
        for job in ready {
            let Some((future, flag)) = self.running.get_mut(&job) else { continue };
            flag.is_ready.store(false, Ordering::Release);
            let waker = Waker::from(flag.clone());
            if future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                self.running.remove(&job);
            }
        }
        self.running.is_empty()
    }
}

impl Ready {
    fn lock(&self) -> MutexGuard<'_, (Vec<u64>, Option<Waker>)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        if self.is_ready.swap(true, Ordering::AcqRel) {
            return;
        }
        let task = {
            let mut state = self.ready.lock();
            state.0.push(self.job);
            state.1.take()
        };
        task.into_iter().for_each(Waker::wake);
    }
}

/// Awaits the first of two futures that is ready.
pub(super) async fn race<T>(first: impl Future<Output = T>, second: impl Future<Output = T>) -> T {
    let (mut first, mut second) = (pin!(first), pin!(second));
    std::future::poll_fn(|context| match first.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(value),
        Poll::Pending => second.as_mut().poll(context),
    })
    .await
}

/// Awaits a future; `None` if it panics.
pub(super) async fn unless_it_panics<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| {
        // A future that has panicked is not polled again.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(poll) => poll.map(Some),
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}
