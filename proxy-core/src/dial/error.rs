//! Why nothing was reached: each attempt, by name.

use std::fmt;
use std::io;
use std::time::Duration;

use super::gate::Closed;
use super::shortage::Shortage;
use crate::Bound;
use crate::addr::{Endpoint, TargetAddr};
use crate::egress::EgressError;
use crate::resolve::ResolveError;

/// Why one attempt failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum DialErrorKind {
    /// It was not dialled at all.
    Closed(Closed),
    /// The backend's machine refused: nothing listens there.
    Refused,
    /// There is no way to that machine or network.
    Unreachable,
    /// It neither accepted nor refused in time.
    Timeout,
    /// It accepted and reset before the connection was made.
    Reset,
    /// Its name has no address.
    Unresolved(ResolveError),
    /// This machine is out of descriptors, ports or memory.
    Shortage(Shortage),
    /// It could not leave this machine as it was to: source address, interface or mark.
    Egress(EgressError),
    /// Anything else that the kernel said.
    Failed(io::Error),
}

/// The kinds of dials that failed, without what goes with them: what is counted, shown and acted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DialFailure {
    /// [`DialErrorKind::Refused`]
    Refused,
    /// [`DialErrorKind::Unreachable`]
    Unreachable,
    /// [`DialErrorKind::Timeout`]
    Timeout,
    /// [`DialErrorKind::Reset`]
    Reset,
    /// [`DialErrorKind::Unresolved`]
    Unresolved,
    /// [`DialErrorKind::Shortage`]
    Shortage,
    /// [`DialErrorKind::Egress`]
    Egress,
    /// [`DialErrorKind::Failed`]
    Failed,
}

impl DialFailure {
    /// All of them; each is at the place that its number is.
    pub const ALL: [Self; 8] = [
        Self::Refused,
        Self::Unreachable,
        Self::Timeout,
        Self::Reset,
        Self::Unresolved,
        Self::Shortage,
        Self::Egress,
        Self::Failed,
    ];

    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Unresolved => "unresolved",
            Self::Shortage => "shortage",
            Self::Egress => "egress",
            Self::Failed => "failed",
        }
    }
}

impl DialErrorKind {
    /// Which failure of a dial it is; None where there was no dial.
    #[must_use]
    pub const fn failure(&self) -> Option<DialFailure> {
        Some(match self {
            Self::Closed(_) => return None,
            Self::Refused => DialFailure::Refused,
            Self::Unreachable => DialFailure::Unreachable,
            Self::Timeout => DialFailure::Timeout,
            Self::Reset => DialFailure::Reset,
            Self::Unresolved(_) => DialFailure::Unresolved,
            Self::Shortage(_) => DialFailure::Shortage,
            Self::Egress(_) => DialFailure::Egress,
            Self::Failed(_) => DialFailure::Failed,
        })
    }

    /// Whether it was for this machine alone: a shortage, or a source that it cannot dial from. That says nothing about the target.
    #[must_use]
    pub const fn is_own(&self) -> bool {
        matches!(self, Self::Shortage(_) | Self::Egress(_))
    }
}

impl From<io::Error> for DialErrorKind {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind as Kind;
        let error = match Shortage::of(error) {
            Ok(shortage) => return Self::Shortage(shortage),
            Err(error) => error,
        };
        let error = match error.downcast::<EgressError>() {
            Ok(egress) => return Self::Egress(egress),
            Err(error) => error,
        };
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "io::ErrorKind is open-ended; the rest is kept whole"
        )]
        match error.kind() {
            Kind::ConnectionRefused => Self::Refused,
            Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown => Self::Unreachable,
            Kind::TimedOut => Self::Timeout,
            Kind::ConnectionReset | Kind::ConnectionAborted => Self::Reset,
            _ => Self::Failed(error),
        }
    }
}

impl fmt::Display for DialErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(Closed::Breaker(Some(left))) => {
                write!(f, "skipped: it failed too often, next try in {:.0}s", left.as_secs_f64().ceil())
            }
            Self::Closed(Closed::Breaker(None)) => {
                f.write_str("skipped: it failed too often, it is being tried")
            }
            Self::Closed(Closed::Full(most)) => write!(f, "skipped: it has its {most} connections"),
            Self::Closed(Closed::Draining) => f.write_str("skipped: it is being drained"),
            Self::Refused => f.write_str("connection refused"),
            Self::Unreachable => f.write_str("unreachable"),
            Self::Timeout => f.write_str("timed out"),
            Self::Reset => f.write_str("connection reset"),
            Self::Unresolved(error) => error.fmt(f),
            Self::Shortage(shortage) => shortage.fmt(f),
            Self::Egress(error) => error.fmt(f),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

/// One attempt that failed.
#[derive(Debug)]
pub struct FailedAttempt {
    /// What was to be reached.
    pub target: TargetAddr,
    /// The address tried, where a name was resolved to it.
    pub endpoint: Option<Endpoint>,
    /// How long the attempt took.
    pub elapsed: Duration,
    /// Why it failed.
    pub kind: DialErrorKind,
}

impl fmt::Display for FailedAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.target)?;
        match (&self.target, &self.endpoint) {
            (TargetAddr::Name(..), Some(endpoint)) => write!(f, " ({endpoint})")?,
            (TargetAddr::Name(..) | TargetAddr::Ip(_) | TargetAddr::Unix(_), _) => {}
        }
        write!(f, ": {}", self.kind)?;
        if matches!(self.kind, DialErrorKind::Closed(_)) {
            return Ok(());
        }
        write!(f, " after {:.3}s", self.elapsed.as_secs_f64())
    }
}

/// No target could be reached. Names each attempt: target, address, elapsed time and kind.
#[derive(Debug, thiserror::Error)]
pub struct DialError {
    /// The attempts, in order. Empty only where there was no target.
    pub attempts: Vec<FailedAttempt>,
    /// The deadline of the whole.
    pub within: Bound,
    /// How long the whole took.
    pub elapsed: Duration,
}

impl DialError {
    /// Whether time ran out, as opposed to every target having answered no.
    #[must_use]
    pub fn timed_out(&self) -> bool {
        self.attempts.last().is_some_and(|last| matches!(last.kind, DialErrorKind::Timeout))
    }

    /// Why no target was dialled at all, where none was.
    #[must_use]
    pub fn all_closed(&self) -> Option<&Closed> {
        let mut last = None;
        for attempt in &self.attempts {
            let DialErrorKind::Closed(closed) = &attempt.kind else { return None };
            last = Some(closed);
        }
        last
    }

    /// Whether the last attempt failed for this machine alone ([`DialErrorKind::is_own`]).
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.attempts.last().is_some_and(|last| last.kind.is_own())
    }

    /// What this machine had run out of, where the last attempt failed for that.
    #[must_use]
    pub fn shortage(&self) -> Option<&Shortage> {
        match self.attempts.last().map(|last| &last.kind) {
            Some(DialErrorKind::Shortage(shortage)) => Some(shortage),
            _ => None,
        }
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.attempts.as_slice() {
            [] => return f.write_str("cannot connect: the route has no target"),
            [only] => write!(f, "cannot connect to {only}")?,
            several => {
                let firsts = several.iter().enumerate();
                let firsts =
                    firsts.filter(|(n, one)| several.iter().take(*n).all(|other| other.target != one.target));
                match firsts.count() {
                    1 => write!(f, "cannot connect to any of {} addresses: ", several.len())?,
                    targets => write!(f, "cannot connect to any of {targets} targets: ")?,
                }
                for (n, attempt) in several.iter().enumerate() {
                    write!(f, "{}{attempt}", if n == 0 { "" } else { "; " })?;
                }
            }
        }
        if self.timed_out() { write!(f, " (connection_timeout {})", self.within) } else { Ok(()) }
    }
}
