//! Groups of targets that have a name, their members, and what is changed of those while the proxy runs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::routes::Target;

/// A group that has a name. Routes that list their targets have a group of their own each, which is not among these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// How a member is chosen: `round_robin`, `least_connections`, `p2c`, `random`, `first`, `hash client` or `hash server_name`.
    pub balance: String,
    /// How many routes are taken to it.
    pub routes: u64,
    /// Connections by way of it: open or being dialled.
    pub connections: u64,
    /// How many of its members may be used.
    pub members_up: u64,
    /// How many members it has.
    pub members_in_all: u64,
    /// Its members, in the order of the configuration; then those that were added since, and those that were removed and have
    /// connections. In live samples a hundred at most, those that are not up first.
    pub members: Vec<Target>,
    /// The names that stand for members of it, and how looking them up goes.
    #[serde(default)]
    pub names: Vec<GroupName>,
}

/// A name that stands for members of a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GroupName {
    /// As the configuration has it: `srv+` and a service, or `dns+`, a host and a port.
    pub name: String,
    /// How many members it has now.
    pub members: u64,
    /// Since the last answer that had members; null where there was none yet.
    pub found_s: Option<f64>,
    /// Why there is no newer one; null where the last look-up had one.
    pub error: Option<String>,
}

/// Which member of a group is meant, and how much it is to get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetWeight {
    /// The group, or the route whose own list is meant; none where only one of all these has such a target. Where a group and a route
    /// have the same name it is the group.
    #[serde(default)]
    pub group: Option<String>,
    /// The member, or the target of the list, as the configuration has it.
    pub target: String,
    /// Its weight from now on, from 0 to 256.
    pub weight: u32,
}

/// A member to add to a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddMember {
    /// The group.
    pub group: String,
    /// Where the member is: a target as in a configuration.
    pub target: String,
    /// Its weight, from 0 to 256; 1 if not given.
    #[serde(default)]
    pub weight: Option<u32>,
    /// Its level; 0 if not given.
    #[serde(default)]
    pub priority: Option<u8>,
    /// Whether it stands in for the others only.
    #[serde(default)]
    pub backup: bool,
}

/// A member to remove from a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveMember {
    /// The group.
    pub group: String,
    /// The member.
    pub target: String,
    /// What becomes of its connections; what `on_removed` of the group says if not given.
    #[serde(default)]
    pub leaving: Option<Leaving>,
}

/// What becomes of the connections of a member that goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Leaving {
    /// They go on.
    Keep,
    /// They are reset at once.
    Kill,
    /// They have `graceful_shutdown_timeout` to end by themselves, and are reset then.
    Drain,
}

/// How a member is after it was changed while the proxy runs. A weight lasts until a reload says another one than the file did
/// before; who was added or removed, until the next reload, which says who the members are. Nothing lasts beyond the process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemberChange {
    /// Its group, or the route in whose own list it is.
    pub group: String,
    /// Which member.
    pub target: String,
    /// Whether anything was otherwise before.
    pub changed: bool,
    /// The member as it is now; null where it is none any more.
    pub member: Option<Target>,
    /// Connections that it has now by way of the group.
    pub connections: u64,
    /// What becomes of the connections of one that was removed; null otherwise.
    pub leaving: Option<Leaving>,
}
