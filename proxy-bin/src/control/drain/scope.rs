//! What a drain is about: which connections are of it, and what there is to drain.

use std::collections::HashSet;

use proxy_conn::ConnView;
use proxy_core::TcpDialer;

use crate::config::{Action, address};
use crate::model::DrainKind;
use crate::proxy::Proxy;

/// Which connections are of something.
pub(super) struct Of<'n> {
    kind: DrainKind,
    name: &'n str,
    /// Where a target is, on whatever port its clients came.
    addresses: HashSet<String>,
}

impl<'n> Of<'n> {
    pub(super) fn new(proxy: &Proxy<TcpDialer>, kind: DrainKind, name: &'n str) -> Self {
        let mut addresses = HashSet::new();
        if kind == DrainKind::Target {
            addresses.insert(name.to_owned());
            for route in proxy.config.routes.routes() {
                let Action::Forward { targets, .. } = &route.payload.action else { continue };
                for target in targets.iter().filter(|target| target.to_string() == name) {
                    let ports = proxy.listeners.iter().map(|at| at.config.port);
                    addresses.extend(ports.map(|port| address(target, port).to_string()));
                }
            }
        }
        Self { kind, name, addresses }
    }

    pub(super) fn includes(&self, view: &ConnView) -> bool {
        match self.kind {
            DrainKind::Listener => *view.listener == *self.name,
            DrainKind::Route => view.facts.route.as_deref() == Some(self.name),
            DrainKind::Target => {
                view.facts.target.as_deref().is_some_and(|target| self.addresses.contains(target))
            }
            DrainKind::Everything => true,
        }
    }
}

/// The names of what there is of a kind.
pub(super) fn known(proxy: &Proxy<TcpDialer>, kind: DrainKind) -> HashSet<&str> {
    match kind {
        DrainKind::Listener => proxy.listeners.iter().map(|at| &*at.label).collect(),
        DrainKind::Route => proxy.routes.iter().map(|route| &*route.name).collect(),
        DrainKind::Target => {
            proxy.routes.iter().flat_map(|route| route.targets.iter().map(|target| &*target.name)).collect()
        }
        DrainKind::Everything => HashSet::from([""]),
    }
}

/// The first of them, for an error.
pub(super) fn listed(proxy: &Proxy<TcpDialer>, kind: DrainKind) -> String {
    const SHOWN: usize = 20;
    let mut names: Vec<_> = known(proxy, kind).into_iter().collect();
    names.sort_unstable();
    let more = if names.len() > SHOWN { ", …" } else { "" };
    names.truncate(SHOWN);
    format!("{}{more}", names.join(", "))
}

/// What to call a kind.
pub(super) const fn word(kind: DrainKind) -> &'static str {
    match kind {
        DrainKind::Listener => "listener",
        DrainKind::Route => "route",
        DrainKind::Target => "target",
        DrainKind::Everything => "everything",
    }
}

/// What to call a thing.
pub(super) fn say(kind: DrainKind, name: &str) -> String {
    if name.is_empty() { word(kind).to_owned() } else { format!("{} {name}", word(kind)) }
}
