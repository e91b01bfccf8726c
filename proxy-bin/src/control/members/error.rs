//! What cannot be changed of a group.

use proxy_upstream::{ChangeError, TargetError};

use crate::control::State;
use crate::unknown::Unknown;

/// Why a member was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemberError {
    /// There is no group, or no member, of that name.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// The group has no such member.
    #[error("in group {group:?} {unknown}")]
    NoMember {
        /// Which group.
        group: String,
        /// What it has.
        unknown: Unknown,
    },
    /// Several groups, or lists of routes, have such a member.
    #[error("{target} is a target of several groups or routes: name one of {}", groups.join(", "))]
    Several {
        /// The member.
        target: String,
        /// The groups.
        groups: Vec<String>,
    },
    /// What is to be a target is none.
    #[error(transparent)]
    Target(TargetError),
    /// What is to be a weight is none.
    #[error("a weight is a number from 0 to 256, not {0}")]
    Weight(u32),
    /// It is a member already, and otherwise.
    #[error(
        "{target} is a member of group {group:?} already, with another weight, level or part: set its weight, or remove it first"
    )]
    There {
        /// The group.
        group: String,
        /// The member.
        target: String,
    },
    /// A group that is empty could take nobody.
    #[error(
        "{target} is the only member of group {group:?}: add another one first, or drain it (smartproxy drain target {target})"
    )]
    Last {
        /// The group.
        group: String,
        /// The member.
        target: String,
    },
    /// The group takes no such change.
    #[error(transparent)]
    Refused(ChangeError),
    /// The proxy is about to be gone.
    #[error("the proxy is {0}: nothing can be changed any more")]
    Stopping(State),
}
