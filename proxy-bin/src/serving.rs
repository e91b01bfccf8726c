//! What a process does that serves: what it is asked by signals, until it is told to stop; and how it ends.

use std::process::ExitCode;
use std::sync::Arc;

use futures_util::future::join_all;
use proxy_bin::control::Control;
use proxy_bin::server::{Server, Stopped};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tracing::info;

use crate::signals::{Asked, Ending, Signals};

/// Serves until somebody wants it to stop, then stops the servers, the first one first (an outer hop before the inner one, so
/// that what is on its way still gets through).
/// [`Signals::serving`] has been told of them.
pub(crate) async fn until_stopped(signals: &Signals, servers: Vec<Server>) -> Ending {
    let asked = &signals.asked;
    let controls: Vec<Control> = servers.iter().map(|server| server.control().clone()).collect();
    // Beside each other: what hangs in one of them holds up none of the others. Dropped when it is to stop.
    let mut doing = JoinSet::new();
    doing.spawn(reload(Arc::clone(asked), controls.clone()));
    doing.spawn(upgrade(Arc::clone(asked), controls.clone()));
    doing.spawn(reopen(Arc::clone(asked), controls));
    asked.stop.cancelled().await;
    doing.abort_all();
    tokio::select! {
        _ = join_all(servers.iter().map(Server::leave)) => {}
        () = asked.left.cancelled() => {}
    }
    asked.left.cancel();
    let mut ended = 0;
    for server in servers {
        match server.stop(asked.hurry.cancelled()).await {
            Stopped::Finished => {}
            Stopped::Ended(connections) => ended += connections,
        }
    }
    let ending = Ending { ended, at_once: asked.hurry.is_cancelled() };
    signals.ended(ending);
    ending
}

/// Reads the configuration again at each SIGHUP.
async fn reload(asked: Arc<Asked>, controls: Vec<Control>) {
    loop {
        asked.reload.notified().await;
        info!(signal = "SIGHUP", "reloading");
        for control in &controls {
            // How it went is in the log, and in the status.
            control.reload().await;
        }
    }
}

/// Hands over to a new process at each SIGUSR2.
async fn upgrade(asked: Arc<Asked>, controls: Vec<Control>) {
    loop {
        asked.upgrade.notified().await;
        for control in &controls {
            // What becomes of it is in the log, and in the status.
            drop(control.upgrade().await);
        }
    }
}

/// Opens the log files anew at each SIGUSR1, as those who rotate them expect.
async fn reopen(asked: Arc<Asked>, controls: Vec<Control>) {
    loop {
        asked.reopen.notified().await;
        if let Some(control) = controls.first() {
            // The log is the process's. How it went is in it.
            drop(control.reopen_logs().await);
        }
    }
}

/// The end of a process that has served, or could not: says so once it is so. Waits for no thread that may hang (a look-up, a
/// file).
///
/// # Errors
/// The outcome's.
pub(crate) fn over(runtime: Runtime, outcome: anyhow::Result<Ending>) -> anyhow::Result<ExitCode> {
    runtime.shutdown_background();
    let ending = outcome?;
    info!(connections_ended = ending.ended, at_once = ending.at_once, "stopped");
    Ok(ending.code())
}
