//! The nearest deadline of a connection, for whoever asks when that is: computed then, since every byte moves it.
//!
//! ```text
//!                      ┌─ silent: as told, or `anew` after the last byte, whichever is later
//!   nearest: the ──────┤
//!   earlier of         └─ fixed:  as told
//! ```

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use proxy_core::Bound;
use proxy_core::relay::{Due, RelayDeadline};
use tokio::time::Instant;

use super::mark::Mark;

/// Which deadline is the nearest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeadlineKind {
    /// `proxy_header_timeout`.
    Header,
    /// `initial_data_timeout`.
    Hello,
    /// `tls_handshake_timeout`.
    Tls,
    /// The longest wait for a place, where a limit queues.
    Queue,
    /// The longest that a client is heard out that is turned away in order.
    Leave,
    /// `connection_timeout`.
    Dial,
    /// One of the relay's.
    Relay(RelayDeadline),
    /// The timeout of a health check.
    Check,
}

impl std::fmt::Display for DeadlineKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Header => f.write_str("header"),
            Self::Hello => f.write_str("hello"),
            Self::Tls => f.write_str("tls"),
            Self::Queue => f.write_str("queue"),
            Self::Leave => f.write_str("leave"),
            Self::Dial => f.write_str("dial"),
            Self::Relay(which) => which.fmt(f),
            Self::Check => f.write_str("check"),
        }
    }
}

/// A time that one task writes and others read, in parts: who reads between two of them may see one deadline for another.
#[derive(Debug)]
pub(super) struct Deadline {
    silent: Mark,
    /// How long after the last byte; zero where no byte moves it.
    anew: Mark,
    fixed: Mark,
    /// The number of the silent one's kind, and above it that of the fixed one's; [`NO_KIND`] where there is none.
    kinds: AtomicU8,
}

const KIND_BITS: u32 = 4;
const NO_KIND: u8 = (1 << KIND_BITS) - 1;

impl Deadline {
    pub(super) const fn unset() -> Self {
        Self {
            silent: Mark::unset(),
            anew: Mark::zero(),
            fixed: Mark::unset(),
            kinds: AtomicU8::new(NO_KIND << KIND_BITS),
        }
    }

    /// At the age of `due`, whatever moves.
    pub(super) fn set(&self, due: Duration, kind: DeadlineKind) {
        self.silent.set_no_earlier(due);
        self.anew.set(Duration::ZERO);
        self.kinds.store(NO_KIND << KIND_BITS | code(kind), Ordering::Relaxed);
    }

    /// As a relay has told; `age`: how old the connection is at a time.
    pub(super) fn set_due(&self, due: &Due, age: impl Fn(Instant) -> Duration) {
        let (silent, kind) = due.silent;
        self.silent.set_no_earlier(age(silent));
        self.anew.set_no_earlier(due.anew.map_or(Duration::ZERO, Bound::get));
        let fixed = due.fixed.map_or(NO_KIND, |(fixed, kind)| {
            self.fixed.set_no_earlier(age(fixed));
            code(DeadlineKind::Relay(kind))
        });
        self.kinds.store(fixed << KIND_BITS | code(DeadlineKind::Relay(kind)), Ordering::Relaxed);
    }

    /// At what age it passes if no byte has moved since `last_activity`, and which it is. None while there is none.
    pub(super) fn nearest(&self, last_activity: &Mark) -> Option<(Duration, DeadlineKind)> {
        let (told, kinds) = (self.silent.get()?, self.kinds.load(Ordering::Relaxed));
        let anew = Some(self.anew.age()).filter(|anew| !anew.is_zero());
        let silent = anew.map_or(told, |anew| told.max(last_activity.latest().saturating_add(anew)));
        let fixed = kind(kinds >> KIND_BITS).and_then(|kind| Some((self.fixed.get()?, kind)));
        let silent = (silent, kind(kinds & NO_KIND)?);
        Some(fixed.filter(|(fixed, _)| *fixed <= silent.0).unwrap_or(silent))
    }
}

fn code(kind: DeadlineKind) -> u8 {
    KINDS.iter().position(|k| *k == kind).and_then(|n| u8::try_from(n).ok()).unwrap_or(NO_KIND)
}

fn kind(code: u8) -> Option<DeadlineKind> {
    KINDS.get(usize::from(code)).copied()
}

/// The kinds in the order of their codes.
const KINDS: [DeadlineKind; 12] = [
    DeadlineKind::Header,
    DeadlineKind::Hello,
    DeadlineKind::Queue,
    DeadlineKind::Leave,
    DeadlineKind::Dial,
    DeadlineKind::Relay(RelayDeadline::Idle),
    DeadlineKind::Relay(RelayDeadline::HalfClosed),
    DeadlineKind::Relay(RelayDeadline::WriteStall),
    DeadlineKind::Relay(RelayDeadline::NoData),
    DeadlineKind::Relay(RelayDeadline::Lifetime),
    DeadlineKind::Check,
    DeadlineKind::Tls,
];
