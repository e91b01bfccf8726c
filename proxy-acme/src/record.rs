//! What is remembered of a name beside its certificate, over restarts and by all who share the folder.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::schedule::Window;

/// What is remembered of a name. Times are seconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// The authority that has made the certificate: the URL of its directory.
    pub authority: Option<String>,
    /// When the certificate is to be renewed.
    pub renew_at: Option<u64>,
    /// The window that the authority has named for that.
    pub window: Option<(u64, u64)>,
    /// When it is asked for its window again.
    pub ask_at: Option<u64>,
    /// How often obtaining it has failed in a row.
    pub failures: u32,
    /// Why it has failed the last time.
    pub last_failure: Option<String>,
    /// When it failed.
    pub failed_at: Option<u64>,
    /// Not before then it is tried again.
    pub next_try: Option<u64>,
}

/// Seconds since 1970.
pub(crate) fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The moment that so many seconds since 1970 are.
pub(crate) fn moment(seconds: u64) -> SystemTime {
    // What a file says may be anything.
    UNIX_EPOCH + Duration::from_secs(seconds.min(1 << 40))
}

impl Record {
    /// The window, as a schedule takes it.
    pub(crate) fn window(&self) -> Option<Window> {
        self.window.map(|(start, end)| Window { start: moment(start), end: moment(end) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_later_version_wrote_is_read_and_what_is_missing_is_nothing() {
        let read: Record = serde_json::from_str(r#"{ "failures": 3, "later": true }"#).unwrap();
        assert_eq!(read, Record { failures: 3, ..Record::default() });
    }

    #[test]
    fn a_moment_that_cannot_be_stops_nothing() {
        assert!(moment(u64::MAX) > moment(0));
        assert_eq!(seconds(moment(77)), 77);
    }
}
