//! How often members that are not well are tried.

use std::time::Duration;

/// How often a target is tried: so that it is back within a second.
pub(crate) const EVERY: Duration = Duration::from_millis(900);
