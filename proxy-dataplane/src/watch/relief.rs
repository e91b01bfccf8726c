//! What is done for a pool that is short: its connections of least use are ended.

use std::collections::HashSet;
use std::os::fd::RawFd;
use std::time::Duration;

use proxy_conn::overload::{Candidate, Sent};
use proxy_conn::{Overload, Reason, Tracked};
use proxy_core::tcp_info;
use tokio::time::Instant;
use tracing::warn;

use crate::pool::Pool;

/// Ends the pool's connections of least use, among all `connections`.
pub(super) fn relieve(pool: &Pool, breaker: &mut Overload, connections: &[Tracked]) {
    let now = Instant::now();
    let mortal = connections.iter().filter(|one| one.pool() == Some(pool.id) && !one.is_immortal());
    let candidates: Vec<_> = mortal.clone().map(|one| candidate(one, now)).collect();
    let victims = breaker.victims(&candidates, |one| sent(one.descriptors));
    if victims.is_empty() {
        return;
    }
    let chosen: HashSet<_> = victims.iter().map(|victim| victim.id).collect();
    let ended = mortal.filter(|one| chosen.contains(&one.id()) && one.cancel(Reason::Overload)).count();
    warn!(pool = %pool.name, ended, "overload: ended the connections of least use");
}

fn candidate(one: &Tracked, now: Instant) -> Candidate {
    let (from_client, from_backend) = one.bytes();
    Candidate {
        id: one.id(),
        phase: one.phase(),
        idle: one.idle(now),
        moved: from_client.saturating_add(from_backend),
        descriptors: one.descriptors(),
    }
}

/// What the kernel knows of what was written to these two descriptors. One that is another socket's by now spares somebody
/// once.
fn sent(descriptors: [Option<RawFd>; 2]) -> Sent {
    descriptors.into_iter().flatten().map(sent_to).fold(Sent::NOTHING, Sent::and)
}

fn sent_to(descriptor: RawFd) -> Sent {
    let ago = tcp_info::last_sent(descriptor).unwrap_or(Duration::MAX);
    Sent { owed: tcp_info::unacknowledged(descriptor), ago }
}
