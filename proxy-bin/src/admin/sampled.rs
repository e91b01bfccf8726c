//! What the kernel says of some connections of each route, as the API says it.

use proxy_api::model::{Route, SampledSide, SampledSockets};
use proxy_dataplane::observe::{RouteSockets, SocketFigures};

use super::api::Api;
use super::minutes::with_minutes;
use super::view::secs;

/// The same with what has been seen of each: its last minute, and some of its sockets.
pub(super) fn seen(api: &Api, routes: Vec<Route>) -> Vec<Route> {
    let (mut routes, known) = (with_minutes(api, routes), api.control().observed().sockets());
    for route in &mut routes {
        route.sockets = known.get(route.name.as_str()).map(sampled);
    }
    routes
}

fn sampled(of: &RouteSockets) -> SampledSockets {
    SampledSockets { sampled: of.sampled, client: side(&of.client), backend: side(&of.backend) }
}

fn side(of: &SocketFigures) -> SampledSide {
    SampledSide {
        rtt_median_s: of.rtt_median.map(secs),
        rtt_longest_s: of.rtt_longest.map(secs),
        retransmitting: of.retransmitting,
        unsent_bytes: of.unsent,
        unread_bytes: of.unread,
    }
}
