//! Streams whose end has something to write before it, as TLS has, and may have to wait for room.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::stream::{Kernel, NoSplice, finish};

/// What it says before its end.
const GOODBYE: &[u8] = b"goodbye!";

/// A stream that says goodbye before it ends.
struct Polite {
    stream: MemStream,
    said: AtomicUsize,
}

impl Polite {
    fn poll_goodbye(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) =
            GOODBYE.get(self.said.load(Ordering::Relaxed)..).filter(|rest| !rest.is_empty())
        {
            match self.stream.poll_write(cx, rest) {
                Poll::Ready(Ok(n)) => self.said.fetch_add(n, Ordering::Relaxed),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            };
        }
        Poll::Ready(Ok(()))
    }
}

impl Stream for Polite {
    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.stream.poll_read(cx, buf)
    }

    fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.stream.poll_write(cx, buf)
    }

    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.poll_goodbye(cx))?;
        self.stream.poll_shutdown(cx)
    }

    fn poll_finish(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_goodbye(cx)
    }

    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.stream.poll_gone(cx)
    }

    fn finish(self) {
        self.stream.finish();
    }
}

impl Kernel for Polite {
    type Splice = NoSplice;
}

fn pair() -> (MemStream, Polite) {
    let (far, stream) = mem::pair(16);
    (far, Polite { stream, said: AtomicUsize::new(0) })
}

/// Both far ends, and the relay between the near ones in a task of its own, which finishes them where it should.
fn polite_rig() -> (MemStream, MemStream, tokio::task::JoinHandle<RelayEnd>) {
    let ((client, near_client), (backend, near_backend)) = (pair(), pair());
    #[expect(clippy::disallowed_methods, reason = "the test is the one who spawns here")]
    let task = tokio::spawn(async move {
        let end = relay(&near_client, &near_backend, Preface::default(), &limits(), &Notes::default()).await;
        if matches!(end, RelayEnd::Finished { .. }) {
            near_client.finish();
            near_backend.finish();
        }
        end
    });
    (client, backend, task)
}

/// Also the one whose FIN goes out with the closing.
#[tokio::test(start_paused = true)]
async fn both_sides_get_them_before_their_end() {
    let (client, backend, task) = polite_rig();
    write_all(&client, b"request").await.unwrap();
    client.shutdown_write().unwrap();
    assert_eq!(read_to_end(&backend).await, (b"requestgoodbye!".to_vec(), None));
    write_all(&backend, b"answer").await.unwrap();
    backend.shutdown_write().unwrap();
    assert_eq!(read_to_end(&client).await, (b"answergoodbye!".to_vec(), None));
    assert!(matches!(task.await.unwrap(), RelayEnd::Finished { first: Side::Client }));
}

/// A peer that has no room for them is waited for by the deadlines of any byte, and never gets an end without them.
#[tokio::test(start_paused = true)]
async fn they_wait_for_room_and_not_for_ever() {
    for reads in [true, false] {
        let (client, backend, task) = polite_rig();
        write_all(&backend, &[7; 12]).await.unwrap();
        backend.shutdown_write().unwrap();
        let started = Instant::now();
        tokio::time::sleep(Duration::from_secs(9)).await;
        if reads {
            client.shutdown_write().unwrap();
            assert_eq!(read_to_end(&client).await, ([&[7; 12], GOODBYE].concat(), None));
            assert!(matches!(task.await.unwrap(), RelayEnd::Finished { .. }));
            continue;
        }
        let end = task.await.unwrap();
        assert!(matches!(end, RelayEnd::Deadline { which: RelayDeadline::HalfClosed, .. }), "{end:?}");
        assert!(started.elapsed() < Duration::from_secs(12), "{:?}", started.elapsed());
        assert_eq!(read_to_end(&client).await.1, Some(io::ErrorKind::ConnectionReset), "a part is no end");
    }
}

#[tokio::test(start_paused = true)]
async fn who_closes_by_itself_says_them_too() {
    let (far, near) = pair();
    finish(near).await.unwrap();
    assert_eq!(read_to_end(&far).await, (GOODBYE.to_vec(), None));
    let (far, near) = pair();
    write_all(&near, &[7; 12]).await.unwrap();
    let given_up = tokio::time::timeout(Duration::from_secs(1), finish(near)).await;
    assert!(given_up.is_err());
    assert_eq!(read_to_end(&far).await.1, Some(io::ErrorKind::ConnectionReset));
}
