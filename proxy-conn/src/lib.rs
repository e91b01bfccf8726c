//! Connection tracking by ownership.
//!
//! A connection is one task running one function, and that function's frame owns a [`ConnGuard`]. The guard *is* the
//! connection's entry in the [`Tracker`]: opened by making it, gone when it is dropped, and there is no other way out.
//! So there is no cleanup queue, no timer that sweeps and no flag that says "destroyed": whatever ends the function
//! (a return, an error, a cancel, an abort, a panic) ends the entry, exactly once, and says how ([`End`]).
//!
//! ```text
//! accept ─► Tracker::open ─► header ─► peek ─► dial ─► relay ─► drain ─► Drop for ConnGuard ─► Ended
//!                                each with a deadline from Deadlines
//! ```
//! [`ConnGuard::run`] is the frame of such a function: it ends it when the connection is cancelled, says how it ended, closes or
//! resets the client, and drops the guard last. A [`Session`] has its stages. A guard can also be used without them.
//!
//! What it is not: it owns no sockets, dials nothing, spawns nothing and reads no configuration file. It needs no tokio
//! runtime; it uses tokio's clock, so that tests can pause it.

pub mod audit;
pub mod breaker;
mod cancel;
pub mod deadlines;
mod end;
mod entry;
mod figures;
mod guard;
pub mod histogram;
mod id;
mod leave;
pub mod limits;
mod opening;
mod outcomes;
pub mod overload;
mod phase;
mod pool_id;
mod session;
mod tracker;
mod verdict;
mod walk;

pub use audit::{Audit, AuditOptions, AuditReport, AuditState, AuditSubscriber};
pub use breaker::{Admission, BreakerOptions, BreakerState, TargetBreaker, Ticket};
pub use cancel::Reason;
pub use deadlines::{DeadlineOverrides, Deadlines, Jitter, KeepAliveTreatment, Switch};
pub use end::{By, Cause, End};
pub use entry::{ConnView, DeadlineKind, Facts, Talk, TlsFacts};
pub use figures::Figures;
pub use guard::ConnGuard;
pub use histogram::Histogram;
pub use id::{ConnId, ConnIdError, Trail};
pub use leave::{leave, leave_with};
pub use limits::{
    AddressKey, AddressLimits, AddressLimitsOptions, AddressLimitsOverrides, AddressPermit, AddressRefusal,
    Busiest, Limit, Permit, QueueError, QueueLimits, V6Prefix,
};
pub use opening::{Opening, Role};
pub use outcomes::{Ages, Tally, Totals, WAITS};
pub use overload::{Level, LevelCell, OptionsError, Overload, OverloadOptions, Percent, Pressure, Readings};
pub use phase::{Phase, State};
pub use pool_id::PoolId;
pub use session::{EARLY_DATA, Session, while_client_stays};
pub use tracker::{Ended, Subscriber, Tracked, Tracker};
pub use verdict::Verdict;
pub use walk::{LONG, Living, Sockets, Walk};

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
