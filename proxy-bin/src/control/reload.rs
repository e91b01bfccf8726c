//! Another configuration for a running proxy: read whole, compared, bound, and only then in force.
//!
//! ```text
//! file ─► Config::load ─► changes, warnings ─► bind what is new ─► generation n+1 ─► swap ─► close what is gone
//!              └──────────── refused: nothing has changed ◄─┘          (cannot fail from here on)
//! ```
//! - A listener whose address and port stay keeps its sockets and whoever is queued there, whatever else is new about it.
//! - One that is gone accepts what is queued, then closes.
//! - Connections go on as they began, also those of a route that is gone, unless `[reload] removed_routes` says otherwise, and those
//!   of a member that its group has no more, unless the group's `on_removed` does.
//! - Limits, breakers, pools and pressures go on counting under their names.

mod diff;
mod file_watch;
mod refusal;

use std::collections::HashSet;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use proxy_core::ListenError;
use proxy_core::listen::accept_error_is_shortage;
use proxy_dataplane::generation::{is_same_table, too_few_descriptors};
use proxy_dataplane::server::ReplaceError;
use tracing::{info, warn};

pub(crate) use file_watch::watch_file;
use refusal::Refusal;

use super::aside::AsideError;
use super::drain::drain_removed;
use super::members::taken_back;
use super::obtaining;
use super::running::{Running, unix_time};
use super::state::State;
use crate::certificates::Registry;
use crate::config::{Config, Findings, LoadError, RemovedRoutes};
use crate::logging::{self, Logs};
use proxy_api::model;

/// Reads the configuration's file again, and puts what it says in force. One at a time; goes on to its end once begun,
/// whether or not it is waited for. The result tells why nothing has changed, if so.
pub(crate) async fn reload(running: &Arc<Running>) -> model::Reload {
    let running = Arc::clone(running);
    alone(Arc::clone(&running), async move {
        match read(&running).await {
            Ok(config) => replace(&running, config).await,
            Err(why) => refuse(&running, why),
        }
    })
    .await
}

/// The same with a text instead of the file. The next reload reads the file again, if there is one.
pub(crate) async fn reload_with(running: &Arc<Running>, text: &str) -> model::Reload {
    let (running, text) = (Arc::clone(running), text.to_owned());
    alone(Arc::clone(&running), async move {
        let origin = running.config().origin.clone();
        match Config::parse_with(&text, &*origin.name, &registry(&running)) {
            Ok(mut config) => {
                config.origin.file = origin.file;
                replace(&running, config).await
            }
            Err(errors) => refuse(&running, errors),
        }
    })
    .await
}

/// What the configuration `text` would change. Nothing is bound, so that a port is taken shows only in a reload.
///
/// # Errors
/// Everything that is wrong with the text, with places in it.
pub(crate) fn diff(running: &Arc<Running>, text: &str) -> Result<model::Diff, String> {
    let proxy = running.proxy();
    let _preparing = proxy.prepares();
    let config = Config::parse_with(text, model::NEW_CONFIGURATION, &registry(running));
    let config = config.map_err(|errors| errors.to_string())?;
    config.suits_this_machine().map_err(|errors| errors.to_string())?;
    let was = running.config();
    let warnings = warnings(running, &was, &config);
    Ok(model::Diff { changes: diff::changes(&proxy, &was, &config), warnings })
}

/// Runs on the control runtime, while nobody else changes anything.
async fn alone(
    running: Arc<Running>,
    change: impl Future<Output = model::Reload> + Send + 'static,
) -> model::Reload {
    let changed = Arc::clone(&running);
    let changing = running.runtime.spawn(async move {
        let _alone = changed.changing.lock().await;
        let _preparing = changed.proxy().prepares();
        let manager = changed.manager();
        manager.inspect(|manager| manager.reloading());
        let reload = change.await;
        manager.inspect(|manager| manager.ready());
        reload
    });
    match changing.await {
        Ok(reload) => reload,
        Err(lost) => refuse(&running, format!("the control runtime is gone: {lost}")),
    }
}

/// Puts `config` in force, or leaves everything as it is.
async fn replace(running: &Arc<Running>, config: Config) -> model::Reload {
    let before = running.proxy();
    let state = running.state();
    if state != State::Running {
        return refuse(running, format!("the proxy is {state}: it takes no other configuration"));
    }
    if let Err(errors) = config.suits_this_machine() {
        return refuse(running, errors);
    }
    let was = running.config();
    let mut warnings = warnings(running, &was, &config);
    let changes = diff::changes(&before, &was, &config);
    let log = match prepare_log(running, &was, &config, &mut warnings).await {
        Ok(log) => log,
        Err(why) => return refuse(running, why),
    };
    let obtained = match obtaining::prepare(running, &config).await {
        Ok(obtained) => obtained,
        Err(why) => return refuse(running, why),
    };
    let plane = &running.plane;
    let stays_closed = |label: &str| running.drains.keep_shut(label);
    let prepared = match plane.prepare(Arc::clone(&config.settings), stays_closed) {
        Ok(prepared) => prepared,
        Err(ReplaceError::Listen(error)) => return refuse(running, explained(&error)),
        Err(error) => return refuse(running, error.to_string()),
    };
    running.drains.mark(prepared.generation());
    if let Some((logs, change)) = log {
        logs.apply(change);
    }
    let config = Arc::new(config);
    running.set_config(Arc::clone(&config));
    config.certificates.put_in_force();
    obtaining::put_in_force(&running.acme, obtained, &config);
    let gone = plane.put_in_force(prepared);
    let reload = taken(running, changes, warnings);
    plane.listeners().close(&gone).await;
    see_off(running, &was, &config);
    plane.see_off(before.removed_by(&running.proxy()), config.graceful_shutdown_timeout.get());
    watch_file(running);
    reload
}

/// What becomes of the connections whose route is gone.
fn see_off(running: &Arc<Running>, before: &Config, next: &Config) {
    if next.reload.removed_routes == RemovedRoutes::Drain {
        let routes = gone(enabled(before), enabled(next));
        drain_removed(running, &routes, next.graceful_shutdown_timeout.get());
    }
}

/// What a changed `[log]` needs, open already; None where it says what it said.
async fn prepare_log(
    running: &Arc<Running>,
    before: &Config,
    next: &Config,
    warnings: &mut Vec<String>,
) -> Result<Option<(Logs, logging::Change)>, String> {
    if before.log == next.log {
        return Ok(None);
    }
    let Some(logs) = running.logs() else {
        warnings.push("[log] takes effect at the next start".to_owned());
        return Ok(None);
    };
    let (log, opener) = (next.log.clone(), logs.clone());
    let opened = running
        .opening
        .run(&running.runtime, running.asked_to_stop(), "opening the log files", move || opener.prepare(&log))
        .await;
    let change = opened.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    Ok(change.map(|change| (logs, change)))
}

/// What may not mean what its author thinks, and what waits for the next start.
fn warnings(running: &Arc<Running>, before: &Config, next: &Config) -> Vec<String> {
    let mut warnings: Vec<_> = next.warnings.iter().map(|one| written(&next.warnings, one)).collect();
    if !before.process.is_the_same_from_the_start(&next.process) {
        warnings.push("[process] takes effect at the next start, but for upgrade_timeout".to_owned());
    }
    if before.settings.workers != next.settings.workers {
        let (was, is) = (before.settings.workers, next.settings.workers);
        warnings.push(format!("workers = {is} takes effect at the next start; until then there are {was}"));
    }
    let awaited = next.egress_awaited();
    warnings.extend(awaited.iter().map(|one| written(&awaited, one)));
    let shut = next.settings.listeners.iter().filter(|at| running.drains.keep_shut(&at.label));
    warnings.extend(shut.map(|at| format!("listener {} stays closed: it is drained", at.label)));
    warnings.extend(taken_back(&running.proxy(), before, next));
    warnings.extend(too_few_descriptors(&next.settings));
    let served_alike = match (&before.admin, &next.admin) {
        (Some(was), Some(is)) => was.is_served_as(is),
        (was, is) => was.is_none() && is.is_none(),
    };
    if !served_alike {
        warnings.push("[admin] takes effect at the next start, but for hops".to_owned());
    }
    if let (Some(was), Some(is)) = (&before.settings.clients, &next.settings.clients)
        && !is_same_table(was, is)
    {
        let text = "ipv6_prefix or tracked_clients differ, so clients are counted anew: connections that are open \
                    now do not count against connections_per_client";
        warnings.push(text.to_owned());
    }
    if before.settings.clients.is_none() && next.settings.clients.is_some() {
        warnings
            .push("clients are counted from now on: connections that are open now do not count".to_owned());
    }
    warnings
}

fn taken(running: &Arc<Running>, changes: Vec<model::Change>, warnings: Vec<String>) -> model::Reload {
    let mut standing = running.standing.lock();
    standing.generation += 1;
    standing.loaded_at = unix_time();
    info!(
        generation = standing.generation,
        changes = changes.len(),
        "reloaded: the new configuration is in force"
    );
    for warning in &warnings {
        warn!("reloaded: {warning}");
    }
    let reload = model::Reload {
        taken: true,
        at: standing.loaded_at,
        generation: standing.generation,
        changes,
        error: None,
        warnings,
    };
    standing.last_reload = Some(reload.clone());
    reload
}

fn refuse(running: &Arc<Running>, why: impl Into<Refusal>) -> model::Reload {
    let why = why.into();
    // The lines of the file with what is wrong underlined are for people who look on.
    let watched = running.logs().is_some_and(|logs| logs.is_for_a_terminal());
    warn!("not reloaded, nothing has changed: {}", if watched { &why.whole } else { &why.line });
    let mut standing = running.standing.lock();
    let reload = model::Reload {
        taken: false,
        at: unix_time(),
        generation: standing.generation,
        changes: Vec::new(),
        error: Some(why.whole),
        warnings: Vec::new(),
    };
    standing.last_reload = Some(reload.clone());
    reload
}

/// Reads the file that the configuration in force came from.
async fn read(running: &Arc<Running>) -> Result<Config, Refusal> {
    let origin = running.config().origin.clone();
    let Some(file) = origin.file else {
        let why = format!("{} did not come from a file: there is nothing to read again", origin.name);
        return Err(why.into());
    };
    let (path, text) = text_of(running, file).await?;
    // However long that takes: it depends on nobody else.
    let registry = registry(running);
    let parsing = running.runtime.spawn_blocking(move || Config::of_file(&path, &text, &registry));
    tokio::select! {
        biased;
        parsed = parsing => match parsed {
            Ok(parsed) => parsed.map_err(Refusal::from),
            Err(lost) => Err(format!("the file was not read: {lost}").into()),
        },
        () = running.asked_to_stop() => Err(AsideError::Stopping.to_string().into()),
    }
}

/// The certificates that there are.
fn registry(running: &Running) -> Arc<Registry> {
    Arc::clone(running.config().certificates.registry())
}

/// The text of a configuration file, and its path again.
async fn text_of(running: &Arc<Running>, file: PathBuf) -> Result<(PathBuf, String), String> {
    let path = file.clone();
    let reading = running
        .reading
        .run(&running.runtime, running.asked_to_stop(), READING, move || Config::text_of(&path));
    let read: Result<String, LoadError> = reading.await.map_err(|error| error.to_string())?;
    read.map(|text| (file, text)).map_err(|error| error.to_string())
}

const READING: &str = "reading the configuration file";

/// What to do about a port that may not be bound.
const NO_RIGHT: &str = "ports below 1024 need root or CAP_NET_BIND_SERVICE; where [process] user has given that up, they can only \
                        be had at a start";

/// A listener that could not be bound, and what to do about it.
fn explained(error: &ListenError) -> String {
    if error.is_taken() {
        format!("{error}\n  change the route's match.ports, or stop the process that has it")
    } else if accept_error_is_shortage(&error.source) {
        format!("{error}\n  raise the limit of open files (ulimit -n), or listen on fewer ports")
    } else if error.is_privileged() {
        format!("{error}\n  {NO_RIGHT}")
    } else if error.source.kind() == io::ErrorKind::AddrNotAvailable {
        format!("{error}\n  no interface of this machine has this address: change `bind` in [[listeners]]")
    } else {
        error.to_string()
    }
}

/// A warning in one line, with its place.
fn written(findings: &Findings, finding: &crate::config::Finding) -> String {
    let place = findings.position(finding);
    let more = [finding.label.as_str(), finding.help.as_deref().unwrap_or_default()];
    let more: String = more.iter().filter(|text| !text.is_empty()).map(|text| format!("; {text}")).collect();
    format!("line {}, column {}: {}{more}", place.line, place.column, finding.title)
}

/// The names of the routes that take connections.
fn enabled(config: &Config) -> impl Iterator<Item = &Arc<str>> {
    config.settings.routes.routes().filter(|route| route.spec.enabled).map(|route| &route.payload.name)
}

/// What was there and is no more.
fn gone<'n>(
    before: impl Iterator<Item = &'n Arc<str>>,
    now: impl Iterator<Item = &'n Arc<str>>,
) -> Vec<Arc<str>> {
    let now: HashSet<_> = now.collect();
    before.filter(|name| !now.contains(name)).cloned().collect()
}
