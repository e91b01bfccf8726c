//! Running one scenario, alone.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// No scenario may take longer.
const LONGEST: Duration = Duration::from_secs(30);

/// One scenario at a time in a process, so that its descriptors can be counted.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs `body` on a runtime of its own, alone in this process and within a bound, then checks that no descriptor is left.
pub fn scenario(body: impl Future<Output = ()>) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let before = open_descriptors();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    let ended = runtime.block_on(async { tokio::time::timeout(LONGEST, body).await });
    drop(runtime);
    assert!(ended.is_ok(), "the scenario was not over after {LONGEST:?}");
    assert_eq!(open_descriptors(), before, "descriptors are left over");
}

/// How many descriptors this process has open.
#[must_use]
pub fn open_descriptors() -> usize {
    // Listing them opens one more, each time.
    std::fs::read_dir("/proc/self/fd").expect("Linux has /proc").count()
}
