//! What the audit of this process expects, and how it is told to the log.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use proxy_conn::audit::{Expectations, Finding, Gauge, Holders, Kernel, OwnSocket, PermitsInUse};
use proxy_conn::{Audit, AuditReport, AuditSubscriber, Phase};
use proxy_core::Dial;
use tokio_util::task::TaskTracker;
use tracing::{error, warn};

use crate::generation::Generation;

/// Whose sockets are in the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketOwnership {
    /// The proxy's alone: a socket in no entry is an orphan, unless it was accepted at the address `but`, where the process itself
    /// serves somebody: its admin API.
    Own {
        /// An address that is listened on by others than the proxy.
        but: Option<SocketAddr>,
    },
    /// Others' too: a second proxy, a demo backend, a test. Sockets in no entry are not looked at.
    Shared,
}

impl SocketOwnership {
    /// The proxy's alone.
    #[must_use]
    pub const fn own() -> Self {
        Self::Own { but: None }
    }

    /// The same, where others than the proxy listen on this address too.
    #[must_use]
    pub const fn but(self, at: Option<SocketAddr>) -> Self {
        match self {
            Self::Own { .. } => Self::Own { but: at },
            Self::Shared => Self::Shared,
        }
    }

    /// Whether a socket in no entry is no orphan.
    fn knows(self, socket: &OwnSocket) -> bool {
        match self {
            Self::Shared => true,
            Self::Own { but } => was_accepted_at(socket, but),
        }
    }
}

/// The audit of a proxy whose connections are counted in `tasks`.
pub(crate) fn audit<D: Dial>(
    in_force: &Arc<ArcSwap<Generation<D>>>,
    workers: usize,
    tasks: &TaskTracker,
    sockets: SocketOwnership,
) -> Audit {
    let (of, tasks, proxy) = (Arc::clone(in_force), tasks.clone(), in_force.load_full());
    let expect = move || Expectations {
        tasks: Some(tasks.len()),
        permits: permits(&of.load()),
        workers,
        known: Arc::new(move |socket| sockets.knows(socket)),
    };
    // Reading the kernel blocks for a while: on a thread that may.
    Audit::reading(proxy.settings.audit, Arc::clone(&proxy.tracker), expect, Log, || {
        Box::pin(async {
            tokio::task::spawn_blocking(Kernel::read).await.unwrap_or_else(|lost| Err(lost.into()))
        })
    })
}

/// Whether a socket was accepted at `at`.
fn was_accepted_at(socket: &OwnSocket, at: Option<SocketAddr>) -> bool {
    let (Some(at), Some((local, _))) = (at, socket.addresses) else { return false };
    local.port() == at.port() && (at.ip().is_unspecified() || local.ip() == at.ip().to_canonical())
}

/// The permits in use, and whose they should be.
fn permits<D>(proxy: &Generation<D>) -> Vec<PermitsInUse> {
    // Not each: one that came when the last place was just taken waits for its permit.
    let all = Holders { from: Phase::Header, pool: None, each: false };
    let mut permits = vec![PermitsInUse {
        limit: "all connections".into(),
        in_use: proxy.connections.in_use(),
        holders: all,
    }];
    let some = |pool| Holders { from: Phase::Dial, pool, each: false };
    for pool in &proxy.pools {
        let (limit, in_use) = (format!("pool {}", pool.name).into(), pool.limit.in_use());
        permits.push(PermitsInUse { limit, in_use, holders: some(Some(pool.id)) });
    }
    let routes = proxy.routes.iter().map(|route| route.limit.in_use()).sum();
    permits.push(PermitsInUse { limit: "routes".into(), in_use: routes, holders: some(None) });
    let listeners = proxy.listeners.iter().map(|at| at.limit.in_use()).sum();
    permits.push(PermitsInUse { limit: "listeners".into(), in_use: listeners, holders: some(None) });
    let targets = proxy.routes.iter().map(|route| route.targets.in_use()).sum();
    permits.push(PermitsInUse { limit: "targets".into(), in_use: targets, holders: some(None) });
    let clients = proxy.clients.as_ref().map_or(0, proxy_conn::AddressLimits::total);
    let any = Holders { from: Phase::Header, pool: None, each: false };
    permits.push(PermitsInUse { limit: "clients".into(), in_use: clients, holders: any });
    permits
}

/// Each defect is a line, an error. What only looks odd is a warning, a line a target: a backend that hangs has many clients.
struct Log;

impl AuditSubscriber for Log {
    fn audited(&self, report: &AuditReport) {
        let defects = report.findings.iter().filter(|finding| !matches!(finding, Finding::Stuck(_)));
        for finding in defects {
            let (gauge, id) = (finding.gauge(), finding.connection().map(tracing::field::display));
            error!(%gauge, id, "audit: {finding}");
        }
        for at in &report.stuck {
            let (gauge, connections) = (Gauge::Stuck, at.connections);
            warn!(%gauge, connections, route = at.route.as_deref(), target = at.target.as_deref(), "audit: {at}");
        }
    }

    fn blinded(&self, why: &str) {
        error!("audit: the kernel cannot be asked, so nothing is compared with it: {why}");
    }
}
