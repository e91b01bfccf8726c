//! What the benches of parts give to the parts.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use proxy_conn::{Cause, ConnGuard, DeadlineKind, Phase, Tally};
use proxy_core::Bound;
use proxy_core::header::Outgoing;
use proxy_core::relay::{Meter, RelayLimits, Side};
use proxy_route::{ClientNet, Match, PortRange, RouteSpec, RouteTable};
use tokio::time::Instant;

/// The two ends of a client's connection.
#[must_use]
pub fn endpoints() -> (SocketAddr, SocketAddr) {
    (([192, 0, 2, 7], 52_953).into(), ([198, 51, 100, 1], 443).into())
}

/// A header to be written.
#[must_use]
pub fn outgoing() -> Outgoing {
    let (source, destination) = endpoints();
    Outgoing::proxy(source, destination)
}

/// A ClientHello as OpenSSL 3 sends it, in one record of about 300 bytes.
#[must_use]
pub fn hello() -> Vec<u8> {
    let hex = include_str!("../../proxy-core/tests/hellos/openssl_tls13_sni_alpn.hex");
    let digits: Vec<_> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | u8::try_from(*digit).unwrap_or(0)))
        .collect()
}

/// The `nth` route of a table: of ten, one is a wildcard and one a client network; the others are exact names.
#[must_use]
pub fn route(nth: u32) -> RouteSpec {
    let on_443 = Match::on(PortRange::try_from(443));
    let matches = match nth % 10 {
        8 => on_443.clients([ClientNet::from(client(nth))]),
        9 => on_443.domains(format!("*.tenant{nth}.example.net").parse()),
        _ => on_443.domains(format!("host{nth}.example.com").parse()),
    };
    RouteSpec::new(format!("route{nth}"), matches)
}

/// The `nth` client.
#[must_use]
pub fn client(nth: u32) -> IpAddr {
    Ipv4Addr::from(0x0A00_0000 + nth).into()
}

/// A table of `size` routes.
///
/// # Panics
/// Never: all of them differ.
#[expect(clippy::expect_used, reason = "a bench has nobody to report to")]
#[must_use]
pub fn table(size: u32) -> RouteTable<u32> {
    RouteTable::build((0..size).map(|nth| (route(nth), nth))).expect("all routes differ")
}

/// Deadlines that no bench meets.
#[must_use]
pub fn relay_limits() -> RelayLimits {
    RelayLimits::new(Bound::secs(3600), Instant::now() + Duration::from_secs(86_400))
        .half_closed(Bound::secs(30))
        .write_stall(Bound::secs(300))
        .no_data(Bound::secs(60))
}

/// What is learnt of a connection, as the configuration shares it.
#[derive(Debug, Clone)]
pub struct Facts {
    route: Tally,
    target: Tally,
}

impl Default for Facts {
    fn default() -> Self {
        Self { route: "https".into(), target: "10.0.0.1:443".into() }
    }
}

/// The life of an entry up to its end, which is when its guard is dropped: every phase, every fact, some bytes each way.
pub fn whole_life(guard: &ConnGuard, facts: &Facts, now: Instant) {
    let soon = now + Duration::from_secs(3600);
    guard.learn(|known| known.client = Some(guard.peer().into()));
    for phase in [Phase::Peek, Phase::Dial, Phase::Relay] {
        black_box(guard.enter(phase, soon, DeadlineKind::Dial)).ok();
    }
    guard.learn(|known| known.route = Some(facts.route.clone()));
    guard.learn(|known| known.target = Some(facts.target.clone()));
    guard.moved(Side::Client, 100, soon);
    guard.moved(Side::Backend, 100, soon);
    guard.half_closed(Side::Client, soon);
    guard.end(Cause::Finished.during(Phase::Drain), None);
}
