//! What the service manager is told while the proxy runs: its status, its listening sockets to keep, and that it lives.
//!
//! The watchdog is fed only while every worker answers and the audit goes on: a process that is merely there, and serves
//! nobody, is one that the manager should restart.

mod vitals;

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{debug, error, info};

use crate::control::{Control, State};
use crate::systemd::Manager;
use proxy_dataplane::listeners::Listening;
use vitals::{Seen, Vitals};

/// How often its status is told where no watchdog asks for more.
const STATUS: Duration = Duration::from_secs(10);

/// Tells the manager how the proxy is, feeds its watchdog and keeps its store of sockets that of the open listeners,
/// until somebody else is the service. Does nothing where there is no manager.
pub async fn attend(manager: Manager, control: Control) {
    if !manager.listens() {
        return;
    }
    let mut every =
        tokio::time::interval(manager.watchdog().map_or(STATUS, |patience| (patience / 2).min(STATUS)));
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
        let opened = follow(manager, &control, &mut stored);
        let fed = !complained && manager.watchdog().is_some();
        // A manager that is busy may let its callers wait.
        let told = tokio::task::spawn_blocking(move || {
            for (listener, sockets) in opened {
                manager.store(&listener, &sockets);
            }
            manager.tell(&[NotifyState::Status(&status)]);
            if fed {
                manager.tell(&[NotifyState::Watchdog]);
            }
        });
        if let Err(error) = told.await {
            error!(%error, "telling the service manager has panicked");
        }
    }
}

/// What was opened since, and forgets what was closed.
fn follow(manager: Manager, control: &Control, stored: &mut Vec<Arc<str>>) -> Vec<Listening> {
    let open = control.open_listeners();
    stored.retain(|listener| {
        let stays = open.contains(listener) || control.state() != State::Running;
        if !stays {
            manager.forget(listener);
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

fn status(control: &Control) -> String {
    let (connections, generation) = (control.tracker().len(), control.generation());
    format!("{}, {connections} connections, configuration {generation}", control.state())
}

fn seen(control: &Control) -> Seen {
    let (audit, state) = (control.proxy().settings.audit, control.audit().state());
    Seen {
        beats: control.workers().iter().map(|worker| worker.view().beats).collect(),
        audits: state.runs(),
        audit_interval: audit.interval.get() + audit.grace.get() + 2 * state.last_took(),
    }
}
