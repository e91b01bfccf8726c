//! Hops in a row, as they are meant to be used: two, or more.

use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Duration;

use crate::config;
use crate::hop::Hop;
use crate::wait::PATIENCE;
use crate::wire::Wire;

/// Client → outer → PROXY v2 → inner → backend, in this process; with more hops between the two where wanted.
#[derive(Debug)]
pub struct Chain {
    /// The hop that clients connect to.
    pub outer: Hop,
    /// The hops between the two, in order.
    pub between: Vec<Hop>,
    /// The hop that only the one before it may connect to.
    pub inner: Hop,
}

impl Chain {
    /// A chain to `target`, with the defaults.
    #[must_use]
    pub fn to(target: impl Display) -> Self {
        Self::with("", "", &[&target])
    }

    /// A chain to `targets`, in their order, with more lines (TOML) at the start of each hop's configuration.
    #[must_use]
    pub fn with(outer: &str, inner: &str, targets: &[&dyn Display]) -> Self {
        Self::in_front(outer, &config::inner(inner, targets))
    }

    /// A chain whose inner hop has a configuration of its own, with its first port for the outer hop.
    #[must_use]
    pub fn in_front(outer: &str, inner_config: &str) -> Self {
        Self::of_configs(&config::outer(outer, &[&"INNER"]), inner_config)
    }

    /// A chain of which each hop has a configuration of its own: the outer one's first port is for clients, and `INNER` in it
    /// stands for the inner hop's first port, which is for the outer hop.
    #[must_use]
    pub fn of_configs(outer: &str, inner: &str) -> Self {
        let inner = Hop::start(inner);
        // The last one to start: with it the whole chain stands.
        let outer = Hop::start(&outer.replace("INNER", &inner.addr().to_string()));
        Self { outer, between: Vec::new(), inner }
    }

    /// A chain of `hops`, at least two, to `target`, with the defaults.
    #[must_use]
    pub fn of(hops: usize, target: impl Display) -> Self {
        let inner = Hop::start(&config::inner("", &[&target]));
        let (mut between, mut next) = (Vec::new(), inner.addr());
        for _ in 2..hops {
            let hop = Hop::start(&between_config(next));
            next = hop.addr();
            between.insert(0, hop);
        }
        let outer = Hop::start(&config::outer("", &[&next]));
        Self { outer, between, inner }
    }

    /// Every hop, from the clients' to the backend's.
    pub fn hops(&self) -> impl Iterator<Item = &Hop> {
        std::iter::once(&self.outer).chain(&self.between).chain([&self.inner])
    }

    /// A client of the chain.
    pub async fn connect(&self) -> Wire {
        Wire::connect(self.outer.addr()).await
    }

    /// The laws, once every client has gone: both hops empty, every permit back, every socket closed.
    pub async fn settles(&self) {
        self.settles_within(PATIENCE).await;
    }

    /// The same, within `bound`.
    pub async fn settles_within(&self, bound: Duration) {
        for hop in self.hops().skip(1) {
            hop.empties(bound).await;
        }
        self.outer.settles_within(bound).await;
        for hop in self.hops().skip(1) {
            hop.is_clean().await;
        }
    }
}

fn between_config(next: SocketAddr) -> String {
    config::inner("", &[&next]) + config::TO_OURS
}
