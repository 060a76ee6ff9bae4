//! One file for each authorization.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use oauth2_proto::keeper::{self, blocking};
use oauth2_proto::{Snapshot, session::Save};

#[derive(Clone)]
pub struct FileStore(PathBuf);

impl FileStore {
    pub fn new(directory: impl AsRef<Path>) -> Self {
        Self(directory.as_ref().to_owned())
    }
}

impl blocking::Store for FileStore {
    type Error = io::Error;

    fn load(&self, key: &str) -> Result<Option<Snapshot>, io::Error> {
        match fs::read(self.0.join(key)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn compare_and_swap(&self, key: &str, save: &Save) -> Result<bool, io::Error> {
        let lock = File::create(self.0.join(format!("{key}.lock")))?;
        lock.lock()?;
        let revision = blocking::Store::load(self, key)?.map_or(0, |snapshot| snapshot.revision());
        if revision != save.expected_revision() {
            return Ok(false);
        }
        let new = self.0.join(format!("{key}.new"));
        fs::write(&new, serde_json::to_vec(save.snapshot())?)?;
        fs::rename(new, self.0.join(key))?;
        Ok(true)
    }
}

impl keeper::Store for FileStore {
    type Error = io::Error;

    async fn load(&self, key: &str) -> Result<Option<Snapshot>, io::Error> {
        let (store, key) = (self.clone(), key.to_owned());
        tokio::task::spawn_blocking(move || blocking::Store::load(&store, &key)).await?
    }

    async fn compare_and_swap(&self, key: &str, save: &Save) -> Result<bool, io::Error> {
        let _ = (key, save);
        tokio::task::block_in_place(|| blocking::Store::compare_and_swap(self, key, save))
    }
}
