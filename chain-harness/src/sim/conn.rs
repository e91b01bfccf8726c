//! One end of a simulated TCP connection: windows, retransmission, keepalive, and the ends as Linux has them.
//!
//! Pure: it is told what comes in and what time it is, and says what is to be sent.
//!
//! ```text
//!            ┌── acked ──┬── sent, unacknowledged ──┬── not sent yet ──┐
//! out:       │ (dropped) │ resent after `wait`      │ no room there    │ FIN
//! inbox:     │ (read)    │ readable, after a reset too  │ early: behind a gap
//! ```

mod hear;
mod timers;

use std::collections::{BTreeMap, VecDeque};
use std::io::ErrorKind;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use proxy_core::KeepAlive;
use tokio::time::Instant;

use super::segment::Says;

/// What a send buffer takes, and what a receive buffer holds. Small, so that backpressure is not rare.
pub(super) const SEND_BUFFER: usize = 16 * 1024;
pub(super) const RECEIVE_BUFFER: usize = 32 * 1024;
/// The most bytes of one segment.
const SEGMENT: usize = 8 * 1024;
/// The first wait for an acknowledgement, above any round trip of the simulation; doubled up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(8);
/// How long a connection that nobody owns may wait for its peer's end (Linux's `tcp_fin_timeout`).
const ORPHAN: Duration = Duration::from_secs(60);

/// One end of a connection.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) opened: Opened,
    /// Written and not acknowledged, from position `base` on.
    out: VecDeque<u8>,
    base: u64,
    /// All before this was sent; and the most that ever was, where the peer expects a reset.
    sent: u64,
    high: u64,
    /// How far the peer has room.
    edge: u64,
    ending: bool,
    fin_acked: bool,
    inbox: VecDeque<u8>,
    /// All before this has arrived.
    next: u64,
    early: BTreeMap<u64, Vec<u8>>,
    fin_at: Option<u64>,
    fin_seen: bool,
    told_room: u64,
    /// Why there is nothing more to come or go.
    pub(super) dead: Option<ErrorKind>,
    /// Nobody owns it any more.
    orphan_since: Option<Instant>,
    wait: Duration,
    resend_at: Option<Instant>,
    /// Since when the peer has taken nothing of what waits for it.
    stalled: Instant,
    /// When a byte last arrived that had not been there, and when one was last acknowledged.
    took: Option<Instant>,
    gave: Option<Instant>,
    heard: Instant,
    probed: Instant,
    keep_alive: KeepAlive,
    reader: Option<Waker>,
    writer: Option<Waker>,
    watcher: Option<Waker>,
}

/// How far it has come to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opened {
    /// A SYN was sent.
    No,
    /// A SYN was received: whether anybody is behind it, and not a duplicate of long ago, its answer will tell.
    Half,
    /// Both know of it.
    Yes,
}

impl Conn {
    pub(super) fn new(opened: Opened, keep_alive: KeepAlive, now: Instant) -> Self {
        Self {
            opened,
            out: VecDeque::new(),
            base: 0,
            sent: 0,
            high: 0,
            edge: RECEIVE_BUFFER as u64,
            ending: false,
            fin_acked: false,
            inbox: VecDeque::new(),
            next: 0,
            early: BTreeMap::new(),
            fin_at: None,
            fin_seen: false,
            told_room: RECEIVE_BUFFER as u64,
            dead: None,
            orphan_since: None,
            wait: FIRST_WAIT,
            resend_at: (opened != Opened::Yes).then(|| now + FIRST_WAIT),
            stalled: now,
            took: None,
            gave: None,
            heard: now,
            probed: now,
            keep_alive,
            reader: None,
            writer: None,
            watcher: None,
        }
    }

    pub(super) fn set_keep_alive(&mut self, keep_alive: KeepAlive) {
        self.keep_alive = keep_alive;
    }

    /// Bytes that the peer has not acknowledged.
    pub(super) fn unacknowledged(&self) -> usize {
        self.out.len()
    }

    /// When a byte last arrived, and when one of its own was last acknowledged.
    pub(super) fn life(&self) -> (Option<Instant>, Option<Instant>) {
        (self.took, self.gave)
    }

    pub(super) fn has_unread(&self) -> bool {
        !self.inbox.is_empty()
    }

    /// Where the peer expects a reset.
    pub(super) fn reset_at(&self) -> u64 {
        self.high
    }

    /// Whether nothing more can come of it.
    pub(super) fn is_over(&self) -> bool {
        let nobodys = self.orphan_since.is_some() || self.opened == Opened::Half;
        nobodys && (self.dead.is_some() || (self.fin_acked && self.fin_seen))
    }

    /// Nobody owns it any more; what was written is still delivered.
    pub(super) fn disown(&mut self, now: Instant) {
        self.orphan_since = Some(now);
    }

    /// Whether nobody owns it any more.
    pub(super) fn is_nobodys(&self) -> bool {
        self.orphan_since.is_some()
    }

    /// From now on it goes by another clock, which says `now`: that of the next runtime on its machine.
    pub(super) fn begin_clocks(&mut self, now: Instant) {
        (self.stalled, self.heard, self.probed) = (now, now, now);
        self.orphan_since = self.orphan_since.map(|_| now);
        self.resend_at = self.resend_at.map(|_| now + self.wait);
        (self.reader, self.writer, self.watcher) = (None, None, None);
    }

    /// There is nothing more to come or go. What has arrived stays readable.
    pub(super) fn die(&mut self, why: ErrorKind) {
        self.dead.get_or_insert(why);
        self.resend_at = None;
        self.wake();
    }

    fn wake(&mut self) {
        for waker in [self.reader.take(), self.writer.take(), self.watcher.take()].into_iter().flatten() {
            waker.wake();
        }
    }

    /// Reads into `buf`: 0 is the end.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
        out: &mut Vec<Says>,
    ) -> Poll<Result<usize, ErrorKind>> {
        let n = buf.len().min(self.inbox.len());
        if n > 0 {
            copy_front(&self.inbox, 0, buf.get_mut(..n).unwrap_or_default());
            self.inbox.drain(..n);
            // Who was told of little room hears of more, in steps of half of what a sender holds; not who has ended, as Linux does:
            // it may be gone, and would answer with a reset.
            let more = SEND_BUFFER as u64 / 2;
            let may_send = self.dead.is_none() && !self.fin_seen;
            if may_send && self.told_room < more && self.room() >= more {
                out.push(self.acknowledge());
            }
            return Poll::Ready(Ok(n));
        }
        match (self.fin_seen, self.dead) {
            // As Linux does: an end stays an end, also before a reset.
            (true, _) => Poll::Ready(Ok(0)),
            (false, Some(why)) => Poll::Ready(Err(why)),
            (false, None) => {
                self.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Takes of `buf` what there is room for.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        buf: &[u8],
        now: Instant,
        out: &mut Vec<Says>,
    ) -> Poll<Result<usize, ErrorKind>> {
        if let Some(why) = self.dead {
            return Poll::Ready(Err(why));
        }
        if self.ending {
            return Poll::Ready(Err(ErrorKind::BrokenPipe));
        }
        let n = buf.len().min(SEND_BUFFER.saturating_sub(self.out.len()));
        if n == 0 {
            self.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if self.out.is_empty() {
            self.stalled = now;
        }
        self.out.extend(buf.get(..n).unwrap_or_default());
        self.send(now, out);
        Poll::Ready(Ok(n))
    }

    /// Why it is dead, once it is.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<ErrorKind> {
        match self.dead {
            Some(why) => Poll::Ready(why),
            None => {
                self.watcher = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Resolves when it has opened, or why it has not.
    pub(super) fn poll_opened(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ErrorKind>> {
        match (self.dead, self.opened) {
            (Some(why), _) => Poll::Ready(Err(why)),
            (None, Opened::Yes) => Poll::Ready(Ok(())),
            (None, Opened::No | Opened::Half) => {
                self.writer = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Ends the direction that is written to.
    pub(super) fn end(&mut self, now: Instant, out: &mut Vec<Says>) -> Result<(), ErrorKind> {
        if self.dead.is_some() {
            return Err(ErrorKind::NotConnected);
        }
        if !self.ending {
            self.ending = true;
            if self.out.is_empty() {
                self.stalled = now;
            }
            self.send(now, out);
        }
        Ok(())
    }

    fn last(&self) -> u64 {
        self.base + self.out.len() as u64
    }

    fn room(&self) -> u64 {
        RECEIVE_BUFFER.saturating_sub(self.inbox.len()) as u64
    }

    fn acknowledge(&mut self) -> Says {
        self.told_room = self.room();
        Says::Ack { next: self.next, room: self.told_room }
    }

    /// Sends what the peer has room for.
    fn send(&mut self, now: Instant, out: &mut Vec<Says>) {
        let last = self.last();
        while self.sent < last.min(self.edge) {
            let from = usize::try_from(self.sent - self.base).unwrap_or(usize::MAX);
            let most = usize::try_from(last.min(self.edge) - self.sent).unwrap_or(usize::MAX).min(SEGMENT);
            let mut bytes = vec![0; most];
            copy_front(&self.out, from, &mut bytes);
            let at = self.sent;
            self.sent += bytes.len() as u64;
            out.push(Says::Data { at, bytes });
        }
        if self.ending && self.sent == last {
            out.push(Says::Fin { at: last });
            self.sent = last + 1;
        }
        self.high = self.high.max(self.sent);
        let waiting = !self.out.is_empty() || (self.ending && !self.fin_acked);
        match (waiting, self.resend_at) {
            (true, None) => self.resend_at = Some(now + self.wait),
            (false, _) => self.resend_at = None,
            (true, Some(_)) => {}
        }
    }
}

/// Copies what is in `queue` from `from` on, as much as `to` holds. There has to be as much.
fn copy_front(queue: &VecDeque<u8>, from: usize, to: &mut [u8]) {
    let (first, second) = queue.as_slices();
    let first = first.get(from..).unwrap_or_default();
    let second = second.get(from.saturating_sub(queue.as_slices().0.len())..).unwrap_or_default();
    let n = first.len().min(to.len());
    let (front, back) = to.split_at_mut(n);
    front.copy_from_slice(first.get(..n).unwrap_or_default());
    let n = back.len().min(second.len());
    back.get_mut(..n).unwrap_or_default().copy_from_slice(second.get(..n).unwrap_or_default());
}

#[cfg(test)]
mod tests;
