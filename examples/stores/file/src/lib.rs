//! A store in files that only their user can read, for command-line tools and desktop programs.
//!
//! ```text
//! tokens/                     the directory, mode 0700
//!   lock                      locked while a process saves
//!   new                       the next content of a file, complete or not; never loaded
//!   2c70e12b7a06….json        one snapshot; the name is the SHA-256 of its key
//! ```
//!
//! Every key is safe, because its digest names the file. The lock excludes other processes and threads from
//! the comparison to the write. A save fills the file `new`, flushes it to the disk and renames it. A rename
//! is atomic: a load without the lock finds the old content or the new one, and so does a program that starts
//! after a crash at any point.
//!
//! A save waits at most 5 seconds for the lock. The operating system releases the lock of a process that
//! dies.
//!
//! For production: the directory must be on a local disk, because locks do not work on every network file
//! system. The modes protect files on Unix only. Encrypt the disk, or the content, if somebody can take the
//! disk away.

use std::error::Error;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError, read, rename};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use oauth2_proto::Snapshot;
use oauth2_proto::keeper::blocking::Store;
use oauth2_proto::session::Save;
use sha2::{Digest, Sha256};

const LOCK_LIMIT: Duration = Duration::from_secs(5);

/// A directory of snapshots.
#[derive(Debug)]
pub struct FileStore {
    directory: PathBuf,
}

impl FileStore {
    /// Opens the store in a directory, and creates the directory if it does not exist.
    ///
    /// # Errors
    ///
    /// The directory cannot be created, or other users have access to it.
    pub fn open(directory: impl Into<PathBuf>) -> io::Result<Self> {
        let directory = directory.into();
        DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        if directory.metadata()?.mode() & 0o077 != 0 {
            return Err(io::Error::other(format!("other users have access to {}", directory.display())));
        }
        Ok(Self { directory })
    }

    /// Returns the file of a key, to delete it when its user is deleted.
    pub fn path(&self, key: &str) -> PathBuf {
        let name: String = Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect();
        self.directory.join(name + ".json")
    }

    /// Returns the file that holds the lock until it is closed.
    fn lock(&self) -> io::Result<File> {
        let start = Instant::now();
        let file = private().open(self.directory.join("lock"))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if start.elapsed() < LOCK_LIMIT => {
                    sleep(Duration::from_millis(2))
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Store for FileStore {
    type Error = Box<dyn Error + Send + Sync>;

    fn load(&self, key: &str) -> Result<Option<Snapshot>, Self::Error> {
        match read(self.path(key)) {
            Ok(json) => Ok(Some(serde_json::from_slice(&json)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn compare_and_swap(&self, key: &str, save: &Save) -> Result<bool, Self::Error> {
        let _lock = self.lock()?;
        let revision = self.load(key)?.map_or(0, |snapshot| snapshot.revision());
        if revision != save.expected_revision() {
            return Ok(false);
        }
        let new = self.directory.join("new");
        let mut file = private().truncate(true).open(&new)?;
        file.write_all(&serde_json::to_vec(save.snapshot())?)?;
        // The content must be on the disk before its name is, and the name before the save is accepted.
        file.sync_all()?;
        rename(new, self.path(key))?;
        File::open(&self.directory)?.sync_all()?;
        Ok(true)
    }
}

/// Opens a file for writing, and creates it for this user alone.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}
