//! Kernel help: keepalive and user timeout, which end a connection whose peer vanished without a packet.

use crate::Bound;

/// How many keepalive probes may go unanswered: 1 to 127, as the kernel takes (tcp(7), `TCP_KEEPCNT`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Probes(u8);

impl Probes {
    /// A number of probes, for constants.
    ///
    /// # Panics
    /// At compile time (it is meant for constants) if `count` is not from 1 to 127.
    #[must_use]
    pub const fn new(count: u8) -> Self {
        assert!(count >= 1 && count <= 127, "from 1 to 127 probes");
        Self(count)
    }
}

/// A number of probes that the kernel does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a number of probes from 1 to 127, found {0}")]
pub struct ProbesError(i64);

impl TryFrom<i64> for Probes {
    type Error = ProbesError;

    fn try_from(count: i64) -> Result<Self, ProbesError> {
        u8::try_from(count).ok().filter(|n| (1..=127).contains(n)).map(Self).ok_or(ProbesError(count))
    }
}

proxy_values::number_form!(Probes, "Probes", 1, 127, "a number of probes");

proxy_values::layered! {
    /// Keepalive probes and `TCP_USER_TIMEOUT`, set on both sockets of a connection.
    ///
    /// The defaults probe often enough to keep middle boxes from forgetting the flow (the shortest common one is 350 s), and
    /// find a dead peer within six minutes at most.
    pub struct KeepAlive /
    /// The kernel's keepalive and user timeout, for both sockets of a connection.
    KeepAliveOverrides {
        /// Silence before the first probe (`TCP_KEEPIDLE`); whole seconds. Default 75s.
        idle: Bound = Bound::secs(75),
        /// Time between probes (`TCP_KEEPINTVL`); whole seconds. Default 15s.
        interval: Bound = Bound::secs(15),
        /// Unanswered probes until the peer counts as gone (`TCP_KEEPCNT`). Default 3.
        count: Probes = Probes::new(3),
        /// How long a peer may answer nothing: sent bytes unacknowledged, probes unanswered, or no room for more
        /// (`TCP_USER_TIMEOUT`). It takes the place of `count` for probes. A peer that lives but takes nothing is cut by it
        /// too, so it should be longer than `write_stall_timeout`, which says so in the log. Default 6m.
        user_timeout: Bound = Bound::secs(360),
    }
}

impl KeepAlive {
    /// Sets these on a TCP socket.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn apply(&self, socket: &socket2::SockRef<'_>) -> std::io::Result<()> {
        let keepalive = socket2::TcpKeepalive::new()
            .with_time(self.idle.get())
            .with_interval(self.interval.get())
            .with_retries(self.count.0.into());
        socket.set_tcp_keepalive(&keepalive)?;
        socket.set_tcp_user_timeout(Some(self.user_timeout.get()))
    }
}
