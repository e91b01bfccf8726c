//! Where connections are taken: targets, the groups that they stand in, and what is known of each.
//!
//! ```text
//!  Target ─┐            ┌─ Candidates ── Gate ──► proxy_core::dial::reach ──► a connection and its permit
//!  Target ─┼─► Group ───┤ (balance: who is first)      │
//!  Target ─┘     ▲      └─ Member: limit, breaker, ◄───┴ how it went
//!                │         draining, health, weight, figures
//!               Kept: members and turn, from one configuration to the next
//!                                        Unhealthy ──► recover: tries those that are not well
//!                                                 └──► check: checks all whose group says so
//! ```
//! A [`Target`] is an address as it is written, and resolves nothing. A [`Group`] is made anew with each configuration; what is
//! counted for its members, and whose turn it is, is [`Kept`]. [`balance`] is the choice alone: pure functions over what a
//! [`Plan`](balance::Plan) has prepared. A group exchanges its plan whole when weights or members change.
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
mod discovery;
mod draining;
mod egress;
mod group;
pub mod health;
mod kept;
mod key;
mod known;
mod lag;
mod leaving;
mod member;
mod moment;
mod options;
mod order;
mod pace;
mod recovery;
mod sighted;
mod slow_start;
mod table;
mod unproven;

pub use address::{Host, HostError, Target, TargetError, TargetPort, TargetPortError};
pub use candidates::{Attempt, Candidates, Reached};
pub use checks::Turn;
pub use dials::DialFigures;
pub use discovery::{Discovery, DiscoveryError, Found, MOST_FOUND, NameOptions};
pub use draining::Draining;
pub use group::{ChangeError, Group};
pub use health::{Health, HealthOptions, HealthState, HealthView};
pub use kept::Kept;
pub use key::Key;
pub use known::Known;
pub use leaving::Leaving;
pub use member::Member;
pub use options::{Balance, GroupOptions, HashKey, MemberOptions, Percent, Weight};
pub use recovery::{Unhealthy, check, recover};
pub use unproven::Unproven;

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
