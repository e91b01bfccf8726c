//! The body of an answer on its way to a client.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use proxy_conn::Cause;
use tokio::time::{Instant, Sleep};

use crate::fault::Fault;
use crate::pool::Lease;

/// The body of an answer: this proxy's own, or a backend's as it comes. None of a backend's is kept back, and one that breaks off is
/// broken off at the client too.
#[derive(Debug)]
pub struct Answer(Inner);

#[derive(Debug)]
enum Inner {
    Own(Option<Bytes>),
    Backends(Box<Backends>),
}

impl Answer {
    /// This proxy's own.
    #[must_use]
    pub fn own(text: impl Into<Bytes>) -> Self {
        Self(Inner::Own(Some(text.into()).filter(|text: &Bytes| !text.is_empty())))
    }

    /// Without a byte.
    #[must_use]
    pub const fn none() -> Self {
        Self(Inner::Own(None))
    }

    /// What is left of this proxy's own, as text.
    pub(crate) fn text(&self) -> &str {
        let Inner::Own(Some(text)) = &self.0 else { return "" };
        std::str::from_utf8(text).unwrap_or_default()
    }

    /// A backend's, over a connection that is given back when all of it has come. Its next bytes are waited for no longer than `patience`.
    #[must_use]
    pub fn of_backend(incoming: Incoming, lease: Lease, patience: Duration) -> Self {
        let left = incoming.size_hint().exact();
        let mut backends = Backends { incoming, lease: Some(lease), patience, timer: None, left };
        if backends.incoming.is_end_stream() {
            backends.is_whole();
        }
        Self(Inner::Backends(Box::new(backends)))
    }
}

#[derive(Debug)]
struct Backends {
    incoming: Incoming,
    lease: Option<Lease>,
    patience: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    /// Bytes that are missing yet, where that is known.
    left: Option<u64>,
}

impl Backends {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) else {
            ready!(self.poll_timer(cx));
            let detail = "no more of its answer came within response_body_timeout";
            return Poll::Ready(Some(Err(self.is_broken(Fault::new(Cause::BackendTimeout, detail)))));
        };
        self.timer = None;
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                if let (Some(left), Some(data)) = (&mut self.left, frame.data_ref()) {
                    *left = left.saturating_sub(data.len() as u64);
                }
                if self.incoming.is_end_stream() {
                    self.is_whole();
                }
                Some(Ok(frame))
            }
            Some(Err(error)) => Some(Err(self.is_broken(Fault::of_backend(&error)))),
            None => match self.missing() {
                Some(fault) => Some(Err(self.is_broken(fault))),
                None => {
                    self.is_whole();
                    None
                }
            },
        })
    }

    /// What is wrong where hyper tells of an end: it does so too where the connection was ended under it.
    fn missing(&self) -> Option<Fault> {
        match self.left {
            Some(0) => None,
            Some(_) | None => self.lease.as_ref().and_then(Lease::fault),
        }
    }

    fn is_whole(&mut self) {
        self.lease.take().into_iter().for_each(Lease::give_back);
    }

    /// The connection goes with it: what may come on it yet is nobody's.
    fn is_broken(&mut self, fault: Fault) -> Fault {
        drop(self.lease.take());
        fault
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let patience = self.patience;
        let timer =
            self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + patience)));
        std::future::Future::poll(timer.as_mut(), cx)
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        match &mut self.0 {
            Inner::Own(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Inner::Backends(backends) => backends.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Own(text) => text.is_none(),
            Inner::Backends(backends) => backends.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Own(text) => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
            Inner::Backends(backends) => backends.incoming.size_hint(),
        }
    }
}
