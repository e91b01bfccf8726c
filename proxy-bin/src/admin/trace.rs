//! One connection, followed until it ends: each phase as it is entered, the end with its cause, and between them what moved.
//!
//! The worker that serves a connection tells its phases and its end (`traces`). Bytes, deadlines and the target are looked at a
//! few times a second.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, Sse};
use futures_util::stream::{self, Stream};
use proxy_conn::{ConnView, Tracked};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::api::Api;
use super::connections::{find, one_view};
use super::query::Id;
use super::traces::{Following, Told};
use super::view::secs;
use crate::admin::problem::Problem;
use proxy_api::model::TraceEvent;

/// How often what nobody tells is looked at.
const EVERY: Duration = Duration::from_millis(200);

/// `GET /v1/connections/{id}/trace`.
pub(super) async fn trace(
    State(api): State<Arc<Api>>,
    Id(id): Id,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let place = api.live.place()?;
    // First this, then the look whether it is there: so no end comes between the two.
    let following = api.traces().follow(id);
    let one = find(api.tracker(), id)?;
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let now = Instant::now();
    let seen = one.view(now);
    let trail =
        Trail { api, one, following, ticks, began: now, seen, first: true, over: false, _place: place };
    Ok(Sse::new(stream::unfold(trail, async |mut trail: Trail| {
        let event = trail.next().await?;
        let text = serde_json::to_string(&event).unwrap_or_default();
        Some((Ok(Event::default().event("trace").data(text)), trail))
    })))
}

/// Where a trace is.
struct Trail {
    api: Arc<Api>,
    one: Tracked,
    following: Following,
    ticks: Interval,
    began: Instant,
    /// As it was when it was last told of.
    seen: ConnView,
    first: bool,
    over: bool,
    _place: OwnedSemaphorePermit,
}

impl Trail {
    /// The next event; None once the connection has ended, or the proxy stops.
    async fn next(&mut self) -> Option<TraceEvent> {
        if self.over {
            return None;
        }
        if std::mem::take(&mut self.first) {
            return Some(self.event(
                "seen",
                format!("in {}, open for {:.3} s", self.seen.phase, self.seen.age.as_secs_f64()),
            ));
        }
        let stop = self.api.stop.clone();
        loop {
            let told = tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                told = self.following.told.recv() => told,
                _ = self.ticks.tick() => None,
            };
            let event = match told {
                Some(told) => Some(self.told(told)),
                None => self.moved(),
            };
            if event.is_some() {
                return event;
            }
        }
    }

    fn told(&mut self, told: Told) -> TraceEvent {
        match told {
            Told::Entered(phase) => self.event("phase", phase.to_string()),
            Told::Warned(text) => self.event("deadline", text),
            Told::Ended(text) => {
                self.over = true;
                TraceEvent { connection: None, ..self.event("gone", text) }
            }
        }
    }

    /// What is otherwise than it was.
    fn moved(&mut self) -> Option<TraceEvent> {
        let now = Instant::now();
        let (before, view) = (self.seen.clone(), self.one.view(now));
        self.seen = view.clone();
        if before.facts.target != view.facts.target {
            return Some(self.event("target", view.facts.target.as_deref().unwrap_or("none").to_owned()));
        }
        if (before.from_client, before.from_backend) != (view.from_client, view.from_backend) {
            let (up, down) = (view.from_client - before.from_client, view.from_backend - before.from_backend);
            return Some(self.event("bytes", format!("{up} from the client, {down} from the backend")));
        }
        if before.deadline != view.deadline {
            let left = view.deadline_at.saturating_duration_since(now).as_secs_f64();
            return Some(self.event("deadline", format!("{} in {left:.1} s", view.deadline)));
        }
        None
    }

    fn event(&self, event: &str, text: String) -> TraceEvent {
        TraceEvent {
            at_s: secs(self.began.elapsed()),
            event: event.to_owned(),
            text,
            connection: Some(one_view(&self.api, &self.one, Instant::now())),
        }
    }
}
