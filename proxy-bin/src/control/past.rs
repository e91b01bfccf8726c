//! The past over an upgrade: what a process knows of it is handed to the one that takes its place.

use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proxy_dataplane::observe::Observed;
use proxy_observe::History;
use tracing::{debug, warn};

use crate::handover::memory;

/// The name by which it is handed over.
pub const HISTORY: &str = "history";

/// Twice what history takes of memory at most: what is larger is none.
const MOST: usize = 2 * proxy_observe::most_bytes(usize::MAX);

/// What is known, as a descriptor to hand over; `None` where there is none to be had: then the next process begins anew.
pub(super) fn to_hand_over(observed: &Observed) -> Option<OwnedFd> {
    let saved = observed.history().save();
    let descriptor = memory::as_descriptor(HISTORY, &saved);
    descriptor
        .inspect_err(|error| warn!(%error, "history cannot be handed over: the new process begins anew"))
        .ok()
}

/// Goes on with what another process has handed over. What cannot be read is dropped, with a line in the log.
pub(super) fn take_over(observed: &Observed, handed: OwnedFd) {
    match read(handed) {
        Ok(history) => {
            debug!(subjects = history.subjects().len(), bytes = history.bytes(), "history is gone on with");
            *observed.history() = history;
        }
        Err(why) => warn!("the history of the process before cannot be read and begins anew: {why}"),
    }
}

fn read(handed: OwnedFd) -> Result<History, String> {
    let bytes = memory::of_descriptor(handed, MOST).map_err(|error| error.to_string())?;
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    History::restore(&bytes, started).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_says_why() {
        let handed = |bytes: &[u8]| memory::as_descriptor(HISTORY, bytes).unwrap();
        assert_eq!(read(handed(b"something else")).unwrap_err(), "it is of another version");
        let history = History::new(Duration::from_secs(1_700_000_000));
        assert!(read(handed(&history.save())).unwrap().subjects().is_empty());
    }
}
