//! Look-ups under way: how many at once, and who is next, so that names that nobody answers for leave room for those that are.
//!
//! ```text
//!            answered soon the last time ────► while a few places are left
//! name ──►   never asked for, the last first ┐ eight at once; beyond that, while those are held up, one more each
//!            slow the last time              ┘ `EXTRA_EVERY`, so that the newest is soon served whoever hangs
//! ```
//! Each takes sockets, one for each record type that it asks for and one for each time that it asks again. Whom nobody waits for
//! any more is not looked up, or no longer.

mod queue;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::answer::{Found, ResolveError};
use queue::{Job, Queue, Rank};

/// Whoever took longer than this had no answer from a resolver nearby.
const SLOW: Duration = Duration::from_secs(1);

pub(super) type Outcome = Result<Found, ResolveError>;
type Asking = Pin<Box<dyn Future<Output = Outcome> + Send>>;
type LookUp = dyn Fn(&str) -> Asking + Send + Sync;

/// Look-ups. Cheap to clone; clones share the places.
#[derive(Clone)]
pub(super) struct Lookups {
    desk: Arc<Desk>,
}

struct Desk {
    queue: Mutex<Queue>,
    runtime: Handle,
    look_up: Box<LookUp>,
}

impl Lookups {
    /// So many at most at one time, on `runtime`.
    pub(super) fn new(
        runtime: Handle,
        most: usize,
        look_up: impl Fn(&str) -> Asking + Send + Sync + 'static,
    ) -> Self {
        let (queue, look_up) = (Mutex::new(Queue::new(most)), Box::new(look_up));
        Self { desk: Arc::new(Desk { queue, runtime, look_up }) }
    }

    /// Has `name` looked up. Dropping the future is saying that the answer is not waited for any more.
    pub(super) fn ask(&self, name: Box<str>) -> impl Future<Output = Outcome> + Send + use<> {
        let (answer, answered) = oneshot::channel();
        self.desk.queue.lock().push(Job { name, answer });
        self.desk.begin();
        let gone = || ResolveError::Failed("the look-up was abandoned".into());
        async move { answered.await.unwrap_or_else(|_| Err(gone())) }
    }
}

impl Desk {
    /// Begins with all that may begin now, and sees to it that the next is begun with when that is.
    fn begin(self: &Arc<Self>) {
        let mut queue = self.queue.lock();
        let now = Instant::now();
        while let Some((job, rank)) = queue.pop(now) {
            drop(self.runtime.spawn(Arc::clone(self).serve(job, rank)));
        }
        let wait = queue.until_next_extra(now);
        if !queue.is_empty() && !wait.is_zero() && !std::mem::replace(&mut queue.is_timed, true) {
            let desk = Arc::clone(self);
            drop(self.runtime.spawn(async move {
                tokio::time::sleep(wait).await;
                desk.queue.lock().is_timed = false;
                desk.begin();
            }));
        }
    }

    async fn serve(self: Arc<Self>, Job { name, mut answer }: Job, rank: Rank) {
        let place = Place { desk: &self, name, rank, began: Instant::now() };
        let looking_up = (self.look_up)(&place.name);
        let outcome = tokio::select! {
            outcome = looking_up => Some(outcome),
            () = answer.closed() => None,
        };
        drop(place);
        if let Some(outcome) = outcome {
            // Who asked may have gone: then nobody is told.
            answer.send(outcome).unwrap_or_default();
        }
    }
}

/// A place among those under way. Dropped, it is the next one's.
struct Place<'d> {
    desk: &'d Arc<Desk>,
    name: Box<str>,
    rank: Rank,
    began: Instant,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let name = std::mem::take(&mut self.name);
        self.desk.queue.lock().done(name, self.rank, self.began.elapsed() < SLOW);
        self.desk.begin();
    }
}

#[cfg(test)]
mod tests;
