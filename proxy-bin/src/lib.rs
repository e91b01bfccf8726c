//! SmartProxy as a library: everything the `smartproxy` binary does, for embedding and for tests.
//!
//! What happens to connections is [`proxy_dataplane`]. Here:
//!
//! - [`certificates`]: which there are, where they come from, and which servers present them;
//! - [`config`]: the one shape of the configuration, and errors that point into the file;
//! - [`server`]: a data plane ([`proxy_dataplane`]) with what goes on around it, starting and stopping;
//! - [`control`]: the handle by which a running proxy is looked at and changed: reload, drain, stop;
//! - [`logging`](logging::AccessLog): one line for each connection, at its end;
//! - [`handover`]: a new process takes the listening sockets over;
//! - [`hop_cert`]: certificates by which hops prove to each other that they are;
//! - [`systemd`], [`watchdog`]: what the service manager is told;
//! - [`privileges`]: what the process gives up;
//! - [`logging`]: where lines go and which of them, changeable while it runs;
//! - [`admin`]: what an operator sees and changes while it runs;
//! - [`man`]: the manual pages;
//! - [`plain_file`]: files that are read whole, and nothing that would be waited for;
//! - [`told`]: an error in words, with what it comes from;
//! - [`unknown`]: a name that nothing has, with what was probably meant;
//! - [`demo`]: the embedded chain that runs without a configuration.

pub mod admin;
pub mod certificates;
pub mod config;
pub mod control;
pub mod demo;
mod descriptors;
pub mod handover;
pub mod hop_cert;
pub mod logging;
pub mod man;
pub mod plain_file;
pub mod privileges;
pub mod server;
pub mod systemd;
pub mod told;
pub mod unknown;
pub mod watchdog;
