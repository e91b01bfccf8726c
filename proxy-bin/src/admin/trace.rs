//! One connection, followed until it ends: each phase as it is entered, the end with its cause, and between them what moved.
//!
//! The worker that serves a connection tells its phases and its end to [`Traces`], which costs it one relaxed load while
//! nobody follows anything. Bytes, deadlines and the target are looked at a few times a second.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, Sse};
use futures_util::stream::{self, Stream};
use parking_lot::Mutex;
use proxy_conn::{ConnId, ConnView, Ended, Phase, Subscriber, Tracked};
use proxy_core::relay::RelayDeadline;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::api::Api;
use super::connections::{find, one_view};
use super::query::Id;
use super::view::secs;
use crate::admin::problem::Problem;
use proxy_api::model::TraceEvent;

/// How often what nobody tells is looked at.
const EVERY: Duration = Duration::from_millis(200);
/// Events that wait to be sent to one who follows. A connection has five phases; warnings are hours apart.
const WAITING: usize = 32;

/// Whoever follows connections is told through this. Give it to the server as a subscriber, and to the admin API. Cheap to
/// clone; clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Traces(Arc<Followers>);

#[derive(Debug, Default)]
struct Followers {
    /// How many follow: while it is 0 nobody looks further.
    count: AtomicUsize,
    by_id: Mutex<HashMap<ConnId, Vec<Follower>>>,
}

/// One that follows: its number, and where it is told.
type Follower = (u64, mpsc::Sender<Told>);

/// What a follower is told.
#[derive(Debug, Clone)]
enum Told {
    Entered(Phase),
    Warned(String),
    Ended(String),
}

impl Traces {
    /// Follows a connection.
    fn follow(&self, id: ConnId) -> Following {
        let (sender, told) = mpsc::channel(WAITING);
        let number = fastrand::u64(..);
        self.0.by_id.lock().entry(id).or_default().push((number, sender));
        self.0.count.fetch_add(1, Ordering::Relaxed);
        Following { traces: self.clone(), id, number, told }
    }

    fn tell(&self, id: ConnId, told: impl FnOnce() -> Told) {
        if self.0.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let by_id = self.0.by_id.lock();
        let Some(followers) = by_id.get(&id) else { return };
        let told = told();
        for (_, follower) in followers {
            // One that does not read misses it; a worker waits for nobody.
            follower.try_send(told.clone()).unwrap_or_default();
        }
    }
}

impl Subscriber for Traces {
    fn entered(&self, id: ConnId, phase: Phase) {
        self.tell(id, || Told::Entered(phase));
    }

    fn warned(&self, about: &ConnView, at: Instant, why: RelayDeadline) {
        let left = at.saturating_duration_since(Instant::now()).as_secs();
        self.tell(about.id, || {
            Told::Warned(format!("it will be cut in {left} s by {why} unless something moves"))
        });
    }

    fn ended(&self, ended: &Ended<'_>) {
        self.tell(ended.id, || {
            let (from_client, from_backend) = (ended.from_client, ended.from_backend);
            let lifetime = ended.lifetime.as_secs_f64();
            let detail = ended.detail.map(|detail| format!(": {detail}")).unwrap_or_default();
            let moved = format!("{from_client} bytes from the client, {from_backend} from the backend");
            Told::Ended(format!("{}{detail}, after {lifetime:.3} s, {moved}", ended.end))
        });
    }
}

/// One that follows, for as long as it does.
#[derive(Debug)]
struct Following {
    traces: Traces,
    id: ConnId,
    number: u64,
    told: mpsc::Receiver<Told>,
}

impl Drop for Following {
    fn drop(&mut self) {
        let mut by_id = self.traces.0.by_id.lock();
        if let Some(followers) = by_id.get_mut(&self.id) {
            followers.retain(|(number, _)| *number != self.number);
            if followers.is_empty() {
                by_id.remove(&self.id);
            }
        }
        self.traces.0.count.fetch_sub(1, Ordering::Relaxed);
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use proxy_conn::{Cause, DeadlineKind, Opening, Tracker};
    use proxy_core::PeerAddr;

    #[tokio::test]
    async fn who_follows_is_told_of_that_one_and_nothing_stays() {
        let traces = Traces::default();
        let tracker = Tracker::new(1, ((), traces.clone()));
        let peer = PeerAddr::new(([127, 0, 0, 1], 1).into());
        let open = || tracker.open(0, Opening::new(peer, "*:80"));
        let (one, other) = (open(), open());
        let mut following = traces.follow(one.id());
        other.enter(Phase::Dial, Instant::now(), DeadlineKind::Dial).unwrap();
        one.enter(Phase::Peek, Instant::now(), DeadlineKind::Hello).unwrap();
        one.end(Cause::Killed.during(Phase::Peek), Some("by hand".into()));
        drop((one, other));
        assert!(matches!(following.told.recv().await, Some(Told::Entered(Phase::Peek))));
        let Some(Told::Ended(text)) = following.told.recv().await else { panic!("it has ended") };
        assert!(text.starts_with("KP killed by operator in peek: by hand, after 0."), "{text}");
        drop(following);
        assert_eq!((traces.0.count.load(Ordering::Relaxed), traces.0.by_id.lock().len()), (0, 0));
    }
}
