//! One line for each connection, at its end: who, where to, how far it came, how it ended and whose doing that was.
//!
//! Rules may keep a part of them. A part is drawn by the id that the connection had on its first hop: every hop of a chain
//! keeps the lines of the same connections.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use proxy_conn::{Cause, ConnView, Ended, Phase, Subscriber};
use proxy_core::relay::RelayDeadline;
use tokio::time::Instant;
use tracing::{Level, info, warn};
use xxhash_rust::xxh3::xxh3_64;

use super::{Fate, Kind, Labels, Shared};
use crate::config::Keep;

/// Lines of connections that are alike, of those that are counted, which are written in 5 s.
const BURST: u32 = 10;

/// Writes ends as `tracing` events with the target `smartproxy::access`: all of them, unless it comes from
/// [`Logs::access_log`](crate::logging::Logs::access_log).
#[derive(Debug, Clone, Default)]
pub struct AccessLog(Option<Arc<Shared>>);

impl AccessLog {
    /// Writes those that the rules in force keep.
    pub(crate) fn by_rules(shared: Arc<Shared>) -> Self {
        Self(Some(shared))
    }

    /// Whether a connection's line is written; if so, of how many like it.
    fn keeps(&self, ended: &Ended<'_>) -> Option<NonZeroU32> {
        let Some(shared) = &self.0 else { return Some(NonZeroU32::MIN) };
        let outputs = shared.outputs();
        if !outputs.has_access() {
            return None;
        }
        // A neighbour's question comes every other second, and is no connection that anybody made: told where a rule wants it.
        let asked = ended.end.cause == Cause::Asked;
        // Whatever ends before it has a route is like a refusal: whoever makes such connections is at no cost.
        let refused = ended.facts.route.is_none() || ended.end.cause.is_refusal();
        let rule = outputs.config.access_rules.iter().find(|rule| rule.fits(ended));
        match rule.map(|rule| rule.keep) {
            Some(Keep::None) => None,
            Some(Keep::OneOf(of)) => is_drawn(ended, of).then_some(of),
            Some(Keep::Counted) => is_one_of_few(shared, ended).then_some(NonZeroU32::MIN),
            None if asked => None,
            None if refused => is_one_of_few(shared, ended).then_some(NonZeroU32::MIN),
            None | Some(Keep::All) => Some(NonZeroU32::MIN),
        }
    }
}

/// Seconds to a tenth of a millisecond: finer ones are written with an exponent, which not every reader of text takes.
fn seconds(time: Duration) -> f64 {
    const IN_ONE: f64 = 1e4;
    (time.as_secs_f64() * IN_ONE).round() / IN_ONE
}

/// Whether it is the one of so many.
fn is_drawn(ended: &Ended<'_>, of: NonZeroU32) -> bool {
    let own = ended.id.to_string();
    let first = ended.facts.previous.ids().next().unwrap_or(&own);
    xxh3_64(first.as_bytes()).is_multiple_of(u64::from(of.get()))
}

/// Whether there were few like it of late; if not, it is counted.
fn is_one_of_few(shared: &Shared, ended: &Ended<'_>) -> bool {
    let labels = Labels {
        listener: Some(ended.listener.to_owned()),
        route: ended.facts.route.as_deref().map(str::to_owned),
        ..Labels::default()
    };
    let message = String::from("more connections ended like those before");
    let kind = Kind { origin: ended.end.cause.name(), message, labels };
    match shared.repeats.line(kind, Level::INFO, BURST, Instant::now()) {
        Fate::Written => true,
        Fate::Counted { first } => {
            if first {
                shared.wake();
            }
            false
        }
    }
}

impl Subscriber for AccessLog {
    fn warned(&self, about: &ConnView, at: Instant, why: RelayDeadline) {
        warn!(
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
        let Some(of) = self.keeps(ended) else { return };
        let facts = ended.facts;
        let [first, second] = ended.end.code();
        let tls = facts.tls.as_deref();
        let agreed = tls.filter(|tls| !tls.version.is_empty());
        let secs = |phase| seconds(ended.spent(phase));
        info!(
            target: "smartproxy::access",
            id = %ended.id,
            previous = (!facts.previous.is_empty()).then(|| facts.previous.as_str()),
            client = facts.client.map(tracing::field::display),
            peer = %ended.peer,
            listener = ended.listener,
            server_name = facts.server_name.as_deref(),
            nameless = facts.nameless.as_deref(),
            tls = agreed.map(|tls| tls.version),
            cipher = agreed.map(|tls| tls.cipher),
            group = tls.and_then(|tls| tls.group),
            resumed = agreed.map(|tls| tls.resumed),
            alpn = tls.and_then(|tls| tls.alpn.as_deref()),
            ja4 = tls.and_then(|tls| tls.ja4.as_deref()),
            identity = tls.and_then(|tls| tls.identity.as_deref()),
            tls_before = tls.and_then(|tls| tls.before.as_deref()),
            hop = facts.hop.as_deref(),
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
            tls_s = secs(Phase::Tls),
            dial_s = secs(Phase::Dial),
            relay_s = secs(Phase::Relay),
            drain_s = secs(Phase::Drain),
            total_s = seconds(ended.lifetime),
            one_of = (of > NonZeroU32::MIN).then(|| of.get()),
            "connection ended"
        );
    }
}
