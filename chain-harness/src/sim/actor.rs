//! One outer end of a connection: does as its script says, and notes what it sees.

use std::io;
use std::pin::pin;
use std::time::Duration;

use parking_lot::Mutex;
use proxy_core::Stream;
use proxy_core::header::{Decoded, HeaderLimits, decode};
use proxy_core::stream::{gone, read};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::content::Content;
use super::scenario::{Act, Reads, Script};
use super::stream::SimStream;
use crate::laws::{Did, Party, Saw};

/// What an end sends and what it is sent.
#[derive(Debug, Clone)]
pub(super) struct Lines {
    pub(super) own: Content,
    pub(super) other: Content,
    /// Whether what comes begins with a PROXY header.
    pub(super) header_first: bool,
    /// When the world began, by this host's clock.
    pub(super) began: Instant,
}

/// The state that the two halves of an end share.
struct Stage<'a> {
    stream: &'a SimStream,
    lines: &'a Lines,
    party: Mutex<Party>,
    /// Told when more was read, or there is no more to read.
    moved: Notify,
}

/// How an end leaves before the other has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Reset,
    Vanished,
}

/// How long one that has ended, and reads no more, still stays.
const LINGERS: Duration = Duration::from_secs(2);

/// Plays one end of a connection from beginning to end; what it did and saw.
pub(super) async fn play(stream: SimStream, script: &Script, lines: &Lines) -> Party {
    let stage = Stage { stream: &stream, lines, party: Mutex::default(), moved: Notify::new() };
    let left = stage.whole(script).await;
    let mut party = stage.party.into_inner();
    note_life(&mut party, &stream, lines);
    let at = lines.began.elapsed();
    match left {
        Some(Left::Vanished) => {
            note(&mut party.did, Did::Vanished);
            note_unseen(&mut party.saw);
            stream.vanish();
        }
        Some(Left::Reset) => {
            note(&mut party.did, Did::Reset(at));
            note_unseen(&mut party.saw);
            drop(stream);
        }
        None if matches!(party.saw, Saw::Fin(_)) => {
            note(&mut party.did, Did::Fin(at));
            stream.finish();
        }
        None => {
            note_unseen(&mut party.saw);
            drop(stream);
        }
    }
    party
}

/// Sends back what comes, and ends when that does.
pub(super) async fn echo(stream: SimStream, lines: &Lines) -> Party {
    let stage = Stage { stream: &stream, lines, party: Mutex::default(), moved: Notify::new() };
    let ended = stage.echoes().await;
    let mut party = stage.party.into_inner();
    note_life(&mut party, &stream, lines);
    if ended {
        stream.finish();
    } else {
        drop(stream);
    }
    party
}

/// The first end that it made holds.
fn note(did: &mut Did, now: Did) {
    if *did == Did::Nothing {
        *did = now;
    }
}

fn note_life(party: &mut Party, stream: &SimStream, lines: &Lines) {
    let since =
        |at: Option<Instant>| at.map_or(Duration::ZERO, |at| at.saturating_duration_since(lines.began));
    let (took, gave) = stream.life();
    (party.took, party.gave) = (since(took), since(gave));
}

fn note_unseen(saw: &mut Saw) {
    if *saw == Saw::Nothing {
        *saw = Saw::NotLooking;
    }
}

impl Stage<'_> {
    /// Acts and reads until there is nothing more to do or see. Some: it leaves before.
    async fn whole(&self, script: &Script) -> Option<Left> {
        let (mut acts, mut reads) = (pin!(self.acts(&script.acts)), pin!(self.reads(script.reads)));
        tokio::select! {
            biased;
            () = &mut reads => {}
            left = &mut acts => {
                if left.is_some() {
                    return left;
                }
                reads.await;
                return self.stays_while_it_must().await;
            }
        }
        if matches!(self.party.lock().saw, Saw::Reset(_)) {
            return None;
        }
        // Who has seen the end, or reads no more, still does what it has to do, for as long as it can.
        let left = tokio::select! {
            biased;
            _ = gone(self.stream) => return None,
            left = &mut acts => left,
        };
        if left.is_some() { left } else { self.stays_while_it_must().await }
    }

    /// One that reads no more waits to be cut off.
    async fn stays_while_it_must(&self) -> Option<Left> {
        let Party { did, saw, .. } = self.party.lock().clone();
        match (saw, did) {
            (Saw::Nothing, Did::Nothing) => drop(gone(self.stream).await),
            (Saw::Nothing, _) => tokio::time::sleep(LINGERS).await,
            (Saw::NotLooking | Saw::Fin(_) | Saw::Reset(_), _) => {}
        }
        None
    }

    fn now(&self) -> Duration {
        self.lines.began.elapsed()
    }

    async fn acts(&self, acts: &[Act]) -> Option<Left> {
        for act in acts {
            match *act {
                Act::Send(bytes) => self.send(u64::from(bytes), 8 * 1024).await,
                Act::Drip(bytes, every) => {
                    for _ in 0..bytes {
                        self.send(1, 1).await;
                        pause(every.into()).await;
                    }
                }
                Act::Pause(millis) => pause(millis).await,
                Act::Await(bytes) => self.received(u64::from(bytes)).await,
                Act::End => self.end(),
                Act::Reset => return Some(Left::Reset),
                Act::Vanish => return Some(Left::Vanished),
            }
        }
        None
    }

    /// Sends `bytes`, `most` at once. Where the stream takes no more there is nothing more to do: what the reader sees
    /// tells.
    async fn send(&self, bytes: u64, most: usize) {
        let mut buffer = vec![0; most];
        let mut left = bytes;
        while left > 0 {
            let n = usize::try_from(left).unwrap_or(most).min(most);
            let part = buffer.get_mut(..n).unwrap_or_default();
            let at = self.party.lock().sent;
            self.lines.own.fill(at, part);
            if self.write(part).await.is_err() {
                return;
            }
            left -= n as u64;
        }
    }

    async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let n = std::future::poll_fn(|cx| self.stream.poll_write(cx, bytes)).await?;
            self.party.lock().sent += n as u64;
            bytes = bytes.get(n..).unwrap_or_default();
        }
        Ok(())
    }

    async fn received(&self, bytes: u64) {
        let waits = || {
            let party = self.party.lock();
            party.received < bytes && party.saw == Saw::Nothing
        };
        while waits() {
            self.moved.notified().await;
        }
    }

    fn end(&self) {
        if self.stream.shutdown_write().is_ok() {
            note(&mut self.party.lock().did, Did::Fin(self.now()));
        }
    }

    /// Reads until there is nothing more to read.
    async fn reads(&self, reads: Reads) {
        let mut left = match reads {
            Reads::Only(bytes) => u64::from(bytes),
            Reads::All | Reads::Slowly(..) => u64::MAX,
        };
        let most = match reads {
            Reads::Slowly(bytes, _) => usize::from(bytes.max(1)),
            Reads::All | Reads::Only(_) => 16 * 1024,
        };
        let (mut buffer, mut header) = (vec![0; most], self.header());
        while left > 0 {
            let room = usize::try_from(left).unwrap_or(most).min(most);
            match read(self.stream, buffer.get_mut(..room).unwrap_or_default()).await {
                Ok(0) => return self.saw(Saw::Fin(self.now())),
                Ok(n) => {
                    let bytes = self.took(buffer.get(..n).unwrap_or_default(), &mut header);
                    left -= bytes.len() as u64;
                }
                Err(_) => return self.saw(Saw::Reset(self.now())),
            }
            if let Reads::Slowly(_, every) = reads {
                pause(every.into()).await;
            }
        }
    }

    /// Whether both sides ended in order.
    async fn echoes(&self) -> bool {
        let (mut buffer, mut header) = (vec![0; 16 * 1024], self.header());
        loop {
            let outcome = match read(self.stream, &mut buffer).await {
                Ok(0) => break,
                Ok(n) => {
                    let bytes = self.took(buffer.get(..n).unwrap_or_default(), &mut header);
                    self.write(&bytes).await
                }
                Err(error) => Err(error),
            };
            if outcome.is_err() {
                self.saw(Saw::Reset(self.now()));
                return false;
            }
        }
        self.saw(Saw::Fin(self.now()));
        self.end();
        true
    }

    /// Where a PROXY header is to come first: what there is of it.
    fn header(&self) -> Option<Vec<u8>> {
        self.lines.header_first.then(Vec::new)
    }

    fn saw(&self, saw: Saw) {
        self.party.lock().saw = saw;
        self.moved.notify_one();
    }

    /// Takes off the header, and checks the rest.
    fn took(&self, bytes: &[u8], header: &mut Option<Vec<u8>>) -> Vec<u8> {
        let bytes = match header {
            None => bytes.to_vec(),
            Some(so_far) => {
                so_far.extend_from_slice(bytes);
                let Ok(Some(Decoded { len, .. })) = decode(so_far, &HeaderLimits::default().max_v2(4096))
                else {
                    return Vec::new();
                };
                let rest = so_far.split_off(len);
                *header = None;
                rest
            }
        };
        let mut party = self.party.lock();
        let wrong = self.lines.other.first_wrong(party.received, &bytes);
        party.wrong_at = party.wrong_at.or(wrong);
        party.received += bytes.len() as u64;
        self.moved.notify_one();
        bytes
    }
}

async fn pause(millis: u32) {
    tokio::time::sleep(Duration::from_millis(millis.into())).await;
}
