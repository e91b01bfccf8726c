//! The handle by which a running proxy is looked at and changed: for the admin API, the command line and signals.
//!
//! What changes a proxy does so one at a time (`changing`), on the control runtime, and to its end even if whoever asked has
//! gone. What looks reads atomics and short locks, none of which is held across an await.
//!
//! ```text
//!  Control ── hands on to ──► reload, drain, upgrade, log_files ── functions over ──► Running, which knows none of them
//! ```

mod aside;
mod certificates;
mod drain;
mod drains;
mod file_watch;
mod known;
mod log_files;
mod members;
mod obtaining;
mod past;
mod reload;
mod running;
mod state;
mod tickets;
mod troubled;
mod upgrade;
mod upgrading;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use proxy_acme::{Standing, UnknownName};
use proxy_conn::{Audit, Tracker};
use proxy_core::TcpDialer;

pub use aside::AsideError;
pub use drain::DrainError;
pub(crate) use drain::scope;
pub use members::{Changed, MemberError, Wanted};
pub(crate) use obtaining::begin as begin_to_obtain;
pub use past::HISTORY;
pub(crate) use running::Running;
pub use state::State;
pub use tickets::{TICKETS, take_over as take_over_tickets};
pub use upgrade::{ADMIN, UpgradeError};
pub use upgrading::Upgradable;

use crate::certificates::Registry;
use crate::config::Config;
use crate::logging::Logs;
use crate::systemd::Manager;
use proxy_api::model::{self, DrainKind};
use proxy_dataplane::Generation;
use proxy_dataplane::listeners::Listening;
use proxy_dataplane::observe::Observed;
use proxy_dataplane::workers::Worker;

/// The handle of a running [`Server`](crate::server::Server). Cheap to clone; clones are the same. It does not keep the
/// server: once that has stopped, there is nothing left to change.
#[derive(Clone)]
pub struct Control(Arc<Running>);

impl Control {
    pub(crate) fn new(running: Running) -> Self {
        let running = Arc::new(running);
        running.plane.observed().ask(Box::new(known::known_to(&running)));
        Self(running)
    }

    pub(crate) fn running(&self) -> &Arc<Running> {
        &self.0
    }

    /// The generation in force: settings, routes, pools, listeners, limits. Do not keep it: it is not freed before
    /// it is dropped.
    #[must_use]
    pub fn proxy(&self) -> Arc<Generation<TcpDialer>> {
        self.0.proxy()
    }

    /// The configuration whose settings are in force.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        self.0.config()
    }

    /// The certificates that it presents.
    #[must_use]
    pub fn certificates(&self) -> Arc<Registry> {
        Arc::clone(self.config().certificates.registry())
    }

    /// The table of its connections.
    #[must_use]
    pub fn tracker(&self) -> &Arc<Tracker> {
        self.0.plane.tracker()
    }

    /// The audit of its connections: to run one now, and for its heartbeat.
    #[must_use]
    pub fn audit(&self) -> &Audit {
        self.0.plane.audit()
    }

    /// What was seen of it, and what is wrong.
    #[must_use]
    pub fn observed(&self) -> &Observed {
        self.0.plane.observed()
    }

    /// Its worker threads, in their order.
    #[must_use]
    pub fn workers(&self) -> &[Worker] {
        self.0.plane.workers()
    }

    /// Since it was started.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.0.began.elapsed()
    }

    /// What it does.
    #[must_use]
    pub fn state(&self) -> State {
        self.0.state()
    }

    /// Says what it does from now on. Once it has begun to stop nothing else is said any more.
    pub fn enter(&self, state: State) {
        self.0.enter(state);
    }

    /// Which generation is in force: 1 is the one it started with.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.0.standing.lock().generation
    }

    /// The configuration in force, and how the last reload went.
    #[must_use]
    pub fn config_status(&self) -> model::ConfigStatus {
        let origin = self.config().origin.clone();
        let standing = self.0.standing.lock();
        model::ConfigStatus {
            origin: origin.file.map_or_else(|| "embedded".to_owned(), |file| file.display().to_string()),
            generation: standing.generation,
            loaded_at: standing.loaded_at,
            last_reload: standing.last_reload.clone(),
        }
    }

    /// The text of the configuration in force, as it was read.
    #[must_use]
    pub fn config_text(&self) -> Arc<str> {
        Arc::clone(&self.config().origin.text)
    }

    /// The names of the listeners that are open.
    #[must_use]
    pub fn open_listeners(&self) -> Vec<Arc<str>> {
        self.0.plane.listeners().labels()
    }

    /// The listening sockets that are open, by the listener's name: one for each worker, in their order. For another process to
    /// take over; they stay open for as long as they are held.
    ///
    /// # Errors
    /// What the system says of a descriptor.
    pub fn listening_sockets(&self) -> std::io::Result<Vec<Listening>> {
        self.0.plane.listeners().sockets()
    }

    /// Whoever started the log gives it to those who may change it; without it a change of `[log]` waits for the next start.
    pub fn log_by(&self, logs: Logs) {
        *self.0.logs.lock() = Some(logs);
    }

    /// The process's log, where it may be changed.
    #[must_use]
    pub fn logs(&self) -> Option<Logs> {
        self.0.logs()
    }

    /// Opens the log's files anew, after somebody has moved them away.
    ///
    /// # Errors
    /// Why the files that were open are written to as before.
    pub async fn reopen_logs(&self) -> Result<(), String> {
        log_files::reopen(&self.0).await
    }

    /// Has the service manager told of what becomes of the proxy.
    pub fn tell(&self, manager: Manager) {
        *self.0.manager.lock() = Some(manager);
    }

    /// The service manager that is told, if there is one.
    #[must_use]
    pub fn manager(&self) -> Option<Manager> {
        self.0.manager()
    }

    /// Asks it to stop, as SIGTERM does. Whoever runs the server waits for [`asked_to_stop`](Self::asked_to_stop).
    pub fn stop(&self) {
        self.0.stop();
    }

    /// Resolves when somebody has called [`stop`](Self::stop). Cancel-safe.
    pub async fn asked_to_stop(&self) {
        self.0.asked_to_stop().await;
    }

    /// Reads the configuration's file again, and puts what it says in force. One at a time; goes on to its end once begun,
    /// whether or not it is waited for. The result tells why nothing has changed, if so.
    pub async fn reload(&self) -> model::Reload {
        reload::reload(&self.0).await
    }

    /// The same with a text instead of the file. The next reload reads the file again, if there is one.
    pub async fn reload_with(&self, text: &str) -> model::Reload {
        reload::reload_with(&self.0, text).await
    }

    /// What the configuration `text` would change. Nothing is bound, so that a port is taken shows only in a reload.
    ///
    /// # Errors
    /// Everything that is wrong with the text, with places in it.
    pub fn diff(&self, text: &str) -> Result<model::Diff, String> {
        reload::diff(&self.0, text)
    }

    /// Watches the file that the configuration in force came from, if it says so; else no file.
    pub(crate) fn watch_file(&self) {
        reload::watch_file(&self.0);
    }

    /// Keeps its certificates up to date with their files.
    pub(crate) fn watch_certificates(&self) {
        *self.0.certificates.lock() = Some(certificates::watch(&self.0));
    }

    /// Obtains the certificates that the configuration in force wants, and renews them.
    pub(crate) fn obtain_certificates(&self) {
        *self.0.obtaining.lock() = Some(obtaining::attend(&self.0));
    }

    /// How it stands with the certificates that are obtained, by name.
    #[must_use]
    pub fn obtained(&self) -> Vec<Standing> {
        self.0.acme.standing()
    }

    /// Obtains a certificate for `name` now, whatever the schedule and earlier failures say. Returns how often was tried before: once
    /// there are more [tries](Standing::tries), it is done.
    ///
    /// # Errors
    /// Where no certificate of that name is obtained here.
    pub fn renew_certificate(&self, name: &str) -> Result<u64, UnknownName> {
        self.0.acme.renew(name)
    }

    /// Watches no file any more.
    pub(crate) fn forget_files(&self) {
        self.0.file.lock().take();
        self.0.certificates.lock().take();
    }

    /// Drains something, or undoes that; what it says is how far it is. Goes on to its end once begun, whether or not it
    /// is waited for.
    ///
    /// # Errors
    /// [`DrainError`]; nothing has changed then.
    pub async fn drain(&self, request: &model::DrainRequest) -> Result<model::Drain, DrainError> {
        drain::drain(&self.0, request).await
    }

    /// The drains under way, in the order in which they were asked for. What somebody asked for lasts until it is undone, also
    /// where nothing has the name any more; what a reload began is over with its connections.
    #[must_use]
    pub fn drains(&self) -> Vec<model::Drain> {
        drain::drains(&self.0)
    }

    /// Changes a member of a group. Asked for again it changes nothing. Goes on to its end once begun, whether or not it is waited
    /// for.
    ///
    /// # Errors
    /// [`MemberError`]; nothing has changed then.
    pub async fn change_member(&self, wanted: Wanted) -> Result<Changed, MemberError> {
        members::change(&self.0, wanted).await
    }

    /// Whether nothing is accepted, since everything is drained.
    #[must_use]
    pub fn is_draining_everything(&self) -> bool {
        self.0.drains.has(DrainKind::Everything, "")
    }

    /// Whether this listener takes no new connections.
    #[must_use]
    pub fn is_draining_listener(&self, label: &str) -> bool {
        self.0.drains.keep_shut(label)
    }

    /// Whether this route takes no new connections.
    #[must_use]
    pub fn is_draining_route(&self, name: &str) -> bool {
        self.0.drains.has(DrainKind::Route, name)
    }

    /// Whether this target is not dialled.
    #[must_use]
    pub fn is_draining_target(&self, name: &str) -> bool {
        self.0.drains.has(DrainKind::Target, name)
    }

    /// Goes on with what the process before knows of the past. What cannot be read is dropped, with a line in the log.
    pub fn take_over_history(&self, handed: std::os::fd::OwnedFd) {
        past::take_over(self.0.plane.observed(), handed);
    }

    /// From now on the proxy can be upgraded.
    pub fn upgrade_by(&self, upgradable: Upgradable) {
        *self.0.upgrading.ready.lock() = Some(upgradable);
    }

    /// Starts the program anew and hands the listeners over to it; returns its process id once it serves, and then this
    /// proxy stops, as [`stop`](Self::stop) has it do. Goes on to its end once begun, whether or not it is waited for.
    ///
    /// # Errors
    /// [`UpgradeError`]; then nothing has changed.
    pub async fn upgrade(&self) -> Result<u32, UpgradeError> {
        upgrade::upgrade(&self.0).await
    }

    /// How the last upgrade went; None if there was none.
    #[must_use]
    pub fn last_upgrade(&self) -> Option<model::Upgrade> {
        self.0.upgrading.last.lock().clone()
    }

    /// Whether another process serves in the place of this one.
    #[must_use]
    pub fn is_handed_over(&self) -> bool {
        self.0.upgrading.done.is_cancelled()
    }

    /// Resolves when another process serves in the place of this one. Cancel-safe.
    pub async fn handed_over(&self) {
        self.0.upgrading.done.cancelled().await;
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("standing", &*self.0.standing.lock()).finish_non_exhaustive()
    }
}
