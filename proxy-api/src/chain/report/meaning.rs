//! What it means that a connection is not on every hop, and where to look.

use crate::chain::join::{Joined, Kind};
use crate::model::Connection;

/// What it means, and where to look.
pub(super) fn meaning(joined: &Joined, kind: Kind, names: &[String], connection: &Connection) -> String {
    let name = |hop: usize| names.get(hop).map_or("the next hop", String::as_str);
    let target = connection.target.as_deref().unwrap_or("its target");
    match kind {
        Kind::MissingAfter(hop) => match connection.phase.as_str() {
            "dial" => format!(
                "{} waits for {target} to accept{}: does it run, is its backlog full, does a firewall drop?",
                name(hop),
                elsewhere(joined, hop + 1, name(hop + 1), target)
            ),
            "drain" => {
                format!("{} has ended it, {} waits for the client to end too", name(hop + 1), name(hop))
            }
            _ => format!(
                "{target} has accepted{}, and {} does not know it: it waits in a backlog there, or its header is still unread",
                elsewhere(joined, hop + 1, name(hop + 1), target),
                name(hop + 1)
            ),
        },
        Kind::MissingBefore(hop) => format!(
            "{} has ended it, or it came by another hop; {} holds it until a deadline: look at DEADLINE in `smartproxy conns` there",
            name(hop - 1),
            name(hop)
        ),
        Kind::NotYet(_) => "the client has not sent yet what the route is chosen by".to_owned(),
        Kind::NoIdSent(_) => {
            "its route sends no id (`send_proxy = \"v2\"`, with `unique_id` among its fields): where it goes on cannot be told"
                .to_owned()
        }
        Kind::NoIdCame(hop) => {
            format!("not from {}, or from a route there that sends no id (`send_proxy = \"v2\"`)", name(hop - 1))
        }
        Kind::HeaderUnread(hop) => {
            format!("its PROXY header has not come as a whole: from {}, or from a stranger", name(hop - 1))
        }
        Kind::Whole => "it is on every hop".to_owned(),
        Kind::Moving => "the tables are not read at the same moment: look again".to_owned(),
    }
}

/// A note where the target is on no port of the hop that should come next.
fn elsewhere(joined: &Joined, next: usize, name: &str, target: &str) -> String {
    let port = |text: &str| text.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    let Some((hop, wanted)) = joined.hops.get(next).zip(port(target)) else { return String::new() };
    if hop.listeners.iter().any(|listener| port(listener) == Some(wanted)) {
        return String::new();
    }
    format!(" ({name} itself has no listener on port {wanted})")
}
