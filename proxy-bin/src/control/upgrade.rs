//! The running proxy's side: what is handed over, and what becomes of it afterwards.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use proxy_core::TcpListener;
use tracing::{info, warn};

use super::past::{self, HISTORY};
use super::running::{Running, unix_time};
use super::state::State;
use super::tickets::{self, TICKETS};
use super::upgrading::Upgradable;
use crate::handover::{HandoverError, Passed, Program, Recall, hand_over};
use proxy_api::model;

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

/// Starts the program anew and hands the listeners over to it; returns its process id once it serves, and then this
/// proxy stops, as [`stop`](Self::stop) has it do. Goes on to its end once begun, whether or not it is waited for.
///
/// # Errors
/// [`UpgradeError`]; then nothing has changed.
pub(crate) async fn upgrade(running: &Arc<Running>) -> Result<u32, UpgradeError> {
    let upgraded = Arc::clone(running);
    let upgrading = async move {
        let _alone = upgraded.changing.lock().await;
        upgrade_alone(&upgraded).await
    };
    running.runtime.spawn(upgrading).await?
}

async fn upgrade_alone(running: &Arc<Running>) -> Result<u32, UpgradeError> {
    let upgraded = start_successor(running).await;
    if let Err(error) = &upgraded {
        warn!("not upgraded, this process goes on: {error}");
        note(running, None, Some(error.to_string()));
    }
    upgraded
}

async fn start_successor(running: &Arc<Running>) -> Result<u32, UpgradeError> {
    let state = running.state();
    if state != State::Running {
        return Err(UpgradeError::Busy(state));
    }
    if std::process::id() == 1 {
        return Err(UpgradeError::First);
    }
    let (program, sockets) = handed_on(running)?;
    let recall = Recall::new().map_err(HandoverError::from)?;
    running.enter(State::HandingOver);
    info!(program = %program.path().display(), sockets = sockets.len(), "handing over to a new process");
    let patience = running.config().process.upgrade_timeout.get();
    let recalled = recall.clone();
    let mut handing =
        running.runtime.spawn_blocking(move || hand_over(&program, &sockets, patience, &recalled));
    let handed = tokio::select! {
        biased;
        handed = &mut handing => handed,
        () = running.asked_to_stop() => {
            recall.now();
            handing.await
        }
    };
    let failed = match handed {
        Ok(Ok(successor)) => return Ok(handed_over_to(running, successor.id())),
        Ok(Err(error)) => UpgradeError::from(error),
        Err(lost) => lost.into(),
    };
    running.enter(State::Running);
    Err(failed)
}

/// What is handed over.
enum Handed {
    /// A worker's own.
    Listening(Arc<TcpListener>),
    /// A copy of the admin API's.
    Admin(OwnedFd),
    /// No socket: what is known of the past, or the keys of tickets.
    Memory(OwnedFd),
}

impl AsFd for Handed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Listening(socket) => socket.as_fd(),
            Self::Admin(socket) | Self::Memory(socket) => socket.as_fd(),
        }
    }
}

/// All that is handed over.
fn handed_on(running: &Arc<Running>) -> Result<(Program, Vec<Passed<Handed>>), UpgradeError> {
    let ready = running.upgrading.ready.lock();
    let Upgradable { program, admin } = ready.as_ref().ok_or(UpgradeError::Embedded)?;
    let listeners = running.plane.listeners().sockets().map_err(HandoverError::from)?;
    let mut sockets: Vec<_> = listeners
        .into_iter()
        .flat_map(|(name, sockets)| {
            sockets
                .into_iter()
                .map(move |socket| Passed { name: name.to_string(), socket: Handed::Listening(socket) })
        })
        .collect();
    if let Some(admin) = admin {
        let socket = admin.try_clone().map_err(HandoverError::from)?;
        sockets.push(Passed { name: ADMIN.to_owned(), socket: Handed::Admin(socket) });
    }
    if let Some(history) = past::to_hand_over(running.plane.observed()) {
        sockets.push(Passed { name: HISTORY.to_owned(), socket: Handed::Memory(history) });
    }
    if let Some(keys) = tickets::to_hand_over(running.config().certificates.registry().tickets()) {
        sockets.push(Passed { name: TICKETS.to_owned(), socket: Handed::Memory(keys) });
    }
    Ok((program.clone(), sockets))
}

fn handed_over_to(running: &Arc<Running>, pid: u32) -> u32 {
    info!(pid, "the new process serves; this one finishes what it has");
    // Both have the sockets now. From here on nobody is turned away, nobody is lost.
    running.plane.listeners().share();
    if let Some(manager) = running.manager() {
        manager.hand_over(pid);
    }
    note(running, Some(pid), None);
    running.upgrading.ready.lock().take();
    running.upgrading.done.cancel();
    running.stop();
    pid
}

fn note(running: &Arc<Running>, pid: Option<u32>, error: Option<String>) {
    let taken = error.is_none();
    *running.upgrading.last.lock() = Some(model::Upgrade { taken, at: unix_time(), pid, error });
}
