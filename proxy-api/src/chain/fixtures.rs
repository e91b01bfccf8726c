//! Tables of hops, for the tests of what is made of them.

use super::join::HopTable;
use crate::model::Connection;

/// An established connection of the route `web`, a minute old.
pub(super) fn connection(id: &str, phase: &str) -> Connection {
    Connection {
        id: id.to_owned(),
        previous: Vec::new(),
        role: "accepted".to_owned(),
        phase: phase.to_owned(),
        state: "ESTABLISHED".to_owned(),
        client: Some("10.0.0.1:40001".to_owned()),
        peer: "10.0.0.1:40001".to_owned(),
        listener: "127.0.0.1:9001".to_owned(),
        server_name: None,
        tls: None,
        hop: None,
        route: Some("web".to_owned()),
        target: Some("127.0.0.1:9002".to_owned()),
        pool: Some("chain".to_owned()),
        age_s: 61.0,
        in_phase_s: 60.0,
        idle_s: 3.21,
        from_client_bytes: 512,
        from_backend_bytes: 3_565_158,
        deadline: "idle".to_owned(),
        deadline_in_s: 597.0,
        immortal: false,
    }
}

/// A connection of the inner hop that came through `before`.
pub(super) fn after(id: &str, phase: &str, before: &[&str]) -> Connection {
    let previous = before.iter().map(|&id| id.to_owned()).collect();
    let target = Some("127.0.0.1:80".to_owned());
    Connection { previous, target, ..connection(id, phase) }
}

/// A hop of which the route `web` sends ids on.
pub(super) fn hop(name: &str, connections: Vec<Connection>) -> HopTable {
    let routes = [("web", true), ("old", false), ("plain", false)];
    HopTable {
        name: name.to_owned(),
        routes: routes.into_iter().map(|(name, sends)| (name.to_owned(), sends)).collect(),
        listeners: vec!["127.0.0.1:9002".to_owned()],
        connections,
    }
}
