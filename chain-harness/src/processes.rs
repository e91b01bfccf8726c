//! Two hops in a row, each a process of its own, which can be killed and started again.

use std::fmt::Display;
use std::time::Duration;

use crate::config::{self, CROWD};
use crate::smartproxy::Smartproxy;
use crate::wire::Wire;

/// The log that a test can read.
const LOG: &str = "log.format = \"json\"\n";

/// Client → outer → PROXY v2 → inner → backend, both hops child processes of the real binary.
#[derive(Debug)]
pub struct Processes {
    /// The hop that clients connect to.
    pub outer: Smartproxy,
    /// The hop that only the outer one may connect to.
    pub inner: Smartproxy,
}

impl Processes {
    /// A chain to `target`, with more lines (TOML) at the start of each hop's configuration. In the outer one's `INNER_B` stands for
    /// the address of the inner one's second port.
    pub async fn with(outer: &str, inner: &str, target: impl Display) -> Self {
        let inner = inner_process(inner, target).await;
        let outer = match outer.contains("INNER_B") {
            true => outer.replace("INNER_B", &inner.at(1).to_string()),
            false => outer.to_owned(),
        };
        let outer = config::outer(&format!("{LOG}{CROWD}{outer}"), &[&inner.addr()]);
        // Only IPv4: the ports were looked for there.
        let outer = Smartproxy::run(&outer.replace(", \"::1\"", "")).await;
        Self { outer, inner }
    }

    /// A client of the chain.
    pub async fn connect(&self) -> Wire {
        Wire::connect(self.outer.addr()).await
    }

    /// The law that can be seen from outside: both have no more descriptors than at the start.
    pub async fn settle_within(&self, bound: Duration) {
        self.outer.settles_within(bound).await;
        self.inner.settles_within(bound).await;
    }
}

/// The inner hop of a chain to `target` as a process, for an outer one of any kind.
pub async fn inner_process(settings: &str, target: impl Display) -> Smartproxy {
    Smartproxy::run(&config::inner(&format!("{LOG}{CROWD}{settings}"), &[&target])).await
}
