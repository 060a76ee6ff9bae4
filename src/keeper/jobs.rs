//! A set of futures that run side by side in one task.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Futures that run side by side; each is polled only after it was woken.
pub(super) struct Jobs<F> {
    running: Vec<(Pin<Box<F>>, Arc<Flag>)>,
    task: Arc<Mutex<Option<Waker>>>,
}

/// Marks one future as ready, and wakes the task that polls it.
struct Flag {
    is_ready: AtomicBool,
    task: Arc<Mutex<Option<Waker>>>,
}

impl<F: Future<Output = ()>> Jobs<F> {
    pub(super) fn new() -> Self {
        Self { running: Vec::new(), task: Arc::default() }
    }

    pub(super) fn push(&mut self, job: F) {
        let flag = Flag { is_ready: AtomicBool::new(true), task: self.task.clone() };
        self.running.push((Box::pin(job), Arc::new(flag)));
    }

    /// Polls the futures that are ready, and returns whether none is left.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> bool {
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
        self.running.retain_mut(|(job, flag)| {
            if !flag.is_ready.swap(false, Ordering::AcqRel) {
                return true;
            }
            let waker = Waker::from(flag.clone());
            job.as_mut().poll(&mut Context::from_waker(&waker)).is_pending()
        });
        self.running.is_empty()
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.is_ready.store(true, Ordering::Release);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(task) = task {
            task.wake();
        }
    }
}

/// Awaits `first`, but no longer than `second`.
pub(super) async fn unless<T>(
    first: impl Future<Output = Option<T>>,
    second: impl Future<Output = ()>,
) -> Option<T> {
    let (mut first, mut second) = (std::pin::pin!(first), std::pin::pin!(second));
    std::future::poll_fn(|context| match first.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(value),
        Poll::Pending => second.as_mut().poll(context).map(|()| None),
    })
    .await
}
