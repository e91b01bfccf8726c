//! What a connection does by itself: it sends again, asks whether the peer is there, and gives up.

use std::io::ErrorKind;
use std::time::Duration;

use proxy_core::KeepAlive;
use tokio::time::Instant;

use super::super::segment::Says;
use super::{Conn, LONGEST_WAIT, ORPHAN, Opened};

/// How long a handshake may stay without its last part.
const HANDSHAKE: Duration = Duration::from_secs(20);

impl Conn {
    /// When something has to be done about it, if the peer stays silent.
    pub(in crate::sim) fn due(&self) -> Option<Instant> {
        if self.dead.is_some() {
            return None;
        }
        let orphan = self.orphan_since.map(|since| since + ORPHAN);
        let probe = (self.opened == Opened::Yes).then(|| self.probe_at());
        [self.resend_at, orphan, probe].into_iter().flatten().min()
    }

    fn probe_at(&self) -> Instant {
        let KeepAlive { idle, interval, .. } = self.keep_alive;
        if self.probed > self.heard { self.probed + interval.get() } else { self.heard + idle.get() }
    }

    /// Does what is due.
    pub(in crate::sim) fn fire(&mut self, now: Instant, out: &mut Vec<Says>) {
        if self.dead.is_some() || self.due().is_none_or(|due| due > now) {
            return;
        }
        let user_timeout = self.keep_alive.user_timeout.get();
        let waiting = self.resend_at.is_some() && self.opened == Opened::Yes;
        let silent = self.probed > self.heard && now >= self.heard + user_timeout;
        let unanswered = self.opened == Opened::Half && now >= self.stalled + HANDSHAKE;
        if unanswered || (waiting && now >= self.stalled + user_timeout) || silent {
            self.die(ErrorKind::TimedOut);
            return;
        }
        if self.orphan_since.is_some_and(|since| now >= since + ORPHAN) {
            out.push(Says::Reset { at: None });
            self.die(ErrorKind::TimedOut);
            return;
        }
        if self.opened == Opened::Yes && self.probe_at() <= now {
            self.probed = now;
            out.push(Says::Data { at: self.base.min(self.sent), bytes: Vec::new() });
        }
        if self.resend_at.is_some_and(|at| at <= now) {
            self.resend(now, out);
        }
    }

    /// Sends again all that was not acknowledged.
    fn resend(&mut self, now: Instant, out: &mut Vec<Says>) {
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        self.resend_at = Some(now + self.wait);
        match self.opened {
            Opened::No => return out.push(Says::Syn),
            Opened::Half => return out.push(Says::SynAck),
            Opened::Yes => {}
        }
        let before = out.len();
        self.sent = self.base;
        self.send(now, out);
        if out.len() == before {
            // There is no room: ask whether there is some now.
            out.push(Says::Data { at: self.base, bytes: Vec::new() });
        }
    }
}
