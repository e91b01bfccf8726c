//! What a look-up comes to.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Why a name has no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// Who was asked says that there is none, of either family: the name does not exist, or has other records only.
    #[error("the name cannot be resolved: {0}")]
    NoAddress(Arc<str>),
    /// The resolver failed. That says nothing of the name.
    #[error("the name cannot be resolved: {0}")]
    Failed(Arc<str>),
    /// It did not answer in time.
    #[error("the name cannot be resolved: no answer from the resolver in time")]
    TimedOut,
}

/// A family of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    /// Whether an address is of it.
    pub(super) const fn has(self, ip: &IpAddr) -> bool {
        match self {
            Self::V4 => ip.is_ipv4(),
            Self::V6 => ip.is_ipv6(),
        }
    }
}

/// The addresses that a look-up found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) addrs: Vec<IpAddr>,
    /// How long they are said to be good; None where nobody says.
    pub(super) ttl: Option<Duration>,
    /// The family of which nothing was heard: it may have addresses, which who asked before may still know.
    pub(super) unheard: Option<Family>,
}

impl From<Vec<IpAddr>> for Found {
    fn from(addrs: Vec<IpAddr>) -> Self {
        Self { addrs, ttl: None, unheard: None }
    }
}
