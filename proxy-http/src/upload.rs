//! The body of a request on its way to a backend.

use std::fmt;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use parking_lot::Mutex;
use proxy_conn::Cause;
use tokio::time::Sleep;

use crate::fault::Fault;
use crate::talk::Talk;

/// The body of a client's request. One that broke off never ends as if it were whole: where the conversation that it is part of is
/// gone, hyper tells of an end, and the framer has seen none.
#[derive(Debug)]
pub struct Upload {
    incoming: Option<Incoming>,
    talk: Option<Arc<Talk>>,
    nth: u64,
    left: Option<u64>,
    sent: Arc<AtomicBool>,
    gate: Option<Held>,
}

/// A body that is held back until the backend asks for it, or for a moment at the most.
struct Held {
    gate: Arc<Gate>,
    timer: Pin<Box<Sleep>>,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").finish_non_exhaustive()
    }
}

/// What a body is held back by, where its client waits for leave to send it (`Expect: 100-continue`).
#[derive(Debug, Default)]
pub(crate) struct Gate(Mutex<(bool, Option<Waker>)>);

impl Gate {
    /// The backend wants the body.
    pub(crate) fn open(&self) {
        let waker = {
            let mut state = self.0.lock();
            state.0 = true;
            state.1.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        if state.0 {
            return Poll::Ready(());
        }
        state.1 = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// How long a body is held back for a backend that says nothing: a client does not wait for ever either (RFC 9110, section 10.1.1; curl
/// waits a second).
const HELD_FOR: Duration = Duration::from_secs(1);

impl Upload {
    /// A body without a byte.
    #[must_use]
    pub fn none() -> Self {
        Self { incoming: None, talk: None, nth: 0, left: None, sent: Arc::default(), gate: None }
    }

    pub(crate) fn new(incoming: Incoming, talk: Arc<Talk>, nth: u64, most: Option<u64>) -> Self {
        let (talk, sent) = (Some(talk), Arc::default());
        Self { incoming: Some(incoming), talk, nth, left: most, sent, gate: None }
    }

    /// Whether there is nothing of it at all.
    #[must_use]
    pub fn has_no_byte(&self) -> bool {
        self.is_end_stream()
    }

    /// Holds it back until the gate is open.
    pub(crate) fn hold(&mut self) -> Arc<Gate> {
        let gate = Arc::<Gate>::default();
        let timer = Box::pin(tokio::time::sleep(HELD_FOR));
        self.gate = Some(Held { gate: Arc::clone(&gate), timer });
        gate
    }

    /// Where it is noted that all of it was handed on; None where there is nothing of it.
    pub(crate) fn sent(&self) -> Option<Arc<AtomicBool>> {
        (!self.is_end_stream()).then(|| Arc::clone(&self.sent))
    }

    /// Whether all of it has come from the client: there is nothing of it left to be sent.
    #[must_use]
    pub fn has_come(&self) -> bool {
        self.talk.as_ref().is_none_or(|talk| talk.is_whole(self.nth))
    }

    fn broken(&self) -> Fault {
        let refused = self.talk.as_ref().and_then(|talk| talk.refusal());
        refused.map_or_else(
            || Fault::new(Cause::ClientLeft, "the client ended in the middle of its request"),
            |refusal| Fault::new(Cause::RequestMalformed, refusal.sentence),
        )
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        if let Some(held) = &mut self.gate {
            if held.gate.poll(cx).is_pending() {
                ready!(held.timer.as_mut().poll(cx));
            }
            self.gate = None;
        }
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(incoming).poll_frame(cx));
        let whole = self.has_come();
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                let more = frame.data_ref().map_or(0, |data| data.len() as u64);
                match self.left.map(|left| left.checked_sub(more)) {
                    Some(None) => {
                        Some(Err(Fault::new(Cause::RequestMalformed, "its body is longer than max_body")))
                    }
                    left => {
                        self.left = left.flatten();
                        // A length that is known is not asked for an end.
                        if self.is_end_stream() {
                            self.sent.store(true, Ordering::Release);
                        }
                        Some(Ok(frame))
                    }
                }
            }
            None if whole => {
                self.sent.store(true, Ordering::Release);
                None
            }
            Some(Err(_)) | None => Some(Err(self.broken())),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}
