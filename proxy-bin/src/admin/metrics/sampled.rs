//! What the kernel says of some connections of each route.

use std::fmt;

use proxy_dataplane::observe::{RouteSockets, SocketFigures};

use super::scrape::Scrape;
use crate::admin::api::Api;

/// All of it. Routes of which no connection was looked at within the last minute have no series.
pub(super) fn of_sockets(api: &Api, scrape: &mut Scrape<'_>) -> fmt::Result {
    let (proxy, sockets) = (api.proxy(), api.control().observed().sockets());
    let names = proxy.settings.routes.routes().map(|matched| matched.name());
    let known: Vec<_> = names.filter_map(|name| Some((name, sockets.get(name)?))).collect();
    let help = "Looks at connections with a backend within the last minute, which the other figures of sockets are of";
    let mut family = scrape.gauge("route_sampled_connections", help)?;
    for (route, sockets) in &known {
        family.is(&[("route", route)], sockets.sampled as f64)?;
    }
    let help = "Round-trip time that half of the sampled sockets stay below, as the kernel has it";
    by_side("route_sampled_rtt_seconds", help, &known, scrape, |side| {
        side.rtt_median.map(|rtt| rtt.as_secs_f64())
    })?;
    let help = "Sampled sockets that have ever sent a segment again";
    by_side("route_sampled_retransmitting", help, &known, scrape, |side| Some(side.retransmitting as f64))?;
    let help = "Bytes written to sampled sockets and not sent yet";
    by_side("route_sampled_unsent_bytes", help, &known, scrape, |side| Some(side.unsent as f64))
}

fn by_side(
    name: &str,
    help: &str,
    known: &[(&str, &RouteSockets)],
    scrape: &mut Scrape<'_>,
    of: impl Fn(&SocketFigures) -> Option<f64>,
) -> fmt::Result {
    let mut family = scrape.gauge(name, help)?;
    for (route, sockets) in known {
        for (side, figures) in [("client", &sockets.client), ("backend", &sockets.backend)] {
            if let Some(value) = of(figures) {
                family.is(&[("route", route), ("side", side)], value)?;
            }
        }
    }
    Ok(())
}
