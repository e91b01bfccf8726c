//! Whether the inner hop lets in as many connections as the outer one may bring.

use super::super::finding::Finding;
use super::Pair;
use super::link::{Link, Peer};
use proxy_conn::Limit;
use proxy_dataplane::settings::{Action, Connections};
use proxy_upstream::{Balance, MemberOptions};

pub(super) fn compare(pair: &mut Pair<'_, '_>, link: &Link<'_>) {
    in_all(pair, link);
    if !link.sends() {
        as_one_client(pair, link);
    }
}

/// What the outer hop may have open over this link at one time; None where no number is written.
fn brought(pair: &Pair<'_, '_>, link: &Link<'_>) -> Option<u32> {
    let config = pair.outer.config;
    let pool = link.route.pool(pair.proxies > 0 || link.sends()).place;
    let pool = config.settings.pools.get(pool.index()).and_then(|pool| pool.max_connections);
    let all = [config.limits.max_connections, link.route.max_connections, pool];
    let all = all.into_iter().flatten().map(Connections::get).min();
    all.map(|all| share(all, link)).into_iter().chain(each(link)).min()
}

/// How many of `all` connections of a route may come to the target of this link.
fn share(all: u32, link: &Link<'_>) -> u32 {
    let Action::Group(group) = &link.route.action else {
        // Targets take turns.
        return all.div_ceil(u32::try_from(link.target.1).unwrap_or(u32::MAX).max(1));
    };
    let by_weight = !matches!(group.options.balance, Balance::First | Balance::Hash(_));
    let is_usual = |member: &&MemberOptions| member.priority == 0 && !member.backup;
    let one = group.members().get(link.target.0).filter(|member| by_weight && is_usual(member));
    // Whoever stands in for others has all of theirs.
    let Some(one) = one else { return all };
    let whole: u64 =
        group.members().iter().filter(is_usual).map(|member| u64::from(member.weight.get())).sum();
    let share = (u64::from(all) * u64::from(one.weight.get())).div_ceil(whole.max(1));
    u32::try_from(share).unwrap_or(all)
}

/// How many the target of this link may have; None for no limit.
fn each(link: &Link<'_>) -> Option<u32> {
    match &link.route.action {
        Action::Group(group) => {
            let most = group.options.max_connections_per_member;
            (most < Limit::MAX).then(|| u32::try_from(most).unwrap_or(u32::MAX))
        }
        Action::Forward(_) | Action::Refuse => link.route.max_connections_per_target.map(Connections::get),
    }
}

/// What a limit of the inner hop is of.
enum Of {
    Process,
    Listener,
    Pool,
}

/// A limit of the inner hop that is below that.
fn in_all(pair: &mut Pair<'_, '_>, link: &Link<'_>) {
    let Some(brought) = brought(pair, link) else { return };
    let inner = pair.inner;
    let pool =
        inner.config.settings.pools.get(super::super::PoolConfig::CHAIN.index()).filter(|_| link.sends());
    let limits = [
        (inner.config.limits.max_connections, Of::Process),
        (link.listener.max_connections, Of::Listener),
        (pool.and_then(|pool| pool.max_connections), Of::Pool),
    ];
    let narrowest = limits.into_iter().filter_map(|(limit, of)| Some((limit?.get(), of)));
    let Some((most, of)) = narrowest.min_by_key(|(limit, _)| *limit).filter(|(most, _)| *most < brought)
    else {
        return;
    };
    let place = match of {
        Of::Process => inner.root().key("limits").key("max_connections"),
        Of::Listener => inner.listener(link.listener).key("max_connections"),
        Of::Pool => inner.root().key("pools").key("chain").key("max_connections"),
    };
    if !pair.says("in all", format!("{:?}", place.span())) {
        return;
    }
    let (outer, name) = (pair.outer.name(), &link.route.name);
    let title = format!("fewer connections are let in here than route \"{name}\" of {outer} may bring");
    pair.of_inner.push(
        Finding::new(place.span(), title)
            .label(format!("{most} here, {brought} there"))
            .help(format!("write {brought} here, or {most} at `max_connections` of {outer}, which then turns away the rest itself")),
    );
}

/// Limits of one client, as which all of the outer hop's clients count that come without a header.
fn as_one_client(pair: &mut Pair<'_, '_>, link: &Link<'_>) {
    let limits = &pair.inner.config.limits;
    let unlimited = &limits.unlimited_clients;
    let (counts, on_loopback) = match link.peer {
        Peer::Loopback(ip) => (!unlimited.iter().any(|network| network.contains(ip)), true),
        // Whoever is named there may be meant.
        Peer::Elsewhere => (unlimited.iter().all(|network| network.net().addr().is_loopback()), false),
        Peer::Unknown => (false, false),
    };
    let Some(client) = limits.clients().filter(|_| counts) else { return };
    let most = u64::from(u32::MAX);
    let (at_once, per_minute) = if on_loopback {
        (client.local_connections_per_client.get(), client.local_connections_per_client_per_minute.get())
    } else {
        (client.connections_per_client.get(), client.connections_per_client_per_minute.get())
    };
    let crowd = brought(pair, link).map_or(most, u64::from);
    let said: Vec<String> =
        [(at_once, "at once", u64::from(at_once) < crowd), (per_minute, "a minute", true)]
            .into_iter()
            .filter(|(limit, _, bites)| *bites && u64::from(*limit) < most)
            .map(|(limit, when, _)| format!("{limit} {when}"))
            .collect();
    if said.is_empty() || !pair.says("as one client", &link.listener.label) {
        return;
    }
    let (outer, inner) = (pair.outer.name(), pair.inner.name());
    let network = link.network(outer);
    let title = format!(
        "all clients of route \"{}\" are one client to {inner}, which takes {} of each",
        link.route.name,
        said.join(" and ")
    );
    let place = pair.outer.target(link);
    pair.of_outer.push(
        Finding::new(place.span(), title).label("no PROXY header is sent there, so they have one address").help(format!(
            "write send_proxy = \"v2\" and next_hop = \"smartproxy\" here and accept_proxy = {{ required = [{network}] }} there, or \
             unlimited_clients = [{network}] in its [limits]"
        )),
    );
}
