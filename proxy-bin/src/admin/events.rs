//! Live views: what the proxy is like, once a second, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::State;
use axum::response::sse::{Event, Sse};
use futures_util::stream::{self, Stream};
use tokio::time::MissedTickBehavior;

use super::api::Api;
use super::counts::Counts;
use super::minutes::with_minutes;
use super::sampled::seen;
use super::{connections, findings, status, targets, view};
use crate::admin::problem::Problem;
use proxy_api::model::Sample;

/// How often a sample is told.
const EVERY: Duration = Duration::from_secs(1);

/// What the proxy is like now.
fn sample(api: &Api) -> Sample {
    let counts = Counts::take(api.tracker());
    let oldest = counts.oldest.iter().map(|one| connections::one_view(api, one, counts.at));
    let proxy = api.proxy();
    Sample {
        at: view::since_1970(SystemTime::now()),
        findings: findings::findings(api),
        status: status::of_all(api, &counts),
        routes: seen(api, status::routes(&proxy, &counts)),
        groups: with_minutes(api, targets::sampled(&proxy)),
        ages: counts.ages(),
        oldest: oldest.collect(),
    }
}

fn text(api: &Api) -> String {
    serde_json::to_string(&sample(api)).unwrap_or_default()
}

/// `GET /v1/events`.
pub(super) async fn events(
    State(api): State<Arc<Api>>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let place = api.live.place()?;
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Ok(Sse::new(stream::unfold((api, ticks, place), |(api, mut ticks, place)| async move {
        api.stop.run_until_cancelled(ticks.tick()).await?;
        let event = Event::default().event("sample").data(&*api.live.sample(|| text(&api)));
        Some((Ok(event), (api, ticks, place)))
    })))
}
