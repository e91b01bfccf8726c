//! What cannot be drained.

use std::time::Duration;

use proxy_core::ListenError;

use crate::control::State;
use crate::unknown::Unknown;

/// The latest that a drain may end connections: a year, far within what the clock can add up.
pub(super) const LATEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Why something could not be drained, or its drain not be undone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DrainError {
    /// There is nothing of that name.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// Which one was not said.
    #[error("name the {what} to drain; there {known}")]
    Nameless {
        /// Of what kind.
        what: &'static str,
        /// What there is.
        known: String,
    },
    /// Everything has no name.
    #[error("everything is drained without a name; to drain only \"{name}\", say of what kind it is")]
    Named {
        /// What was given.
        name: String,
    },
    /// It is not being drained, so there is nothing to undo.
    #[error("{what} is not being drained")]
    NotDraining {
        /// What.
        what: String,
    },
    /// A time that is none.
    #[error("end_after_s has to be between 0 and {}, not {given}", LATEST.as_secs())]
    Time {
        /// What was given.
        given: f64,
    },
    /// The proxy is about to be gone.
    #[error("the proxy is {0}: nothing can be drained any more")]
    Stopping(State),
    /// A listener could not be bound anew. The drain goes on.
    #[error("{0}: it stays drained; free the port and undo the drain again")]
    Listen(#[from] ListenError),
}

/// A time to finish, in seconds.
pub(super) fn time(given: f64) -> Result<Duration, DrainError> {
    let time = Duration::try_from_secs_f64(given).map_err(|_| DrainError::Time { given })?;
    if time <= LATEST { Ok(time) } else { Err(DrainError::Time { given }) }
}
