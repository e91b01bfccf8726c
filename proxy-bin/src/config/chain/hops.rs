//! Whether both hops prove to each other that they are, where one of them wants that, and whether each would take the other.

use std::time::{Duration, SystemTime};

use proxy_tls::Hop;

use super::super::finding::Finding;
use super::Pair;
use super::link::Link;

/// For so much less than this a certificate is worth a word: hop-cert makes them for a year, and people are away for weeks.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// Whether connections get past the TLS of hops, where there is any.
pub(super) fn compare(pair: &mut Pair<'_, '_>, link: &Link<'_>) -> bool {
    match (&link.route.tls.hop, &link.listener.hop) {
        (None, None) => true,
        (Some(_), None) => {
            not_taken(pair, link);
            false
        }
        (None, Some(_)) => {
            demanded(pair, link);
            false
        }
        (Some(outer), Some(inner)) => fit(pair, link, outer, inner),
    }
}

/// The outer hop goes there as a hop, and the inner one takes its TLS for a client's.
fn not_taken(pair: &mut Pair<'_, '_>, link: &Link<'_>) {
    let (at, route) = (&link.listener.label, &link.route.name);
    if !pair.says("no hop is taken", at) {
        return;
    }
    let title =
        format!("{at} takes no hops, and route \"{route}\" of {} goes there as one", pair.outer.name());
    pair.of_inner.push(
        Finding::new(pair.inner.listener(link.listener).span(), title)
            .label("its TLS is taken for a client's")
            .help(format!("write hop = \"…\" in a [[listeners]] of port {}", link.listener.port)),
    );
}

/// The inner hop takes hops alone, and the outer one does not go there as one.
fn demanded(pair: &mut Pair<'_, '_>, link: &Link<'_>) {
    let (at, route, inner) = (&link.listener.label, &link.route.name, pair.inner.name());
    if !pair.says("a hop is demanded", &**route) {
        return;
    }
    let place = pair.outer.target(link);
    let title = format!("{at} of {inner} takes hops alone, and route \"{route}\" does not go there as one");
    pair.of_outer.push(
        Finding::new(place.span(), title)
            .label("each connection is ended there")
            .help("write hop = \"…\" in the route: smartproxy hop-cert makes the files"),
    );
}

/// Whether each takes the other's certificate; and for how long.
fn fit(pair: &mut Pair<'_, '_>, link: &Link<'_>, outer: &Hop, inner: &Hop) -> bool {
    let now = SystemTime::now();
    let at_inner = pair.inner.listener(link.listener).key("hop").span();
    let at_outer = pair.outer.route(link.index).key("hop").span();
    let (by_inner, by_outer) = (inner.takes(outer, now), outer.takes(inner, now));
    if pair.says("one of two hops", format!("{}, {}", outer.name(), inner.name())) {
        let ended = "each connection is ended by that";
        if let Err(why) = &by_inner {
            let title = format!("{} refuses the hop {}: {why}", pair.inner.name(), outer.name());
            pair.of_outer.push(Finding::new(at_outer.clone(), title).label(ended).help(HELP));
        }
        if let Err(why) = &by_outer {
            let title = format!("{} refuses the hop {}: {why}", pair.outer.name(), inner.name());
            pair.of_inner.push(Finding::new(at_inner.clone(), title).label(ended).help(HELP));
        }
    }
    for (hop, span, taken, list) in [
        (outer, at_outer, by_inner.is_ok(), &mut *pair.of_outer),
        (inner, at_inner, by_outer.is_ok(), &mut *pair.of_inner),
    ] {
        let left = hop.certificate().not_after().duration_since(now).unwrap_or_default();
        if taken && left < SOON && pair.said.insert(("a hop expires", hop.name().to_owned())) {
            list.push(expires(hop, left, span));
        }
    }
    by_inner.is_ok() && by_outer.is_ok()
}

const HELP: &str = "smartproxy hop-cert makes files of one authority for all hops, and renews them";

fn expires(hop: &Hop, left: Duration, span: super::super::finding::Span) -> Finding {
    let days = left.as_secs() / (24 * 3600);
    let title = format!("the certificate of the hop {} is valid for {days} days more", hop.name());
    Finding::new(span, title).help("smartproxy hop-cert renews it").advice_only()
}
