//! What a connection makes of what its peer says.

use std::io::ErrorKind;

use tokio::time::Instant;

use super::super::segment::Says;
use super::{Conn, FIRST_WAIT, Opened, RECEIVE_BUFFER};

impl Conn {
    /// Takes in what the peer says.
    pub(in crate::sim) fn hear(&mut self, says: Says, now: Instant, out: &mut Vec<Says>) {
        (self.heard, self.probed) = (now, now);
        if self.opened == Opened::Half && !matches!(says, Says::Syn | Says::SynAck | Says::Reset { .. }) {
            self.open();
        }
        match says {
            // A SYN again: the answer was lost, or is on its way; or it is a duplicate of long ago.
            Says::Syn if self.opened == Opened::Half => out.push(Says::SynAck),
            Says::Syn => out.push(self.acknowledge()),
            Says::SynAck => {
                if self.opened == Opened::No {
                    self.open();
                    self.wake();
                }
                out.push(self.acknowledge());
            }
            Says::Data { at, bytes } => self.take(at, bytes, now, out),
            Says::Fin { at } => {
                self.fin_at = Some(at);
                self.arrived(now);
                out.push(self.acknowledge());
            }
            Says::Ack { next, room } => self.acknowledged(next, room, now, out),
            // One that has overtaken bytes asks for an answer, and the peer that has gone gives the final one.
            Says::Reset { at: Some(at) } if at > self.next => out.push(self.acknowledge()),
            // Both have ended, and know it: there is nothing left to reset. Such a one answers an acknowledgement that was overtaken,
            // and Linux takes it for that.
            Says::Reset { .. } if self.fin_seen && self.fin_acked => {}
            Says::Reset { .. } => {
                let refused = self.opened == Opened::No;
                self.die(if refused { ErrorKind::ConnectionRefused } else { ErrorKind::ConnectionReset });
            }
        }
    }

    fn open(&mut self) {
        self.opened = Opened::Yes;
        (self.resend_at, self.wait) = (None, FIRST_WAIT);
    }

    fn take(&mut self, at: u64, bytes: Vec<u8>, now: Instant, out: &mut Vec<Says>) {
        let new = at + bytes.len() as u64 > self.next;
        if new && self.orphan_since.is_some() {
            // Nobody is going to read it.
            out.push(Says::Reset { at: None });
            self.die(ErrorKind::ConnectionReset);
            return;
        }
        if new && at.saturating_sub(self.next) < RECEIVE_BUFFER as u64 {
            self.early.insert(at, bytes);
            self.arrived(now);
        }
        out.push(self.acknowledge());
    }

    /// Moves what has no gap before it to where it is read.
    fn arrived(&mut self, now: Instant) {
        let before = (self.next, self.fin_seen);
        while let Some(first) = self.early.first_entry().filter(|first| *first.key() <= self.next) {
            let (at, bytes) = first.remove_entry();
            let known = usize::try_from(self.next - at).unwrap_or(usize::MAX);
            let fresh = bytes.get(known..).unwrap_or_default();
            self.inbox.extend(fresh);
            self.next += fresh.len() as u64;
        }
        if self.next > before.0 {
            self.took = Some(now);
        }
        if self.fin_at == Some(self.next) && !self.fin_seen {
            self.fin_seen = true;
            self.next += 1;
        }
        if (self.next, self.fin_seen) != before
            && let Some(reader) = self.reader.take()
        {
            reader.wake();
        }
    }

    fn acknowledged(&mut self, next: u64, room: u64, now: Instant, out: &mut Vec<Says>) {
        let last = self.last();
        if next > last + 1 || next < self.base {
            return;
        }
        let fin = self.ending && next == last + 1;
        let fresh = next.min(last) - self.base;
        if fresh > 0 || (fin && !self.fin_acked) {
            self.out.drain(..usize::try_from(fresh).unwrap_or(usize::MAX));
            self.base += fresh;
            self.fin_acked |= fin;
            self.gave = Some(now).filter(|_| fresh > 0).or(self.gave);
            self.sent = self.sent.max(next);
            (self.stalled, self.wait, self.resend_at) = (now, FIRST_WAIT, None);
            if let Some(writer) = self.writer.take() {
                writer.wake();
            }
        }
        self.edge = self.edge.max(next + room);
        self.send(now, out);
    }
}
