//! Adapters for blocking stores in async programs, and for async stores in the test of the contract.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::SystemTime;
//!
//! use memory_store::MemoryStore;
//! use oauth2_proto::keeper::{Driver, Keeper, Runtime};
//! use oauth2_proto::{Client, RefreshPolicy};
//! use tokio_store::Blocking;
//!
//! fn keeper<R: Runtime>(
//!     client: Client,
//!     runtime: R,
//! ) -> (Keeper, Driver<Blocking<MemoryStore>, R>) {
//!     let store = Blocking(Arc::new(MemoryStore::default()));
//!     Keeper::new(client, RefreshPolicy::default(), SystemTime::now, store, runtime)
//! }
//! ```

use std::error::Error;
use std::sync::Arc;

use oauth2_proto::Snapshot;
use oauth2_proto::keeper::{Store, blocking};
use oauth2_proto::session::Save;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

/// Runs a blocking store on tokio's threads for blocking work, so that no other task waits for it.
///
/// A save that is dropped halfway still happens.
#[derive(Debug)]
pub struct Blocking<S>(pub Arc<S>);

impl<S: blocking::Store + Send + Sync + 'static> Store for Blocking<S> {
    type Error = Box<dyn Error + Send + Sync>;

    async fn load(&self, key: &str) -> Result<Option<Snapshot>, Self::Error> {
        let (store, key) = (self.0.clone(), key.to_owned());
        spawn_blocking(move || store.load(&key).map_err(Into::into)).await?
    }

    async fn compare_and_swap(&self, key: &str, save: &Save) -> Result<bool, Self::Error> {
        let (store, key, save) = (self.0.clone(), key.to_owned(), save.clone());
        spawn_blocking(move || store.compare_and_swap(&key, &save).map_err(Into::into)).await?
    }
}

/// Waits for an async store, so that `store_contract::check` can test it.
#[derive(Debug)]
pub struct Awaited<S> {
    /// The async store.
    pub store: S,
    /// The runtime that the store needs. Call `Awaited` from threads outside this runtime.
    pub runtime: Handle,
}

impl<S: Store> blocking::Store for Awaited<S> {
    type Error = S::Error;

    fn load(&self, key: &str) -> Result<Option<Snapshot>, S::Error> {
        self.runtime.block_on(self.store.load(key))
    }

    fn compare_and_swap(&self, key: &str, save: &Save) -> Result<bool, S::Error> {
        self.runtime.block_on(self.store.compare_and_swap(key, save))
    }
}
