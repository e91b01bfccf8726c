//! Waiting for a permit: a line in which nobody overtakes, and which anybody may leave at any time.
//!
//! ```text
//!                 ┌── a permit is free, nobody waits ──► Ok(Permit)
//! acquire_or_wait ┼── too many wait ──► Full
//!                 └── Place in the line ──┬── served: the permit comes through the place's channel ──► Ok(Permit)
//!                                         ├── longest_wait is over (where that is found late, and a moment more) ──► TimedOut
//!                                         └── dropped: leaves the line; a permit that has come goes to the next
//! ```
//!
//! Why not tokio's semaphore: it is as fair and as cancel-safe, but it takes a lock for every permit that is given back,
//! cannot be lowered below what is in use, and has no bound on its queue, so a counter of our own would have to run
//! beside it. Here the lock is taken only while somebody waits, and one word counts.
//!
//! A permit on its way to a waiter is a [`Permit`] in a channel: whoever drops the channel drops the permit, and a
//! dropped permit goes to the next. So cancel-safety needs no code of its own.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;

use proxy_core::Bound;
use proxy_core::late::grace;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::word::{Given, Word};
use super::{Counter, Limit, Permit};

/// How many may wait for a permit, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(deny_unknown_fields))]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct QueueLimits {
    /// How many may wait at once; 0 for no queue.
    pub most_waiting: usize,
    /// How long one may wait.
    pub longest_wait: Bound,
}

impl QueueLimits {
    /// At most `most_waiting` at once, each for at most `longest_wait`.
    #[must_use]
    pub const fn new(most_waiting: usize, longest_wait: Bound) -> Self {
        Self { most_waiting, longest_wait }
    }
}

proxy_values::setters!(QueueLimits { most_waiting: usize, longest_wait: Bound });

/// Why there is no permit, even after waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// Too many wait already. Said at once.
    #[error("the queue is full: {most_waiting} may wait")]
    Full {
        /// How many may wait.
        most_waiting: usize,
    },
    /// No permit came in time.
    #[error("nothing came free within {longest_wait}")]
    TimedOut {
        /// How long one may wait.
        longest_wait: Bound,
    },
}

impl Limit {
    /// A permit: at once if one is free and the queue is empty, else when it is this caller's turn. Those that wait are served
    /// in the order in which they were first polled.
    ///
    /// Needs a tokio runtime with its clock if it has to wait.
    ///
    /// # Errors
    /// [`Full`](QueueError::Full) at once if as many wait as `queue` allows, [`TimedOut`](QueueError::TimedOut) after
    /// its longest wait. A permit that comes at the very moment of the deadline is taken, and so is one that would have come
    /// by then if this thread had not stood still.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the line, and nothing is lost: a permit that was just handed over goes to the next.
    /// Calling again means to wait from the end of the line.
    pub async fn acquire_or_wait(&self, queue: &QueueLimits) -> Result<Permit, QueueError> {
        let place = match self.join(queue.most_waiting)? {
            Joined::Admitted(permit) => return Ok(permit),
            Joined::Waiting(place) => place,
        };
        let (deadline, mut served) = (Instant::now() + queue.longest_wait.get(), pin!(place.served()));
        let mut permit = tokio::time::timeout_at(deadline, served.as_mut()).await;
        if permit.is_err()
            && let Some(grace) = grace(deadline.elapsed())
        {
            permit = tokio::time::timeout(grace, served).await;
        }
        permit.ok().flatten().ok_or(QueueError::TimedOut { longest_wait: queue.longest_wait })
    }

    /// How many wait now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.line.lock().len()
    }

    /// Takes a permit or a place in the line.
    pub(super) fn join(&self, most_waiting: usize) -> Result<Joined, QueueError> {
        if let Some(permit) = self.acquire() {
            return Ok(Joined::Admitted(permit));
        }
        let mut line = self.0.line.lock();
        let may_wait = line.len() < most_waiting;
        let taken = if may_wait { self.0.word.take_or_queue() } else { self.0.word.take() };
        match taken {
            Some(in_use) => Ok(Joined::Admitted(self.0.permit(in_use))),
            None if may_wait => Ok(Joined::Waiting(line.place(&self.0))),
            None => Err(QueueError::Full { most_waiting }),
        }
    }
}

/// What came of joining.
pub(super) enum Joined {
    Admitted(Permit),
    Waiting(Place),
}

/// Those that wait, by ticket: the lowest is the next.
///
/// A map rather than a deque, for one leaves from the middle when its client leaves, and thousands may at once.
///
/// Made when the first one waits: most limits never have anybody who does, and there is one for each member of a group.
#[derive(Default)]
pub(super) struct Line(Option<Box<Waiting>>);

#[derive(Default)]
struct Waiting {
    next_ticket: u64,
    waiting: BTreeMap<u64, Waiter>,
}

/// Where a waiter gets its permit from.
pub(super) type Waiter = oneshot::Sender<Permit>;

impl Line {
    fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |line| line.waiting.len())
    }

    /// A place at the end. The word already says that somebody waits.
    fn place(&mut self, counter: &Arc<Counter>) -> Place {
        let (waiter, served) = oneshot::channel();
        let line = self.0.get_or_insert_default();
        let ticket = line.next_ticket;
        line.next_ticket += 1;
        line.waiting.insert(ticket, waiter);
        Place { counter: Arc::clone(counter), ticket, served }
    }

    /// Settles what becomes of a permit that is given back: the waiter who has it now, if one has.
    pub(super) fn pass_on(&mut self, word: &Word) -> Option<Waiter> {
        match word.give_or_pass() {
            Given::Back => None,
            Given::PassOn => self.next(word),
        }
    }

    /// Changes the limit; the waiters that are admitted by that, in order, their permits counted.
    pub(super) fn set_most(&mut self, word: &Word, most: usize) -> Vec<Waiter> {
        word.set_most(most);
        let mut admitted = Vec::new();
        while self.len() > 0 && word.take_for_waiter() {
            admitted.extend(self.next(word));
        }
        admitted
    }

    fn leave(&mut self, word: &Word, ticket: u64) {
        let Some(line) = &mut self.0 else { return };
        if line.waiting.remove(&ticket).is_some() && line.waiting.is_empty() {
            word.unqueue();
        }
    }

    fn next(&mut self, word: &Word) -> Option<Waiter> {
        let line = self.0.as_mut()?;
        let (_, waiter) = line.waiting.pop_first()?;
        if line.waiting.is_empty() {
            word.unqueue();
        }
        Some(waiter)
    }
}

impl Counter {
    /// Hands a waiter the permit that is counted for it. Without the lock: it wakes a task, and if that task has just
    /// left, the permit is dropped here, and so goes to the next.
    pub(super) fn serve(self: &Arc<Self>, waiter: Waiter) {
        drop(waiter.send(Permit(Arc::clone(self))));
    }
}

/// A place in the line. Dropping it leaves the line.
pub(super) struct Place {
    counter: Arc<Counter>,
    ticket: u64,
    pub(super) served: oneshot::Receiver<Permit>,
}

impl Place {
    /// Resolves when the permit comes.
    ///
    /// INVARIANT: never to `None`, for the other end leaves the line only to be served or with this place.
    async fn served(mut self) -> Option<Permit> {
        (&mut self.served).await.ok()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // CANCEL: first out of the line, so that nothing more comes; then the channel is dropped, with what has come.
        self.counter.line.lock().leave(&self.counter.word, self.ticket);
    }
}
