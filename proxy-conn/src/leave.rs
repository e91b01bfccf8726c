//! How a client is left in order by a proxy that is the first to end.

use proxy_core::late::within;
use proxy_core::stream::{read, shutdown, write_all};
use proxy_core::{Bound, Stream};
use tokio::time::Instant;

use crate::entry::DeadlineKind;
use crate::guard::ConnGuard;

/// How long, and for how many bytes, a client that is turned away in order is heard out.
const LEAVE: Bound = Bound::secs(1);
const LAST_WORDS: usize = 64 * 1024;

/// Ends our direction, and takes what the client still has to say, for a second and 64 KiB at the most.
///
/// Closing over unread bytes would reset it after all, and some systems lose what has arrived but is not read by then. The stream is to
/// be finished after it. Cancel-safe.
pub async fn leave<S: Stream>(conn: &ConnGuard, client: &S) {
    leave_with(conn, client, b"").await;
}

/// The same with a last word, within the same second; whether the client took it. One that did not is to be reset.
///
/// Not cancel-safe: how much was written is lost with the future.
pub async fn leave_with<S: Stream>(conn: &ConnGuard, client: &S, word: &[u8]) -> bool {
    let deadline = Instant::now() + LEAVE.get();
    conn.deadline(deadline, DeadlineKind::Leave);
    if !matches!(within(deadline, client, write_all(client, word)).await, Some(Ok(()))) {
        return false;
    }
    hear_out(client, deadline).await;
    true
}

async fn hear_out<S: Stream>(client: &S, deadline: Instant) {
    if within(deadline, client, shutdown(client)).await.is_none_or(|ended| ended.is_err()) {
        return;
    }
    let (mut buffer, mut heard) = (vec![0; 4096], 0);
    let listening = async {
        while heard < LAST_WORDS {
            match read(client, &mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(n) => heard += n,
            }
        }
    };
    within(deadline, client, listening).await.unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Opening, Tracker};
    use proxy_core::{PeerAddr, mem};

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_take_the_last_word_is_not_waited_for() {
        let conn =
            Tracker::new(1, ()).open(0, Opening::new(PeerAddr::new(([127, 0, 0, 1], 1).into()), "test"));
        let (near, _far) = mem::pair(4);
        let began = Instant::now();
        assert!(!leave_with(&conn, &near, b"more than it takes").await);
        assert!(began.elapsed() < 2 * LEAVE.get());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_it_gets_the_end_behind_it() {
        let conn =
            Tracker::new(1, ()).open(0, Opening::new(PeerAddr::new(([127, 0, 0, 1], 1).into()), "test"));
        let (near, far) = mem::pair(64);
        assert!(leave_with(&conn, &near, b"bye").await);
        let mut buffer = [0; 8];
        assert_eq!(read(&far, &mut buffer).await.unwrap(), 3);
        assert_eq!(read(&far, &mut buffer).await.unwrap(), 0);
    }
}
