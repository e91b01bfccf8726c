//! The duty of the first process of a container: whoever's parent has gone is its child, and stays in the process table until
//! it is waited for.

use rustix::process::{WaitOptions, wait};

/// Whether this is the first process, which has no children of its own: it never hands over.
pub(super) fn is_ours_to_do() -> bool {
    std::process::id() == 1
}

/// Waits for all that have ended. Does not block.
pub(super) fn all() {
    while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
}
