//! What an upgrade needs, and how the last one went.

use std::os::fd::OwnedFd;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::handover::Program;
use proxy_api::model;

/// What an upgrade needs, and how the last one went.
#[derive(Debug, Default)]
pub(crate) struct Upgrading {
    pub(super) ready: Mutex<Option<Upgradable>>,
    pub(super) last: Mutex<Option<model::Upgrade>>,
    pub(super) done: CancellationToken,
}

/// What is started, and what it gets beside the listeners' sockets.
#[derive(Debug)]
pub struct Upgradable {
    /// The program.
    pub program: Program,
    /// The admin API's port, if it has one.
    pub admin: Option<OwnedFd>,
}
