//! Where connections are that have no route yet, and that have to be waited for.
//!
//! ```text
//! accepted ─► has sent enough? ─ yes ─► route            nobody knows of it here
//!                  │ no
//!                  ▼
//!              lobby: 1 2 3 … most ◄─ newcomer           the newcomer gets in; number 1, who has had the longest time to
//!                     └► gives way                       send what it is routed by, goes
//! ```
//! Whoever sends a header or a hello without delay is served however many there are that do not.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

/// Those that are waited for. Invariant: they are no more than there may be, but for a limit that has just been lowered.
#[derive(Debug)]
pub(crate) struct Lobby {
    most: AtomicUsize,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    next_ticket: u64,
    /// By ticket: the lowest has waited for longest.
    tasks: BTreeMap<u64, Waker>,
}

/// A connection's way through the lobby: it is in there once it has to be waited for, until this is dropped or it has given
/// way.
#[derive(Debug)]
pub(crate) struct Wait<'l> {
    lobby: &'l Lobby,
    ticket: Option<u64>,
}

impl Lobby {
    /// A lobby for `most`, one at least.
    pub(super) fn new(most: usize) -> Self {
        Self { most: AtomicUsize::new(most.max(1)), waiting: Mutex::default() }
    }

    /// Changes how many there may be. Whoever is in there stays until somebody comes.
    pub(super) fn set_most(&self, most: usize) {
        self.most.store(most.max(1), Ordering::Relaxed);
    }

    /// The most there may be.
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    /// How many there are.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.lock().tasks.len()
    }

    /// The way of a connection that is not in there yet.
    pub(crate) fn wait(&self) -> Wait<'_> {
        Wait { lobby: self, ticket: None }
    }

    /// Lets a task in, and those out that it is too many for, the oldest first.
    fn enter(&self, task: Waker) -> u64 {
        let mut out = Vec::new();
        let ticket = {
            let mut waiting = self.waiting.lock();
            while waiting.tasks.len() >= self.most() {
                out.extend(waiting.tasks.pop_first());
            }
            waiting.next_ticket += 1;
            let ticket = waiting.next_ticket;
            waiting.tasks.insert(ticket, task);
            ticket
        };
        // Not under the lock: a waker may be the last to hold its task.
        out.into_iter().for_each(|(_, task)| task.wake());
        ticket
    }
}

impl Wait<'_> {
    /// How many there may be in the lobby.
    pub(crate) fn most(&self) -> usize {
        self.lobby.most()
    }

    /// The connection has to be waited for: pending while it may be, ready once it has had to give way.
    pub(crate) fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(ticket) = self.ticket else {
            self.ticket = Some(self.lobby.enter(cx.waker().clone()));
            return Poll::Pending;
        };
        match self.lobby.waiting.lock().tasks.get_mut(&ticket) {
            Some(task) => {
                task.clone_from(cx.waker());
                Poll::Pending
            }
            None => Poll::Ready(()),
        }
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let task = self.lobby.waiting.lock().tasks.remove(&ticket);
        drop(task);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio_test::task::spawn;
    use tokio_test::{assert_pending, assert_ready};

    #[test]
    fn the_oldest_gives_way_and_nobody_else() {
        let lobby = Lobby::new(2);
        let mut waits: Vec<_> = (0..3).map(|_| lobby.wait()).collect();
        let mut tasks: Vec<_> = waits.iter_mut().map(|wait| spawn(poll_fn(|cx| wait.poll_out(cx)))).collect();
        for task in &mut tasks {
            assert_pending!(task.poll());
        }
        assert_eq!(
            tasks.iter().map(tokio_test::task::Spawn::is_woken).collect::<Vec<_>>(),
            [true, false, false]
        );
        assert_ready!(tasks[0].poll());
        assert_pending!(tasks[1].poll());
        assert_pending!(tasks[2].poll());
        assert_eq!(lobby.waiting(), 2);
        drop(tasks);
        drop(waits);
        assert_eq!(lobby.waiting(), 0, "a wait that is over is forgotten, whoever has given way");
    }

    #[test]
    fn whoever_leaves_makes_room() {
        let lobby = Lobby::new(1);
        for _ in 0..3 {
            let mut wait = lobby.wait();
            assert_pending!(spawn(poll_fn(|cx| wait.poll_out(cx))).poll());
        }
        drop(lobby.wait());
        assert_eq!(lobby.waiting(), 0);
    }

    #[test]
    fn a_limit_that_is_lowered_is_met_when_the_next_one_comes() {
        let lobby = Lobby::new(8);
        let mut waits: Vec<_> = (0..8).map(|_| lobby.wait()).collect();
        for wait in &mut waits {
            assert_pending!(spawn(poll_fn(|cx| wait.poll_out(cx))).poll());
        }
        lobby.set_most(3);
        assert_eq!(lobby.waiting(), 8);
        let mut next = lobby.wait();
        assert_pending!(spawn(poll_fn(|cx| next.poll_out(cx))).poll());
        assert_eq!((lobby.waiting(), lobby.most()), (3, 3));
    }
}
