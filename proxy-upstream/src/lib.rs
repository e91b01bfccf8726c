//! Where connections are taken: targets, the groups that they stand in, and what is known of each.
//!
//! ```text
//!  Target ─┐            ┌─ Candidates ── Gate ──► proxy_core::dial::reach ──► a connection and its permit
//!  Target ─┼─► Group ───┤ (balance: whose turn)        │
//!  Target ─┘     ▲      └─ Member: limit, breaker, ◄───┴ how it went
//!                │         draining, figures
//!               Kept: members and turn, from one configuration to the next
//!                                        Unhealthy ──► recover: tries those that are not well
//!                                                 └──► check: checks all whose group says so
//! ```
//! A [`Target`] is an address as it is written, and resolves nothing. A [`Group`] is made anew with each configuration; what is
//! counted for its members, and whose turn it is, is [`Kept`]. [`balance`] is the choice alone: pure functions.
//!
//! What it is not: it opens no socket (the caller's [`Dial`](proxy_core::Dial) does), knows nothing of routes, and spawns
//! nothing.
//!
//! Features: `serde` ([`Target`] through its written form) and `schemars` (its JSON schema).

pub mod address;
pub mod balance;
mod candidates;
mod checks;
mod dials;
mod draining;
mod group;
pub mod health;
mod member;
mod options;
mod recovery;

pub use address::{Host, HostError, Target, TargetError, TargetPort, TargetPortError};
pub use candidates::{Attempt, Candidates};
pub use checks::Turn;
pub use dials::DialFigures;
pub use draining::Draining;
pub use group::{Group, Kept};
pub use health::{Health, HealthOptions, HealthState, HealthView};
pub use member::Member;
pub use options::{Balance, GroupOptions, HashKey, Leaving, MemberOptions, Percent, Weight};
pub use recovery::{Unhealthy, check, recover};

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
