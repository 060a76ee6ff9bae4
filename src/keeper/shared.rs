//! The state that a keeper, its clones and its driver share: the table, and the callers that wait for an
//! outcome.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::SystemTime;

use crate::client::Client;
use crate::keeper::errands::Errands;
use crate::keeper::error::KeeperError;
use crate::keeper::table::{Answer, Ask, Entry, Table};
use crate::session::RefreshPolicy;

/// The state that a keeper, its clones and its driver share.
pub(super) struct Shared {
    /// Never locked across an await, nor while a waker is woken or dropped, because a waker may run any code
    /// of the executor.
    state: Mutex<State>,
    now: Box<dyn Fn() -> SystemTime + Send + Sync>,
}

struct State {
    table: Table,
    /// The keys whose jobs the driver has to start.
    requests: Vec<String>,
    driver: Option<Waker>,
    /// The number of callers that have waited so far; it numbers the next one.
    callers: u64,
    /// True if every clone of the keeper was dropped.
    is_released: bool,
    /// True if the driver was dropped.
    is_stopped: bool,
}

impl Shared {
    pub(super) fn new(
        client: Arc<Client>,
        policy: RefreshPolicy,
        now: impl Fn() -> SystemTime + Send + Sync + 'static,
    ) -> Self {
        let state = State {
            table: Table::new(client, policy),
            requests: Vec::new(),
            driver: None,
            callers: 0,
            is_released: false,
            is_stopped: false,
        };
        Self { state: Mutex::new(state), now: Box::new(now) }
    }

    pub(super) fn now(&self) -> SystemTime {
        (self.now)()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Methods for the keeper.
impl Shared {
    /// Makes a future that waits until `ask` has an answer.
    pub(super) fn wait<T>(&self, key: &str, ask: Ask<T>) -> Wait<'_, T> {
        Wait { shared: self, key: key.to_owned(), caller: None, known: None, ask }
    }

    /// Changes the `Errands` of a key, and requests a job if something is not stored.
    pub(super) fn order_by<T>(&self, key: &str, change: impl FnOnce(&mut Errands, SystemTime) -> T) -> T {
        let now = self.now();
        let mut state = self.lock();
        let entry = state.table.entry(key);
        let value = change(&mut entry.errands, now);
        let woken = if entry.errands.is_saved() {
            None
        } else if entry.is_served {
            entry.has_order = true;
            entry.job.take()
        } else {
            state.request(key)
        };
        drop(state);
        woken.into_iter().for_each(Waker::wake);
        value
    }

    /// Lets the driver end after its last job.
    fn release(&self) {
        let mut state = self.lock();
        state.is_released = true;
        let driver = state.driver.take();
        drop(state);
        driver.into_iter().for_each(Waker::wake);
    }
}

/// Methods for the driver.
impl Shared {
    /// Takes the keys whose jobs to start, and registers this task to be woken when there are more.
    pub(super) fn take_requests(&self, task: &Waker) -> Vec<String> {
        let mut state = self.lock();
        let earlier = state.driver.replace(task.clone());
        let requests = std::mem::take(&mut state.requests);
        drop(state);
        drop(earlier);
        requests
    }

    /// Changes the `Errands` of a key.
    pub(super) fn with<T>(&self, key: &str, change: impl FnOnce(&mut Errands, SystemTime) -> T) -> T {
        self.with_entry(key, |entry, now| change(&mut entry.errands, now))
    }

    /// Changes an entry. Wakes its callers if there is news, and requests a new job if the last one has ended
    /// and something is not stored.
    pub(super) fn with_entry<T>(&self, key: &str, change: impl FnOnce(&mut Entry, SystemTime) -> T) -> T {
        let now = self.now();
        let mut state = self.lock();
        let entry = state.table.entry(key);
        let (value, has_news) = entry.change(change, now);
        let callers = if has_news { entry.waiting() } else { Vec::new() };
        let has_errand = !entry.errands.is_saved();
        let driver = if has_errand { state.request(key) } else { None };
        drop(state);
        callers.into_iter().chain(driver).for_each(Waker::wake);
        value
    }

    /// Waits until the keeper asks for something. A job awaits this while it also waits for an answer or for
    /// a time.
    pub(super) async fn order(&self, key: &str) {
        poll_fn(|context| {
            let mut state = self.lock();
            let entry = state.table.entry(key);
            if std::mem::take(&mut entry.has_order) {
                return Poll::Ready(());
            }
            let earlier = entry.job.replace(context.waker().clone());
            drop(state);
            drop(earlier);
            Poll::Pending
        })
        .await;
    }

    pub(super) fn has_requests(&self) -> bool {
        !self.lock().requests.is_empty()
    }

    pub(super) fn is_released(&self) -> bool {
        self.lock().is_released
    }

    /// Tells every caller that the driver is gone.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.is_stopped = true;
        let callers = state.table.waiting();
        drop(state);
        callers.into_iter().for_each(Waker::wake);
    }
}

impl State {
    /// Requests a job for a key, unless it has one. Returns the waker of the driver, to wake it.
    fn request(&mut self, key: &str) -> Option<Waker> {
        let entry = self.table.entry(key);
        if entry.is_served || self.is_stopped {
            return None;
        }
        entry.is_served = true;
        self.requests.push(key.to_owned());
        self.driver.take()
    }

    fn next_caller(&mut self) -> u64 {
        self.callers = self.callers.wrapping_add(1);
        self.callers
    }
}

/// The future of one caller.
pub(super) struct Wait<'a, T> {
    shared: &'a Shared,
    key: String,
    /// The number of this caller, once it has waited.
    caller: Option<u64>,
    /// The number of outcomes when the caller last asked.
    known: Option<u64>,
    ask: Ask<T>,
}

impl<T> Future for Wait<'_, T> {
    type Output = Result<T, KeeperError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { shared, key, caller, known, ask } = &mut *self;
        let now = shared.now();
        let mut state = shared.lock();
        let Answer { value, has_errand } = ask(state.table.entry(key), known, now);
        let driver = if has_errand { state.request(key) } else { None };
        let value = value.or_else(|| state.is_stopped.then_some(Err(KeeperError::Stopped)));
        let earlier = if value.is_none() {
            let caller = *caller.get_or_insert_with(|| state.next_caller());
            state.table.entry(key).wait(caller, context.waker())
        } else {
            caller.take().and_then(|caller| state.table.entry(key).leave(caller))
        };
        drop(state);
        drop(earlier);
        driver.into_iter().for_each(Waker::wake);
        value.map_or(Poll::Pending, Poll::Ready)
    }
}

impl<T> Drop for Wait<'_, T> {
    fn drop(&mut self) {
        let Some(caller) = self.caller else { return };
        let waker = self.shared.lock().table.entry(&self.key).leave(caller);
        drop(waker);
    }
}

/// The clones of one keeper. When the last one is dropped, the driver may end.
pub(super) struct Handle(pub(super) Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.release();
    }
}
