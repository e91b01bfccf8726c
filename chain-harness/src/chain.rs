//! Two hops in a row, as they are meant to be used.

use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Duration;

use crate::hop::Hop;
use crate::wait::PATIENCE;
use crate::wire::Wire;

/// Client → outer → PROXY v2 → inner → backend, in this process.
#[derive(Debug)]
pub struct Chain {
    /// The hop that clients connect to.
    pub outer: Hop,
    /// The hop that only the outer one may connect to.
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
        Self::in_front(outer, &inner_config(inner, targets))
    }

    /// A chain whose inner hop has a configuration of its own, with its first port for the outer hop.
    #[must_use]
    pub fn in_front(outer: &str, inner_config: &str) -> Self {
        let inner = Hop::start(inner_config);
        // The last one to start: with it the whole chain stands.
        let outer = Hop::start(&outer_config(outer, inner.addr()));
        Self { outer, inner }
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
        self.inner.empties(bound).await;
        self.outer.settles_within(bound).await;
        self.inner.is_clean().await;
    }
}

fn outer_config(settings: &str, inner: SocketAddr) -> String {
    format!(
        r#"
        {settings}
        [[listeners]]
        ports = [PORT_A]
        bind = ["127.0.0.1", "::1"]
        [[routes]]
        name = "outer"
        match = {{ ports = [PORT_A] }}
        action = {{ forward = ["{inner}"] }}
        send_proxy = "v2"
        "#
    )
}

fn inner_config(settings: &str, targets: &[&dyn Display]) -> String {
    let targets: Vec<_> = targets.iter().map(|target| format!("\"{target}\"")).collect();
    let targets = targets.join(", ");
    format!(
        r#"
        {settings}
        [[listeners]]
        ports = [PORT_A]
        bind = ["127.0.0.1"]
        accept_proxy = {{ required = ["127.0.0.1/32"] }}
        [[routes]]
        name = "inner"
        match = {{ ports = [PORT_A] }}
        action = {{ forward = [{targets}] }}
        "#
    )
}
