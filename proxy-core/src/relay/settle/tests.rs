use std::io;
use std::task::Context;

use super::*;
use crate::mem::{self, MemStream};
use crate::stream::{Kernel, NoSplice};

/// A stream whose kernel holds bytes that nobody acknowledges, also when it was reset.
struct Owing(MemStream);

impl Stream for Owing {
    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.0.poll_read(cx, buf)
    }
    fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, buf)
    }
    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_shutdown(cx)
    }
    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.0.poll_gone(cx)
    }
    fn finish(self) {}
}

impl Kernel for Owing {
    type Splice = NoSplice;

    fn unacknowledged(&self) -> usize {
        100
    }
}

/// For how long the other side of a reset is waited for, of which `becomes` is what becomes.
async fn settling(preface: Vec<u8>, becomes: impl FnOnce(MemStream) -> Option<MemStream>) -> Duration {
    let ((source, from), (sink, to)) = (mem::pair(16), mem::pair(16));
    drop(source);
    let started = Instant::now();
    let mut lane = Lane::new(preface, false);
    let to = Owing(to);
    let settled = settle(&mut lane, &from, &to, Bound::secs(10));
    let later = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        becomes(sink)
    };
    let (_kept, ()) = tokio::join!(later, settled);
    started.elapsed()
}

#[tokio::test(start_paused = true)]
async fn whoever_takes_nothing_is_borne_with_for_a_moment_and_whoever_is_gone_is_not() {
    let (patience, told) =
        (Duration::from_millis(400)..Duration::from_millis(430), Duration::from_millis(50));
    for bytes in [0, 1000] {
        let silent = settling(vec![7; bytes], Some).await;
        assert!(patience.contains(&silent), "{silent:?}");
        let reset = settling(vec![7; bytes], |sink| {
            drop(sink);
            None
        });
        assert_eq!(reset.await, told);
    }
}
