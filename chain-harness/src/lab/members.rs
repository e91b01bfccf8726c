//! Two inner hops that stand for each other behind one outer hop, and clients who find out when one of them is no use.
//!
//! ```text
//! a client every 20 ms ─► outer ─┬─► inner "a" ─► backend that says "hi-a"
//!                   checks each ─┴─► inner "b" ─► backend that says "hi-b"
//! ```

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout};

use super::outcome::Law;
use super::stage::{Lab, Since, Told, seconds};
use super::terms::CHECKED;
use super::watch::ms;
use crate::backend::Backend;
use crate::wire::Wire;

/// From one client to the next.
const APART: Duration = Duration::from_millis(20);
/// How long a client waits for the greeting, and for its own words to come back.
const PATIENT: Duration = Duration::from_secs(1);
/// How late a check may be on a machine that is busy.
const LATE: Duration = Duration::from_millis(250);
/// How long it is looked on, to find out when a member is used after all.
const LOOK_ON: Duration = Duration::from_secs(15);

/// What a backend does with who comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Manner {
    /// Greets, and gives back what it is sent.
    Serves,
    /// Resets at once.
    Resets,
    /// Takes the connection, and says nothing.
    Silent,
}

/// A backend whose manner can be changed, and which says which member it is behind.
pub(super) struct Greeter {
    backend: Backend,
    manner: Arc<AtomicU8>,
}

impl Greeter {
    pub(super) fn new(name: char) -> Self {
        let manner = Arc::new(AtomicU8::new(Manner::Serves as u8));
        let now = Arc::clone(&manner);
        let backend = Backend::serving(move |wire| greet(wire, name, now.load(Ordering::Relaxed)));
        Self { backend, manner }
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.backend.addr()
    }

    /// From now on; who is there already is served as before.
    pub(super) fn now(&self, manner: Manner) {
        self.manner.store(manner as u8, Ordering::Relaxed);
    }
}

async fn greet(mut wire: Wire, name: char, manner: u8) {
    if manner == Manner::Resets as u8 {
        return wire.reset();
    }
    let greets = manner == Manner::Serves as u8;
    if greets && wire.try_send(format!("hi-{name}\n")).await.is_err() {
        return;
    }
    loop {
        let bytes = wire.read_some().await;
        if bytes.is_empty() || greets && wire.try_send(bytes).await.is_err() {
            return wire.half_close().await;
        }
    }
}

/// A client, and what came of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    /// When it came.
    at: Duration,
    /// Which member served it; None where none did.
    by: Option<char>,
}

/// A connection that was greeted, and by which member.
async fn greeted(addr: SocketAddr) -> std::io::Result<(TcpStream, char)> {
    let mut stream = crate::wire::dial(addr).await?;
    let mut greeting = [0; 5];
    stream.read_exact(&mut greeting).await?;
    let [b'h', b'i', b'-', name, b'\n'] = greeting else {
        return Err(std::io::ErrorKind::InvalidData.into());
    };
    Ok((stream, name.into()))
}

/// Which member serves a client that comes now.
pub(super) async fn served_by(addr: SocketAddr) -> Option<char> {
    let asked = async {
        let (mut stream, name) = greeted(addr).await?;
        stream.write_all(b"hello").await?;
        let mut echo = [0; 5];
        stream.read_exact(&mut echo).await?;
        std::io::Result::Ok(name)
    };
    timeout(PATIENT, asked).await.ok()?.ok()
}

impl Lab {
    /// Waits until both members serve, as a start.
    pub(super) async fn both_serve(&mut self) -> Told {
        let (addr, deadline) = (self.addr(), Instant::now() + Duration::from_secs(5));
        let mut seen = [false; 2];
        while Instant::now() < deadline {
            match served_by(addr).await {
                Some('a') => seen[0] = true,
                Some('b') => seen[1] = true,
                Some(_) | None => {}
            }
            if seen == [true; 2] {
                return Ok(());
            }
            sleep(APART).await;
        }
        Err(format!("one of the two members is never used: a {}, b {}", seen[0], seen[1]))
    }

    /// Lets a client ask every 20 ms for `duration`, none of them waiting for another.
    pub(super) async fn crowd_asks(&self, duration: Duration) -> Vec<Asked> {
        let (addr, began) = (self.addr(), Instant::now());
        let (mut ticks, mut asking) = (interval(APART), JoinSet::new());
        while began.elapsed() < duration {
            ticks.tick().await;
            let at = began.elapsed();
            asking.spawn(async move { Asked { at, by: served_by(addr).await } });
        }
        asking.join_all().await
    }

    /// Notes how many failed and when the last of them came; a breach of `service` where that was later than two checks.
    pub(super) fn failures(&mut self, asked: &[Asked]) {
        let failed: Vec<_> = asked.iter().filter(|one| one.by.is_none()).collect();
        let last = failed.iter().map(|one| one.at).max().unwrap_or_default();
        let (failed, of) = (failed.len(), asked.len());
        self.note(format!("{failed} of {of} clients failed, the last one {} after", seconds(ms(last))));
        let allowed = CHECKED * 2 + LATE;
        self.check(Law::Service, last <= allowed, || {
            format!("clients fail until {} after ({} allowed)", seconds(ms(last)), seconds(ms(allowed)))
        });
    }

    /// Waits until a client is served by `member` again; a breach of `service` where that is later than `allowed` after `since`.
    pub(super) async fn is_used_again(&mut self, member: char, since: Since, allowed: Duration) {
        let (addr, give_up) = (self.addr(), Instant::now() + allowed + LOOK_ON);
        let mut again = None;
        while again.is_none() && Instant::now() < give_up {
            if served_by(addr).await == Some(member) {
                again = Some(self.elapsed(since));
            }
            sleep(APART).await;
        }
        self.figures.served_again_ms = again.map(ms);
        self.check(Law::Service, again.is_some_and(|again| again <= allowed), || {
            let when = again.map_or("not used again".to_owned(), |again| {
                format!("used again after {}", seconds(ms(again)))
            });
            format!("member {member} is {when} ({} allowed)", seconds(ms(allowed)))
        });
    }
}

/// Connections that are held: some for as long as this is, the others for a while, each followed by the next.
pub(super) struct Crowd {
    tasks: JoinSet<()>,
    at: Arc<[AtomicU8]>,
}

impl Crowd {
    /// `stay` that stay, and `change` that are held for 0.1 to 1.5 s and replaced.
    pub(super) fn come(addr: SocketAddr, stay: usize, change: usize) -> Self {
        let at: Arc<[AtomicU8]> = (0..stay + change).map(|_| AtomicU8::new(0)).collect();
        let mut tasks = JoinSet::new();
        for n in 0..stay + change {
            let at = Arc::clone(&at);
            tasks.spawn(async move {
                loop {
                    // Not all at the same moment.
                    sleep(Duration::from_millis(fastrand::u64(0..100))).await;
                    let Ok(Ok((stream, name))) = timeout(PATIENT, greeted(addr)).await else { continue };
                    if let Some(place) = at.get(n) {
                        place.store(u8::try_from(name).unwrap_or(b'?'), Ordering::Relaxed);
                    }
                    if n < stay {
                        std::future::pending::<()>().await;
                    }
                    sleep(Duration::from_millis(fastrand::u64(100..1500))).await;
                    drop(stream);
                }
            });
        }
        Self { tasks, at }
    }

    /// How many are open by way of `member`.
    pub(super) fn by(&self, member: char) -> usize {
        self.at.iter().filter(|at| char::from(at.load(Ordering::Relaxed)) == member).count()
    }

    pub(super) async fn leave(mut self) {
        self.tasks.shutdown().await;
    }
}
