//! What became of connections, as the API says it.

use proxy_api::model::Outcomes;
use proxy_conn::Tally;

/// Values of a histogram that are one second.
const MILLIS: f64 = 1e3;
const MICROS: f64 = 1e6;

/// What is counted under a name; nothing under one that nobody has taken yet.
pub(super) fn of(tally: Option<&Tally>) -> Outcomes {
    let Some(tally) = tally else { return Outcomes::default() };
    let totals = tally.totals();
    let at = |quantile: Option<u64>, a_second: f64| quantile.map(|bound| bound as f64 / a_second);
    Outcomes {
        opened_total: totals.opened,
        ended_total: totals.causes().map(|(cause, count)| (cause.name().to_owned(), count)).collect(),
        passed_on_total: totals.passed_on,
        failed_total: totals.failed,
        unanswered_total: totals.unanswered,
        refused_total: totals.refused(),
        from_client_bytes_total: totals.from_client,
        from_backend_bytes_total: totals.from_backend,
        dial_median_s: at(tally.dial().quantile(0.5), MICROS),
        first_byte_p99_s: at(tally.first_byte().quantile(0.99), MICROS),
        lifetime_median_s: at(tally.lifetime().quantile(0.5), MILLIS),
        minute: None,
    }
}
