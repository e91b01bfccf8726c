//! One outer end of a connection: does as its script says, and notes what it sees.

mod half_done;

use std::io;
use std::pin::pin;
use std::time::Duration;

use parking_lot::Mutex;
use proxy_core::Stream;
use proxy_core::header::{Decoded, HeaderLimits, decode};
use proxy_core::stream::{gone, read, shutdown};
use proxy_tls::is_truncated;
use tokio::sync::Notify;
use tokio::time::Instant;

use self::half_done::half_done;
use super::content::Content;
use super::scenario::{Act, Reads, Script};
use super::stream::SimStream;
use super::tls::{Speaks, Spoken};
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
    /// The socket.
    socket: &'a SimStream,
    /// What is spoken over it.
    stream: Spoken<'a>,
    /// Whether an end of its own that is cut off is one that its peer has to hold against it: a server's is, a client's is usual.
    serves: bool,
    header_first: bool,
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
pub(super) async fn play(stream: SimStream, script: &Script, lines: &Lines, speaks: &Speaks) -> Party {
    let (party, left, orderly) = match Stage::begin(&stream, lines, speaks, script).await {
        Ok(stage) => {
            let left = stage.whole(script).await;
            let orderly = left.is_none() && stage.ends_with_that().await;
            (stage.party.into_inner(), left, orderly)
        }
        Err((party, left)) => (party, left, false),
    };
    gone_by(stream, party, lines, left, orderly)
}

/// Sends back what comes, and ends when that does.
pub(super) async fn echo(stream: SimStream, lines: &Lines, speaks: &Speaks) -> Party {
    let (party, orderly) = match Stage::begin(&stream, lines, speaks, &Script::of(&[])).await {
        Ok(stage) => {
            let orderly = stage.echoes().await;
            (stage.party.into_inner(), orderly)
        }
        Err((party, _)) => (party, false),
    };
    gone_by(stream, party, lines, None, orderly)
}

/// Gives up the socket: as it has `left`, in order, or by a reset.
fn gone_by(stream: SimStream, mut party: Party, lines: &Lines, left: Option<Left>, orderly: bool) -> Party {
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
        None if orderly => {
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

impl<'a> Stage<'a> {
    /// Shakes hands, where that is how it speaks. Err: it has come to its end in that.
    async fn begin(
        stream: &'a SimStream,
        lines: &'a Lines,
        speaks: &Speaks,
        script: &Script,
    ) -> Result<Self, (Party, Option<Left>)> {
        let stops = async {
            if speaks.stops() { half_done(stream, script, lines).await } else { std::future::pending().await }
        };
        let spoken = tokio::select! {
            biased;
            spoken = speaks.begin(stream, lines.header_first) => spoken,
            ended = stops => return Err(ended),
        };
        let header_first = lines.header_first && speaks.leaves_header();
        let (party, moved) = (Mutex::default(), Notify::new());
        match spoken {
            Ok(spoken) => {
                let serves = speaks.serves();
                Ok(Self { socket: stream, stream: spoken, serves, header_first, lines, party, moved })
            }
            // However it ended, it was no end of what had not begun.
            Err(_) => Err((Party { saw: Saw::Reset(lines.began.elapsed()), ..Party::default() }, None)),
        }
    }

    /// Whether it has seen the other's end, and ended in order itself: says what is to come before its own, where it has not said
    /// that yet.
    async fn ends_with_that(&self) -> bool {
        let (saw, did) = {
            let party = self.party.lock();
            (party.saw, party.did)
        };
        match (saw, did) {
            (Saw::Fin(_), Did::Nothing) => tokio::select! {
                biased;
                ended = std::future::poll_fn(|cx| self.stream.poll_finish(cx)) => ended.is_ok(),
                _ = gone(self.socket) => false,
            },
            (Saw::Fin(_), _) => true,
            _ => false,
        }
    }

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
        if matches!(self.party.lock().saw, Saw::Reset(_) | Saw::Cut(_)) {
            return None;
        }
        // Who has seen the end, or reads no more, still does what it has to do, for as long as it can.
        let left = tokio::select! {
            biased;
            _ = gone(self.socket) => return None,
            left = &mut acts => left,
        };
        if left.is_some() { left } else { self.stays_while_it_must().await }
    }

    /// One that reads no more waits to be cut off.
    async fn stays_while_it_must(&self) -> Option<Left> {
        let Party { did, saw, .. } = self.party.lock().clone();
        match (saw, did) {
            (Saw::Nothing, Did::Nothing) => drop(gone(self.socket).await),
            (Saw::Nothing, _) => tokio::time::sleep(LINGERS).await,
            (Saw::NotLooking | Saw::Fin(_) | Saw::Cut(_) | Saw::Reset(_), _) => {}
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
                Act::End => self.end().await,
                Act::CutOff => self.cut(),
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

    async fn end(&self) {
        if shutdown(&self.stream).await.is_ok() {
            note(&mut self.party.lock().did, Did::Fin(self.now()));
        }
    }

    fn cut(&self) {
        if self.socket.shutdown_write().is_ok() {
            let did = if self.serves { Did::Cut(self.now()) } else { Did::Fin(self.now()) };
            note(&mut self.party.lock().did, did);
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
            match read(&self.stream, buffer.get_mut(..room).unwrap_or_default()).await {
                Ok(0) => return self.saw(Saw::Fin(self.now())),
                Ok(n) => {
                    let bytes = self.took(buffer.get(..n).unwrap_or_default(), &mut header);
                    left -= bytes.len() as u64;
                }
                Err(error) => return self.saw(self.broke(&error)),
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
            let outcome = match read(&self.stream, &mut buffer).await {
                Ok(0) => break,
                Ok(n) => {
                    let bytes = self.took(buffer.get(..n).unwrap_or_default(), &mut header);
                    self.write(&bytes).await
                }
                Err(error) => Err(error),
            };
            if let Err(error) = outcome {
                self.saw(self.broke(&error));
                return false;
            }
        }
        self.saw(Saw::Fin(self.now()));
        tokio::select! {
            biased;
            () = self.end() => true,
            _ = gone(self.socket) => false,
        }
    }

    /// What an end is that is none in order.
    fn broke(&self, error: &io::Error) -> Saw {
        if is_truncated(error) { Saw::Cut(self.now()) } else { Saw::Reset(self.now()) }
    }

    /// Where a PROXY header is to come first: what there is of it.
    fn header(&self) -> Option<Vec<u8>> {
        self.header_first.then(Vec::new)
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
