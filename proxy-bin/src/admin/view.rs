//! From what the proxy has to what the API says.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proxy_conn::{AuditState, ConnView, Limit, PoolId, TlsFacts, audit};
use tokio::time::Instant;

use crate::config::Connections;
use proxy_api::model;
use proxy_dataplane::generation::Generation;

/// Seconds, to the microsecond: what is finer is noise.
pub(super) fn secs(time: Duration) -> f64 {
    time.as_micros() as f64 / 1e6
}

/// Seconds since 1970.
pub(super) fn since_1970(time: SystemTime) -> f64 {
    secs(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// The name of this machine.
pub(super) fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Some(name.trim()).filter(|name| !name.is_empty()).unwrap_or("smartproxy").to_owned()
}

/// The names of the pools, by their numbers: also of those that are no longer configured.
pub(super) fn pool_names<D>(proxy: &Generation<D>) -> Vec<std::sync::Arc<str>> {
    (0..).map_while(PoolId::new).map_while(|id| proxy.numbers.name(id)).collect()
}

/// The most that a limit of the configuration allows; None for one that nobody meets.
pub(super) fn bound(limit: Option<Connections>) -> Option<u64> {
    limit.map(|most| most.get().into()).filter(|most| *most < Limit::MAX as u64)
}

/// A connection, as a list says it.
pub fn connection<P: AsRef<str>>(
    view: &ConnView,
    immortal: bool,
    pools: &[P],
    now: Instant,
) -> model::Connection {
    let facts = &view.facts;
    let pool = view.pool.and_then(|id| pools.get(id.number()));
    let until = view.deadline_at.saturating_duration_since(now);
    let past = now.saturating_duration_since(view.deadline_at);
    model::Connection {
        id: view.id.to_string(),
        previous: facts.previous.ids().map(str::to_owned).collect(),
        role: view.role.to_string(),
        phase: view.phase.to_string(),
        state: view.phase.state().to_string(),
        client: facts.client.map(|client| client.to_string()),
        peer: view.peer.to_string(),
        listener: view.listener.to_string(),
        server_name: facts.server_name.as_deref().map(str::to_owned),
        tls: facts.tls.as_deref().map(tls),
        hop: facts.hop.as_deref().map(str::to_owned),
        route: facts.route.as_deref().map(str::to_owned),
        target: facts.target.as_deref().map(str::to_owned),
        pool: pool.map(|name| name.as_ref().to_owned()),
        age_s: secs(view.age),
        in_phase_s: secs(view.in_phase),
        idle_s: secs(view.idle),
        from_client_bytes: view.from_client,
        from_backend_bytes: view.from_backend,
        deadline: view.deadline.to_string(),
        deadline_in_s: secs(until) - secs(past),
        immortal,
    }
}

fn tls(facts: &TlsFacts) -> model::Tls {
    let known = |name: &'static str| Some(name.to_owned()).filter(|name| !name.is_empty());
    let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
    model::Tls {
        version: known(facts.version),
        cipher: known(facts.cipher),
        group: facts.group.map(str::to_owned),
        resumed: facts.resumed,
        alpn: text(&facts.alpn),
        ja4: text(&facts.ja4),
        identity: text(&facts.identity),
        before: text(&facts.before),
    }
}

/// So many of as many as `limit` says, if it does.
pub(super) fn usage(used: u64, limit: &Limit) -> model::Usage {
    of_at_most(used, limit.bound().map(|most| most as u64))
}

/// So many of `most`: who comes when all places are taken has none, though it stands where others have one for the moment until
/// it is told so.
pub(super) fn of_at_most(used: u64, most: Option<u64>) -> model::Usage {
    model::Usage { used: used.min(most.unwrap_or(u64::MAX)), most }
}

/// The gauges of an audit.
pub(super) fn gauges(of: impl Fn(audit::Gauge) -> u64) -> std::collections::BTreeMap<String, u64> {
    audit::Gauge::ALL.into_iter().map(|gauge| (gauge.name().to_owned(), of(gauge))).collect()
}

/// The last audit, in short.
pub(super) fn audit(state: &AuditState) -> model::AuditSummary {
    let clean = audit::Gauge::ALL.into_iter().all(|gauge| !gauge.is_defect() || state.gauge(gauge) == 0);
    let ago = state.last_run().map(|at| SystemTime::now().duration_since(at).unwrap_or_default());
    model::AuditSummary {
        clean,
        ago_s: ago.map(secs),
        gauges: gauges(|gauge| state.gauge(gauge)),
        rescued_total: state.rescues(),
        blind: state.blind().map(Into::into),
    }
}

/// An audit that has just ended.
pub(super) fn audited(report: &proxy_conn::AuditReport) -> model::Audit {
    let finding = |finding: &audit::Finding| model::AuditFinding {
        gauge: finding.gauge().name().to_owned(),
        id: finding.connection().map(|id| id.to_string()),
        text: finding.to_string(),
    };
    model::Audit {
        clean: report.is_clean(),
        entries: report.entries as u64,
        sockets: report.sockets.map(|sockets| sockets as u64),
        looks: report.looks,
        took_s: secs(report.took),
        gauges: gauges(|gauge| report.count(gauge)),
        rescued: report.rescued as u64,
        blind: report.blind.as_deref().map(str::to_owned),
        findings: report.findings.iter().map(finding).collect(),
        stuck: report.stuck.iter().map(stuck_at).collect(),
    }
}

fn stuck_at(at: &audit::StuckAt) -> model::StuckAt {
    model::StuckAt {
        target: at.target.as_deref().map(str::to_owned),
        route: at.route.as_deref().map(str::to_owned),
        connections: at.connections as u64,
        silent: at.silent as u64,
        oldest_s: secs(at.oldest),
        ids: at.ids.iter().map(ToString::to_string).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_shown_beyond_a_limit_that_holds() {
        let limit = Limit::new(10);
        assert_eq!([9, 10, 11].map(|used| usage(used, &limit).used), [9, 10, 10]);
        assert_eq!(of_at_most(11, None).used, 11, "without a limit all are");
    }
}
