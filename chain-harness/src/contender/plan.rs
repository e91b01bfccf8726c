//! What one hop is to do, in terms that every proxy understands.

use std::net::SocketAddr;
use std::time::Duration;

/// One hop of a chain: where it listens, where it takes connections, and how long it may bear what.
///
/// Each proxy's template says the same in its own language, as far as that has words for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HopPlan {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where it takes every connection.
    pub target: SocketAddr,
    /// Whether each of its clients sends a PROXY header first.
    pub accept_proxy: bool,
    /// Whether it sends one, of the newest version that the proxy can.
    pub send_proxy: bool,
    /// For a whole PROXY header to be read.
    pub header: Duration,
    /// For a connection to the target.
    pub connect: Duration,
    /// For silence both ways; also for bytes that a side does not take.
    pub idle: Duration,
    /// For silence after one side has ended.
    pub half_closed: Duration,
    /// Threads, or processes, that serve connections.
    pub workers: usize,
    /// Connections at one time; each has two sockets.
    pub max_connections: usize,
    /// Of these, those of one client address: of the PROXY header where there is one. None is no limit.
    pub per_client: Option<usize>,
    /// What stands for the target, and how the two are checked. None: there is only the target.
    pub group: Option<GroupPlan>,
    /// Whether the hop waits for a ClientHello, because of a name that it refuses. Not together with `accept_proxy`.
    pub peeks: bool,
    /// Whether its clients speak TLS, which ends here. Its certificate is made when it is started: ECDSA P-256, for `localhost`.
    pub terminate: bool,
    /// Whether it speaks TLS to its target, whose certificate for `localhost` is of the root that is written beside its configuration. Not together
    /// with `send_proxy`.
    pub reencrypt: bool,
}

/// A second target that stands for the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupPlan {
    /// Where it is.
    pub second: SocketAddr,
    /// From one check of each to the next, and how long each may take. A check waits for the greeting "hi".
    pub checked: Duration,
    /// Whether the one with the fewest connections is taken; else they take turns.
    pub least: bool,
}

impl HopPlan {
    /// From `listen` to `target` without PROXY headers, with one worker, room for 4000 connections and short deadlines:
    /// header and connect 2 s, idle 5 s, half-closed 1 s.
    #[must_use]
    pub fn new(listen: SocketAddr, target: SocketAddr) -> Self {
        let (short, idle, half_closed) =
            (Duration::from_secs(2), Duration::from_secs(5), Duration::from_secs(1));
        Self {
            listen,
            target,
            accept_proxy: false,
            send_proxy: false,
            header: short,
            connect: short,
            idle,
            half_closed,
            workers: 1,
            max_connections: 4000,
            per_client: None,
            group: None,
            peeks: false,
            terminate: false,
            reencrypt: false,
        }
    }

    /// The name of each figure of the plan in a template, and its value.
    pub(super) fn values(&self) -> Vec<(&'static str, String)> {
        let mut values = vec![
            ("listen", self.listen.to_string()),
            ("listen_host", self.listen.ip().to_string()),
            ("listen_port", self.listen.port().to_string()),
            ("target", self.target.to_string()),
            ("target_host", self.target.ip().to_string()),
            ("target_port", self.target.port().to_string()),
            ("peers", self.peers().to_owned()),
            ("per_client", self.per_client.unwrap_or(self.max_connections).to_string()),
            (
                "nginx_client",
                if self.accept_proxy { "$proxy_protocol_addr" } else { "$binary_remote_addr" }.to_owned(),
            ),
            ("workers", self.workers.to_string()),
            ("max_connections", self.max_connections.to_string()),
            ("nginx_connections", (2 * self.max_connections / self.workers.max(1) + 64).to_string()),
        ];
        if let Some(group) = self.group {
            values.push(("second", group.second.to_string()));
            values.push(("second_host", group.second.ip().to_string()));
            values.push(("second_port", group.second.port().to_string()));
        }
        let checked = self.group.map_or(self.connect, |group| group.checked);
        for (ms, s, deadline) in [
            ("checked_ms", "checked_s", checked),
            ("header_ms", "header_s", self.header),
            ("connect_ms", "connect_s", self.connect),
            ("idle_ms", "idle_s", self.idle),
            ("half_closed_ms", "half_closed_s", self.half_closed),
        ] {
            values.push((ms, deadline.as_millis().to_string()));
            values.push((s, deadline.as_secs_f64().to_string()));
        }
        values
    }

    /// Who may send a PROXY header: the machine that the chain is on; where an address has a limit, the other hop alone.
    fn peers(&self) -> &'static str {
        match (self.listen.is_ipv4(), self.per_client) {
            (true, None) => "127.0.0.0/8",
            (true, Some(_)) => "127.0.0.1/32",
            (false, _) => "::1/128",
        }
    }

    /// The conditions of a template, and whether they hold.
    pub(super) fn conditions(&self) -> Vec<(&'static str, bool)> {
        vec![
            ("accept_proxy", self.accept_proxy),
            ("send_proxy", self.send_proxy),
            ("per_client", self.per_client.is_some()),
            ("only_peers", self.accept_proxy && self.per_client.is_some()),
            ("peeks", self.peeks),
            ("terminate", self.terminate),
            ("reencrypt", self.reencrypt),
            ("group", self.group.is_some()),
            ("plain", !self.peeks && self.group.is_none()),
            ("turns", self.group.is_some_and(|group| !group.least)),
            ("least", self.group.is_some_and(|group| group.least)),
            ("send_proxy_to_group", self.send_proxy && self.group.is_some()),
            ("send_proxy_to_one", self.send_proxy && self.group.is_none()),
            ("no_proxy_to_one", !self.send_proxy && self.group.is_none()),
        ]
    }
}
