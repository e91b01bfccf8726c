//! One direction of a relay.
//!
//! Small reads go through the thread's buffer. A source that fills it over and over is spliced: its bytes go through a
//! pipe and are never copied into this process. Which of the two is used is decided from read to read, so a flow that
//! calms down goes back to the buffer, and one that gets no pipe never leaves it.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;

use crate::pipe::{Pipe, Splice};
use crate::scratch;
use crate::stream::Stream;

/// Bytes in a row before the task lets others run: a millisecond or so of them.
const TURN: u64 = 1024 * 1024;

/// Reads in a row that fill the buffer, until the flow is spliced: one may be a single large answer.
const FULL_READS: u8 = 2;

/// A splice that moves less than this is cheaper as a read.
const SMALL_SPLICE: usize = 16 * 1024;

/// Small splices in a row until the flow is read again.
const SMALL_SPLICES: u8 = 4;

/// One direction: what has been read from its source and not yet taken by its sink.
///
/// Invariant: what waits is never more than one read (or one pipe), except at the start, when it is the preface.
#[derive(Debug)]
pub(super) struct Lane {
    waiting: Option<Box<Waiting>>,
    state: State,
    flow: Flow,
    moved: Moved,
}

/// A sink that takes longer than this for one read's worth is slow: then less is read at once. A hop before this one sees
/// that its bytes are taken when they are read here, in steps of what is read at once, and has a deadline between two steps:
/// the quarter of a MiB that is spliced at once would be 8 s of a reader of 32 KiB/s.
const SLOW: Duration = Duration::from_secs(1);

/// Bytes that wait for the sink, and since when. Only a lane whose sink is slow has any.
#[derive(Debug)]
struct Waiting {
    held: Held,
    since: Instant,
}

/// Where bytes wait.
#[derive(Debug)]
enum Held {
    /// In memory, from the offset on.
    Bytes(Vec<u8>, usize),
    /// In a pipe.
    Pipe(Pipe),
}

impl Waiting {
    fn new(held: Held) -> Box<Self> {
        Box::new(Self { held, since: Instant::now() })
    }

    fn len(&self) -> usize {
        match &self.held {
            Held::Bytes(bytes, written) => bytes.len() - written,
            Held::Pipe(pipe) => pipe.held(),
        }
    }
}

/// How the source's bytes are moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    /// Read; this many reads in a row have filled the buffer.
    Read(u8),
    /// Spliced; this many splices in a row were small.
    Splice(u8),
}

impl Flow {
    /// What to do next, after a read (or a splice) of `n` bytes.
    const fn after(self, n: usize) -> Self {
        match self {
            Self::Read(_) if n < scratch::SIZE => Self::Read(0),
            Self::Read(full) if full + 1 < FULL_READS => Self::Read(full + 1),
            Self::Read(_) => Self::Splice(0),
            Self::Splice(_) if n >= SMALL_SPLICE => Self::Splice(0),
            Self::Splice(small) if small + 1 < SMALL_SPLICES => Self::Splice(small + 1),
            Self::Splice(_) => Self::Read(0),
        }
    }
}

/// Ends a turn: the task runs again once the reactor has been asked for others' events. Woken at once, it would be run
/// sixty times before that (`event_interval`), which is as many milliseconds for whoever has just sent a byte.
fn let_others_run<T>(cx: &mut Context<'_>) -> Poll<T> {
    match pin!(tokio::task::yield_now()).poll(cx) {
        Poll::Ready(()) => cx.waker().wake_by_ref(),
        Poll::Pending => {}
    }
    Poll::Pending
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
    pub(super) fn new(preface: Vec<u8>, source_ended: bool) -> Self {
        let state = if source_ended { State::Ending } else { State::Open };
        let waiting = (!preface.is_empty()).then(|| Waiting::new(Held::Bytes(preface, 0)));
        Self { waiting, state, flow: Flow::Read(0), moved: Moved::default() }
    }

    /// Bytes read that the sink has not taken.
    pub(super) fn pending(&self) -> usize {
        self.waiting.as_ref().map_or(0, |waiting| waiting.len())
    }

    /// Whether bytes wait for the sink.
    pub(super) const fn is_stalled(&self) -> bool {
        self.waiting.is_some()
    }

    /// Whether the source's FIN has been read.
    pub(super) const fn source_ended(&self) -> bool {
        matches!(self.state, State::Ending | State::Ended)
    }

    /// Whether its end has been passed on.
    pub(super) const fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended)
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

    /// Moves what can be moved. Ready when the source's end has been passed on, for which the sink may have to be waited for
    /// like for any byte; `last`: except for the FIN, which is sent with the closing of the sink, since nothing is expected of
    /// that either.
    pub(super) fn poll<F: Stream, T: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        from: &F,
        to: &T,
        last: bool,
    ) -> Poll<Result<(), LaneError>> {
        let turn = self.moved.read + TURN;
        loop {
            ready!(self.poll_flush(cx, to)).map_err(LaneError::Sink)?;
            match self.state {
                State::Ended => return Poll::Ready(Ok(())),
                State::Ending => {
                    let ended = if last { to.poll_finish(cx) } else { to.poll_shutdown(cx) };
                    ready!(ended).map_err(LaneError::Sink)?;
                    self.state = State::Ended;
                    return Poll::Ready(Ok(()));
                }
                State::Open | State::Broken => {}
            }
            if self.moved.read >= turn {
                return let_others_run(cx);
            }
            if ready!(self.poll_move(cx, from, to))? == 0 {
                if self.state == State::Broken {
                    return Poll::Ready(Ok(()));
                }
                self.state = State::Ending;
            }
        }
    }

    /// Writes what waits; gives its memory (or its pipe) back when all is written.
    fn poll_flush<T: Stream>(&mut self, cx: &mut Context<'_>, to: &T) -> Poll<io::Result<()>> {
        let Some(waiting) = &mut self.waiting else { return Poll::Ready(Ok(())) };
        while waiting.len() > 0 {
            let taken = match &mut waiting.held {
                Held::Bytes(bytes, written) => {
                    let taken = ready!(to.poll_write(cx, bytes.get(*written..).unwrap_or_default()))?;
                    *written += taken;
                    taken
                }
                Held::Pipe(pipe) => {
                    // INVARIANT: a pipe is only filled for a sink that is a socket.
                    let to = to.as_splice().ok_or(io::ErrorKind::Unsupported)?;
                    let Some(taken) = ready!(to.poll_splice_from(cx, pipe))? else {
                        waiting.held = Held::Bytes(pipe.unload()?, 0);
                        continue;
                    };
                    taken
                }
            };
            self.moved.written += taken as u64;
        }
        if waiting.since.elapsed() >= SLOW {
            self.flow = Flow::Read(0);
        }
        self.waiting = None;
        Poll::Ready(Ok(()))
    }

    /// Moves once, and keeps what the sink does not take. How much was read; 0 at the source's end.
    fn poll_move<F: Stream, T: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        from: &F,
        to: &T,
    ) -> Poll<Result<usize, LaneError>> {
        if let Flow::Splice(_) = self.flow
            && let Some((from, to)) = from.as_splice().zip(to.as_splice())
            && let Some(pipe) = Pipe::borrow()
            && let Some(n) = ready!(self.poll_splice(cx, from, to, pipe))?
        {
            return Poll::Ready(Ok(n));
        }
        self.poll_copy(cx, from, to)
    }

    /// Fills `pipe` and empties it at once. None: it has to be read.
    fn poll_splice<F: Splice, T: Splice>(
        &mut self,
        cx: &mut Context<'_>,
        from: &F,
        to: &T,
        mut pipe: Pipe,
    ) -> Poll<Result<Option<usize>, LaneError>> {
        let Some(n) = ready!(from.poll_splice_into(cx, &mut pipe)).map_err(LaneError::Source)? else {
            return Poll::Ready(Ok(None));
        };
        self.moved.read += n as u64;
        self.flow = self.flow.after(n);
        while pipe.held() > 0 {
            match to.poll_splice_from(cx, &mut pipe) {
                Poll::Ready(Ok(Some(m))) => self.moved.written += m as u64,
                Poll::Ready(Ok(None)) => {
                    let bytes = pipe.unload().map_err(LaneError::Sink)?;
                    self.waiting = Some(Waiting::new(Held::Bytes(bytes, 0)));
                    break;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(LaneError::Sink(error))),
                Poll::Pending => {
                    self.waiting = Some(Waiting::new(Held::Pipe(pipe)));
                    break;
                }
            }
        }
        Poll::Ready(Ok(Some(n)))
    }

    /// Reads once and writes at once.
    fn poll_copy<F: Stream, T: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        from: &F,
        to: &T,
    ) -> Poll<Result<usize, LaneError>> {
        scratch::with(|buffer| {
            let n = ready!(from.poll_read(cx, buffer)).map_err(LaneError::Source)?;
            self.moved.read += n as u64;
            self.flow = self.flow.after(n);
            let mut rest = buffer.get(..n).unwrap_or_default();
            while !rest.is_empty() {
                match to.poll_write(cx, rest) {
                    Poll::Ready(Ok(m)) => {
                        self.moved.written += m as u64;
                        rest = rest.get(m..).unwrap_or_default();
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(LaneError::Sink(error))),
                    Poll::Pending => {
                        self.waiting = Some(Waiting::new(Held::Bytes(rest.to_vec(), 0)));
                        break;
                    }
                }
            }
            Poll::Ready(Ok(n))
        })
    }
}
