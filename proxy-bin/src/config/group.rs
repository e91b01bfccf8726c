//! Groups of targets that have a name: from what is written to what connections are taken to.
//!
//! ```text
//!  [groups.inner]              [[routes]]
//!  members = […]   ◄────────── action = { forward = "@inner" }
//! ```
//! A route that lists its targets has a group of its own, which is no part of this.

mod check;
mod forward;
mod health;
mod member;
mod name;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use proxy_conn::BreakerOptions;
use proxy_core::egress::{Interface, Mark};
use proxy_core::{Bound, Congestion, Egress, Source};
use proxy_dataplane::settings::{Action, Connections, GroupConfig};
use proxy_upstream::health::{CheckHeader, Inside};
use proxy_upstream::{Balance, Discovery, GroupOptions, HashKey, HealthOptions, Leaving, Percent};
use proxy_values::choice::{self, Choice};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::breaker::BreakerFile;
use super::document::{Document, Place};
use super::egress::Own;
use super::file::{ConfigFile, RouteFile};
use super::tls::Loaded;
use super::{egress, route};

pub(super) use check::{NoGroup, check, unused};
pub(super) use forward::ForwardFile;
use health::{CheckFile, OutliersFile};
pub(super) use member::{MemberFile, To};
pub(super) use name::{GroupName, GroupNameError};

/// Targets that stand for each other. A route is taken to them by `forward = "@NAME"`, and so may be any number of routes: what is
/// counted and known of a member (its connections, its breaker) is known for all of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupFile {
    /// The targets, each by itself or as `{ to = target, weight = 2 }`. At least one. In place of a target goes a name that stands
    /// for members, which come and go with its answers: `"srv+_pg._tcp.example"`, the servers of a service by its SRV records, whose
    /// priority is the level, and whose weight the weight; or `"dns+web.example:80"`, each address of a host by itself. (Without
    /// `dns+` a host is one member, whatever its addresses.)
    #[schemars(length(min = 1))]
    pub(super) members: Vec<MemberFile>,
    /// Which member a connection is taken to: `"round_robin"`, each in its turn, by weight; `"least_connections"`, the one that has
    /// the fewest open by way of this group, by weight; `"p2c"`, the better of two drawn at random (fewer open, then shorter dials);
    /// `"random"`, one drawn by weight; `"first"`, the first in the list that may be used; `{ hash = "client" }`, always the same
    /// one for the same client (an IPv6 client by its /64), or `{ hash = "server_name" }`, for the same name that the client asks
    /// for, unless that one has more than its share open. The others come after it, where it cannot be reached. Default
    /// `"round_robin"`.
    #[serde(default)]
    balance: BalanceFile,
    /// Connections at one time, by way of this group, to each member; at least 1. A member that has as many is passed over.
    /// Default: no limit but the others.
    pub(super) max_connections_per_member: Option<Connections>,
    /// When a member that can not be reached is left alone, where that differs from `[breaker]`.
    #[serde(default)]
    pub(super) breaker: BreakerFile,
    /// For so long the weight of a member that comes (back) grows from a tenth to the whole. Default: it has its whole weight at
    /// once.
    slow_start: Option<Bound>,
    /// So many percent of a level's members, by weight, have to be usable for it to serve alone; else the next level helps, and where
    /// there is none, all members are used, whatever is known of them: so that those that are left are not overrun, and a check that is
    /// wrong takes nothing down. 0: a level serves while one of it may be used. Where nobody may, all are tried. Default 0.
    #[serde(default = "panic_threshold")]
    panic_threshold: Percent,
    /// What becomes of the connections of a member that is no longer listed after a reload, or is removed by hand: `"keep"`, they
    /// go on; `"kill"`, they are reset; `"drain"`, they have `graceful_shutdown_timeout` to end by themselves, and are reset then.
    /// Default `"keep"`.
    #[serde(default)]
    on_removed: LeavingFile,
    /// How each member is checked, whatever clients do: `"connect"`, `"redis"`, `"postgres"`, `"mariadb"`, `"smtp"`, `"ssh"`, `"tls"`,
    /// `"http"` or `"smartproxy"`, or a table such as `{ kind = "redis", interval = "5s" }`. One that is down gets no new connections
    /// until it is up again. Default: no member is checked.
    #[serde(default)]
    check: Option<CheckFile>,
    /// What becomes of the connections of a member that its check finds down, as for `on_removed`. One that is up again before their
    /// time is over keeps them. Default `"keep"`.
    #[serde(default)]
    on_down: LeavingFile,
    /// When outcomes of connections take a member out for a while; `{}` for the defaults. Default: they do not.
    #[serde(default)]
    outliers: Option<OutliersFile>,
    /// The congestion control of connections to its members. Default: that of the whole proxy. A route that has its own goes before.
    pub(super) congestion: Option<Congestion>,
    /// The addresses that connections to its members come from, those of checks too. Default: that of the whole proxy. A route that
    /// has its own goes before.
    #[serde(default)]
    pub(super) source: Option<Source>,
    /// The network interface that connections to its members leave by. Default: that of the whole proxy.
    pub(super) interface: Option<Interface>,
    /// The mark of packets to its members. Default: that of the whole proxy.
    pub(super) mark: Option<Mark>,
}

fn panic_threshold() -> Percent {
    GroupOptions::default().panic_threshold
}

/// What becomes of connections whose member goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum LeavingFile {
    /// They go on.
    #[default]
    Keep,
    /// They are reset at once.
    Kill,
    /// They have a time to end by themselves, and are reset then.
    Drain,
}

impl From<LeavingFile> for Leaving {
    fn from(file: LeavingFile) -> Self {
        match file {
            LeavingFile::Keep => Self::Keep,
            LeavingFile::Kill => Self::Kill,
            LeavingFile::Drain => Self::Drain,
        }
    }
}

/// Which member a connection is taken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum BalanceFile {
    /// Each in its turn, by weight.
    #[default]
    RoundRobin,
    /// The one that has the fewest open, by weight.
    LeastConnections,
    /// The better of two drawn at random.
    P2c,
    /// One drawn at random, by weight.
    Random,
    /// The first in the list that may be used.
    First,
    /// Always the same one for the same client, or the same name.
    Hash(HashFile),
}

/// What is to come to the same member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum HashFile {
    /// A client: an IPv4 address, or an IPv6 /64.
    Client,
    /// A name that clients ask for (SNI); the client where it names none.
    ServerName,
}

impl Choice for BalanceFile {
    type Body = HashFile;
    const BODY: &'static str = "what to hash";
    const EXPECTED: &'static str =
        "\"round_robin\", \"least_connections\", \"p2c\", \"random\", \"first\" or { hash = \"client\" }";
    const WORDS: &'static [&'static str] = &["round_robin", "least_connections", "p2c", "random", "first"];
    const KEYS: &'static [&'static str] = &["hash"];

    fn word(word: &str) -> Option<Self> {
        Some(match word {
            "round_robin" => Self::RoundRobin,
            "least_connections" => Self::LeastConnections,
            "p2c" => Self::P2c,
            "random" => Self::Random,
            "first" => Self::First,
            _ => return None,
        })
    }

    fn table(key: &str, what: HashFile) -> Option<Self> {
        (key == "hash").then_some(Self::Hash(what))
    }
}

impl<'de> Deserialize<'de> for BalanceFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        choice::read(deserializer)
    }
}

impl From<BalanceFile> for Balance {
    fn from(file: BalanceFile) -> Self {
        match file {
            BalanceFile::RoundRobin => Self::RoundRobin,
            BalanceFile::LeastConnections => Self::LeastConnections,
            BalanceFile::P2c => Self::P2c,
            BalanceFile::Random => Self::Random,
            BalanceFile::First => Self::First,
            BalanceFile::Hash(HashFile::Client) => Self::Hash(HashKey::Client),
            BalanceFile::Hash(HashFile::ServerName) => Self::Hash(HashKey::ServerName),
        }
    }
}

/// The groups of a file, by name: each is made once, however many routes are taken to it.
pub(super) struct Groups(BTreeMap<Arc<str>, Arc<GroupConfig>>);

impl Groups {
    /// Those of `file`, which `routes` are taken to, where a group that says nothing else has `breaker`.
    pub(super) fn new(
        (file, routes): (&ConfigFile, &[RouteFile]),
        breaker: &BreakerOptions,
        tls: &Loaded,
    ) -> Self {
        let drain_for = file.graceful_shutdown_timeout;
        let egress = egress::of_file(file);
        let resolve = |(name, group): (&GroupName, &GroupFile)| {
            let hop = tls.hop(check::as_hop(name, routes).0);
            let hop = hop.map(|hop| Inside::new(Arc::clone(hop.client()), hop.fingerprint()));
            let health = group.health((check::sent(name, routes).unwrap_or_default(), hop), drain_for);
            let name = name.shared();
            (Arc::clone(&name), Arc::new(group.resolved(name, (breaker, &egress), health)))
        };
        Self(file.groups.iter().map(resolve).collect())
    }

    /// All of them, by name.
    pub(super) fn resolved(&self) -> Vec<Arc<GroupConfig>> {
        self.0.values().cloned().collect()
    }

    /// What a route does that is taken to this group. One that is not there, which is an error, refuses.
    pub(super) fn action(&self, name: &GroupName) -> Action {
        self.0.get(name.as_str()).map_or(Action::Refuse, |group| Action::Group(Arc::clone(group)))
    }
}

impl GroupFile {
    fn health(&self, how: (CheckHeader, Option<Inside>), drain_for: Bound) -> HealthOptions {
        HealthOptions::default()
            .check(self.check.as_ref().map(|check| check.resolved(how)))
            .on_down(self.on_down.into())
            .drain_for(drain_for)
            .outliers(self.outliers.as_ref().map(OutliersFile::resolved))
    }

    /// How its members are reached, where it says so.
    pub(super) fn egress(&self, defaults: &Egress) -> Option<Arc<Egress>> {
        let Self { congestion, source, interface, mark, .. } = self;
        Own { congestion: *congestion, source: source.as_ref(), interface: interface.as_ref(), mark: *mark }
            .over(defaults)
    }

    fn resolved(
        &self,
        name: Arc<str>,
        (breaker, egress): (&BreakerOptions, &Egress),
        health: HealthOptions,
    ) -> GroupConfig {
        let mut options = GroupOptions::default()
            .breaker(self.breaker.over(breaker))
            .balance(self.balance.into())
            .slow_start(self.slow_start)
            .panic_threshold(self.panic_threshold)
            .on_removed(self.on_removed.into())
            .health(health)
            .names(self.members.iter().filter_map(MemberFile::name).collect())
            .egress(self.egress(egress));
        if let Some(most) = self.max_connections_per_member {
            options = options.max_connections_per_member(most.get() as usize);
        }
        GroupConfig::new(name, self.members.iter().filter_map(MemberFile::listed), options)
    }
}

/// Where a group is written.
pub(super) fn place<'d, 't>(document: &'d Document<'t>, name: &str) -> Place<'d, 't> {
    document.root().key("groups").named(name)
}

/// Where the target is written that has this place among those of a route: in the route, or in its group, among those that are listed
/// there.
pub(super) fn place_of_target<'d, 't>(
    document: &'d Document<'t>,
    (route, action): (usize, &Action),
    nth: usize,
) -> Place<'d, 't> {
    match action {
        Action::Group(group) => {
            let members = place(document, &group.name).key("members");
            let is_listed = |at: &usize| {
                let written = members.index(*at);
                let text = written.text().or_else(|| written.key("to").text());
                !text.is_some_and(Discovery::is_meant)
            };
            let all = group.members().len() + group.options.names.len();
            members.index((0..all).filter(is_listed).nth(nth).unwrap_or(nth))
        }
        Action::Forward(_) | Action::Refuse => {
            route::place(document, route).key("action").key("forward").index(nth)
        }
    }
}

/// Where each of some things stands that was there before: the first of the same.
pub(super) fn earlier<T: Eq + std::hash::Hash>(things: impl Iterator<Item = T>) -> Vec<(usize, usize)> {
    let mut known = HashMap::new();
    let mut again = Vec::new();
    for (at, thing) in things.enumerate() {
        match known.entry(thing) {
            std::collections::hash_map::Entry::Occupied(first) => again.push((at, *first.get())),
            std::collections::hash_map::Entry::Vacant(new) => drop(new.insert(at)),
        }
    }
    again
}
