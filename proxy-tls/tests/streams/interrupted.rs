//! Tasks that are aborted or panic at any of their polls: whatever is lost by that, no side takes for whole.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use proxy_core::Bound;
use proxy_core::mem::{MemStream, pair};
use proxy_core::relay::{Preface, RelayEnd, RelayLimits, relay};
use proxy_core::stream::{Kernel, NoSplice, Stream, read, shutdown, write_all};
use proxy_tls::rustls::version::{TLS12, TLS13};
use proxy_tls::rustls::{ClientConfig, ServerConfig};
use proxy_tls::{HandshakeError, TlsStream, accept, connect, is_truncated};
use tokio::time::Instant;

use crate::setup::{Version, bytes, configs, name, run};

/// What interrupts a task.
#[derive(Debug, Clone, Copy)]
enum How {
    /// It is dropped.
    Abort,
    /// It panics.
    Panic,
}

/// What `future` comes to; None where it is interrupted, after so many polls. A panic's message is spared.
async fn interrupted<F: Future>(future: F, after: usize, how: How) -> Option<F::Output> {
    let (mut future, mut polls) = (Some(Box::pin(future)), 0);
    std::future::poll_fn(move |cx| {
        if polls < after {
            polls += 1;
            let polled = future.as_mut().map_or(Poll::Pending, |future| future.as_mut().poll(cx));
            if polled.is_ready() || polls < after {
                return polled.map(Some);
            }
        }
        let doomed = future.take();
        match how {
            How::Abort => drop(doomed),
            How::Panic => {
                let unwound = catch_unwind(AssertUnwindSafe(|| {
                    let _doomed = doomed;
                    resume_unwind(Box::new("interrupted"))
                }));
                drop(unwound);
            }
        }
        Poll::Ready(None)
    })
    .await
}

/// How the other direction ended, as one end saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// By `close_notify`: what came is all.
    Whole,
    /// By a FIN and nothing before it.
    Truncated,
    /// By a reset, in the handshake or after it.
    Reset,
}

/// How it ended, and the bytes before it.
type Got = (Seen, Vec<u8>);

fn seen(error: &io::Error) -> Seen {
    if is_truncated(error) { Seen::Truncated } else { Seen::Reset }
}

async fn got(stream: &impl Stream) -> Got {
    let (mut all, mut buf) = (Vec::new(), vec![0; 16 * 1024]);
    loop {
        match read(stream, &mut buf).await {
            Ok(0) => return (Seen::Whole, all),
            Ok(n) => all.extend_from_slice(&buf[..n]),
            Err(error) => return (seen(&error), all),
        }
    }
}

/// What one end of a connection does: says all of `said` and its end, and reads until the other's.
async fn speaks<S: Stream>(
    shaken: Result<TlsStream<S>, HandshakeError>,
    said: &[u8],
) -> (Got, Option<TlsStream<S>>) {
    let stream = match shaken {
        Ok(stream) => stream,
        Err(HandshakeError::Io(error)) => return ((seen(&error), Vec::new()), None),
        Err(HandshakeError::Left) => return ((Seen::Truncated, Vec::new()), None),
        Err(error) => panic!("{error}"),
    };
    let says = async {
        // What becomes of it shows in what is read.
        if write_all(&stream, said).await.is_ok() {
            shutdown(&stream).await.unwrap_or_default();
        }
    };
    let ((), got) = tokio::join!(says, got(&stream));
    (got, Some(stream))
}

#[test]
fn a_handshake_that_is_interrupted_at_any_poll_is_a_reset_at_the_other_side() {
    for (version, capacity) in [(&TLS13, 100), (&TLS12, 100), (&TLS13, 64 * 1024), (&TLS12, 64 * 1024)] {
        let (server, client) = configs(version);
        for how in [How::Abort, How::Panic] {
            let shake = |after: usize, ours: bool| {
                run(async {
                    let (near, far) = pair(capacity);
                    let connecting = connect(near, Arc::clone(&client), name());
                    let accepting = accept(far, Arc::clone(&server), Vec::new());
                    let error = |failed: proxy_tls::Failed<_>| failed.error;
                    if ours {
                        let other = async { speaks(connecting.await.map_err(error), b"").await.0.0 };
                        let shaking = interrupted(async { drop(accepting.await) }, after, how);
                        let (done, seen) = tokio::join!(shaking, other);
                        (done.is_some(), seen)
                    } else {
                        let other = async { speaks(accepting.await.map_err(error), b"").await.0.0 };
                        let shaking = interrupted(async { drop(connecting.await) }, after, how);
                        let (done, seen) = tokio::join!(shaking, other);
                        (done.is_some(), seen)
                    }
                })
            };
            for ours in [true, false] {
                let mut polls = 0;
                loop {
                    // One that is done is dropped with its stream: a reset as well.
                    let (done, seen) = shake(polls, ours);
                    assert_eq!(seen, Seen::Reset, "after {polls} polls, {how:?}");
                    if done {
                        break;
                    }
                    polls += 1;
                }
                assert!(polls >= 2, "{polls} polls");
            }
        }
    }
}

/// Both configurations of a chain: of the client's leg, and of the backend's.
type Legs = [(Arc<ServerConfig>, Arc<ClientConfig>); 2];

fn legs(version: Version) -> Legs {
    [configs(version), configs(version)]
}

const QUESTION: usize = 3_000;
const ANSWER: usize = 40_000;

/// What a relay has in place of a stream.
type Over<S> = fn(TlsStream<MemStream>) -> S;

/// A proxy: TLS at both its sides, its relay over what `over` makes of the two.
async fn proxies<C: Stream, B: Stream>(
    (front, back): (MemStream, MemStream),
    legs: &Legs,
    over: (Over<C>, Over<B>),
) -> Option<()> {
    let client = over.0(accept(front, Arc::clone(&legs[0].0), Vec::new()).await.ok()?);
    let backend = over.1(connect(back, Arc::clone(&legs[1].1), name()).await.ok()?);
    let limits = RelayLimits::new(Bound::secs(20), Instant::now() + Duration::from_secs(50));
    let end = relay(&client, &backend, Preface::default(), &limits, &()).await;
    if matches!(end, RelayEnd::Finished { .. }) {
        client.finish();
        backend.finish();
    }
    Some(())
}

/// A client, a proxy and a backend; the proxy is interrupted after so many polls. Whether it was done by then, and what the client
/// and the backend got.
fn chain<C: Stream, B: Stream>(
    legs: &Legs,
    capacity: usize,
    over: (Over<C>, Over<B>),
    (after, how): (usize, How),
) -> (bool, Got, Got) {
    run(async {
        let ((near, front), (back, far)) = (pair(capacity), pair(capacity));
        let (question, answer) = (bytes(QUESTION), bytes(ANSWER));
        let client = async {
            let shaken = connect(near, Arc::clone(&legs[0].1), name()).await;
            speaks(shaken.map_err(|failed| failed.error), &question).await
        };
        let backend = async {
            let shaken = accept(far, Arc::clone(&legs[1].0), Vec::new()).await;
            speaks(shaken.map_err(|failed| failed.error), &answer).await
        };
        let proxy = interrupted(proxies((front, back), legs, over), after, how);
        let (done, (client, _near), (backend, _far)) = tokio::join!(proxy, client, backend);
        (done.is_some(), client, backend)
    })
}

/// What is wrong with what an end got, that should have had `all`.
fn wrong((seen, got): &Got, all: usize) -> Option<String> {
    let all = bytes(all);
    if !all.starts_with(got) {
        return Some("what came is not what was said".to_owned());
    }
    match seen {
        Seen::Truncated => Some("it ended without close_notify, and was not reset".to_owned()),
        Seen::Whole if got.len() < all.len() => {
            Some(format!("{} of {} bytes were told as all", got.len(), all.len()))
        }
        Seen::Whole | Seen::Reset => None,
    }
}

/// Interrupts the proxy at one poll after the other until it is done before; what was wrong, and how many polls it has.
fn at_every_poll<C: Stream, B: Stream>(
    version: Version,
    capacity: usize,
    over: (Over<C>, Over<B>),
    how: How,
) -> (Vec<String>, usize) {
    let (legs, mut found) = (legs(version), Vec::new());
    for polls in 0.. {
        let (done, client, backend) = chain(&legs, capacity, over, (polls, how));
        for (who, got, all) in [("client", &client, ANSWER), ("backend", &backend, QUESTION)] {
            found.extend(wrong(got, all).map(|what| format!("{who}, after {polls} polls: {what}")));
        }
        if done {
            let whole = [client.0, backend.0] == [Seen::Whole; 2];
            assert!(whole, "left alone, all of it arrives");
            return (found, polls);
        }
    }
    (found, 0)
}

fn as_it_is(stream: TlsStream<MemStream>) -> TlsStream<MemStream> {
    stream
}

#[test]
fn a_proxy_that_is_interrupted_at_any_poll_never_passes_off_a_part_as_the_whole() {
    for version in [&TLS13, &TLS12] {
        for how in [How::Abort, How::Panic] {
            for capacity in [1000, 64 * 1024] {
                let (found, polls) = at_every_poll(version, capacity, (as_it_is, as_it_is), how);
                assert!(found.is_empty(), "{found:#?}");
                assert!(polls > 5, "{polls} polls");
            }
        }
    }
}

/// A planted fault: one that says `close_notify` and ends in order whenever it is dropped, as a library's `Drop` that means well
/// would.
struct SaysGoodbye(Option<TlsStream<MemStream>>);

impl SaysGoodbye {
    fn new(stream: TlsStream<MemStream>) -> Self {
        Self(Some(stream))
    }

    fn inner(&self) -> &TlsStream<MemStream> {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl Drop for SaysGoodbye {
    fn drop(&mut self) {
        if let Some(stream) = self.0.take()
            && stream.poll_finish(&mut Context::from_waker(Waker::noop())).is_ready()
        {
            stream.finish();
        }
    }
}

impl Stream for SaysGoodbye {
    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.inner().poll_read(cx, buf)
    }

    fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.inner().poll_write(cx, buf)
    }

    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_shutdown(cx)
    }

    fn poll_finish(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_finish(cx)
    }

    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.inner().poll_gone(cx)
    }

    fn finish(mut self) {
        if let Some(stream) = self.0.take() {
            stream.finish();
        }
    }
}

impl Kernel for SaysGoodbye {
    type Splice = NoSplice;
}

#[test]
fn one_that_says_goodbye_when_it_is_dropped_is_caught() {
    let over = (SaysGoodbye::new as fn(_) -> _, as_it_is as fn(_) -> _);
    let (found, _) = at_every_poll(&TLS13, 1000, over, How::Abort);
    let told = found.iter().any(|what| what.starts_with("client") && what.contains("were told as all"));
    assert!(told, "{found:#?}");
}

/// Another: one that takes a reset for an end, as HAProxy does.
struct TakesResetForEnd(TlsStream<MemStream>);

impl Stream for TakesResetForEnd {
    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.0.poll_read(cx, buf).map(|read| Ok(read.unwrap_or(0)))
    }

    fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, buf)
    }

    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_shutdown(cx).map(|_| Ok(()))
    }

    fn poll_gone(&self, _: &mut Context<'_>) -> Poll<io::Error> {
        Poll::Pending
    }

    fn finish(self) {
        self.0.finish();
    }
}

impl Kernel for TakesResetForEnd {
    type Splice = NoSplice;
}

/// A backend that says half of its answer and resets; what its client got of it.
fn half_an_answer<B: Stream>(over: Over<B>) -> Got {
    let legs = legs(&TLS13);
    run(async {
        let ((near, front), (back, far)) = (pair(64 * 1024), pair(64 * 1024));
        let answer = bytes(ANSWER);
        let client = async {
            let shaken = connect(near, Arc::clone(&legs[0].1), name()).await;
            speaks(shaken.map_err(|failed| failed.error), b"?").await.0
        };
        let backend = async {
            let stream = accept(far, Arc::clone(&legs[1].0), Vec::new()).await.unwrap();
            read(&stream, &mut [0; 10]).await.unwrap();
            write_all(&stream, &answer[..ANSWER / 2]).await.unwrap();
            drop(stream);
        };
        let (_, client, ()) = tokio::join!(proxies((front, back), &legs, (as_it_is, over)), client, backend);
        client
    })
}

#[test]
fn half_an_answer_is_a_reset_and_one_that_takes_a_reset_for_an_end_is_caught() {
    let honest = half_an_answer(as_it_is);
    assert_eq!((honest.0, wrong(&honest, ANSWER)), (Seen::Reset, None));
    let soft = half_an_answer(TakesResetForEnd);
    assert!(wrong(&soft, ANSWER).is_some_and(|what| what.contains("told as all")), "{:?}", soft.0);
}
