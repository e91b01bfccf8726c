//! The configuration: one file, read whole, refused with everything that is wrong with it.
//!
//! ```text
//! text ─► recover ─► ConfigFile ─► routes, listeners ─► Config
//!          │ wrong types, unknown keys  │ clashes      and warnings
//!          └────────────► findings ◄────┘ ─► ConfigErrors: each points into the file
//! ```
//!
//! A [`Config`] that exists is valid: what runs with it checks nothing again. Nothing is opened, resolved or bound
//! here, and beside the configuration itself only its certificates are read.
//!
//! There is one shape of the file (`file` and `written`, composed of the parameter types of the crates that use
//! them), and one resolved value. The places of what is wrong are looked up in the tree that was read, by path, so
//! that neither has to carry positions.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proxy_conn::{BreakerOptions, Deadlines};
use proxy_core::{Bound, KeepAlive};
use proxy_dataplane::Settings;

use crate::certificates::{Registry, Selection};
use crate::descriptors::beside_the_proxy;
use crate::plain_file::{self, ReadError};

pub use access_rule::{AccessRule, CauseName, Keep, KeepError};
pub use acme::{Acme, Automatic};
pub use admin::{Admin, AdminAddr, HopAt, HopName, HopPlace, SocketMode, SocketPath, TokenPath};
pub use cap::Cap;
pub use chain::{Between, apart, between};
pub use delay::Delay;
pub use finding::{ConfigErrors, Finding, Findings, Ink, Position, Severity, Span};
pub use limits::Limits;
pub use log::{AccessTo, Log, LogFormat, LogLevel, LogLevelError};
pub use memory::{Memory, MemoryError};
pub use origin::Origin;
pub(crate) use pieces::Pieces;
pub use process::{Process, Umask, UmaskError};
pub use proxy_dataplane::settings::{
    AcceptProxy, Action, AtLimit, Backlog, Connections, Fields, Greeting, GroupConfig, HeaderContent,
    HeaderField, ListenerConfig, NextHop, PoolChoice, PoolConfig, PoolPlace, RouteConfig, RoutePools,
    RouteSettings, SendProxy, UniqueId, UnknownClient, UnreadableHello, Workers,
};
pub use proxy_values::{Size, Whole};
pub use written::{Dns, ProxyProtocol, Reload, RemovedRoutes};

use document::Document;
use file::{ConfigFile, RouteFile};
use finding::Source;
use group::Groups;
use pool::Pools;
use recover::Recovered;
use route::Defaults;

mod access_rule;
mod acme;
mod admin;
mod awaited;
mod breaker;
mod cap;
mod chain;
mod congestion;
mod delay;
mod document;
mod egress;
mod egress_awaited;
mod elsewhere;
mod events;
mod explain;
mod file;
mod finding;
mod group;
mod http;
mod kernel;
mod limits;
mod listener;
mod log;
mod loops;
mod machine;
mod memory;
mod origin;
mod other_names;
mod pieces;
mod pool;
mod process;
mod recover;
mod route;
mod schema;
mod send_proxy;
mod start;
mod tls;
mod too_early;
mod type_mistakes;
mod words;
mod written;

/// The largest file that is read: a hundred thousand routes fit, a device that never ends does not.
const LARGEST: usize = 16 << 20;

/// A valid configuration, resolved: every default filled in, every layer applied.
#[derive(Debug)]
pub struct Config {
    /// Where it came from, and its text.
    pub origin: Origin,
    /// What the proxy runs with.
    pub settings: Arc<Settings>,
    /// How long connections may go on after the proxy was told to stop.
    pub graceful_shutdown_timeout: Bound,
    /// How long it goes on accepting after that, and says already that it is not ready.
    pub shutdown_delay: Delay,
    /// What the proxy and one connection may use at most, as it is written.
    pub limits: Limits,
    /// What is logged, how and where to.
    pub log: Log,
    /// Where the admin API is to be found; `None` for no admin API.
    pub admin: Option<Admin>,
    /// The certificates that are obtained; `None` where none are.
    pub acme: Option<Acme>,
    /// Who the process is, and what it leaves behind.
    pub process: Process,
    /// What becomes of what a reload removes, and when there is one.
    pub reload: Reload,
    /// The certificates that routes present: in force once they are [put in force](Selection::put_in_force).
    pub certificates: Selection,
    /// What may not mean what its author thinks.
    pub warnings: Findings,
}

impl Config {
    /// Reads a configuration; `origin` is what errors call it, such as the path it came from.
    ///
    /// # Errors
    /// Everything that is wrong with it, at most 50 errors, and never none. With a syntax error, only those.
    pub fn parse(text: &str, origin: impl AsRef<Path>) -> Result<Self, ConfigErrors> {
        Self::parse_with(text, origin, &Arc::default())
    }

    /// The same for a proxy that has certificates already: those that look as they did are not read again, and the stores of those that
    /// go on being asked for are kept.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_with(
        text: &str,
        origin: impl AsRef<Path>,
        registry: &Arc<Registry>,
    ) -> Result<Self, ConfigErrors> {
        let origin = Origin::new(&origin.as_ref().to_string_lossy(), text);
        let source = Source::of(&origin);
        let mut errors = Vec::new();
        let config = recover::read(&source.text, &mut errors).and_then(|Recovered { file, document }| {
            resolve(file, &document, (&source, origin), registry, &mut errors)
        });
        config
            .filter(|_| errors.is_empty())
            .ok_or_else(|| ConfigErrors::new(source.findings(Severity::Error, errors)))
    }

    /// Reads a configuration file.
    ///
    /// # Errors
    /// Why the file cannot be read, or what is wrong with what it says.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        let path = path.as_ref();
        Self::of_file(path, &Self::text_of(path)?, &Arc::default())
    }

    /// The text of a configuration file. It may take its time where the file is on another machine.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn text_of(path: &Path) -> Result<String, LoadError> {
        text_of(path)
    }

    /// What the text of a configuration file says, for a proxy that has certificates already.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of_file(path: &Path, text: &str, registry: &Arc<Registry>) -> Result<Self, LoadError> {
        let mut config = Self::parse_with(text, path, registry)?;
        config.origin.file = Some(path.to_path_buf());
        Ok(config)
    }

    /// The text of a configuration to the end of `input`, such as standard input, which whoever writes it ends; `origin` is
    /// what errors call it.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn text_from(input: impl io::Read, origin: impl AsRef<Path>) -> Result<String, LoadError> {
        let path = origin.as_ref();
        let mut bytes = Vec::new();
        let read = io::Read::read_to_end(&mut input.take(LARGEST as u64 + 1), &mut bytes);
        read.map_err(|source| LoadError::Unreadable { path: path.to_path_buf(), source })?;
        if bytes.len() > LARGEST {
            return Err(LoadError::TooLarge { path: path.to_path_buf() });
        }
        utf8(bytes, path)
    }

    /// The JSON schema of the file (draft 2020-12), with a description of every key.
    #[must_use]
    pub fn schema() -> serde_json::Value {
        schema::of::<ConfigFile>()
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// There is no file of that name.
    #[error("there is no configuration file {}", path.display())]
    Missing {
        /// What was to be read.
        path: PathBuf,
    },
    /// It is a directory.
    #[error("{} is a directory: name the configuration file in it", path.display())]
    Directory {
        /// What was to be read.
        path: PathBuf,
    },
    /// It is a pipe, a device: something that is waited for, or never ends.
    #[error("the configuration file {} is {what}: copy what it would say into a file", path.display())]
    NoFile {
        /// What was to be read.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// It cannot be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Unreadable {
        /// What was to be read.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is too large.
    #[error("the configuration file {} has more than {} MiB", path.display(), LARGEST >> 20)]
    TooLarge {
        /// What was to be read.
        path: PathBuf,
    },
    /// It is not UTF-8, which TOML is.
    #[error("the configuration file {} is not UTF-8 text: see byte {} in line {line}", path.display(), offset + 1)]
    NotUtf8 {
        /// What was read.
        path: PathBuf,
        /// How many bytes are good.
        offset: usize,
        /// The line of the first bad byte, from 1.
        line: usize,
    },
    /// What it says is wrong.
    #[error(transparent)]
    Invalid(#[from] ConfigErrors),
}

/// The text of a file.
fn text_of(path: &Path) -> Result<String, LoadError> {
    let bytes = plain_file::read(path, LARGEST).map_err(|error| refusal(path.to_path_buf(), error))?;
    utf8(bytes, path)
}

/// What was read as text; errors call it `path`.
fn utf8(bytes: Vec<u8>, path: &Path) -> Result<String, LoadError> {
    String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        let good = error.as_bytes().iter().take(offset);
        let line = good.filter(|byte| **byte == b'\n').count() + 1;
        LoadError::NotUtf8 { path: path.to_path_buf(), offset, line }
    })
}

fn refusal(path: PathBuf, error: ReadError) -> LoadError {
    match error {
        ReadError::NoFile("a directory") => LoadError::Directory { path },
        ReadError::NoFile(what) => LoadError::NoFile { path, what },
        ReadError::TooLarge(_) => LoadError::TooLarge { path },
        ReadError::Io(source) if source.kind() == std::io::ErrorKind::NotFound => LoadError::Missing { path },
        ReadError::Io(source) => LoadError::Unreadable { path, source },
    }
}

/// What is wrong with the tables of a file, each by itself and with its routes.
fn check_tables(
    (file, routes): (&ConfigFile, &[RouteFile]),
    defaults: &Defaults<'_>,
    document: &Document<'_>,
    errors: &mut Vec<Finding>,
) {
    access_rule::check(file, routes, document, errors);
    process::check(file, document, errors);
    kernel::check(&file.keep_alive, &document.root().key("keep_alive"), errors);
    breaker::check(file, routes, document, errors);
    admin::check(file, document, errors);
    pool::check(&defaults.pools, (file, routes), document, errors);
    group::check((file, routes), document, errors);
}

/// Checks what spans several values, and fills in what was left out. `None` only if there is an error.
fn resolve(
    mut file: ConfigFile,
    document: &Document<'_>,
    (source, mut origin): (&Source, Origin),
    registry: &Arc<Registry>,
    errors: &mut Vec<Finding>,
) -> Option<Config> {
    let routes = std::mem::take(&mut file.routes);
    let file = &file;
    origin.in_pieces = document.is_in_pieces();
    let breaker = file.breaker.over(&BreakerOptions::default());
    let tls = tls::Loaded::of((&file.listeners, &routes), file.acme.as_ref(), (document, registry), errors);
    let mut defaults = Defaults {
        pools: Pools::new(file),
        keep_alive: KeepAlive::default().with(&file.keep_alive),
        at_limit: file.limits.at_limit,
        breaker,
        groups: Groups::new((file, &routes), &breaker, &tls),
        egress: Arc::new(egress::of_file(file)),
        tls,
    };
    check_tables((file, &routes), &defaults, document, errors);
    let (acme, answering) = acme::resolved((file, &routes), defaults.tls.take_automatic(), document, errors);
    // The routes are the most of a large file, and go where they stay.
    let of_pools = pool::unused(file, &routes, document);
    let of_groups = group::unused(file, &routes, document);
    let of_limits = limits::warnings(file, &routes, document);
    route::check(&routes, document, errors);
    let listeners = listener::expand((file, &defaults.tls), &routes, document, errors);
    let routes = route::table(routes, &defaults, document, errors);
    let routes = routes.filter(|_| !document.is_wounded())?;
    loops::check(&routes, &listeners, document, errors);
    let mut warnings = route::shadowed(&routes, document);
    warnings.extend(of_pools.into_iter().chain(of_groups));
    warnings.extend(listener::warnings(file, document));
    warnings.extend(of_limits.into_iter().chain(acme::warnings(file, acme.as_ref(), document)));
    warnings.extend(access_rule::warnings(file, document).into_iter().chain(defaults.tls.take_warnings()));
    warnings.extend(send_proxy::warnings(&routes, &listeners, file, document));
    let pools = defaults.pools.resolved(file.limits.at_limit);
    warnings.extend(kernel::warnings(&routes, &pools, document));
    let limits = &file.limits;
    let settings = Settings {
        workers: file.workers.unwrap_or_else(proxy_dataplane::settings::one_for_each_core),
        deadlines: Deadlines::default().with(&file.timeouts),
        keep_alive: defaults.keep_alive,
        egress: Arc::clone(&defaults.egress),
        max_connections: limits.max_connections,
        max_unrouted_connections: limits.max_unrouted_connections,
        clients: limits.clients(),
        unlimited_clients: limits.unlimited_clients.clone(),
        max_memory: limits.max_memory.map(Memory::bytes),
        at_limit: limits.at_limit,
        early_data: limits.early_data.bytes(),
        max_client_hello: limits.max_client_hello.bytes(),
        max_header: file.proxy_protocol.max_header.bytes(),
        pools,
        audit: file.audit,
        resolver: file.dns.options(),
        other_descriptors: beside_the_proxy(file.admin.as_ref(), &file.log, &file.reload, acme.as_ref()),
        answering,
        listeners,
        groups: defaults.groups.resolved(),
        routes,
    };
    Some(Config {
        origin,
        settings: Arc::new(settings),
        graceful_shutdown_timeout: file.graceful_shutdown_timeout,
        shutdown_delay: file.shutdown_delay,
        limits: file.limits.clone(),
        admin: file.admin.clone(),
        acme,
        log: file.log.clone(),
        process: file.process.clone(),
        reload: file.reload,
        certificates: defaults.tls.into_selection(),
        warnings: source.findings(Severity::Warning, warnings),
    })
}
