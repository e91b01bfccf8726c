//! The service manager (systemd), as `sd_notify(3)` speaks to it: the state of the proxy, sockets to keep.

use std::os::fd::AsFd;
use std::time::Duration;

use sd_notify::NotifyState;
use tracing::debug;

/// Tells a process that takes another one's place that somebody keeps its sockets: what told the other one so is not true
/// of it.
pub(crate) const KEPT: &str = "SMARTPROXY_SOCKETS_ARE_KEPT";

/// The descriptors of one message, at most (`SCM_MAX_FD`, unix(7)).
const MOST: usize = 253;

/// The manager that has started this process, if one has and listens. Cheap to clone.
#[derive(Debug, Clone, Copy)]
pub struct Manager {
    listens: bool,
    /// How long the watchdog waits to be fed.
    watchdog: Option<Duration>,
    /// Whether it keeps the listening sockets for the next process.
    keeps_sockets: bool,
}

impl Manager {
    /// What the environment says of it.
    #[must_use]
    pub fn of_this_process() -> Self {
        let listens = std::env::var_os("NOTIFY_SOCKET").is_some();
        let watchdog = sd_notify::watchdog_enabled().filter(|_| listens);
        let stores = listens && std::env::var("FDSTORE").is_ok_and(|most| most != "0");
        let gave = ["LISTEN_FDS", KEPT].iter().any(|name| std::env::var_os(name).is_some());
        Self { listens, watchdog, keeps_sockets: stores || gave }
    }

    /// Whether there is one that listens.
    pub(crate) fn listens(self) -> bool {
        self.listens
    }

    /// How long its watchdog waits to be fed; None where it has none.
    pub(crate) fn watchdog(self) -> Option<Duration> {
        self.watchdog
    }

    /// Whether it is known to keep the listening sockets: whoever is queued when this process goes is served by the next.
    #[must_use]
    pub fn keeps_sockets(self) -> bool {
        self.keeps_sockets
    }

    /// It serves, with what configuration there is now.
    pub fn ready(self) {
        self.tell(&[NotifyState::Ready, NotifyState::MainPid(std::process::id())]);
    }

    /// It reads its configuration again; [`ready`](Self::ready) follows, however that goes.
    pub fn reloading(self) {
        let state = NotifyState::monotonic_usec_now().map(|now| [NotifyState::Reloading, now]);
        match state {
            Ok(state) => self.tell(&state),
            Err(error) => debug!(%error, "the clock does not say what time it is"),
        }
    }

    /// It has begun to stop.
    pub fn stopping(self) {
        self.tell(&[NotifyState::Stopping]);
    }

    /// Another process is the service from now on.
    pub fn hand_over(self, pid: u32) {
        self.tell(&[NotifyState::MainPid(pid)]);
    }

    pub(crate) fn tell(self, state: &[NotifyState<'_>]) {
        if self.listens
            && let Err(error) = sd_notify::notify(state)
        {
            debug!(%error, "the service manager cannot be told");
        }
    }

    /// Gives it copies of a listener's sockets to keep, for a process that comes after this one.
    pub(crate) fn store(self, listener: &str, sockets: &[impl AsFd]) {
        let name = stored_name(listener);
        for part in sockets.chunks(MOST) {
            let part: Vec<_> = part.iter().map(AsFd::as_fd).collect();
            let told = sd_notify::notify_with_fds(&[NotifyState::FdStore, NotifyState::FdName(&name)], &part);
            if let Err(error) = told {
                debug!(%error, listener, "the service manager cannot be given the sockets");
            }
        }
    }

    /// Has it close what it keeps of a listener: one that nobody accepts from would have clients wait for nothing.
    pub fn forget(self, listener: &str) {
        self.tell(&[NotifyState::FdStoreRemove, NotifyState::FdName(&stored_name(listener))]);
    }
}

/// A name that the manager takes: without colons (`sd_pid_notify_with_fds(3)`).
fn stored_name(listener: &str) -> String {
    format!("listener-{}", listener.replace(':', "_"))
}
