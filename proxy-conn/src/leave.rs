//! How a client is left in order by a proxy that is the first to end.

use proxy_core::late::within;
use proxy_core::stream::{read, shutdown};
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
    let deadline = Instant::now() + LEAVE.get();
    conn.deadline(deadline, DeadlineKind::Leave);
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
