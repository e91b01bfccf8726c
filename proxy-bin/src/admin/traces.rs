//! Who follows which connection, and is told of its phases and its end by the worker that serves it: that costs a worker one
//! relaxed load while nobody follows anything.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use proxy_conn::{ConnId, ConnView, Ended, Phase, Subscriber};
use proxy_core::relay::RelayDeadline;
use tokio::sync::mpsc;
use tokio::time::Instant;

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
pub(super) enum Told {
    Entered(Phase),
    Warned(String),
    Ended(String),
}

impl Traces {
    /// Follows a connection.
    pub(super) fn follow(&self, id: ConnId) -> Following {
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
pub(super) struct Following {
    traces: Traces,
    id: ConnId,
    number: u64,
    pub(super) told: mpsc::Receiver<Told>,
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
