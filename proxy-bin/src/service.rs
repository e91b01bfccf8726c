//! The service manager (systemd): told how the proxy is, given its listening sockets to keep, and its watchdog fed.
//!
//! The watchdog is fed only while every worker answers and the audit goes on: a process that is merely there, and serves
//! nobody, is one that the manager should restart.

mod vitals;

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{debug, error, info};

use crate::control::{Control, State};
use vitals::{Seen, Vitals};

/// How often its status is told where no watchdog asks for more.
const STATUS: Duration = Duration::from_secs(10);

/// Tells a process that takes another one's place that somebody keeps its sockets: what told the other one so is not true
/// of it.
pub(crate) const KEPT: &str = "SMARTPROXY_SOCKETS_ARE_KEPT";

/// The descriptors of one message, at most (`SCM_MAX_FD`, unix(7)).
const MOST: usize = 253;

/// The manager that has started this process, if one has and listens. Cheap to clone.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    listens: bool,
    /// How long the watchdog waits to be fed.
    watchdog: Option<Duration>,
    /// Whether it keeps the listening sockets for the next process.
    keeps_sockets: bool,
}

impl Service {
    /// What the environment says of it.
    #[must_use]
    pub fn of_this_process() -> Self {
        let listens = std::env::var_os("NOTIFY_SOCKET").is_some();
        let watchdog = sd_notify::watchdog_enabled().filter(|_| listens);
        let stores = listens && std::env::var("FDSTORE").is_ok_and(|most| most != "0");
        let gave = ["LISTEN_FDS", KEPT].iter().any(|name| std::env::var_os(name).is_some());
        Self { listens, watchdog, keeps_sockets: stores || gave }
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

    fn tell(self, state: &[NotifyState<'_>]) {
        if self.listens
            && let Err(error) = sd_notify::notify(state)
        {
            debug!(%error, "the service manager cannot be told");
        }
    }

    /// Gives it copies of a listener's sockets to keep, for a process that comes after this one.
    fn store(self, listener: &str, sockets: &[OwnedFd]) {
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

    /// Tells the manager how the proxy is, feeds its watchdog and keeps its store of sockets that of the open listeners,
    /// until somebody else is the service. Does nothing where there is no manager.
    pub async fn attend(self, control: Control) {
        if !self.listens {
            return;
        }
        let mut every =
            tokio::time::interval(self.watchdog.map_or(STATUS, |patience| (patience / 2).min(STATUS)));
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut vitals = Vitals::new(&seen(&control), Instant::now());
        let (mut stored, mut complained) = (Vec::new(), false);
        loop {
            every.tick().await;
            if control.state() == State::HandingOver {
                continue;
            }
            let complaint = vitals.look(&seen(&control), Instant::now());
            match (&complaint, complained) {
                (Some(why), false) => error!("{why}: the watchdog is fed no more"),
                (None, true) => info!("the watchdog is fed again"),
                _ => {}
            }
            complained = complaint.is_some();
            let status = complaint.unwrap_or_else(|| status(&control));
            let opened = self.follow(&control, &mut stored);
            let fed = !complained && self.watchdog.is_some();
            // A manager that is busy may let its callers wait.
            let told = tokio::task::spawn_blocking(move || {
                for (listener, sockets) in opened {
                    self.store(&listener, &sockets);
                }
                self.tell(&[NotifyState::Status(&status)]);
                if fed {
                    self.tell(&[NotifyState::Watchdog]);
                }
            });
            if let Err(error) = told.await {
                error!(%error, "telling the service manager has panicked");
            }
        }
    }

    /// What was opened since, and forgets what was closed.
    fn follow(self, control: &Control, stored: &mut Vec<Arc<str>>) -> Vec<(Arc<str>, Vec<OwnedFd>)> {
        let open = control.open_listeners();
        stored.retain(|listener| {
            let stays = open.contains(listener) || control.state() != State::Running;
            if !stays {
                self.forget(listener);
            }
            stays
        });
        if open.iter().all(|listener| stored.contains(listener)) {
            return Vec::new();
        }
        let sockets = control.listening_sockets().unwrap_or_else(|error| {
            debug!(%error, "no copies of the sockets can be made");
            Vec::new()
        });
        let new = sockets.into_iter().filter(|(listener, _)| !stored.contains(listener));
        let new: Vec<_> = new.collect();
        stored.extend(new.iter().map(|(listener, _)| Arc::clone(listener)));
        new
    }
}

/// A name that the manager takes: without colons (`sd_pid_notify_with_fds(3)`).
fn stored_name(listener: &str) -> String {
    format!("listener-{}", listener.replace(':', "_"))
}

fn status(control: &Control) -> String {
    let (connections, generation) = (control.tracker().len(), control.generation());
    format!("{}, {connections} connections, configuration {generation}", control.state())
}

fn seen(control: &Control) -> Seen {
    let (audit, state) = (control.proxy().config.audit, control.audit().state());
    Seen {
        beats: control.workers().iter().map(|worker| worker.view().beats).collect(),
        audits: state.runs(),
        audit_interval: audit.interval.get() + audit.grace.get() + 2 * state.last_took(),
    }
}
