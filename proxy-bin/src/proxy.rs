//! What all connections of a process share.

use std::fmt;
use std::sync::Arc;

use proxy_conn::{Limit, Tracker};
use proxy_core::{Dial, Resolver};

use crate::config::Config;

/// The configuration in force, the table of connections, the limits, and the way to backends.
pub struct Proxy<D> {
    /// The configuration in force.
    pub config: Config,
    /// Every connection, from accept to its end.
    pub tracker: Arc<Tracker>,
    /// How many connections may be served at once.
    pub connections: Limit,
    /// How backends are reached.
    pub dialer: D,
    /// How their names are resolved.
    pub resolver: Resolver,
}

impl<D: Dial> fmt::Debug for Proxy<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("tracker", &self.tracker).finish_non_exhaustive()
    }
}
