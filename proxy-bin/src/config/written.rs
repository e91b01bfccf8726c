//! Settings of the whole proxy that are used as they are written.

use proxy_core::Bound;
use proxy_core::resolve::ResolverOptions;
use schemars::JsonSchema;
use serde::Deserialize;

use proxy_values::Size;

/// The longest header of version 2: 16 bytes, and a length of 16 bits (PROXY protocol, section 2.2).
pub(super) const LONGEST_HEADER: usize = 16 + 65_535;

/// PROXY headers that are received.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProxyProtocol {
    /// The longest header of version 2 that is taken; a longer one ends the connection. From 16B to 65551B. Default
    /// 4KiB.
    pub max_header: Size<16, LONGEST_HEADER>,
}

impl Default for ProxyProtocol {
    fn default() -> Self {
        Self { max_header: Size::kib(4) }
    }
}

/// How long the addresses of backends given by name are kept. They are looked up in `/etc/hosts`, then by the name servers of
/// `/etc/resolv.conf` (`search`, `ndots`, `timeout` from 1s to 2s, `use-vc` and `no-aaaa` hold), the next one where one fails or is
/// slow. Both files are read again when they change. What else `nsswitch.conf` names (mDNS, LDAP, the machine's own name) is not
/// asked. An address that has failed is looked up again at once.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dns {
    /// How long an answer is used at most before the name is looked up again; less where its records say so. Default 5m.
    pub ttl: Bound,
    /// How long a look-up may take. Default 5s.
    pub timeout: Bound,
    /// How old an answer may become that is still used while look-ups fail. One that a server says is gone is used no more.
    /// Default 1h.
    pub stale: Bound,
}

impl Dns {
    /// These, for the resolver.
    #[must_use]
    pub fn options(&self) -> ResolverOptions {
        let Self { ttl, timeout, stale } = *self;
        ResolverOptions::default().ttl(ttl).timeout(timeout).stale(stale)
    }
}

impl Default for Dns {
    fn default() -> Self {
        let ResolverOptions { ttl, timeout, stale, .. } = ResolverOptions::default();
        Self { ttl, timeout, stale }
    }
}

/// Reading the configuration again while the proxy runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Reload {
    /// Whether the file is read again by itself when it changes; half a second after it did, so that whoever writes it can
    /// finish. Default false.
    pub watch: bool,
    /// What becomes of the connections of a route that the new configuration does not have: `"keep"`, they go on as they
    /// began, or `"drain"`, they are ended when `graceful_shutdown_timeout` is over. Default keep.
    pub removed_routes: RemovedRoutes,
}

/// What becomes of connections whose route is no longer configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RemovedRoutes {
    /// They go on as they began.
    #[default]
    Keep,
    /// They may finish for `graceful_shutdown_timeout`; then they are ended.
    Drain,
}
