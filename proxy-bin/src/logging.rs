//! The log: what is written, in which shape, where to; all of it can change while the proxy runs.
//!
//! ```text
//! tracing event ─► Lines (level, shape) ─┬─ repeated warning ─► Repeats: counted, told every 5 s
//!                                        └─► Writer: bounded queue ─► its own thread ─► stderr, stdout or a file
//! end of a connection ─► AccessLog (rules) ─► event of target `smartproxy::access`
//! ```
//! Nobody waits for whoever reads the log: what does not fit into a queue is lost, and counted.

mod access;
mod files;
mod lines;
mod opening;
mod repeats;
mod summary;
mod writer;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use tokio::time::Instant;
use tracing::warn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{AccessTo, Log, LogFormat, LogLevel};
use crate::privileges::Identity;
pub use access::AccessLog;
use files::Sink;
use lines::Lines;
pub(crate) use opening::{UNREAD, a_socket};
use repeats::Repeats;
pub(crate) use repeats::{Fate, Kind, Labels};
use writer::Writer;

/// The target of the events with which connections end.
pub(crate) const ACCESS: &str = "smartproxy::access";

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// A file cannot be written to.
    #[error("cannot open the log file {}: {source}", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A thread could not be made.
    #[error("cannot start the thread that writes the log: {0}")]
    Thread(std::io::Error),
    /// The process has a log already, which somebody else started.
    #[error("the log of this process was started by somebody else")]
    Taken,
}

/// The log of the process. Cheap to clone; clones are the same log.
#[derive(Debug, Clone)]
pub struct Logs(Arc<Shared>);

/// What all of its parts share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// As the place in [`LogLevel::ALL`].
    level: AtomicU8,
    /// Read for each line, by every worker.
    outputs: ArcSwap<Outputs>,
    /// Lines of all writers that nobody got to read.
    lost: Arc<AtomicU64>,
    pub(crate) repeats: Repeats,
}

/// Where lines go, and in which shape.
#[derive(Debug)]
pub(crate) struct Outputs {
    /// What was asked for.
    pub(crate) config: Log,
    main: Output,
    /// None where connections have no lines.
    access: Option<Output>,
}

/// One place for lines.
#[derive(Debug, Clone)]
struct Output {
    shape: Shape,
    writer: Writer,
}

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Coloured,
    Plain,
    Json,
}

impl Shape {
    fn of(format: LogFormat, terminal: bool) -> Self {
        match format {
            LogFormat::Json => Self::Json,
            LogFormat::Text if terminal => Self::Coloured,
            LogFormat::Text => Self::Plain,
        }
    }
}

/// A changed `[log]` of which everything is open, and that is not in force yet.
#[derive(Debug)]
#[must_use = "it changes nothing until it is applied"]
pub struct Change(Outputs);

impl Logs {
    /// Starts the log of this process. What comes with it writes the last lines when it is dropped.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn start(config: &Log) -> Result<(Self, LogEnd), LogError> {
        Self::start_for(config, None)
    }

    /// The same for a process that is about to become somebody else, whose the log's files are to be.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn start_for(config: &Log, identity: Option<&Identity>) -> Result<(Self, LogEnd), LogError> {
        let shared = Shared::start(config, Sink::Stderr, identity)?;
        tracing_subscriber::registry()
            .with(Lines::new(Arc::clone(&shared)))
            .try_init()
            .map_err(|_| LogError::Taken)?;
        let logs = Self(shared);
        Ok((logs.clone(), LogEnd(logs)))
    }

    /// What writes the ends of connections here.
    #[must_use]
    pub fn access_log(&self) -> AccessLog {
        AccessLog::by_rules(Arc::clone(&self.0))
    }

    /// The least serious events that are logged.
    #[must_use]
    pub fn level(&self) -> LogLevel {
        self.0.level()
    }

    /// Logs events from this level on, until somebody sets another one or a reload changes `[log]`.
    pub fn set_level(&self, level: LogLevel) {
        self.0.level.store(level as u8, Ordering::Relaxed);
        tracing::callsite::rebuild_interest_cache();
    }

    /// Whether somebody looks on at a terminal, for whom a text may have several lines.
    #[must_use]
    pub fn is_for_a_terminal(&self) -> bool {
        self.0.outputs().main.shape == Shape::Coloured
    }

    /// Lines that were lost so far: whoever reads them is too slow or gone, or a disk is full.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }

    /// Where lines cannot be written at present, if so: its disk is full, or its reader has gone.
    #[must_use]
    pub fn fails(&self) -> Option<String> {
        self.0.fails()
    }

    /// Opens the log's files anew, after somebody has moved them away.
    ///
    /// # Errors
    /// [`LogError`]; the file that was open is written to as before.
    pub fn reopen(&self) -> Result<(), LogError> {
        let outputs = self.0.outputs();
        outputs.access.as_ref().map_or(Ok(()), |access| access.writer.sink().reopen())
    }

    /// Waits until what was logged before is where it goes, for so long at most.
    pub fn flush(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let outputs = self.0.outputs();
        let access = outputs.access.as_ref().filter(|_| outputs.access_is_apart());
        // Asked beside each other, so that both have all of the time.
        let asked: Vec<_> = [Some(&outputs.main), access]
            .into_iter()
            .flatten()
            .filter_map(|output| output.writer.flush())
            .collect();
        for written in asked {
            // In time or not: nobody waits any longer.
            written.recv_timeout(until.saturating_duration_since(Instant::now())).unwrap_or_default();
        }
    }

    /// Opens whatever a changed `[log]` needs; None where it says what the last one said. A level that was set at run time
    /// stays while `[log]` stays.
    ///
    /// # Errors
    /// [`LogError`]; nothing has changed.
    pub fn prepare(&self, config: &Log) -> Result<Option<Change>, LogError> {
        let now = self.0.outputs();
        if now.config == *config {
            return Ok(None);
        }
        let shape = Shape::of(config.format, std::io::stderr().is_terminal());
        let main = Output { shape, writer: now.main.writer.clone() };
        let access = match &now.access {
            // The same place: its queue goes on.
            Some(access) if now.config.access == config.access && config.access != AccessTo::Stderr => {
                let shape = access_shape(config, &main);
                Some(Output { shape, writer: access.writer.clone() })
            }
            _ => access(config, &main, &self.0.lost, None)?,
        };
        Ok(Some(Change(Outputs { config: config.clone(), main, access })))
    }

    /// From now on lines are written as the change says; those that wait go where they were to go.
    pub fn apply(&self, Change(outputs): Change) {
        self.0.level.store(outputs.config.level as u8, Ordering::Relaxed);
        self.0.outputs.store(Arc::new(outputs));
        tracing::callsite::rebuild_interest_cache();
    }
}

impl Shared {
    /// Opens everything; `main` is for all but connections' lines.
    fn start(config: &Log, main: Sink, identity: Option<&Identity>) -> Result<Arc<Self>, LogError> {
        let lost = Arc::new(AtomicU64::new(0));
        let waking = summary::Waking::default();
        let writer = Writer::start("log", Arc::new(main), Arc::clone(&lost), waking.summaries())?;
        let main = Output { shape: Shape::of(config.format, std::io::stderr().is_terminal()), writer };
        let outputs =
            Outputs { access: access(config, &main, &lost, identity)?, main, config: config.clone() };
        let shared = Arc::new(Self {
            level: AtomicU8::new(config.level as u8),
            outputs: ArcSwap::from_pointee(outputs),
            lost,
            repeats: Repeats::default(),
        });
        waking.begin(&shared);
        Ok(shared)
    }

    pub(crate) fn outputs(&self) -> Guard<Arc<Outputs>> {
        self.outputs.load()
    }

    fn level(&self) -> LogLevel {
        let place = usize::from(self.level.load(Ordering::Relaxed));
        LogLevel::ALL.get(place).copied().unwrap_or_default()
    }

    /// Where lines cannot be written at present, if so.
    fn fails(&self) -> Option<String> {
        let outputs = self.outputs();
        let access = outputs.access.as_ref().and_then(|access| access.writer.fails());
        outputs.main.writer.fails().or(access)
    }

    /// Has the log thread tell what was counted, now that there is something.
    pub(crate) fn wake(&self) {
        self.outputs().main.writer.wake();
    }
}

impl Outputs {
    /// Whether connections' lines go to a place of their own, where the level is not asked.
    fn access_is_apart(&self) -> bool {
        self.access.is_some() && self.config.access != AccessTo::Stderr
    }

    /// Where an event of this target goes; None for nowhere.
    fn of(&self, target: &str) -> Option<&Output> {
        if target == ACCESS { self.access.as_ref() } else { Some(&self.main) }
    }

    /// Whether connections have lines at all.
    pub(crate) fn has_access(&self) -> bool {
        self.access.is_some()
    }
}

/// The place of connections' lines.
fn access(
    config: &Log,
    main: &Output,
    lost: &Arc<AtomicU64>,
    identity: Option<&Identity>,
) -> Result<Option<Output>, LogError> {
    let sink = match &config.access {
        AccessTo::Off => return Ok(None),
        AccessTo::Stderr => return Ok(Some(main.clone())),
        AccessTo::Stdout => Sink::Stdout,
        AccessTo::File(path) => Sink::open(path, identity)?,
    };
    let writer = Writer::start("access-log", Arc::new(sink), Arc::clone(lost), None)?;
    Ok(Some(Output { shape: access_shape(config, main), writer }))
}

fn access_shape(config: &Log, main: &Output) -> Shape {
    match config.access {
        AccessTo::Stderr => main.shape,
        AccessTo::Stdout | AccessTo::Off | AccessTo::File(_) => {
            let terminal = config.access == AccessTo::Stdout && std::io::stdout().is_terminal();
            Shape::of(config.access_format.unwrap_or(config.format), terminal)
        }
    }
}

/// How long the end of the process waits for the last lines: whoever has not read them by then does not read.
const LAST_LINES: Duration = Duration::from_millis(500);

/// The end of the log: tells what was counted and how many lines were lost, and waits (half a second at most) for the rest to be
/// written.
#[derive(Debug)]
#[must_use = "dropped, it ends the log"]
pub struct LogEnd(Logs);

impl Drop for LogEnd {
    fn drop(&mut self) {
        let Self(logs) = self;
        summary::tell(logs.0.repeats.all(Instant::now()));
        let lost = logs.lost();
        if lost > 0 {
            warn!(lost, "log lines were lost: whoever reads the log is too slow");
        }
        logs.flush(LAST_LINES);
    }
}

#[cfg(test)]
mod tests;
