//! Tasks that are interrupted wherever they happen to be: dropped, as an abort does, or unwound, as a panic does.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use proxy_core::Listen;
use proxy_dataplane::generation::{Generation, Listener};
use tokio_util::task::TaskTracker;

use super::stream::{SimListener, SimNet};

/// What interrupts a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// It is dropped.
    Abort,
    /// It panics.
    Panic,
}

/// A future that is interrupted after its `left`th poll, unless it is done by then.
struct Interrupted<F, N> {
    future: Pin<Box<F>>,
    left: u32,
    how: Interruption,
    /// Told when it happens.
    note: N,
}

/// Accepts as the product does, and interrupts each connection after so many polls.
pub(super) async fn accept(
    proxy: Arc<Generation<SimNet>>,
    at: Arc<Listener>,
    listener: SimListener,
    tasks: TaskTracker,
    (polls, how): (u32, Interruption),
    note: impl Fn() + Clone + Send + Unpin + 'static,
) {
    while let Ok((client, peer)) = listener.accept().await {
        let future = Box::pin(proxy.connection(&at, 0, client, peer));
        tasks.spawn(Interrupted { future, left: polls, how, note: note.clone() });
    }
}

impl<F: Future<Output = ()>, N: Fn() + Unpin> Future for Interrupted<F, N> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            if self.future.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            if left > 0 {
                return Poll::Pending;
            }
        }
        (self.note)();
        match self.how {
            // Whoever spawned it drops it, with all that it holds.
            Interruption::Abort => Poll::Ready(()),
            // As a panic, without its message.
            Interruption::Panic => std::panic::resume_unwind(Box::new("interrupted")),
        }
    }
}
