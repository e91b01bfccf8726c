//! The nearest deadline of a connection, for whoever asks when that is: computed then, since every byte moves it.
//!
//! ```text
//!                      ┌─ silent: as told, or `anew` after the last byte, whichever is later
//!   nearest: the ──────┤
//!   earlier of         └─ fixed:  as told
//! ```

use std::sync::atomic::{AtomicU16, Ordering};
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
    /// HTTP: `keep_alive_timeout`, for the next request of a client, or for the next use of a connection that is kept.
    KeepAlive,
    /// HTTP: `request_head_timeout`.
    RequestHead,
    /// HTTP: `request_body_timeout`, for the next bytes of a request's body.
    RequestBody,
    /// HTTP: `response_head_timeout`.
    ResponseHead,
    /// HTTP: `response_body_timeout`, for the next bytes of an answer.
    ResponseBody,
    /// HTTP: `request_timeout`, for a request and its answer as a whole.
    Request,
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
            Self::KeepAlive => f.write_str("keep_alive"),
            Self::RequestHead => f.write_str("request_head"),
            Self::RequestBody => f.write_str("request_body"),
            Self::ResponseHead => f.write_str("response_head"),
            Self::ResponseBody => f.write_str("response_body"),
            Self::Request => f.write_str("request"),
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
}

/// Which they are: the number of the silent one's kind, and above it that of the fixed one's; [`NO_KIND`] where there is none. Beside them
/// and not among them, where it would cost an entry twice its size.
#[derive(Debug)]
pub(super) struct Kinds(AtomicU16);

impl Kinds {
    pub(super) const fn none() -> Self {
        Self(AtomicU16::new(NO_KIND << KIND_BITS))
    }
}

const KIND_BITS: u32 = 5;
const NO_KIND: u16 = (1 << KIND_BITS) - 1;

impl Deadline {
    pub(super) const fn unset() -> Self {
        Self { silent: Mark::unset(), anew: Mark::zero(), fixed: Mark::unset() }
    }

    /// At the age of `due`, whatever moves.
    pub(super) fn set(&self, kinds: &Kinds, due: Duration, kind: DeadlineKind) {
        self.silent.set_no_earlier(due);
        self.anew.set(Duration::ZERO);
        kinds.0.store(NO_KIND << KIND_BITS | code(kind), Ordering::Relaxed);
    }

    /// As a relay has told; `age`: how old the connection is at a time.
    pub(super) fn set_due(&self, kinds: &Kinds, due: &Due, age: impl Fn(Instant) -> Duration) {
        let (silent, kind) = due.silent;
        self.silent.set_no_earlier(age(silent));
        self.anew.set_no_earlier(due.anew.map_or(Duration::ZERO, Bound::get));
        let fixed = due.fixed.map_or(NO_KIND, |(fixed, kind)| {
            self.fixed.set_no_earlier(age(fixed));
            code(DeadlineKind::Relay(kind))
        });
        kinds.0.store(fixed << KIND_BITS | code(DeadlineKind::Relay(kind)), Ordering::Relaxed);
    }

    /// At what age it passes if no byte has moved since `last_activity`, and which it is. None while there is none.
    pub(super) fn nearest(&self, kinds: &Kinds, last_activity: &Mark) -> Option<(Duration, DeadlineKind)> {
        let (told, kinds) = (self.silent.get()?, kinds.0.load(Ordering::Relaxed));
        let anew = Some(self.anew.age()).filter(|anew| !anew.is_zero());
        let silent = anew.map_or(told, |anew| told.max(last_activity.latest().saturating_add(anew)));
        let fixed = kind(kinds >> KIND_BITS).and_then(|kind| Some((self.fixed.get()?, kind)));
        let silent = (silent, kind(kinds & NO_KIND)?);
        Some(fixed.filter(|(fixed, _)| *fixed <= silent.0).unwrap_or(silent))
    }
}

fn code(kind: DeadlineKind) -> u16 {
    KINDS.iter().position(|k| *k == kind).and_then(|n| u16::try_from(n).ok()).unwrap_or(NO_KIND)
}

fn kind(code: u16) -> Option<DeadlineKind> {
    KINDS.get(usize::from(code)).copied()
}

/// The kinds in the order of their codes.
const KINDS: [DeadlineKind; 18] = [
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
    DeadlineKind::KeepAlive,
    DeadlineKind::RequestHead,
    DeadlineKind::RequestBody,
    DeadlineKind::ResponseHead,
    DeadlineKind::ResponseBody,
    DeadlineKind::Request,
];
