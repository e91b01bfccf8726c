//! A flow that never has to wait does not keep others waiting.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use proxy_core::relay::{Preface, RelayLimits, relay};
use proxy_core::stream::{Kernel, NoSplice};
use proxy_core::{Bound, Stream};
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

/// The read during which somebody else is sent a byte.
const SENT_AT: usize = 100;

/// More bytes than a flow moves in a turn.
const TWO_TURNS: usize = 2 << 20;

/// A client that always has bytes, and in the middle sends one to somebody else.
struct Flood {
    read: AtomicUsize,
    times: AtomicUsize,
    other: Mutex<UnixStream>,
}

/// A backend that takes whatever it is given.
struct Abyss;

impl Stream for Flood {
    fn poll_read(&self, _: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.times.fetch_add(1, Ordering::Relaxed) == SENT_AT {
            self.read.store(0, Ordering::Relaxed);
            self.other.lock().unwrap().write_all(b"!").unwrap();
        }
        self.read.fetch_add(buf.len(), Ordering::Relaxed);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_write(&self, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn poll_shutdown(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_gone(&self, _: &mut Context<'_>) -> Poll<io::Error> {
        Poll::Pending
    }

    fn finish(self) {}
}

impl Kernel for Flood {
    type Splice = NoSplice;
}

impl Stream for Abyss {
    fn poll_read(&self, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn poll_write(&self, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_shutdown(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_gone(&self, _: &mut Context<'_>) -> Poll<io::Error> {
        Poll::Pending
    }

    fn finish(self) {}
}

impl Kernel for Abyss {
    type Splice = NoSplice;
}

#[tokio::test]
async fn somebody_else_is_heard_after_a_turn_of_a_flow_that_never_waits() {
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    let mut near = tokio::net::UnixStream::from_std(near).unwrap();
    let flood = std::sync::Arc::new(Flood {
        read: AtomicUsize::new(0),
        times: AtomicUsize::new(0),
        other: Mutex::new(far),
    });
    let minute = Bound::secs(60);
    let limits = RelayLimits::new(minute, Instant::now() + Duration::from_secs(60));
    let flooding = std::sync::Arc::clone(&flood);
    #[expect(clippy::disallowed_methods, reason = "a task of its own, as connections are")]
    let flow = tokio::spawn(async move { relay(&*flooding, &Abyss, Preface::default(), &limits, &()).await });
    near.read_exact(&mut [0]).await.unwrap();
    let moved = flood.read.load(Ordering::Relaxed);
    flow.abort();
    assert!(moved <= TWO_TURNS, "{moved} bytes went first");
}
