//! One direction of a relay.

use std::io;
use std::task::{Context, Poll, ready};

use crate::scratch;
use crate::stream::Stream;

/// Reads in a row before the task lets others run: a megabyte at most.
const ROUNDS: usize = 16;

/// One direction: what has been read from its source and not yet taken by its sink.
///
/// Invariant: `pending` is never longer than one read, except at the start, when it is the preface.
#[derive(Debug)]
pub(super) struct Lane {
    pending: Vec<u8>,
    /// How much of `pending` has been written.
    written: usize,
    state: State,
    moved: Moved,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The source may send more.
    Open,
    /// The source has ended; what is pending goes first, then the FIN.
    Ending,
    /// The FIN is sent.
    Ended,
    /// The source or the sink has reset: what can still be delivered is, and no FIN is sent.
    Broken,
}

/// What a lane did since it was last asked.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Moved {
    /// Bytes read from the source.
    pub(super) read: u64,
    /// Bytes taken by the sink.
    pub(super) written: u64,
}

impl Moved {
    pub(super) const fn any(self) -> bool {
        self.read > 0 || self.written > 0
    }
}

/// What broke a lane.
#[derive(Debug)]
pub(super) enum LaneError {
    /// Its source could not be read.
    Source(io::Error),
    /// Its sink could not be written.
    Sink(io::Error),
}

impl Lane {
    pub(super) fn new(pending: Vec<u8>, source_ended: bool) -> Self {
        let state = if source_ended { State::Ending } else { State::Open };
        Self { pending, written: 0, state, moved: Moved::default() }
    }

    /// Bytes read that the sink has not taken.
    pub(super) fn pending(&self) -> usize {
        self.pending.len() - self.written
    }

    /// Whether bytes wait for the sink.
    pub(super) fn is_stalled(&self) -> bool {
        self.pending() > 0
    }

    /// Whether the source's FIN has been read.
    pub(super) fn source_ended(&self) -> bool {
        matches!(self.state, State::Ending | State::Ended)
    }

    /// Whether the next poll would read from the source.
    pub(super) fn is_reading(&self) -> bool {
        self.state == State::Open && !self.is_stalled()
    }

    /// From now on no FIN is sent: it would pass lost bytes off as a clean end.
    pub(super) fn mark_broken(&mut self) {
        self.state = State::Broken;
    }

    /// What it did since last asked.
    pub(super) fn take_moved(&mut self) -> Moved {
        std::mem::take(&mut self.moved)
    }

    /// Moves what can be moved. Ready when the source's end has been passed on.
    pub(super) fn poll<F: Stream, T: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        from: &F,
        to: &T,
    ) -> Poll<Result<(), LaneError>> {
        for _ in 0..ROUNDS {
            ready!(self.poll_flush(cx, to)).map_err(LaneError::Sink)?;
            match self.state {
                State::Ended => return Poll::Ready(Ok(())),
                State::Ending => {
                    to.shutdown_write().map_err(LaneError::Sink)?;
                    self.state = State::Ended;
                    return Poll::Ready(Ok(()));
                }
                State::Open | State::Broken => {}
            }
            if ready!(self.poll_move(cx, from, to))? == 0 {
                if self.state == State::Broken {
                    return Poll::Ready(Ok(()));
                }
                self.state = State::Ending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Writes what is pending; gives its memory back when all is written.
    fn poll_flush<T: Stream>(&mut self, cx: &mut Context<'_>, to: &T) -> Poll<io::Result<()>> {
        while let Some(rest) = self.pending.get(self.written..).filter(|rest| !rest.is_empty()) {
            let n = ready!(to.poll_write(cx, rest))?;
            self.written += n;
            self.moved.written += n as u64;
        }
        if self.written > 0 {
            (self.pending, self.written) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once and writes at once; keeps what the sink does not take. How much was read.
    fn poll_move<F: Stream, T: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        from: &F,
        to: &T,
    ) -> Poll<Result<usize, LaneError>> {
        scratch::with(|buffer| {
            let n = ready!(from.poll_read(cx, buffer)).map_err(LaneError::Source)?;
            self.moved.read += n as u64;
            let mut rest = buffer.get(..n).unwrap_or_default();
            while !rest.is_empty() {
                match to.poll_write(cx, rest) {
                    Poll::Ready(Ok(m)) => {
                        self.moved.written += m as u64;
                        rest = rest.get(m..).unwrap_or_default();
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(LaneError::Sink(error))),
                    Poll::Pending => {
                        self.pending = rest.to_vec();
                        break;
                    }
                }
            }
            Poll::Ready(Ok(n))
        })
    }
}
