//! What a drain is about: which connections are of it, and what there is to drain.

use std::borrow::Cow;
use std::collections::HashSet;

use proxy_conn::ConnView;
use proxy_core::TcpDialer;
use proxy_upstream::Target;

use crate::config::Action;
use crate::unknown;
use proxy_api::model::DrainKind;
use proxy_dataplane::generation::Generation;

/// Which connections are of something.
pub(crate) struct Of<'n> {
    kind: DrainKind,
    name: &'n str,
    /// Where a target is, on whatever port its clients came.
    addresses: HashSet<String>,
}

impl<'n> Of<'n> {
    pub(crate) fn new(proxy: &Generation<TcpDialer>, kind: DrainKind, name: &'n str) -> Self {
        let addresses = if kind == DrainKind::Target { addresses(proxy, name) } else { HashSet::new() };
        Self { kind, name, addresses }
    }

    pub(crate) fn includes(&self, view: &ConnView) -> bool {
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

/// Where the target that is called so leads, whatever port its clients came in on: what its connections name. Beside that the
/// name itself, which those name that came before a reload.
pub(crate) fn addresses(proxy: &Generation<TcpDialer>, name: &str) -> HashSet<String> {
    let mut addresses = HashSet::from([name.to_owned()]);
    // Those that are called the same lead to the same.
    if let Some(target) = targets(proxy).find(|target| target.to_string() == name) {
        addresses.extend(ports(proxy).map(|port| target.address(port).to_string()));
    }
    addresses
}

/// Whether a connection may name this as its target.
pub(crate) fn is_an_address(proxy: &Generation<TcpDialer>, name: &str) -> bool {
    let port = name.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    let Some(port) = port.filter(|port| ports(proxy).any(|listened| listened == *port)) else { return false };
    targets(proxy).any(|target| target.address(port).to_string() == name)
}

/// The ports that are listened on.
fn ports(proxy: &Generation<TcpDialer>) -> impl Iterator<Item = u16> {
    proxy.listeners.iter().map(|at| at.config.port)
}

/// Those that routes list, and the members of groups that have a name, as they are now.
fn targets(proxy: &Generation<TcpDialer>) -> impl Iterator<Item = Cow<'_, Target>> {
    let listed = proxy.settings.routes.routes().flat_map(|route| match &route.payload.action {
        Action::Forward(targets) => &**targets,
        Action::Group(_) | Action::Refuse => &[],
    });
    let members = proxy.groups().flat_map(|group| group.members());
    listed.map(Cow::Borrowed).chain(members.map(|member| Cow::Owned(member.target().clone())))
}

/// The names of what there is of a kind; some more than once.
pub(crate) fn names(
    proxy: &Generation<TcpDialer>,
    kind: DrainKind,
) -> Box<dyn Iterator<Item = Cow<'_, str>> + '_> {
    match kind {
        DrainKind::Listener => Box::new(proxy.listeners.iter().map(|at| Cow::from(&*at.label))),
        DrainKind::Route => {
            Box::new(proxy.settings.routes.routes().map(|route| Cow::from(&*route.payload.name)))
        }
        DrainKind::Target => Box::new(targets(proxy).map(|target| Cow::from(target.to_string()))),
        DrainKind::Everything => Box::new(std::iter::once(Cow::from(""))),
    }
}

/// Whether there is something of this kind and name.
pub(crate) fn is_known(proxy: &Generation<TcpDialer>, kind: DrainKind, name: &str) -> bool {
    names(proxy, kind).any(|known| known == name)
}

/// The first of them, for an error.
pub(super) fn listed(proxy: &Generation<TcpDialer>, kind: DrainKind) -> String {
    let names: Vec<_> = names(proxy, kind).collect();
    let mut names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    names.sort_unstable();
    names.dedup();
    unknown::listed(&names)
}

/// What to call a kind.
pub(crate) const fn word(kind: DrainKind) -> &'static str {
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
