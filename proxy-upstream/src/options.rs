//! What holds for a group and for each of its members.

use std::sync::Arc;

use proxy_conn::{BreakerOptions, Limit};
use proxy_core::Egress;
use proxy_values::{Bound, Whole};

use crate::address::Target;
use crate::discovery::NameOptions;
use crate::health::HealthOptions;
use crate::leaving::Leaving;

/// How much of a group's connections a member gets, against the weights of the others. 0: none, but it stays a member (its
/// connections go on, and it is tried where nobody else is left). The largest is HAProxy's.
pub type Weight = Whole<0, 256>;

/// A share of all, in percent.
pub type Percent = Whole<0, 100>;

/// Which member a connection is offered to first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Balance {
    /// Each in its turn, by weight, evenly mixed (as nginx's smooth weighted round robin). The default.
    #[default]
    RoundRobin,
    /// The one with the fewest connections that this process has open to it by way of this group, by weight. With more than 8
    /// members, of what was last seen of them ([`balance::least`](crate::balance::least) says how old that may be).
    LeastConnections,
    /// The better of two drawn at random, by weight: fewer open connections, and where those are the same, the shorter dials.
    P2c,
    /// Always the same one for the same key (Maglev), by weight, none with more than 1.25 times its share of what is open.
    Hash(HashKey),
    /// One drawn at random, by weight.
    Random,
    /// The first of the list that may be used.
    First,
}

/// What [`Balance::Hash`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HashKey {
    /// The client's address: an IPv4 address whole, an IPv6 one by its /64.
    Client,
    /// The name that the client asks for (SNI), in lower case; the client's address where there is none.
    ServerName,
}

/// A member as it is configured: where it is, and how it is used.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct MemberOptions {
    /// Where it is.
    pub target: Target,
    /// Its weight until it is changed while the process runs. Default 1.
    pub weight: Weight,
    /// Its level: those of a higher number are used where too few of the lower ones may be, by the rule that
    /// [`panic_threshold`](GroupOptions::panic_threshold) has. Default 0.
    pub priority: u8,
    /// Whether it is used only where no other member of any level may be.
    pub backup: bool,
    /// By which of its group's [`names`](GroupOptions::names) it was found, counted from 1; 0 for one that is listed. Default 0.
    pub found_by: u8,
}

impl MemberOptions {
    /// A member at `target` with the defaults.
    #[must_use]
    pub const fn new(target: Target) -> Self {
        Self { target, weight: Weight::nearest(1), priority: 0, backup: false, found_by: 0 }
    }
}

impl From<Target> for MemberOptions {
    fn from(target: Target) -> Self {
        Self::new(target)
    }
}

proxy_values::setters!([] MemberOptions { weight: Weight, priority: u8, backup: bool, found_by: u8 });

/// What holds for a group and each of its members. The default is no limit, the breaker's defaults, and each in its turn.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupOptions {
    /// Connections of each member at one time, by way of this group; [`Limit::MAX`] for no limit.
    pub max_connections_per_member: usize,
    /// When a member that cannot be reached is left alone.
    pub breaker: BreakerOptions,
    /// Which member comes first.
    pub balance: Balance,
    /// For how long the weight of a member that comes (back) grows from a tenth to the whole: one that a change adds, and one that may
    /// be used again after it was down, drained or left alone. None: at once. Members that are there from the start have all of it.
    pub slow_start: Option<Bound>,
    /// Which share of a level's members, by weight, has to be usable for it to serve alone. The levels serve from the lowest number up
    /// to the first of which so many may be used, and somebody. Where none is so well, all members that are no backups serve, whatever
    /// is known of them: so what is left is not overrun, and a check that is wrong takes nothing down. Backups serve where nobody
    /// else may be used; where they may not either, all that are no backups are tried. Default 0: a level serves while one of it
    /// may be used, as with HAProxy, since a group of three hops of which two are down would else send two of three clients to those.
    /// (Envoy's default is 50, for clusters of hundreds.)
    pub panic_threshold: Percent,
    /// How its members are reached, by who tries or checks them too; None: as the whole proxy's are.
    pub egress: Option<Arc<Egress>>,
    /// What becomes of the connections of a member that a change of the configuration, or of its name's addresses, removes.
    pub on_removed: Leaving,
    /// How its members are checked, and what follows.
    pub health: HealthOptions,
    /// Names whose answers are members beside those that are listed, 255 at most.
    pub names: Arc<[NameOptions]>,
}

impl Default for GroupOptions {
    fn default() -> Self {
        Self {
            max_connections_per_member: Limit::MAX,
            breaker: BreakerOptions::default(),
            balance: Balance::default(),
            slow_start: None,
            panic_threshold: Percent::nearest(0),
            egress: None,
            on_removed: Leaving::default(),
            health: HealthOptions::default(),
            names: Arc::default(),
        }
    }
}

proxy_values::setters!([] GroupOptions {
    max_connections_per_member: usize,
    breaker: BreakerOptions,
    balance: Balance,
    slow_start: Option<Bound>,
    panic_threshold: Percent,
    egress: Option<Arc<Egress>>,
    on_removed: Leaving,
    health: HealthOptions,
    names: Arc<[NameOptions]>,
});
