//! The works, what is measured of each, and the bars.

use std::fmt;

use super::proxy::Proxy;

/// What proxies are compared at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Work {
    Short,
    RoundTrips,
    Bulk,
    Idle,
    MassClose,
    ChainShort,
    ChainRoundTrips,
    ChainBulk,
    TwoWorkers,
    TlsShort,
    TlsResumed,
    TlsRoundTrips,
    TlsBulk,
    TlsIdle,
}

/// One figure of a work.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figure {
    /// Its name, with the unit.
    pub(crate) name: &'static str,
    pub(crate) decimals: usize,
    pub(crate) bar: Option<Bar>,
}

/// What our figure has to be. The floor is compared, but no bar is about it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Bar {
    /// At most so many times the best peer's.
    TimesBest(f64),
    /// At most nginx's, so many times.
    TimesNginx(f64),
    /// At most nginx's and at most HAProxy's, so many times.
    TimesNginxAndHaproxy(f64),
    AtMost(f64),
    AtLeast(f64),
}

const fn figure(name: &'static str, decimals: usize) -> Figure {
    Figure { name, decimals, bar: None }
}

const fn barred(name: &'static str, decimals: usize, bar: Bar) -> Figure {
    Figure { name, decimals, bar: Some(bar) }
}

const SHORT_RATE: Figure = figure("connections/s", 0);
const PROXY_BUSY: Figure = figure("proxy's core busy %", 0);
const LOAD_BUSY: Figure = figure("load's core busy %", 0);

const SHORT: &[Figure] = &[
    barred("CPU µs/connection", 1, Bar::TimesBest(0.9)),
    figure("connections/s", 0),
    figure("proxy's core busy %", 0),
    figure("load's core busy %", 0),
];
const ROUND_TRIPS: &[Figure] = &[
    barred("CPU µs/round trip", 2, Bar::TimesBest(0.8)),
    barred("p99 µs", 0, Bar::TimesBest(1.0)),
    figure("p50 µs", 0),
    figure("round trips/s", 0),
    figure("proxy's core busy %", 0),
    figure("load's core busy %", 0),
];
const BULK: &[Figure] = &[
    barred("CPU ms/GB", 0, Bar::TimesBest(0.6)),
    figure("GB/s", 2),
    figure("proxy's core busy %", 0),
    figure("load's core busy %", 0),
];
const IDLE: &[Figure] = &[
    barred("resident KiB/connection", 2, Bar::AtMost(1.5)),
    barred("idle CPU, ms a second", 2, Bar::AtMost(1.0)),
    figure("CPU ms in the 2 s before that, after they came", 1),
    barred("descriptors/connection", 2, Bar::AtMost(2.0)),
    barred("KiB above start after they go", 0, Bar::AtMost(1024.0)),
    figure("resident KiB at start", 0),
];
const MASS_CLOSE: &[Figure] = &[
    barred("ms until descriptors are at baseline", 0, Bar::TimesNginx(1.0)),
    figure("CPU µs/connection", 1),
];
const TWO_WORKERS: &[Figure] = &[
    barred("throughput, times one worker", 2, Bar::AtLeast(1.7)),
    figure("as far as the load permits, times", 2),
    figure("CPU µs/round trip, one", 2),
    figure("CPU µs/round trip, two", 2),
    figure("round trips/s, one", 0),
    figure("round trips/s, two", 0),
];

const TLS_SHORT: &[Figure] =
    &[barred("CPU µs/connection", 1, Bar::TimesNginxAndHaproxy(0.6)), SHORT_RATE, PROXY_BUSY, LOAD_BUSY];
const TLS_RESUMED: &[Figure] =
    &[barred("CPU µs/connection", 1, Bar::TimesBest(0.65)), SHORT_RATE, PROXY_BUSY, LOAD_BUSY];
const TLS_ROUND_TRIPS: &[Figure] = &[
    barred("CPU µs/round trip", 2, Bar::TimesBest(0.85)),
    figure("p99 µs", 0),
    figure("p50 µs", 0),
    figure("round trips/s", 0),
    PROXY_BUSY,
    LOAD_BUSY,
];
const TLS_BULK: &[Figure] =
    &[barred("CPU ms/GB", 0, Bar::TimesBest(0.8)), figure("GB/s", 2), PROXY_BUSY, LOAD_BUSY];
const TLS_IDLE: &[Figure] = &[
    barred("resident KiB/connection", 2, Bar::AtMost(5.0)),
    barred("idle CPU, ms a second", 2, Bar::AtMost(1.0)),
    figure("CPU ms in the 2 s before that, after they came", 1),
    barred("descriptors/connection", 2, Bar::AtMost(2.0)),
    figure("KiB above start after they go", 0),
    figure("resident KiB at start", 0),
];

impl Work {
    pub(crate) const ALL: [Self; 14] = [
        Self::Short,
        Self::RoundTrips,
        Self::Bulk,
        Self::Idle,
        Self::MassClose,
        Self::ChainShort,
        Self::ChainRoundTrips,
        Self::ChainBulk,
        Self::TwoWorkers,
        Self::TlsShort,
        Self::TlsResumed,
        Self::TlsRoundTrips,
        Self::TlsBulk,
        Self::TlsIdle,
    ];

    /// What `name` stands for; "chain" for three, "tls" for five.
    pub(crate) fn named(name: &str) -> Result<Vec<Self>, String> {
        let named: Vec<_> = Self::ALL
            .into_iter()
            .filter(|work| {
                work.key() == name || work.hops() == 2 && name == "chain" || work.is_tls() && name == "tls"
            })
            .collect();
        if named.is_empty() {
            return Err(format!(
                "there is no work {name:?}: chain, tls, {}",
                Self::ALL.map(Self::key).join(", ")
            ));
        }
        Ok(named)
    }

    /// Its name on the command line and in files.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::RoundTrips => "rtt",
            Self::Bulk => "bulk",
            Self::Idle => "idle",
            Self::MassClose => "mass-close",
            Self::ChainShort => "chain-short",
            Self::ChainRoundTrips => "chain-rtt",
            Self::ChainBulk => "chain-bulk",
            Self::TwoWorkers => "two-workers",
            Self::TlsShort => "tls-short",
            Self::TlsResumed => "tls-resumed",
            Self::TlsRoundTrips => "tls-rtt",
            Self::TlsBulk => "tls-bulk",
            Self::TlsIdle => "tls-idle",
        }
    }

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Short => "Short connections: connect, 64 B echo, close; 64 at a time",
            Self::RoundTrips => "Round trips of 100 B on 64 connections",
            Self::Bulk => "Bulk, 4 connections, two each way",
            Self::Idle => "8 000 idle connections, after 1 KiB each way",
            Self::MassClose => "8 000 connections closed at once",
            Self::ChainShort => "Two hops with PROXY headers: short connections",
            Self::ChainRoundTrips => "Two hops with PROXY headers: round trips",
            Self::ChainBulk => "Two hops with PROXY headers: bulk",
            Self::TwoWorkers => "Two workers on two cores, which the load needs too: round trips",
            Self::TlsShort => "TLS 1.3 ended, ECDSA P-256: full handshake, 64 B echo, close; 64 at a time",
            Self::TlsResumed => "TLS 1.3 ended: resumed handshake, 64 B echo, close; 64 at a time",
            Self::TlsRoundTrips => "TLS 1.3 ended: round trips of 100 B on 64 connections",
            Self::TlsBulk => "TLS 1.3 ended: bulk, 4 connections, two each way",
            Self::TlsIdle => "TLS 1.3 ended: 8 000 idle connections, after 1 KiB each way",
        }
    }

    pub(crate) const fn hops(self) -> usize {
        if matches!(self, Self::ChainShort | Self::ChainRoundTrips | Self::ChainBulk) { 2 } else { 1 }
    }

    /// Whether clients speak TLS, which the proxy ends.
    pub(crate) const fn is_tls(self) -> bool {
        matches!(
            self,
            Self::TlsShort | Self::TlsResumed | Self::TlsRoundTrips | Self::TlsBulk | Self::TlsIdle
        )
    }

    /// What is measured, the most important first.
    pub(crate) const fn figures(self) -> &'static [Figure] {
        match self {
            Self::Short | Self::ChainShort => SHORT,
            Self::RoundTrips | Self::ChainRoundTrips => ROUND_TRIPS,
            Self::Bulk | Self::ChainBulk => BULK,
            Self::Idle => IDLE,
            Self::MassClose => MASS_CLOSE,
            Self::TwoWorkers => TWO_WORKERS,
            Self::TlsShort => TLS_SHORT,
            Self::TlsResumed => TLS_RESUMED,
            Self::TlsRoundTrips => TLS_ROUND_TRIPS,
            Self::TlsBulk => TLS_BULK,
            Self::TlsIdle => TLS_IDLE,
        }
    }
}

impl Bar {
    /// The figure that ours must not be beyond, given everybody's; None where nobody is here to be compared with.
    pub(crate) fn limit(self, all: &[(Proxy, f64)]) -> Option<f64> {
        let peers = || all.iter().filter(|(proxy, _)| proxy.is_peer());
        match self {
            Self::TimesBest(times) => {
                peers().map(|(_, value)| *value).min_by(f64::total_cmp).map(|best| best * times)
            }
            Self::TimesNginxAndHaproxy(times) => {
                let both = peers().filter(|(proxy, _)| matches!(proxy, Proxy::Nginx | Proxy::Haproxy));
                both.map(|(_, value)| *value).min_by(f64::total_cmp).map(|best| best * times)
            }
            Self::TimesNginx(times) => {
                peers().find(|(proxy, _)| *proxy == Proxy::Nginx).map(|(_, value)| value * times)
            }
            Self::AtMost(limit) | Self::AtLeast(limit) => Some(limit),
        }
    }

    /// Whether `ours` passes; None where nobody is here to be compared with.
    pub(crate) fn passes(self, ours: f64, all: &[(Proxy, f64)]) -> Option<bool> {
        let limit = self.limit(all)?;
        Some(if matches!(self, Self::AtLeast(_)) { ours >= limit } else { ours <= limit })
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimesBest(times) => write!(f, "≤ {times} × the best peer"),
            Self::TimesNginx(times) => write!(f, "≤ {times} × nginx"),
            Self::TimesNginxAndHaproxy(times) => write!(f, "≤ {times} × nginx and HAProxy"),
            Self::AtMost(limit) => write!(f, "≤ {limit}"),
            Self::AtLeast(limit) => write!(f, "≥ {limit}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_about_peers_and_not_about_the_floor() {
        let all = [(Proxy::Smartproxy, 8.0), (Proxy::Nginx, 10.0), (Proxy::Envoy, 20.0), (Proxy::Floor, 1.0)];
        assert_eq!(Bar::TimesBest(0.8).limit(&all), Some(8.0));
        assert_eq!(Bar::TimesBest(0.8).passes(8.0, &all), Some(true));
        assert_eq!(Bar::TimesBest(0.8).passes(8.1, &all), Some(false));
        assert_eq!(Bar::TimesBest(0.8).passes(1.0, &all[3..]), None);
        assert_eq!(Bar::TimesNginx(1.0).passes(1.0, &all[2..]), None);
        assert_eq!(Bar::TimesNginxAndHaproxy(0.5).limit(&all), Some(5.0), "Envoy's is not asked for");
        assert_eq!(Bar::TimesNginx(1.0).passes(10.0, &all), Some(true));
        assert_eq!(Bar::AtMost(1.5).passes(1.6, &[]), Some(false));
        assert_eq!(Bar::AtLeast(1.7).passes(1.6, &[]), Some(false));
    }

    #[test]
    fn works_have_names() {
        for work in Work::ALL {
            assert_eq!(Work::named(work.key()), Ok(vec![work]));
            assert!(!work.figures().is_empty() && !work.title().is_empty());
        }
        assert_eq!(Work::named("chain").unwrap().len(), 3);
        assert!(Work::named("nothing").unwrap_err().contains("mass-close"));
    }
}
