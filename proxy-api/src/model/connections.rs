//! Connections: the list, one in full, filters over them, kills, traces.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::phases::Phases;
use super::tls::Tls;

/// A page of connections.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Connections {
    /// Connections that are open.
    pub total: u64,
    /// How many of them the filter lets through.
    pub matched: u64,
    /// Those of this page.
    pub connections: Vec<Connection>,
    /// Where the next page begins, for `offset`; null on the last one.
    pub next: Option<u64>,
}

/// What each connection was before there were others.
fn accepted() -> String {
    "accepted".to_owned()
}

/// One connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Connection {
    /// Its id on this hop.
    pub id: String,
    /// Its ids on the hops before, outermost first.
    pub previous: Vec<String>,
    /// `accepted` from a client, `pooled` for clients to come, or a `kernel_flow`, which has no socket of this process.
    #[serde(default = "accepted")]
    pub role: String,
    /// `header`, `peek`, `tls`, `dial`, `relay` or `drain`.
    pub phase: String,
    /// The state it is shown as: `CONNECTING`, `ESTABLISHED` or `CLOSING`.
    pub state: String,
    /// Who it is from, as a trusted PROXY header told it or as it is on the socket; null while that is not known.
    pub client: Option<String>,
    /// Who is on the accepted socket.
    pub peer: String,
    /// The listener that accepted it.
    pub listener: String,
    /// The server name in its ClientHello.
    pub server_name: Option<String>,
    /// What is known of its client's TLS; null where nothing is.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// The hop that it came from, by the name in the certificate that this has proven to be its own.
    #[serde(default)]
    pub hop: Option<String>,
    /// Its route.
    pub route: Option<String>,
    /// The target it reached, or was last trying to reach.
    pub target: Option<String>,
    /// Its pool.
    pub pool: Option<String>,
    /// Since it was accepted.
    pub age_s: f64,
    /// Since it entered its phase.
    pub in_phase_s: f64,
    /// Since bytes last moved; since it was accepted, if none has.
    pub idle_s: f64,
    /// Bytes read from the client; where its TLS ends here, those that came out of it.
    pub from_client_bytes: u64,
    /// Bytes read from the backend.
    pub from_backend_bytes: u64,
    /// Its nearest deadline, such as `dial` or `idle`.
    pub deadline: String,
    /// Until then; negative if it has passed.
    pub deadline_in_s: f64,
    /// Whether silence never ends it.
    pub immortal: bool,
}

/// One connection in full.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionInFull {
    /// What the list says of it.
    pub connection: Connection,
    /// The accepted socket; null if it could not be looked at.
    pub client_socket: Option<Socket>,
    /// The dialled socket; null before there is one.
    pub backend_socket: Option<Socket>,
}

/// A socket, as the kernel sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Socket {
    /// Its descriptor.
    pub descriptor: i32,
    /// Its own address.
    pub local: Option<String>,
    /// The other side's address.
    pub remote: Option<String>,
    /// What TCP says; null for another kind of socket.
    pub tcp: Option<Tcp>,
}

/// `TCP_INFO`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tcp {
    /// As `ss` names it: `ESTAB`, `CLOSE-WAIT`, `FIN-WAIT-2`, …
    pub state: String,
    /// Smoothed round-trip time.
    pub rtt_s: f64,
    /// Its variation.
    pub rtt_var_s: f64,
    /// The retransmission timeout.
    pub rto_s: f64,
    /// Segments retransmitted since it was opened.
    pub retransmits_total: u32,
    /// Retransmissions of what is on its way now, in a row.
    pub retransmits: u32,
    /// Segments on their way.
    pub unacked: u32,
    /// Bytes that were written and not sent yet.
    pub unsent_bytes: u32,
    /// Bytes that were received and not read yet.
    pub unread_bytes: u32,
    /// The congestion window, in segments.
    pub congestion_window: u32,
    /// The largest segment that is sent.
    pub mss_bytes: u32,
    /// Since data was last sent.
    pub last_sent_s: f64,
    /// Since data was last received.
    pub last_received_s: f64,
    /// Bytes that the other side has acknowledged, as Linux counts them: one more at the side that connected, for its SYN, and one
    /// more once this side's FIN is acknowledged.
    pub acked_bytes: u64,
    /// Bytes received, and one more once the other side's FIN is.
    pub received_bytes: u64,
}

/// Which connections: all that agree with everything that is given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// In this phase.
    pub phase: Option<String>,
    /// Of this route.
    pub route: Option<String>,
    /// From this client: an address, or a network such as `10.0.0.0/8`.
    pub client: Option<String>,
    /// To this target.
    pub target: Option<String>,
    /// Of this pool.
    pub pool: Option<String>,
    /// Accepted by this listener.
    pub listener: Option<String>,
    /// With this server name.
    pub server_name: Option<String>,
    /// That had this id on a hop before.
    pub previous: Option<String>,
    /// At least so old, in seconds.
    pub min_age_s: Option<f64>,
    /// Silent for at least so long, in seconds.
    pub min_idle_s: Option<f64>,
    /// That have this text, in capitals or not, in their id, in one that they had on a hop before, in their client's address, in the
    /// name in their ClientHello, in their route or their target.
    pub search: Option<String>,
}

/// What connections are grouped by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupBy {
    /// Their route.
    #[default]
    Route,
    /// Their target.
    Target,
    /// Their client's address, without its port.
    Client,
    /// The name in their ClientHello, in small letters.
    ServerName,
    /// Their phase.
    Phase,
}

/// Connections, grouped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionGroups {
    /// Connections that are open.
    pub total: u64,
    /// How many of them the filter lets through.
    pub matched: u64,
    /// How many groups these are.
    pub groups_total: u64,
    /// The first of them.
    pub groups: Vec<ConnectionGroup>,
}

/// Connections that have something in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionGroup {
    /// What they have in common; null for those that have nothing of the kind, or of which it is not known yet.
    pub name: Option<String>,
    /// How many there are.
    pub connections: u64,
    /// Those by phase.
    pub phases: Phases,
    /// The age of the oldest.
    pub oldest_s: f64,
    /// The longest that one of them has been silent.
    pub longest_idle_s: f64,
    /// Bytes that they have read from their clients.
    pub from_client_bytes: u64,
    /// Bytes that they have read from their backends.
    pub from_backend_bytes: u64,
}

/// What a list is sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SortBy {
    /// The oldest first.
    #[default]
    Age,
    /// The longest silent first.
    Idle,
    /// Those that moved the most bytes first.
    Bytes,
    /// The longest in its phase first.
    InPhase,
    /// By id.
    Id,
}

/// Which connections to end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kill {
    /// Which. To end all of them it must say so: an empty filter is refused unless `all` is true.
    #[serde(default)]
    pub filter: Filter,
    /// All connections.
    #[serde(default)]
    pub all: bool,
    /// Whether to say what would be ended, and end nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// What was ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Killed {
    /// How many the filter let through.
    pub matched: u64,
    /// How many were ended that nobody was ending yet; 0 in a dry run.
    pub killed: u64,
    /// The ids of the first hundred of those that matched.
    pub ids: Vec<String>,
}

/// One step of one connection's life, as `trace` follows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TraceEvent {
    /// When, in seconds since the trace began.
    pub at_s: f64,
    /// What happened: `seen`, `phase`, `bytes`, `deadline`, `target` or `gone`.
    pub event: String,
    /// What there is to say.
    pub text: String,
    /// The connection as it was then; null once it is gone.
    pub connection: Option<Connection>,
}
