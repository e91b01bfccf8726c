//! Live views: what the proxy is like, once a second, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::State;
use axum::response::sse::{Event, Sse};
use futures_util::stream::{self, Stream};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, MissedTickBehavior};

use super::api::Api;
use super::counts::Counts;
use super::{connections, status, view};
use crate::admin::problem::Problem;
use proxy_api::model::Sample;

/// How often a sample is told.
const EVERY: Duration = Duration::from_secs(1);
/// All views are told the same sample, which is no older than this.
const FRESH: Duration = Duration::from_millis(900);
/// Streams that are served at a time: half of the connections, so that they never keep everybody else out.
const MOST: usize = super::accept::MOST_CONNECTIONS / 2;

/// The last sample, for all views, and how many views there may be.
#[derive(Debug)]
pub(super) struct Live {
    last: Mutex<Option<(Instant, Arc<str>)>>,
    places: Arc<Semaphore>,
}

impl Default for Live {
    fn default() -> Self {
        Self { last: Mutex::new(None), places: Arc::new(Semaphore::new(MOST)) }
    }
}

impl Live {
    /// A place among the streams.
    pub(super) fn place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            Problem::unavailable(format!("{MOST} live views are open, the most there may be: close one"))
        })
    }

    fn sample(&self, api: &Api) -> Arc<str> {
        let mut last = self.last.lock();
        if let Some((_, sample)) = last.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            return Arc::clone(sample);
        }
        let text = serde_json::to_string(&sample(api)).unwrap_or_default();
        let (_, sample) = last.insert((Instant::now(), text.into()));
        Arc::clone(sample)
    }
}

/// What the proxy is like now.
fn sample(api: &Api) -> Sample {
    let counts = Counts::take(api.tracker());
    let oldest = counts.oldest.iter().map(|one| connections::one_view(api, one, counts.at));
    Sample {
        at: view::since_1970(SystemTime::now()),
        status: status::of_all(api, &counts),
        routes: status::routes(&api.proxy(), &counts),
        ages: counts.ages(),
        oldest: oldest.collect(),
    }
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
        let event = Event::default().event("sample").data(&*api.live.sample(&api));
        Some((Ok(event), (api, ticks, place)))
    })))
}
