//! Where a service is, as its SRV records say (RFC 2782).

use std::time::Duration;

/// One SRV record: a server of the service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Service {
    /// Servers of a lower number are to be used first.
    pub priority: u16,
    /// Its share among those of the same priority.
    pub weight: u16,
    /// The port that it serves on; never 0.
    pub port: u16,
    /// The machine that it is on: a name in lower case, without a dot at its end where there is one within.
    pub host: Box<str>,
}

impl Service {
    /// A server on `port` of `host`, of the first priority.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Self {
        Self { priority: 0, weight: 0, port, host: host.into() }
    }
}

proxy_values::setters!([] Service { priority: u16, weight: u16 });

/// The servers of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Services {
    /// As they were answered, never none.
    pub servers: Vec<Service>,
    /// How long they are said to be good.
    pub ttl: Duration,
}

impl Services {
    /// These servers, which are good for so long.
    #[must_use]
    pub const fn new(servers: Vec<Service>, ttl: Duration) -> Self {
        Self { servers, ttl }
    }
}
