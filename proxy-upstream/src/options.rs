//! What holds for the members of a group.

use proxy_conn::{BreakerOptions, Limit};

/// What holds for each member of a group. The default is no limit, and the breaker's defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupOptions {
    /// Connections of each member at one time, by way of this group; [`Limit::MAX`] for no limit.
    pub max_connections_per_member: usize,
    /// When a member that cannot be reached is left alone.
    pub breaker: BreakerOptions,
}

impl Default for GroupOptions {
    fn default() -> Self {
        Self { max_connections_per_member: Limit::MAX, breaker: BreakerOptions::default() }
    }
}

proxy_values::setters!(GroupOptions { max_connections_per_member: usize, breaker: BreakerOptions });
