//! One connection with both its ends in one hand, and what became of it, for the laws.

use std::net::SocketAddr;
use std::time::Duration;

use proxy_core::Side;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout};

use crate::laws::{Did, Journey, Levels, Memory, Party, Saw};
use crate::memory::allocated;
use crate::scenario::open_descriptors;
use crate::wait::{PATIENCE, within};
use crate::wire::{Ending, Wire};

/// A prime that is no power of two, so that no byte is where it would be in a buffer that was mixed up.
const PERIOD: u64 = 251;

/// What the process can be seen to have, beside what a proxy's own books say: its descriptors and its memory, of which
/// `slack` may be noise.
#[must_use]
pub fn with_the_process(books: Levels, slack: usize) -> Levels {
    let memory = Memory { bytes: allocated(), slack };
    Levels { sockets: Some(open_descriptors()), memory: Some(memory).filter(|_| allocated() > 0), ..books }
}

/// A connection through any number of hops, and what both its ends have done and seen.
#[derive(Debug)]
pub struct Meeting {
    since: Instant,
    patience: Duration,
    client: End,
    backend: End,
}

#[derive(Debug)]
struct End {
    wire: Option<Wire>,
    party: Party,
}

impl Meeting {
    /// Connects at `addr`, sends `words` bytes and takes what arrives from [`Backend::hands_over`](crate::Backend::hands_over).
    /// What should come to an end but has not within `patience` is given up, not waited for: that is the laws' business.
    pub async fn at(addr: SocketAddr, desk: &mut Receiver<Wire>, words: u64, patience: Duration) -> Self {
        let since = Instant::now();
        let mut client = End::on(Wire::connect(addr).await);
        client.sends(words).await;
        let backend = within(PATIENCE, desk.recv()).await.expect("the backend stands");
        let mut meeting = Self { since, patience, client, backend: End::on(backend) };
        meeting.arrive(Side::Backend).await;
        meeting
    }

    /// `side` sends `bytes` more, and the other one reads them.
    pub async fn says(&mut self, side: Side, bytes: u64) {
        self.end(side).sends(bytes).await;
        self.arrive(side.other()).await;
    }

    /// `side` ends its direction, and the other one reads to the end.
    pub async fn half_closes(&mut self, side: Side) {
        let at = self.since.elapsed();
        let end = self.end(side);
        if let Some(wire) = &mut end.wire {
            wire.half_close().await;
            end.party.did = Did::Fin(at);
        }
        self.sees_the_end(side.other()).await;
    }

    /// `side` resets, and the other one reads to the end.
    pub async fn resets(&mut self, side: Side) {
        let at = self.since.elapsed();
        let end = self.end(side);
        if let Some(wire) = end.wire.take() {
            wire.reset();
            end.party.did = Did::Reset(at);
            end.party.saw = Saw::NotLooking;
        }
        self.sees_the_end(side.other()).await;
    }

    /// `side` reads until there is an end to be seen.
    pub async fn sees_the_end(&mut self, side: Side) {
        let (since, patience) = (self.since, self.patience);
        let end = self.end(side);
        let Some(wire) = &mut end.wire else { return };
        // Where it takes too long, what has been read so far is what there is.
        drop(timeout(patience, wire.read_to_end()).await);
        let at = since.elapsed();
        end.notes();
        end.party.saw = match end.wire.as_ref().and_then(|wire| wire.received().end) {
            Some(Ending::Fin) => Saw::Fin(at),
            Some(Ending::Reset) => Saw::Reset(at),
            None => Saw::Nothing,
        };
    }

    /// What became of it. Both ends close.
    #[must_use]
    pub fn journey(self, name: &str) -> Journey {
        Journey {
            name: name.to_owned(),
            client: self.client.party,
            backend: Some(self.backend.party),
            patience: self.patience,
            excused: false,
            silence: None,
        }
    }

    async fn arrive(&mut self, side: Side) {
        let sent = self.end(side.other()).party.sent;
        let patience = self.patience;
        let end = self.end(side);
        let Some(wire) = &mut end.wire else { return };
        let all = |bytes: &[u8]| bytes.len() as u64 >= sent;
        drop(timeout(patience, wire.read_until(all)).await);
        end.notes();
    }

    fn end(&mut self, side: Side) -> &mut End {
        match side {
            Side::Client => &mut self.client,
            Side::Backend => &mut self.backend,
        }
    }
}

impl End {
    fn on(wire: Wire) -> Self {
        Self { wire: Some(wire), party: Party::default() }
    }

    /// Sends the bytes that are next.
    async fn sends(&mut self, bytes: u64) {
        let Some(wire) = &mut self.wire else { return };
        let words: Vec<u8> = (self.party.sent..self.party.sent + bytes).map(content).collect();
        // The other side may have gone, and then only what the kernel took counts as sent.
        wire.try_send(words).await.unwrap_or_default();
        self.party.sent = wire.sent();
    }

    /// Notes what it has received.
    fn notes(&mut self) {
        let Some(wire) = &self.wire else { return };
        let bytes = wire.received().bytes;
        self.party.received = bytes.len() as u64;
        let wrong = (0..).zip(&bytes).find(|(at, byte)| content(*at) != **byte);
        self.party.wrong_at = wrong.map(|(at, _)| at);
    }
}

/// The byte that is sent at a position.
fn content(at: u64) -> u8 {
    u8::try_from(at % PERIOD).unwrap_or_default()
}
