//! One line for each connection, at its end: who, where to, how far it came, how it ended and whose doing that was.

use proxy_conn::{ConnView, Ended, Phase, Subscriber};
use proxy_core::relay::RelayDeadline;
use tokio::time::Instant;
use tracing::{info, warn};

/// Writes ends as `tracing` events with the target `smartproxy::access`.
#[derive(Debug, Clone, Copy, Default)]
pub struct AccessLog;

impl Subscriber for AccessLog {
    fn warned(&self, about: &ConnView, at: Instant, why: RelayDeadline) {
        warn!(
            target: "smartproxy::access",
            id = %about.id,
            client = about.facts.client.map(tracing::field::display),
            route = about.facts.route.as_deref(),
            target = about.facts.target.as_deref(),
            idle_s = about.idle.as_secs(),
            left_s = at.saturating_duration_since(Instant::now()).as_secs(),
            deadline = %why,
            "connection will be cut unless something moves"
        );
    }

    fn ended(&self, ended: &Ended<'_>) {
        let facts = ended.facts;
        let [first, second] = ended.end.code();
        let secs = |phase| ended.spent(phase).as_secs_f64();
        info!(
            target: "smartproxy::access",
            id = %ended.id,
            previous = (!facts.previous.is_empty()).then(|| facts.previous.as_str()),
            client = facts.client.map(tracing::field::display),
            peer = %ended.peer,
            listener = ended.listener,
            server_name = facts.server_name.as_deref(),
            route = facts.route.as_deref(),
            target = facts.target.as_deref(),
            phase = %ended.end.phase,
            cause = ended.end.cause.name(),
            code = %format_args!("{first}{second}"),
            by = %ended.end.by,
            detail = ended.detail,
            from_client = ended.from_client,
            from_backend = ended.from_backend,
            header_s = secs(Phase::Header),
            peek_s = secs(Phase::Peek),
            dial_s = secs(Phase::Dial),
            relay_s = secs(Phase::Relay),
            drain_s = secs(Phase::Drain),
            total_s = ended.lifetime.as_secs_f64(),
            "connection ended"
        );
    }
}
