//! The running proxy's side: what is handed over, and what becomes of it afterwards.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{HandoverError, Passed, Program, Recall, hand_over};
use crate::control::{Control, State, unix_time};
use crate::model;

/// The name by which the admin API's own port is handed over.
pub const ADMIN: &str = "admin";

/// Why there is no new process.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpgradeError {
    /// It stops, or hands over already.
    #[error("the proxy is {0}: it hands nothing over")]
    Busy(State),
    /// Whoever runs it has not said what to start.
    #[error("this proxy cannot be upgraded while it runs: it is no process of its own")]
    Embedded,
    /// Whatever started it ends when it does.
    #[error(
        "this is process 1, with which its container ends: there is nobody to hand over to; start another container beside it"
    )]
    First,
    /// The new process did not become ready, and has gone. Nothing has changed.
    #[error(transparent)]
    Failed(#[from] HandoverError),
    /// The process is ending.
    #[error("the control runtime is gone: {0}")]
    Lost(#[from] tokio::task::JoinError),
}

/// What an upgrade needs, and how the last one went.
#[derive(Debug, Default)]
pub(crate) struct Upgrading {
    ready: Mutex<Option<Upgradable>>,
    last: Mutex<Option<model::Upgrade>>,
    done: CancellationToken,
}

/// What is started, and what it gets beside the listeners' sockets.
#[derive(Debug)]
pub struct Upgradable {
    /// The program.
    pub program: Program,
    /// The admin API's port, if it has one.
    pub admin: Option<OwnedFd>,
}

impl Control {
    /// From now on the proxy can be upgraded.
    pub fn upgrade_by(&self, upgradable: Upgradable) {
        *self.parts().upgrading.ready.lock() = Some(upgradable);
    }

    /// Starts the program anew and hands the listeners over to it; returns its process id once it serves, and then this
    /// proxy stops, as [`stop`](Self::stop) has it do. Goes on to its end once begun, whether or not it is waited for.
    ///
    /// # Errors
    /// [`UpgradeError`]; then nothing has changed.
    pub async fn upgrade(&self) -> Result<u32, UpgradeError> {
        let control = self.clone();
        let upgrading = async move {
            let _alone = control.parts().changing.lock().await;
            control.upgrade_alone().await
        };
        self.parts().runtime.spawn(upgrading).await?
    }

    async fn upgrade_alone(&self) -> Result<u32, UpgradeError> {
        let upgraded = self.hand_over().await;
        if let Err(error) = &upgraded {
            warn!("not upgraded, this process goes on: {error}");
            self.note(None, Some(error.to_string()));
        }
        upgraded
    }

    async fn hand_over(&self) -> Result<u32, UpgradeError> {
        let state = self.state();
        if state != State::Running {
            return Err(UpgradeError::Busy(state));
        }
        if std::process::id() == 1 {
            return Err(UpgradeError::First);
        }
        let (program, sockets) = self.heirloom()?;
        let recall = Recall::new().map_err(HandoverError::from)?;
        self.enter(State::HandingOver);
        info!(program = %program.path().display(), sockets = sockets.len(), "handing over to a new process");
        let patience = self.proxy().config.process.upgrade_timeout.get();
        let recalled = recall.clone();
        let mut handing =
            self.parts().runtime.spawn_blocking(move || hand_over(&program, &sockets, patience, &recalled));
        let handed = tokio::select! {
            biased;
            handed = &mut handing => handed,
            () = self.asked_to_stop() => {
                recall.now();
                handing.await
            }
        };
        let failed = match handed {
            Ok(Ok(successor)) => return Ok(self.handed_over_to(successor.id())),
            Ok(Err(error)) => UpgradeError::from(error),
            Err(lost) => lost.into(),
        };
        self.enter(State::Running);
        Err(failed)
    }

    /// What is handed over.
    fn heirloom(&self) -> Result<(Program, Vec<Passed>), UpgradeError> {
        let ready = self.parts().upgrading.ready.lock();
        let Upgradable { program, admin } = ready.as_ref().ok_or(UpgradeError::Embedded)?;
        let listeners = self.listening_sockets().map_err(HandoverError::from)?;
        let mut sockets: Vec<_> = listeners
            .into_iter()
            .flat_map(|(name, sockets)| {
                sockets.into_iter().map(move |socket| Passed { name: name.to_string(), socket })
            })
            .collect();
        if let Some(admin) = admin {
            let socket = admin.try_clone().map_err(HandoverError::from)?;
            sockets.push(Passed { name: ADMIN.to_owned(), socket });
        }
        Ok((program.clone(), sockets))
    }

    fn handed_over_to(&self, pid: u32) -> u32 {
        info!(pid, "the new process serves; this one finishes what it has");
        let parts = self.parts();
        // Both have the sockets now. From here on nobody is turned away, nobody is lost.
        parts.doors.share();
        if let Some(service) = self.service() {
            service.hand_over(pid);
        }
        self.note(Some(pid), None);
        parts.upgrading.ready.lock().take();
        parts.upgrading.done.cancel();
        self.stop();
        pid
    }

    fn note(&self, pid: Option<u32>, error: Option<String>) {
        let taken = error.is_none();
        *self.parts().upgrading.last.lock() = Some(model::Upgrade { taken, at: unix_time(), pid, error });
    }

    /// How the last upgrade went; None if there was none.
    #[must_use]
    pub fn last_upgrade(&self) -> Option<model::Upgrade> {
        self.parts().upgrading.last.lock().clone()
    }

    /// Whether another process serves in the place of this one.
    #[must_use]
    pub fn is_handed_over(&self) -> bool {
        self.parts().upgrading.done.is_cancelled()
    }

    /// Resolves when another process serves in the place of this one. Cancel-safe.
    pub async fn handed_over(&self) {
        self.parts().upgrading.done.cancelled().await;
    }

    /// The names of the listeners that are open.
    #[must_use]
    pub fn open_listeners(&self) -> Vec<Arc<str>> {
        self.parts().doors.labels()
    }
}
