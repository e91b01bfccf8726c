//! A member that took a connection, of which a handshake has yet to say whether it can be used.
//!
//! ```text
//!  Candidates ── the kernel took it ──► Unproven ──┬── proven: what a dial that succeeds is
//!    (`followed_by_handshake`)                     ├── failed: what a dial that fails is
//!                                                  └── dropped: the client left, nothing is said
//! ```
//! Were its breaker told of the connection alone, no number of handshakes that fail would open it: each would come after a success.

use std::sync::Arc;

use proxy_conn::{BreakerState, Ticket};
use tokio::time::Instant;
use tracing::warn;

use crate::health::Outcome;
use crate::member::Member;

/// A dial that reached a member, until its handshake is done.
#[derive(Debug)]
#[must_use = "one that is dropped says nothing of the member"]
pub struct Unproven {
    pub(crate) member: Arc<Member>,
    /// What its connections come for, as it is logged.
    pub(crate) label: Arc<str>,
    pub(crate) ticket: Ticket,
    pub(crate) began: Instant,
}

impl Unproven {
    /// The handshake is done: the member is in order.
    pub fn proven(self) {
        let Self { member, label, ticket, began } = self;
        let change = ticket.succeeded();
        if change.is_some() {
            member.is_well(began.elapsed());
        } else {
            member.set_fails_handshakes(false);
        }
        member.log(&label, change);
    }

    /// The handshake failed, or was not done in time. The member is held to have failed a dial. The proxy does not try by itself
    /// whether it is well: that it takes connections is known. Once its time is over a client's connection is the one that tries.
    pub fn failed(self) {
        let Self { member, label, ticket, .. } = self;
        member.set_fails_handshakes(true);
        member.health.outcomes.count(Outcome::Bad);
        let Some(change) = ticket.failed(Instant::now()) else { return };
        if change.to == BreakerState::Open {
            warn!(route = &*label, target = %member.name, "breaker: {change}, for TLS handshakes that fail");
        } else {
            member.log(&label, Some(change));
        }
    }
}
