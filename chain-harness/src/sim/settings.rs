//! A hop's configuration, as the file that the product reads.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use proxy_core::{Bound, KeepAlive};

use super::scenario::{AtLimit, Backend, Client, Enters, OnDown, SendProxy, Settings, Targets};
use super::tls::{HopTls, NAME};

/// The hosts of the simulated world.
pub(super) const CLIENTS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
pub(super) const OUTER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
pub(super) const INNER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 3);
pub(super) const BACKENDS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 4);

/// The ports of the first client at the outer hop, at the inner one, and at its backend. The next ones follow.
pub(super) const AT_OUTER: u16 = 8000;
pub(super) const AT_INNER: u16 = 9000;
pub(super) const AT_BACKEND: u16 = 10_000;
/// Routes of the inner hop that clients share, so that their breakers have something to do: to a backend that refuses,
/// and to a black hole.
pub(super) const REFUSES: u16 = 1000;
pub(super) const BLACK_HOLE: u16 = 1001;

/// The port where both hosts of members answer health checks.
pub(super) const HEALTH: u16 = 11;

/// The ends of machines that have no proxy on them: they notice soon that the other side is gone.
pub(super) const KEEP_ALIVE: KeepAlive = KeepAlive::DEFAULT
    .idle(Bound::secs(20))
    .interval(Bound::secs(5))
    .count(proxy_core::Probes::new(3))
    .user_timeout(Bound::secs(60));

/// A port of each hop's targets that refuses, whoever comes. The black hole of all is among the backends.
const NOBODY: u16 = 9;

/// The names that hops know: one each for a target, one for it and an address that refuses.
pub(super) const NAMES: [(&str, Ipv4Addr); 6] = [
    ("inner.test", INNER),
    ("backends.test", BACKENDS),
    ("inner-pair.test", CLIENTS),
    ("inner-pair.test", INNER),
    ("backends-pair.test", CLIENTS),
    ("backends-pair.test", BACKENDS),
];

/// From where to where a client's connection goes on a hop, and whether it needs a name there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leg {
    pub(super) port: u16,
    pub(super) target: (Ipv4Addr, u16),
    named: bool,
}

impl Leg {
    /// The port of a stranger beside its target.
    pub(super) const fn beside(&self) -> u16 {
        self.target.1
    }
}

/// The legs of the outer hop, one for each client.
pub(super) fn outer_legs(clients: &[Client]) -> Vec<Leg> {
    let leg = |(n, client): (u16, &Client)| Leg {
        port: AT_OUTER + n,
        target: (INNER, AT_INNER + inner_port(n, client)),
        named: matches!(client.enters, Enters::WithHello(_)),
    };
    (0..).zip(clients).map(leg).collect()
}

/// The legs of the inner hop: one for each client that has a backend, and the shared ones.
pub(super) fn inner_legs(clients: &[Client]) -> Vec<Leg> {
    let mut ports: Vec<u16> = (0..).zip(clients).map(|(n, client)| inner_port(n, client)).collect();
    ports.sort_unstable();
    ports.dedup();
    let leg = |n| Leg { port: AT_INNER + n, target: (BACKENDS, AT_BACKEND + n), named: false };
    ports.into_iter().map(leg).collect()
}

/// The number of the inner hop's port that leads to the backend of client `n`.
pub(super) fn inner_port(n: u16, client: &Client) -> u16 {
    match client.backend {
        Backend::Plays(_) | Backend::Echoes => n,
        Backend::Refuses => REFUSES,
        Backend::BlackHole => BLACK_HOLE,
    }
}

/// What a hop with `legs` is told. `believes`: whether it takes PROXY headers, and requires them.
pub(super) fn config(settings: &Settings, legs: &[Leg], believes: bool, tls: HopTls<'_>) -> String {
    let mut text = timeouts(settings);
    let tls = tls.line();
    let ports: Vec<String> = legs.iter().map(|leg| leg.port.to_string()).collect();
    let accept = if believes { "{ required = [\"10.0.0.0/24\"] }" } else { "\"off\"" };
    let send = match settings.send_proxy {
        SendProxy::Off => "off",
        SendProxy::V1 => "v1",
        SendProxy::V2 => "v2",
    };
    let (mut routes, mut groups) = (String::new(), String::new());
    write!(
        text,
        "[[listeners]]\nports = [{}]\nbind = [\"0.0.0.0\"]\naccept_proxy = {accept}\n",
        ports.join(", ")
    )
    .unwrap_or_default();
    if let Some(most) = settings.per_target.filter(|_| !matches!(settings.targets, Targets::Checked(_))) {
        routes += &format!("max_connections_per_target = {most}\n");
    }
    for Leg { port, target, named } in legs {
        let ours = settings.send_proxy != SendProxy::Off && target.0 == INNER;
        let next_hop = if ours { "next_hop = \"smartproxy\"\n" } else { "" };
        let domains = if *named { format!(", domains = [\"{NAME}\"]") } else { String::new() };
        if let Targets::Checked(on_down) = settings.targets {
            groups += &group(settings, on_down, (*port, *target), ours);
        }
        write!(
            text,
            "[[routes]]\nname = \"r{port}\"\nmatch = {{ ports = [{port}]{domains} }}\n\
             action = {{ forward = {} }}\nsend_proxy = \"{send}\"\n{next_hop}{routes}{tls}",
            targets(settings.targets, *port, *target)
        )
        .unwrap_or_default();
    }
    text + &groups
}

/// The group of a leg: a stranger, and the target that leads on. A hop that is sent headers is asked by its own question, backends by
/// a word of Redis' at the port for that. A hop that is sent none is not checked: it would take a connect for a client's.
fn group(
    settings: &Settings,
    on_down: OnDown,
    (at, (ip, port)): (u16, (Ipv4Addr, u16)),
    ours: bool,
) -> String {
    let kind = match (ip == INNER, ours) {
        (true, true) => Some("kind = \"smartproxy\"".to_owned()),
        (true, false) => None,
        (false, _) => Some(format!("kind = \"redis\", port = {HEALTH}")),
    };
    let on_down = match on_down {
        OnDown::Keeps => "keep",
        OnDown::Kills => "kill",
        OnDown::Drains => "drain",
    };
    let check = |kind| format!("on_down = \"{on_down}\"\ncheck = {{ {kind}, interval = \"1s\" }}\n");
    let check = kind.map(check).unwrap_or_default();
    let most = |most| format!("max_connections_per_member = {most}\n");
    let most = settings.per_target.map(most).unwrap_or_default();
    format!(
        "[groups.g{at}]\nmembers = [\"{CLIENTS}:{port}\", \"{ip}:{port}\"]\n{check}outliers = {{}}\n{most}"
    )
}

/// A route's targets, the last of which leads to `ip` and `port`.
fn targets(targets: Targets, at: u16, (ip, port): (Ipv4Addr, u16)) -> String {
    let host = if ip == INNER { "inner" } else { "backends" };
    let on = format!("\"{ip}:{port}\"");
    let list = match targets {
        Targets::Checked(_) => return format!("\"@g{at}\""),
        Targets::One => on,
        Targets::Named => format!("\"{host}.test:{port}\""),
        Targets::AfterUnknown => format!("\"nobody.test:{port}\", {on}"),
        Targets::AfterRefusing => format!("\"{ip}:{NOBODY}\", {on}"),
        Targets::AfterBlackHole => format!("\"{BACKENDS}:{}\", {on}", AT_BACKEND + BLACK_HOLE),
        Targets::SecondAddress => format!("\"{host}-pair.test:{port}\""),
    };
    format!("[{list}]")
}

/// The limit of each pool. Every connection is in one of those that are built in.
fn pools(settings: &Settings) -> String {
    let Some(pool) = settings.pool else { return String::new() };
    let at_limit = match pool.at_limit {
        AtLimit::Reject => "\"reject\"".to_owned(),
        AtLimit::Queue(waiting, millis) => {
            format!("{{ queue = {{ most_waiting = {waiting}, longest_wait = \"{millis}ms\" }} }}")
        }
    };
    ["direct", "chain"]
        .map(|name| format!("[pools.{name}]\nmax_connections = {}\nat_limit = {at_limit}\n", pool.most))
        .concat()
}

fn timeouts(settings: &Settings) -> String {
    let no_data = settings.no_data_timeout.map_or("off".into(), |millis| format!("{millis}ms"));
    let per_client = settings.per_client.map_or("\"off\"".into(), |most| most.to_string());
    let per_minute = settings.per_minute.map_or("\"off\"".into(), |most| most.to_string());
    let (pools, failures) = (pools(settings), settings.failures_in_a_row);
    let most = settings.max_connections.map_or(4096, |most| most);
    let treatment = if settings.extended { "extended" } else { "standard" };
    let Settings { connection_timeout, inactivity_timeout, half_closed_timeout, .. } = settings;
    let Settings { write_stall_timeout, greeting_timeout, keep_alive, .. } = settings;
    format!(
        "workers = 1\n\
         graceful_shutdown_timeout = \"2s\"\n\
         [timeouts]\n\
         connection_timeout = \"{connection_timeout}ms\"\n\
         inactivity_timeout = \"{inactivity_timeout}ms\"\n\
         half_closed_timeout = \"{half_closed_timeout}ms\"\n\
         write_stall_timeout = \"{write_stall_timeout}ms\"\n\
         no_data_timeout = \"{no_data}\"\n\
         proxy_header_timeout = \"{greeting_timeout}ms\"\n\
         initial_data_timeout = \"{greeting_timeout}ms\"\n\
         tls_handshake_timeout = \"{greeting_timeout}ms\"\n\
         keep_alive_treatment = \"{treatment}\"\n\
         [keep_alive]\n\
         idle = \"{keep_alive}s\"\n\
         interval = \"5s\"\n\
         user_timeout = \"60s\"\n\
         [limits]\n\
         max_connections = {most}\n\
         connections_per_client = {per_client}\n\
         connections_per_client_per_minute = {per_minute}\n\
         [breaker]\n\
         failures_in_a_row = {failures}\n\
         {pools}"
    )
}

/// A ClientHello that asks for [`NAME`].
pub(super) fn client_hello() -> Vec<u8> {
    let sized =
        |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes(), bytes].concat();
    let entry = [&[0][..], &sized(NAME.as_bytes())].concat();
    let server_name = [&[0, 0][..], &sized(&sized(&entry))].concat();
    let body = [&[3, 3][..], &[7; 32], &[0], &sized(&[0x13, 1]), &[1, 0], &sized(&server_name)].concat();
    let message = [&[1, 0][..], &sized(&body)].concat();
    [&[22, 3, 1][..], &sized(&message)].concat()
}

/// The PROXY header of a client that speaks for itself.
pub(super) fn header_line() -> Vec<u8> {
    format!("PROXY TCP4 {CLIENTS} {INNER} 40000 9000\r\n").into_bytes()
}
