//! SmartProxy as a library: everything the `smartproxy` binary does, for embedding and for tests.
//!
//! - [`config`]: the one shape of the configuration, and errors that point into the file;
//! - [`connection`]: the life of one connection, from accept to its end, in one screen of code;
//! - [`proxy`]: what all connections share;
//! - [`server`]: listening sockets, worker threads, starting and stopping;
//! - [`control`]: the handle by which a running proxy is looked at and changed: reload, drain, stop;
//! - [`access_log`]: one line for each connection, at its end;
//! - [`handover`]: a new process takes the listening sockets over;
//! - [`service`]: what the service manager is told;
//! - [`privileges`]: what the process gives up;
//! - [`logging`]: where lines go and which of them, changeable while it runs;
//! - [`admin`]: what an operator sees and changes while it runs;
//! - [`dials`]: how the dials of each target went;
//! - [`model`]: what the admin API says and takes;
//! - [`man`]: the manual pages;
//! - [`plain_file`]: files that are read whole, and nothing that would be waited for;
//! - [`told`]: an error in words, with what it comes from;
//! - [`demo`]: the embedded chain that runs without a configuration.

mod accept;
pub mod access_log;
pub mod admin;
pub mod audit;
pub mod cli;
pub mod config;
pub mod connection;
pub mod control;
pub mod demo;
pub mod descriptors;
pub mod dials;
pub mod handover;
pub mod logging;
pub mod man;
pub mod model;
mod omissions;
mod parked;
pub mod plain_file;
pub mod pool;
pub mod privileges;
pub mod proxy;
mod reload;
mod resident;
pub mod server;
pub mod service;
pub mod target;
pub mod told;
mod watch;
