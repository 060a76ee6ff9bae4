//! Many processes at once.

use std::env;
use std::process::{Command, Stdio};

use oauth2_proto::keeper::blocking::Store;

use crate::rivals::{INCREMENTS, check_sum, increment};
use crate::subject::prefix;
use crate::violation::Violation;

const PROCESSES: u64 = 4;
/// The environment variables that tell a further process what to do.
const PLACE: &str = "STORE_CONTRACT_PLACE";
const KEY: &str = "STORE_CONTRACT_KEY";

/// Checks that no process overwrites another one's save.
///
/// Call it from the test called `test`: the function runs that test in further processes of the same program.
/// `open` opens the store at a place, such as a path or an address.
///
/// ```no_run
/// # struct FileStore;
/// # impl FileStore { fn new(_: &str) -> Self { Self } }
/// # impl oauth2_proto::keeper::blocking::Store for FileStore {
/// #     type Error = std::io::Error;
/// #     fn load(&self, _: &str) -> Result<Option<oauth2_proto::Snapshot>, Self::Error> { Ok(None) }
/// #     fn compare_and_swap(&self, _: &str, _: &oauth2_proto::session::Save) -> Result<bool, Self::Error> { Ok(false) }
/// # }
/// # const STRIPPED: &str = stringify!(
/// #[test]
/// # );
/// fn holds_across_processes() -> Result<(), store_contract::Violation> {
///     let test = "holds_across_processes";
///     store_contract::check_processes(test, "/tmp/tokens", FileStore::new)
/// }
/// ```
///
/// # Errors
///
/// A save is lost, or a process fails.
///
/// # Panics
///
/// If a process cannot be started, or the program has no such test.
pub fn check_processes<S: Store>(test: &str, place: &str, open: impl Fn(&str) -> S) -> Result<(), Violation> {
    if let (Ok(place), Ok(key)) = (env::var(PLACE), env::var(KEY)) {
        return increment(&open(&place), &key);
    }
    let key = format!("{}processes", prefix());
    let program = env::current_exe().expect("the program has a path");
    let processes: Vec<_> = (0..PROCESSES)
        .map(|_| {
            let mut command = Command::new(&program);
            command.args([test, "--exact", "--nocapture"]).env(PLACE, place).env(KEY, &key);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program can be started")
        })
        .collect();
    for process in processes {
        let output = process.wait_with_output().expect("the process ends");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("running 1 test"), "the program has no test called {test}: {text}");
        if !output.status.success() {
            let output = format!("{text}{}", String::from_utf8_lossy(&output.stderr));
            return Err(Violation::ProcessFails { output });
        }
    }
    check_sum(&open(place), &key, INCREMENTS * PROCESSES)
}
