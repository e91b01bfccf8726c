//! Which metrics there are. Their names are stable: alerts and dashboards are written with them (`docs/monitoring.md`).

use std::fmt;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use proxy_conn::{BreakerState, Cause, Phase, audit};
use proxy_core::Side;

use super::super::api::Api;
use super::super::counts::Counts;
use super::super::status;
use super::super::view::{secs, since_1970};
use super::listed::{MICROS, MILLIS, groups, targets};
use super::scrape::Scrape;
use super::{certificates, members, outcomes, sampled};
use crate::config::SendProxy;
use proxy_api::model::Phases;
use proxy_dataplane::omissions::Omissions;
use proxy_upstream::{DialFigures, Member};

/// What every process has.
pub(super) fn of_process(api: &Api, scrape: &mut Scrape<'_>) -> fmt::Result {
    let (descriptors, memory) = (api.process.descriptors(), api.process.memory());
    scrape.gauge("process_open_fds", "Descriptors in use")?.is(&[], descriptors.used)?;
    let most = descriptors.most.unwrap_or(u64::MAX);
    scrape.gauge("process_max_fds", "The most descriptors that the process may have")?.is(&[], most)?;
    let help = "Resident memory of the process";
    scrape.gauge("process_resident_memory_bytes", help)?.is(&[], memory.resident_bytes)?;
    let help = "Address space of the process; how much of it is memory is another question";
    scrape.gauge("process_virtual_memory_bytes", help)?.is(&[], api.process.virtual_bytes())?;
    let help = "The most address space that the process may have; -1 where there is no bound";
    scrape.gauge("process_virtual_memory_max_bytes", help)?.is(&[], api.process.most_virtual_bytes())?;
    let help = "Processor time of the process, in user and kernel mode";
    scrape.counter("process_cpu_seconds", help)?.count(&[], seconds(api.process.cpu()))?;
    let began = since_1970(SystemTime::now()) - secs(api.control().uptime());
    scrape.gauge("process_start_time_seconds", "When the proxy was started, since 1970")?.is(&[], began)
}

/// What is the proxy's own.
pub(super) fn of_proxy(api: &Api, scrape: &mut Scrape<'_>) -> fmt::Result {
    // Before the living: what ends in between is missed, once, rather than counted twice.
    let ended_bytes = {
        let figures = api.tracker().figures();
        (figures.from_client().sum(), figures.from_backend().sum())
    };
    let counts = Counts::take(api.tracker());
    of_build(scrape)?;
    of_connections(api, &counts, scrape)?;
    of_ends(api, scrape)?;
    of_times(api, scrape)?;
    let bytes = |ended: u64, living: u64| ended.wrapping_add(living);
    let mut family = scrape.counter("bytes", "Bytes read from clients, and from backends")?;
    let from_client = api.from_clients.at_least(bytes(ended_bytes.0, counts.all.from_client));
    family.count(&[("direction", "from_client")], from_client)?;
    let from_backend = api.from_backends.at_least(bytes(ended_bytes.1, counts.all.from_backend));
    family.count(&[("direction", "from_backend")], from_backend)?;
    of_targets(api, scrape)?;
    outcomes::of_parts(&api.proxy(), scrape)?;
    sampled::of_sockets(api, scrape)?;
    members::of_groups(&api.proxy(), scrape)?;
    of_headers(api, scrape)?;
    of_handshakes(api, scrape)?;
    of_limits(api, scrape)?;
    certificates::of_certificates(api, scrape)?;
    of_findings(api, scrape)?;
    of_audit(api, scrape)?;
    of_workers(api, scrape)?;
    of_config(api, scrape)
}

fn of_build(scrape: &mut Scrape<'_>) -> fmt::Result {
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    let labels = [("version", env!("CARGO_PKG_VERSION")), ("profile", profile)];
    scrape.info("build", "The build, always 1", &labels)
}

fn of_connections(api: &Api, counts: &Counts, scrape: &mut Scrape<'_>) -> fmt::Result {
    let (tracker, proxy) = (api.tracker(), api.proxy());
    let mut family = scrape.gauge(
        "connections",
        "Open connections by phase and pool; without a pool while that is not known yet",
    )?;
    let mut of_pool = |name: &str, phases: &Phases| {
        phases
            .iter()
            .try_for_each(|(phase, count)| family.is(&[("phase", phase.name()), ("pool", name)], count))
    };
    of_pool("", &counts.poolless)?;
    let none = Phases::default();
    for pool in &proxy.pools {
        of_pool(&pool.name, counts.pools.get(&pool.id).map_or(&none, |group| &group.phases))?;
    }
    for (id, group) in counts.pools.iter().filter(|(id, _)| proxy.pool(**id).is_none()) {
        of_pool(&proxy.numbers.name(*id).unwrap_or_default(), &group.phases)?;
    }
    scrape.counter("connections_opened", "Connections accepted")?.count(&[], tracker.opened())?;
    let help = "How old open connections are. It is as it is now, not added up: no rate() of it";
    scrape.histogram("connection_age_seconds", help)?.has(&[], &tracker.ages(), MILLIS)?;
    scrape
        .gauge("ready", "Whether new connections are taken: 1 or 0")?
        .is(&[], u64::from(api.unready().is_none()))
}

fn of_ends(api: &Api, scrape: &mut Scrape<'_>) -> fmt::Result {
    let tracker = api.tracker();
    let mut family = scrape.counter("connections_ended", "Connections that have ended, by cause")?;
    for cause in Cause::ALL {
        family.count(&[("cause", cause.name())], tracker.ended(*cause))?;
    }
    let help = "Connections refused since a limit was met, or since their pool sheds load";
    let mut family = scrape.counter("refusals", help)?;
    for (cause, limit) in Cause::ALL.iter().filter_map(|cause| Some((*cause, cause.limit()?))) {
        family.count(&[("limit", limit)], tracker.ended(cause))?;
    }
    Ok(())
}

fn of_times(api: &Api, scrape: &mut Scrape<'_>) -> fmt::Result {
    let figures = api.tracker().figures();
    let mut family =
        scrape.histogram("phase_seconds", "How long connections that have ended were in each phase")?;
    for phase in Phase::ALL {
        family.has(&[("phase", &phase.to_string())], &figures.phase(phase), MILLIS)?;
    }
    let help = "How long connections that have ended had been open";
    scrape.histogram("lifetime_seconds", help)?.has(&[], &figures.lifetime(), MILLIS)?;
    let family = scrape.histogram("first_byte_seconds", outcomes::FIRST_BYTE);
    family?.has(&[], &figures.first_byte(), MICROS)?;
    let help = "How long connections waited for a place that had to, whether they got one or not";
    scrape.histogram("queue_wait_seconds", help)?.has(&[], &figures.queue(), MICROS)
}

/// Those of a target that nobody was taken to.
static NEVER_DIALLED: LazyLock<DialFigures> = LazyLock::new(DialFigures::default);

/// How its dials went.
fn dials(state: Option<&Member>) -> &DialFigures {
    state.map_or(&NEVER_DIALLED, |state| &state.dials)
}

fn of_targets(api: &Api, scrape: &mut Scrape<'_>) -> fmt::Result {
    let proxy = api.proxy();
    let groups = groups(&proxy);
    let targets = targets(&proxy, &groups);
    let mut family = scrape.histogram("dial_seconds", "How long dials took that reached the target")?;
    for (route, target, state) in &targets {
        family.has(&[("route", route), ("target", target)], &dials(*state).latency(), MICROS)?;
    }
    let mut family = scrape.counter("dials_failed", "Dials that did not reach the target, by why")?;
    for (route, target, state) in &targets {
        for (why, count) in dials(*state).failures() {
            family.count(&[("route", route), ("target", target), ("why", why)], count)?;
        }
    }
    let help = "Whether the target is dialled: 0 closed (it is), 1 half open (it is tried), 2 open (it is left alone)";
    let mut family = scrape.gauge("breaker_state", help)?;
    for (route, target, state) in &targets {
        let code = match state.map_or(BreakerState::Closed, |state| state.breaker().state) {
            BreakerState::Closed => 0_u64,
            BreakerState::HalfOpen => 1,
            BreakerState::Open => 2,
        };
        family.is(&[("route", route), ("target", target)], code)?;
    }
    Ok(())
}

fn of_headers(api: &Api, scrape: &mut Scrape<'_>) -> fmt::Result {
    let proxy = api.proxy();
    let help = "PROXY headers that had no room for a field within max_header, by field";
    let mut family = scrape.counter("header_fields_left_out", help)?;
    let none = Omissions::default();
    for matched in
        proxy.settings.routes.routes().filter(|route| matches!(route.payload.send_proxy, SendProxy::V2(_)))
    {
        let counted = proxy.routes.made(matched.index).and_then(|state| state.omissions());
        for (field, count) in counted.unwrap_or(&none).counts() {
            family.count(&[("route", matched.name()), ("field", field)], count)?;
        }
    }
    Ok(())
}

fn of_handshakes(api: &Api, scrape: &mut Scrape<'_>) -> fmt::Result {
    let proxy = api.proxy();
    let sides = [("client", Side::Client), ("backend", Side::Backend)];
    let help = "TLS handshakes that are done, with clients whose TLS ends here and with backends, in full or resumed";
    let mut family = scrape.counter("tls_handshakes", help)?;
    for (name, side) in sides {
        let (full, resumed) = proxy.handshakes.done_with(side);
        family.count(&[("side", name), ("kind", "full")], full)?;
        family.count(&[("side", name), ("kind", "resumed")], resumed)?;
    }
    let help = "TLS handshakes that failed, by kind (docs/tls.md)";
    let mut family = scrape.counter("tls_handshake_failures", help)?;
    for (name, side) in sides {
        for (fault, count) in proxy.handshakes.failed_with(side) {
            family.count(&[("side", name), ("kind", fault.name())], count)?;
        }
    }
    Ok(())
}

fn of_limits(api: &Api, scrape: &mut Scrape<'_>) -> fmt::Result {
    let proxy = api.proxy();
    let mut family =
        scrape.gauge("overload_level", "How hard pressed a pool is: 0 normal, 1 tight, 2 shed")?;
    for pool in &proxy.pools {
        family.is(&[("pool", &pool.name)], u64::from(pool.pressure.level().code()))?;
    }
    let limits = status::limits(&proxy);
    let mut family = scrape.gauge("permits_in_use", "What of a limit is in use")?;
    for limit in &limits {
        family.is(&[("limit", &limit.what)], limit.usage.used)?;
    }
    let mut family = scrape.gauge("permits_most", "A limit")?;
    for limit in &limits {
        family.is(&[("limit", &limit.what)], limit.usage.most.unwrap_or(u64::MAX))?;
    }
    let mut family = scrape.gauge("permits_high_water", "The most of a limit that ever was in use")?;
    for limit in &limits {
        if let Some(most) = limit.high_water {
            family.is(&[("limit", &limit.what)], most)?;
        }
    }
    let mut family = scrape.gauge("waiting", "Connections that wait for a place")?;
    for limit in &limits {
        family.is(&[("limit", &limit.what)], limit.waiting)?;
    }
    Ok(())
}

fn of_findings(api: &Api, scrape: &mut Scrape<'_>) -> fmt::Result {
    let findings = api.control().observed().findings();
    let help = "What is wrong, by rule: how many findings there are (docs/operations.md, What is found)";
    let mut family = scrape.gauge("findings", help)?;
    for rule in proxy_observe::rule_names() {
        let count = findings.iter().filter(|lasting| lasting.finding.rule == rule).count();
        family.is(&[("rule", rule)], count as u64)?;
    }
    Ok(())
}

fn of_audit(api: &Api, scrape: &mut Scrape<'_>) -> fmt::Result {
    let state = api.audit().state();
    let mut family = scrape.gauge("audit_findings", "What the last audit found; all but stuck must be 0")?;
    for gauge in audit::Gauge::ALL {
        family.is(&[("gauge", gauge.name())], state.gauge(gauge))?;
    }
    let last = state.last_run().map_or(0.0, since_1970);
    let help = "When the last audit ended, since 1970; 0 for never";
    scrape.gauge("audit_last_run_timestamp_seconds", help)?.is(&[], last)?;
    let help = "Whether the kernel could not be asked at the last audit: 1 or 0";
    scrape.gauge("audit_blind", help)?.is(&[], u64::from(state.is_blind()))?;
    scrape.counter("audits", "Audits that have ended")?.count(&[], state.runs())?;
    let help = "Overdue connections that audits have ended, each of them a defect";
    scrape.counter("audit_rescues", help)?.count(&[], state.rescues())
}

fn of_workers(api: &Api, scrape: &mut Scrape<'_>) -> fmt::Result {
    let workers: Vec<_> =
        api.control().workers().iter().map(proxy_dataplane::workers::Worker::view).collect();
    let named = || workers.iter().enumerate().map(|(number, view)| (number.to_string(), view));
    let help = "How long a worker did something other than wait for events";
    let mut family = scrape.counter("worker_busy_seconds", help)?;
    for (worker, view) in named() {
        family.count(&[("worker", &worker)], seconds(view.busy))?;
    }
    let help = "By how much a worker's last timer was late";
    let mut family = scrape.gauge("event_loop_lag_seconds", help)?;
    for (worker, view) in named() {
        family.is(&[("worker", &worker)], seconds(view.lag))?;
    }
    let help = "Memory that is allocated and in use, as the allocator counts";
    scrape.gauge("allocated_bytes", help)?.is(&[], api.process.memory().allocated_bytes)
}

fn of_config(api: &Api, scrape: &mut Scrape<'_>) -> fmt::Result {
    let config = api.control().config_status();
    let help = "Which configuration is in force: 1 for the one it started with";
    scrape.gauge("config_generation", help)?.is(&[], config.generation)?;
    let (taken, at) = config.last_reload.map_or((true, config.loaded_at), |last| (last.taken, last.at));
    let help = "Whether the last reload was taken: 1 or 0; 1 if there was none";
    scrape.gauge("config_last_reload_successful", help)?.is(&[], u64::from(taken))?;
    let help = "When the last reload was, since 1970; the start if there was none";
    scrape.gauge("config_last_reload_timestamp_seconds", help)?.is(&[], at)?;
    let lost = status::log(api).lost_total;
    scrape.counter("log_lines_lost", "Lines of the log that were lost")?.count(&[], lost)
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}
