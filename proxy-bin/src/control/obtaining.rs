//! Certificates that are obtained: which, and the one task that obtains them, on the control runtime. What is in its folder is presented
//! as files are.
//!
//! ```text
//! Config.acme ─► read the folder ─► in force ─► the task obtains and renews ─► a file of the folder ─► the registry presents it
//! ```
//! It goes on over reloads, with what is under way. Where another process serves, or this one is to stop, it ends: the next one finds
//! everything in the folder.

use std::sync::{Arc, Weak};

use proxy_acme::{Acme, Network, Prepared, Wanted};
use proxy_core::TcpDialer;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::aside::AsideError;
use super::certificates;
use super::running::Running;
use crate::config::Config;

/// What `config` wants obtained.
fn wanted(config: &Config) -> Option<Wanted> {
    config.acme.as_ref().map(|acme| acme.wanted.clone())
}

/// At a start: opens the folder and reads it, before anybody connects.
///
/// # Errors
/// What is wrong with the folder.
pub(crate) fn begin(acme: &Arc<Acme>, config: &Config) -> Result<(), proxy_acme::StorageError> {
    let prepared = acme.prepare(wanted(config))?;
    put_in_force(acme, prepared, config);
    Ok(())
}

/// For a reload: reads the folder, which may hang.
///
/// # Errors
/// What is wrong with the folder.
pub(crate) async fn prepare(running: &Arc<Running>, config: &Config) -> Result<Prepared, String> {
    let (acme, wanted) = (Arc::clone(&running.acme), wanted(config));
    let stop = running.asked_to_stop();
    let preparing =
        running
            .reading
            .run(&running.runtime, stop, "reading the folder of certificates", move || acme.prepare(wanted));
    let prepared = preparing.await.map_err(|error: AsideError| error.to_string())?;
    prepared.map_err(|error| error.to_string())
}

/// From now on what `config` wants.
pub(crate) fn put_in_force(acme: &Arc<Acme>, prepared: Prepared, config: &Config) {
    acme.put_in_force(prepared);
    for place in config.acme.iter().flat_map(|acme| &acme.places) {
        let weak = Arc::downgrade(acme);
        place.store.await_by(Box::new(move |name| weak.upgrade()?.missing(name)));
    }
}

/// Obtains and renews for as long as this process serves, and no longer than until the guard is dropped.
pub(crate) fn attend(running: &Arc<Running>) -> DropGuard {
    let network = Network { dialer: TcpDialer::default(), resolver: running.proxy().resolver.clone() };
    let acme = Arc::clone(&running.acme);
    let (stop, done) = (running.asked_to_stop.clone(), running.upgrading.done.clone());
    let (over, weak) = (CancellationToken::new(), Arc::downgrade(running));
    let ended = over.clone();
    drop(running.runtime.spawn(async move {
        let obtaining = acme.run(network, |_| present(&weak));
        tokio::select! {
            () = stop.cancelled() => {}
            () = done.cancelled() => {}
            () = ended.cancelled() => {}
            _ = obtaining => {}
        }
    }));
    over.drop_guard()
}

/// Presents what was obtained wherever it is to be: the folder is looked at. Should somebody look at that moment, its watch does it again.
fn present(running: &Weak<Running>) {
    if let Some(running) = running.upgrade() {
        let looking = Arc::clone(&running);
        drop(running.runtime.spawn(async move { certificates::look_now(&looking).await }));
    }
}
