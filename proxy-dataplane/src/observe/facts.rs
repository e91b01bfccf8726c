//! What rules have to know beside a picture: targets, limits, clients, pools. Only what is out of order, or nearly, is told.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use proxy_conn::limits::{AddressKey, Refused};
use proxy_conn::{AddressLimits, BreakerState, Level, Limit};
use proxy_core::Side;
use proxy_core::process::memory;
use proxy_observe::{ClientLimit, Facts, LimitFacts, PoolFacts, Share, Subject, TargetFacts, Trouble};
use proxy_upstream::balance::Rank;
use proxy_upstream::{Group, HealthState, Member};
use tokio::time::Instant;

use crate::generation::Generation;
use crate::pool::Pool;

/// From so much of a limit on, in percent, rules may have something to say of it.
const NEARLY: usize = 80;

/// What there is to know of a generation.
pub(crate) fn of_generation<D>(proxy: &Generation<D>) -> Facts {
    let mut facts = Facts::default();
    let groups: Vec<_> = groups(proxy).collect();
    facts.targets = groups.iter().flat_map(|(of, group)| targets(of, group)).collect();
    facts.limits = limits(proxy, &groups);
    facts.clients = clients(proxy);
    facts.pools = proxy.pools.iter().filter_map(pool).collect();
    let memory = proxy.settings.max_memory.zip(memory::allocated());
    let failed = proxy.handshakes.failed_with(Side::Client);
    facts.handshakes = failed.map(|(fault, count)| (fault.name(), count)).collect();
    facts.memory = memory.map(|(most, used)| Share { used, most });
    facts
}

/// The groups that have connections taken to them, each with what its targets are of: a route, or `@` and its name.
fn groups<D>(proxy: &Generation<D>) -> impl Iterator<Item = (Arc<str>, &Group)> {
    let is_shared =
        |group: &Arc<Group>| proxy.group(group.name()).is_some_and(|named| Arc::ptr_eq(named, group));
    let own = proxy.routes.iter().filter(move |route| !is_shared(&route.targets));
    let own = own.map(|route| (Arc::<str>::from(&*route.name), &*route.targets));
    own.chain(proxy.groups().map(|group| (format!("@{}", group.name()).into(), &**group)))
}

fn targets(of: &Arc<str>, group: &Group) -> Vec<TargetFacts> {
    let members = group.members();
    let may_be_used = |member: &Member| matches!(member.rank(), Rank::Usable | Rank::Lags);
    let ill: Vec<_> = members.iter().filter_map(|member| Some((member, trouble(member)?))).collect();
    if ill.is_empty() {
        return Vec::new();
    }
    let others = members.iter().filter(|member| may_be_used(member)).count();
    let told = ill.into_iter().map(|(member, (trouble, why))| {
        let subject = Subject::Target { of: Arc::clone(of), target: (*member.name).into() };
        TargetFacts { subject, trouble, why, others }
    });
    told.collect()
}

/// Why a member is not used as it should be; None where it is, or where somebody wants it so.
fn trouble(member: &Member) -> Option<(Trouble, String)> {
    if !matches!(member.rank(), Rank::Down | Rank::Open) || !member.is_in_force() {
        return None;
    }
    let health = member.health.view();
    let why = || health.finding.as_ref().map(ToString::to_string).unwrap_or_default();
    match health.state {
        HealthState::Down => return Some((Trouble::Down, why())),
        HealthState::Ejected => return Some((Trouble::Ejected, why())),
        HealthState::Draining => return Some((Trouble::Declines, "it drains".to_owned())),
        HealthState::Full => return Some((Trouble::Declines, "it is full".to_owned())),
        HealthState::Unknown | HealthState::Up | _ => {}
    }
    let breaker = member.breaker();
    let failed = breaker.failures_in_a_row;
    (breaker.state != BreakerState::Closed)
        .then(|| (Trouble::LeftAlone, format!("{failed} dials failed in a row")))
}

fn limits<D>(proxy: &Generation<D>, groups: &[(Arc<str>, &Group)]) -> Vec<LimitFacts> {
    let mut limits = Vec::new();
    let mut add = |limit: &Limit, key: &'static str, name: &dyn Fn() -> String| {
        if let Some((share, waiting)) = nearly(limit) {
            limits.push(LimitFacts { name: name(), key, share, waiting });
        }
    };
    add(&proxy.connections, "limits.max_connections", &|| "all connections".to_owned());
    for pool in &proxy.pools {
        add(&pool.limit, "max_connections of the pool", &|| format!("pool {}", pool.name));
    }
    for at in &proxy.listeners {
        add(&at.limit, "max_connections of the listener", &|| format!("listener {}", at.label));
    }
    for route in proxy.routes.iter() {
        add(&route.limit, "max_connections of the route", &|| format!("route {}", route.name));
    }
    for (of, group) in groups {
        let of = of.strip_prefix('@').map_or_else(|| of.to_string(), |group| format!("group {group}"));
        for member in group.members() {
            add(&member.limit, "max_connections_per_target", &|| format!("target {} of {of}", member.name));
        }
    }
    limits
}

/// What is used of a limit and who waits at it, if that is worth a look.
fn nearly(limit: &Limit) -> Option<(Share, u64)> {
    let (most, used, waiting) = (limit.bound()?, limit.in_use(), limit.waiting());
    let worth_it = waiting > 0 || used.saturating_mul(100) >= most.saturating_mul(NEARLY);
    worth_it.then_some((Share { used: used as u64, most: most as u64 }, waiting as u64))
}

fn pool(pool: &Pool) -> Option<PoolFacts> {
    let pressure = pool.pressure.load();
    let subject = || Subject::Pool(Arc::clone(&pool.name));
    (pressure.level != Level::Normal).then(|| PoolFacts {
        subject: subject(),
        sheds: pressure.level == Level::Shed,
        signal: pressure.signal.name(),
    })
}

/// What each client may have. Where it is the same for those on loopback and for others, it is one limit.
fn clients<D>(proxy: &Generation<D>) -> Vec<ClientLimit> {
    let (Some(table), Some(options)) = (&proxy.clients, &proxy.settings.clients) else { return Vec::new() };
    let [others, local] = table.refused(Instant::now());
    let remote_set = (options.connections_per_client, options.connections_per_client_per_minute);
    let local_set = (options.local_connections_per_client, options.local_connections_per_client_per_minute);
    let names = ["each client but on loopback", "each client but on loopback, new in a minute"];
    let mut limits = Vec::new();
    if remote_set == local_set {
        let both = added(others, local);
        limits.extend(of_each(
            table,
            ["each client", "each client, new in a minute"],
            KEYS,
            remote_set,
            both,
        ));
    } else {
        limits.extend(of_each(table, names, KEYS, remote_set, others));
        let names = ["each client on loopback", "each client on loopback, new in a minute"];
        limits.extend(of_each(table, names, KEYS, local_set, local));
    }
    limits
}

/// A file sets both with one key.
const KEYS: [&str; 2] = ["limits.connections_per_client", "limits.connections_per_client_per_minute"];

/// What two kinds of clients were refused.
fn added(one: Refused, other: Refused) -> Refused {
    let most = |a: Option<(AddressKey, u64)>, b: Option<(AddressKey, u64)>| {
        a.into_iter().chain(b).max_by_key(|(_, count)| *count)
    };
    Refused {
        at_once: one.at_once + other.at_once,
        at_once_most: most(one.at_once_most, other.at_once_most),
        rate: one.rate + other.rate,
        rate_most: most(one.rate_most, other.rate_most),
    }
}

/// Those of the two limits that are set: at once, and in a minute.
fn of_each(
    table: &AddressLimits,
    names: [&'static str; 2],
    keys: [&'static str; 2],
    set: (NonZeroU32, NonZeroU32),
    refused: Refused,
) -> impl Iterator<Item = ClientLimit> + use<> {
    let bits = table.ipv6_prefix().bits();
    let counts = [(set.0, refused.at_once, refused.at_once_most), (set.1, refused.rate, refused.rate_most)];
    let all = names.into_iter().zip(keys).zip(counts);
    // The most that can be said is none.
    let set = all.filter(|(_, (most, ..))| *most != NonZeroU32::MAX);
    set.map(move |((name, key), (most, refused, whom))| ClientLimit {
        name,
        key,
        most: most.get().into(),
        refused,
        most_refused: whom.map(|(who, count)| (client(who, bits), count)),
    })
}

/// As `conns --client` takes it.
fn client(key: AddressKey, bits: u8) -> String {
    match key.first() {
        IpAddr::V6(v6) if bits < 128 => format!("{v6}/{bits}"),
        IpAddr::V6(_) | IpAddr::V4(_) => key.first().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_settings::one_route;
    use proxy_conn::Tracker;
    use proxy_core::Resolver;
    use proxy_core::mem::MemNet;

    fn generation(most: Option<u32>) -> Generation<MemNet> {
        Generation::new(
            Arc::new(one_route(most)),
            Tracker::new(1, ()),
            MemNet::default(),
            Resolver::fixed([]),
        )
    }

    #[tokio::test]
    async fn a_limit_is_told_of_from_four_fifths_on_and_while_somebody_waits() {
        let limit = Limit::new(10);
        let permits: Vec<_> = (0..7).map_while(|_| limit.acquire()).collect();
        assert_eq!(nearly(&limit), None);
        let eighth = limit.acquire();
        assert_eq!(nearly(&limit), Some((Share { used: 8, most: 10 }, 0)));
        drop((permits, eighth));
        assert_eq!(nearly(&Limit::unbounded()), None);
    }

    #[tokio::test]
    async fn of_a_proxy_that_serves_nobody_nothing_is_out_of_order() {
        let facts = of_generation(&generation(Some(10)));
        assert!(facts.targets.is_empty() && facts.pools.is_empty(), "{facts:?}");
        assert!(facts.limits.is_empty(), "{facts:?}");
        let proxy = generation(Some(1));
        let _permit = proxy.connections.acquire();
        let limits = of_generation(&proxy).limits;
        assert_eq!(
            limits.first().map(|limit| (limit.name.as_str(), limit.share.used)),
            Some(("all connections", 1))
        );
    }

    #[test]
    fn a_client_is_named_as_a_filter_takes_it() {
        let key = |ip: &str| AddressKey::of(ip.parse().unwrap(), proxy_conn::V6Prefix::LINK);
        assert_eq!(client(key("192.0.2.1"), 64), "192.0.2.1");
        assert_eq!(client(key("2001:db8::7"), 64), "2001:db8::/64");
    }
}
