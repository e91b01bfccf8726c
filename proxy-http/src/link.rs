//! What the owner of a connection to a backend and whoever uses it know of each other.

use std::any::Any;
use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use crate::fault::Fault;

/// Between the task that owns a connection and the lease on it.
#[derive(Debug, Default)]
pub(crate) struct Link(Mutex<State>);

#[derive(Default)]
struct State {
    /// Whether a request is under way.
    busy: bool,
    /// What is to become of it.
    fate: Fate,
    /// Whether its task has let go of the connection.
    gone: bool,
    /// What went wrong with it.
    fault: Option<Fault>,
    /// Whether its request asks for another protocol.
    asks_to_switch: bool,
    /// The connection itself, where it may have switched to another protocol.
    released: Option<Box<dyn Any + Send>>,
    owner: Option<Waker>,
    user: Option<Waker>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("busy", &self.busy)
            .field("fate", &self.fate)
            .field("gone", &self.gone)
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

/// What is to become of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Fate {
    /// It is kept for the next request.
    #[default]
    Kept,
    /// It is closed in order once no request is under way.
    Retired,
    /// Its request was abandoned: it is reset.
    Abandoned,
}

impl Link {
    /// What its owner has to know; woken when that changes.
    pub(crate) fn look(&self, cx: &Context<'_>) -> (bool, Fate) {
        let mut state = self.0.lock();
        if !state.owner.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            state.owner = Some(cx.waker().clone());
        }
        (state.busy, state.fate)
    }

    /// Marks it as in use; false where it is not to be used any more.
    pub(crate) fn take(&self) -> bool {
        let mut state = self.0.lock();
        let free = !state.gone && state.fate == Fate::Kept;
        state.busy |= free;
        free
    }

    /// Its request asks for another protocol: what is left of it when HTTP is over is its user's.
    pub(crate) fn asks_to_switch(&self) {
        self.0.lock().asks_to_switch = true;
    }

    /// Whether its request asks for another protocol.
    pub(crate) fn may_switch(&self) -> bool {
        self.0.lock().asks_to_switch
    }

    /// No request is under way on it any more.
    pub(crate) fn give_back(&self, fate: Fate) {
        self.change(fate, |busy| *busy = false);
    }

    /// It is not to be used any more.
    pub(crate) fn end(&self, fate: Fate) {
        self.change(fate, |_| {});
    }

    fn change(&self, fate: Fate, of: impl FnOnce(&mut bool)) {
        let waker = {
            let mut state = self.0.lock();
            of(&mut state.busy);
            state.fate = state.fate.max(fate);
            state.owner.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    /// Its owner lets go of it, or is about to.
    pub(crate) fn goes(&self, fault: Option<Fault>, released: Option<Box<dyn Any + Send>>) {
        let waker = {
            let mut state = self.0.lock();
            state.gone = true;
            if state.fault.is_none() {
                state.fault = fault;
            }
            state.released = released;
            state.user.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    /// Whether its owner has let go of it.
    pub(crate) fn is_gone(&self) -> bool {
        self.0.lock().gone
    }

    pub(crate) fn fault(&self) -> Option<Fault> {
        self.0.lock().fault.clone()
    }

    /// Waits until its owner has let go of it; the connection, if that goes on. Cancel-safe.
    pub(crate) async fn wait_released(&self) -> Option<Box<dyn Any + Send>> {
        poll_fn(|cx| {
            let mut state = self.0.lock();
            if state.gone {
                return Poll::Ready(state.released.take());
            }
            state.user = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }
}
