//! How backends are reached: source addresses, interface and mark, of the whole file and of single routes.

use std::sync::Arc;

use proxy_core::egress::{Interface, Mark};
use proxy_core::{Congestion, Egress, Source};
use proxy_upstream::Target;

use super::document::Place;
use super::file::{ActionFile, ConfigFile, RouteFile};
use super::finding::Finding;
use super::group::ForwardFile;

/// What holds where a route says nothing else.
pub(super) fn of_file(file: &ConfigFile) -> Egress {
    Egress::default()
        .congestion(file.congestion)
        .source(file.source.clone())
        .interface(file.interface.clone())
        .mark(file.mark)
}

/// What a route or a group says of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Own<'f> {
    pub(super) congestion: Option<Congestion>,
    pub(super) source: Option<&'f Source>,
    pub(super) interface: Option<&'f Interface>,
    pub(super) mark: Option<Mark>,
}

impl Own<'_> {
    /// The same over `defaults`; None where it says nothing.
    pub(super) fn over(self, defaults: &Egress) -> Option<Arc<Egress>> {
        let Self { congestion, source, interface, mark } = self;
        if congestion.is_none() && source.is_none() && interface.is_none() && mark.is_none() {
            return None;
        }
        let source = source.unwrap_or(&defaults.source).clone();
        let (interface, mark) = (interface.or(defaults.interface.as_ref()).cloned(), mark.or(defaults.mark));
        let egress = defaults.clone().congestion(congestion.unwrap_or(defaults.congestion));
        Some(Arc::new(egress.source(source).interface(interface).mark(mark)))
    }
}

/// A route's own.
pub(super) fn of_route(file: &RouteFile, defaults: &Egress) -> Option<Arc<Egress>> {
    let RouteFile { congestion, source, interface, mark, .. } = file;
    Own { congestion: *congestion, source: source.as_ref(), interface: interface.as_ref(), mark: *mark }
        .over(defaults)
}

/// That a route has no source for what is on this machine.
pub(super) fn check(file: &RouteFile, place: &Place<'_, '_>, findings: &mut Vec<Finding>) {
    if let ActionFile::Forward(ForwardFile::Targets(targets)) = &file.action {
        let own = of_route(file, &Egress::default());
        refuse_unix(&format!("route \"{}\"", file.name), own.as_deref(), targets.iter(), place, findings);
    }
}

/// The same of whoever has targets, and says this of them.
pub(super) fn refuse_unix<'t>(
    whose: &str,
    own: Option<&Egress>,
    mut targets: impl Iterator<Item = &'t Target>,
    place: &Place<'_, '_>,
    findings: &mut Vec<Finding>,
) {
    let Some(own) = own.filter(|_| targets.any(|target| matches!(target, Target::Unix(_)))) else { return };
    let is_written = [
        ("congestion", own.congestion != Congestion::default()),
        ("source", own.source != Source::Auto),
        ("interface", own.interface.is_some()),
        ("mark", own.mark.is_some()),
    ];
    for (key, _) in is_written.into_iter().filter(|(_, is_written)| *is_written) {
        let title = format!("{whose} has a Unix socket among its targets, which has no `{key}`");
        findings.push(
            Finding::new(place.key(key).span(), title)
                .label("this is for connections over TCP")
                .help("take it out, or give the Unix socket a route or a group of its own"),
        );
    }
}
