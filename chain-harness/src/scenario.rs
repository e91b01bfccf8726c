//! Running one scenario, alone.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::proc::open_files;

/// No scenario may take longer.
const LONGEST: Duration = Duration::from_secs(60);

/// How long a thread that is told to end may take to close what it has.
const CLOSING: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(5);

/// One scenario at a time in a process, so that its descriptors can be counted.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs `body` on a runtime of its own, alone in this process and within a bound, then checks that no descriptor is left.
pub fn scenario(body: impl Future<Output = ()>) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // The first runtime of a process opens a pair of sockets for signals that stays for good.
    drop(runtime());
    let before = descriptors();
    let runtime = runtime();
    let ended = runtime.block_on(async { tokio::time::timeout(LONGEST, body).await });
    drop(runtime);
    assert!(ended.is_ok(), "the scenario was not over after {LONGEST:?}");
    assert_eq!(left(&before), before, "descriptors are left over");
}

/// What is open once that is `expected`, or has not become so for a while: a watch of files is closed by a thread of its own.
#[expect(clippy::disallowed_methods, reason = "there is no runtime any more")]
fn left(expected: &BTreeMap<u64, PathBuf>) -> BTreeMap<u64, PathBuf> {
    let until = Instant::now() + CLOSING;
    loop {
        let open = descriptors();
        if open == *expected || Instant::now() > until {
            return open;
        }
        std::thread::sleep(LOOK);
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts")
}

/// How many descriptors this process has open.
#[must_use]
pub fn open_descriptors() -> usize {
    descriptors().len()
}

/// How many more descriptors this process may open, less `reserve`, once its limit has been raised as far as it goes.
#[must_use]
pub fn room_for_descriptors(reserve: usize) -> usize {
    let limit = usize::try_from(proxy_dataplane::descriptors::raise_limit()).unwrap_or(usize::MAX);
    limit.saturating_sub(open_descriptors() + reserve)
}

/// What this process has open, by descriptor, without the one with which this is found out.
fn descriptors() -> BTreeMap<u64, PathBuf> {
    open_files(std::process::id()).expect("Linux has /proc")
}
