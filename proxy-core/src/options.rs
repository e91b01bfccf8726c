//! Kernel help: keepalive and user timeout, which end a connection whose peer vanished without a packet.

use crate::bound::Bound;

/// Keepalive probes and `TCP_USER_TIMEOUT`, set on both sockets of a connection.
///
/// The defaults find a dead peer within 75 s + 3 × 15 s = two minutes, and probe often enough to keep middle boxes from
/// forgetting the flow (the shortest common one is 350 s).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeepAlive {
    /// Silence before the first probe (`TCP_KEEPIDLE`); whole seconds.
    pub idle: Bound,
    /// Time between probes (`TCP_KEEPINTVL`); whole seconds.
    pub interval: Bound,
    /// Unanswered probes until the peer counts as gone (`TCP_KEEPCNT`).
    pub count: u8,
    /// How long sent bytes may stay unacknowledged (`TCP_USER_TIMEOUT`). It also overrides `count` for probes, so it
    /// is best near `idle + interval × count`.
    pub user_timeout: Bound,
}

impl Default for KeepAlive {
    fn default() -> Self {
        Self {
            idle: Bound::secs(75),
            interval: Bound::secs(15),
            count: 3,
            user_timeout: Bound::secs(120),
        }
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
            .with_retries(self.count.into());
        socket.set_tcp_keepalive(&keepalive)?;
        socket.set_tcp_user_timeout(Some(self.user_timeout.get()))
    }
}
