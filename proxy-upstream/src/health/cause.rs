//! Why a member is out, or its check failed: a cause that is stable, and a text for people.

use std::fmt;
use std::io;
use std::sync::Arc;

use proxy_core::dial::{DialError, DialErrorKind};

macro_rules! causes {
    ($($(#[$meta:meta])* $cause:ident = $name:literal,)*) => {
        /// Why a member is out, or its check failed. The names are stable: they are metric labels and log fields.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum HealthCause {
            $($(#[$meta])* $cause,)*
        }

        impl HealthCause {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$cause,)*];

            /// The stable name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$cause => $name,)* }
            }
        }
    };
}

causes! {
    /// Its machine refused the connection: nothing listens there.
    Refused = "refused",
    /// There is no way to it.
    Unreachable = "unreachable",
    /// Its name has no address.
    Unresolved = "unresolved",
    /// It did not take the connection, or took it and did not answer, within the timeout.
    Timeout = "timeout",
    /// It reset the connection.
    Reset = "reset",
    /// It closed the connection before it had answered.
    Closed = "closed",
    /// It answered something else than is expected.
    Unexpected = "unexpected",
    /// It could not be dialled for another reason.
    Failed = "failed",
    /// So many connections to it in a row ended badly.
    ConsecutiveFailures = "consecutive_failures",
    /// More of the connections to it end badly than of those to the others.
    FailureShare = "failure_share",
}

impl fmt::Display for HealthCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What was found out about a member that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The cause.
    pub cause: HealthCause,
    /// The rest of it, for people: a sentence without its full stop.
    pub text: Arc<str>,
}

impl Finding {
    /// Of that cause.
    pub(crate) fn new(cause: HealthCause, text: impl Into<Arc<str>>) -> Self {
        Self { cause, text: text.into() }
    }

    /// The answer of a member that is not the one that is expected.
    pub(crate) fn unexpected(text: impl Into<Arc<str>>) -> Self {
        Self::new(HealthCause::Unexpected, text)
    }

    /// What a dial that failed says; None where it says something about this machine only.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum may grow, and Failed is the rest")]
    pub(crate) fn of_dial(error: &DialError) -> Option<Self> {
        let last = &error.attempts.last()?.kind;
        let cause = match last {
            DialErrorKind::Refused => HealthCause::Refused,
            DialErrorKind::Unreachable => HealthCause::Unreachable,
            DialErrorKind::Timeout => HealthCause::Timeout,
            DialErrorKind::Reset => HealthCause::Reset,
            DialErrorKind::Unresolved(_) => HealthCause::Unresolved,
            DialErrorKind::Closed(_) | DialErrorKind::Shortage(_) | DialErrorKind::Egress(_) => return None,
            _ => HealthCause::Failed,
        };
        let text = if cause == HealthCause::Timeout {
            format!("no answer to a connect within {}", error.within)
        } else {
            last.to_string()
        };
        Some(Self::new(cause, text))
    }

    /// What a stream that failed says.
    pub(crate) fn of_stream(error: &io::Error, doing: &str) -> Self {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "io::ErrorKind is open-ended; the rest is kept whole"
        )]
        let cause = match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => HealthCause::Reset,
            io::ErrorKind::TimedOut => HealthCause::Timeout,
            _ => HealthCause::Failed,
        };
        Self::new(cause, format!("{error} while {doing}"))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.text)
    }
}

/// The beginning of what was heard, as it may be shown: what does not print is escaped, and it is short.
pub(crate) fn excerpt(heard: &[u8]) -> String {
    const SHOWN: usize = 64;
    let shown = heard.get(..SHOWN).unwrap_or(heard);
    let more = if shown.len() < heard.len() { " …" } else { "" };
    format!("\"{}\"{more}", shown.escape_ascii())
}
