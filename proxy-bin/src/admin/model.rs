//! What the admin API says and takes, as JSON: the one shape for the server, the command line and the OpenAPI description.
//!
//! Times are seconds (`_s`), sizes bytes (`_bytes`), counts since the start `_total`; the names of phases, causes, pools and
//! levels are those of logs and metrics. A field that is null is not known, or does not apply.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The proxy as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// The name of this hop, as the configuration gives it (`[admin] name`); the host's name if it gives none.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Since it was started.
    pub uptime_s: f64,
    /// What it does: `running`, `leaving` (told to stop, and accepting for `shutdown_delay`), `draining` (finishing before it stops) or `handing_over` (another process takes over).
    pub state: String,
    /// Whether it takes new connections: all is well with it.
    pub ready: bool,
    /// Threads that serve connections.
    pub workers: u32,
    /// Connections that are open.
    pub connections: u64,
    /// The most that may be.
    pub max_connections: u64,
    /// Connections that were opened since the start.
    pub opened_total: u64,
    /// Connections that have ended since the start, by cause; causes of which there was none are left out.
    pub ended_total: std::collections::BTreeMap<String, u64>,
    /// Connections that are open, by phase; every phase.
    pub phases: Phases,
    /// The pools.
    pub pools: Vec<Pool>,
    /// The listeners.
    pub listeners: Vec<Listener>,
    /// Descriptors in use, and the most there may be.
    pub descriptors: Usage,
    /// Memory.
    pub memory: Memory,
    /// The last audit.
    pub audit: AuditSummary,
    /// The configuration in force, and how the last reload went.
    pub config: ConfigStatus,
    /// What is being drained, and how far it is.
    pub drains: Vec<Drain>,
    /// How the last upgrade went; null if there was none.
    pub last_upgrade: Option<Upgrade>,
    /// The log.
    pub log: LogStatus,
}

/// Connections by phase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Phases {
    /// Reading the PROXY header.
    pub header: u64,
    /// Reading the ClientHello.
    pub peek: u64,
    /// Waiting for a place or for a backend.
    pub dial: u64,
    /// Established.
    pub relay: u64,
    /// One side has ended, the other is still sending.
    pub drain: u64,
}

/// So much of so much.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// In use.
    pub used: u64,
    /// The most there may be; null for no limit.
    pub most: Option<u64>,
}

/// Memory of the process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Memory {
    /// Resident.
    pub resident_bytes: u64,
    /// Allocated and in use, as the allocator counts.
    pub allocated_bytes: u64,
}

/// The configuration in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigStatus {
    /// Where it came from: a path, or `embedded`.
    pub origin: String,
    /// 1 for the one it started with, and one more with each reload that was taken.
    pub generation: u64,
    /// When it was taken, in seconds since 1970.
    pub loaded_at: f64,
    /// How the last reload went; null if there was none.
    pub last_reload: Option<Reload>,
}

/// How a reload went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reload {
    /// Whether the new configuration is in force. If not, nothing has changed.
    pub taken: bool,
    /// When, in seconds since 1970.
    pub at: f64,
    /// The generation in force after it.
    pub generation: u64,
    /// What changed, a line each; empty if nothing did.
    pub changes: Vec<Change>,
    /// Why it was not taken, with places in the file; null if it was.
    pub error: Option<String>,
    /// What may not mean what its author thinks, and what takes effect only at the next start.
    pub warnings: Vec<String>,
}

/// How an upgrade went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Upgrade {
    /// Whether a new process serves. If not, nothing has changed.
    pub taken: bool,
    /// When, in seconds since 1970.
    pub at: f64,
    /// The new process; null if there is none.
    pub pid: Option<u32>,
    /// Why there is none; null if there is one.
    pub error: Option<String>,
}

/// One thing that a configuration changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// `added`, `removed` or `changed`.
    pub kind: ChangeKind,
    /// What, such as `route api`, `listener *:443`, `pool chain` or `limits.max_connections`.
    pub what: String,
    /// What it was; null if it was not there.
    pub from: Option<String>,
    /// What it is; null if it is no more.
    pub to: Option<String>,
    /// How many open connections it touches (those of a removed route or listener go on as they began).
    pub connections: u64,
}

/// How something changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It was not there.
    Added,
    /// It is no more.
    Removed,
    /// It is otherwise.
    Changed,
}

/// What a configuration would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Diff {
    /// What would change.
    pub changes: Vec<Change>,
    /// What may not mean what its author thinks, and what would take effect only at the next start.
    pub warnings: Vec<String>,
}

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

/// One connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Connection {
    /// Its id on this hop.
    pub id: String,
    /// Its ids on the hops before, outermost first.
    pub previous: Vec<String>,
    /// `header`, `peek`, `dial`, `relay` or `drain`.
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
    /// Bytes read from the client.
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
    /// Bytes acknowledged by the other side.
    pub acked_bytes: u64,
    /// Bytes received.
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

/// A route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// Its connections: open, and the most there may be.
    pub connections: Usage,
    /// Its open connections by phase.
    pub phases: Phases,
    /// The age of the oldest of them; null if there is none.
    pub oldest_s: Option<f64>,
    /// Bytes that its open connections have read from their clients.
    pub from_client_bytes: u64,
    /// Bytes that its open connections have read from their backends.
    pub from_backend_bytes: u64,
    /// Which PROXY header its targets are sent: `v1` or `v2`; null for none.
    pub send_proxy: Option<String>,
    /// Whether that header carries a connection's id on: `v2`, unless the field `unique_id` is not among its fields.
    pub sends_id: bool,
    /// Its targets.
    pub targets: Vec<Target>,
    /// Whether it takes no new connections, since somebody drains it.
    pub draining: bool,
    /// Whether it is in the configuration in force. If not, it has connections that began before.
    pub in_force: bool,
}

/// A target of a route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Target {
    /// Its route.
    pub route: String,
    /// Where it is.
    pub target: String,
    /// Its connections: open or being dialled, and the most there may be.
    pub connections: Usage,
    /// `closed` (it is dialled), `open` (it is left alone) or `half_open` (it is being tried).
    pub breaker: String,
    /// Dials that failed in a row.
    pub failures_in_a_row: u32,
    /// Until it is tried again; null where it is dialled.
    pub retry_in_s: Option<f64>,
    /// Dials that succeeded since the start.
    pub dialled_total: u64,
    /// Dials that failed since the start, by why.
    pub failed_total: std::collections::BTreeMap<String, u64>,
    /// Whether it takes no new connections, since somebody drains it.
    pub draining: bool,
}

/// A pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// Its connections: open, and the most there may be.
    pub connections: Usage,
    /// Connections that wait for a place.
    pub waiting: u64,
    /// `normal`, `tight` or `shed`.
    pub level: String,
    /// Which signal it is at that level for; null where it is normal.
    pub signal: Option<String>,
}

/// A listener.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Listener {
    /// Its name: address and port.
    pub name: String,
    /// Its connections: open, and the most there may be.
    pub connections: Usage,
    /// Whether it takes no new connections, since somebody drains it.
    pub draining: bool,
}

/// A limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Limit {
    /// What is limited: `all connections`, `pool NAME`, `route NAME`, `listener NAME`, `target NAME of ROUTE` or `clients`.
    pub what: String,
    /// In use, and the most there may be.
    pub usage: Usage,
    /// The most that was ever in use; null where it is not counted.
    pub high_water: Option<u64>,
    /// How many wait for a place.
    pub waiting: u64,
}

/// What to drain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DrainRequest {
    /// Of what kind.
    pub kind: DrainKind,
    /// Which; none for everything.
    #[serde(default)]
    pub name: Option<String>,
    /// Whether to take new connections again instead.
    #[serde(default)]
    pub undo: bool,
    /// After so long those that are left are ended; never if not given.
    #[serde(default)]
    pub end_after_s: Option<f64>,
}

/// What can be drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DrainKind {
    /// A listener: it accepts no more (its port answers again after an undo).
    Listener,
    /// A route: it takes no new connections.
    Route,
    /// A target of every route that has it: it is not dialled any more.
    Target,
    /// Everything: nothing is accepted any more. The process goes on, until it is stopped.
    Everything,
}

/// A drain under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Drain {
    /// Of what kind.
    pub kind: DrainKind,
    /// Which; none for everything.
    pub name: Option<String>,
    /// Since it was asked for.
    pub since_s: f64,
    /// Connections at that time.
    pub began_with: u64,
    /// Connections now.
    pub left: u64,
    /// Until those that are left are ended; 0 while they are being ended, null for never.
    pub ends_in_s: Option<f64>,
}

/// The last audit, in short.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditSummary {
    /// Whether everything that must be 0 is 0.
    pub clean: bool,
    /// Since it ended; null if there was none yet.
    pub ago_s: Option<f64>,
    /// The gauges, all of them.
    pub gauges: std::collections::BTreeMap<String, u64>,
    /// Connections that were overdue and were ended, since the start.
    pub rescued_total: u64,
    /// Why the kernel could not be asked; null if it could.
    pub blind: Option<String>,
}

/// An audit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Audit {
    /// Whether everything that must be 0 is 0.
    pub clean: bool,
    /// Entries in the table.
    pub entries: u64,
    /// Sockets of the process; null if the kernel was not asked.
    pub sockets: Option<u64>,
    /// How often it looked.
    pub looks: u8,
    /// How long it took.
    pub took_s: f64,
    /// The gauges, all of them.
    pub gauges: std::collections::BTreeMap<String, u64>,
    /// Overdue connections that it ended.
    pub rescued: u64,
    /// Why the kernel could not be asked; null if it could.
    pub blind: Option<String>,
    /// What it found.
    pub findings: Vec<AuditFinding>,
}

/// One thing that an audit found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditFinding {
    /// Which gauge it counts in.
    pub gauge: String,
    /// The connection it is about; null if none.
    pub id: Option<String>,
    /// What there is to say.
    pub text: String,
}

/// The log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogStatus {
    /// The least serious events that are logged: `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// Lines that were lost since whoever reads them is too slow.
    pub lost_total: u64,
}

/// A log level to set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetLogLevel {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
}

/// The build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Build {
    /// The version.
    pub version: String,
    /// `debug` or `release`.
    pub profile: String,
    /// What it was built for, such as `x86_64-linux`.
    pub target: String,
}

/// The configuration in force, in full.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigText {
    /// Where it came from, and how the last reload went.
    pub status: ConfigStatus,
    /// Its text.
    pub text: String,
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

/// What live views are told once a second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sample {
    /// When, in seconds since 1970.
    pub at: f64,
    /// The proxy as a whole.
    pub status: Status,
    /// The routes.
    pub routes: Vec<Route>,
    /// How old the open connections are: how many are at most so old. The last bound is null: any age.
    pub ages: Vec<AgeBucket>,
    /// The twenty oldest connections.
    pub oldest: Vec<Connection>,
}

/// How many connections are at most so old.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgeBucket {
    /// The oldest that is counted here; null for any age.
    pub at_most_s: Option<f64>,
    /// How many are in this bucket and in no smaller one.
    pub connections: u64,
}

/// An error, as RFC 9457 has it (`application/problem+json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// What kind, as a path into the documentation, such as `/problems/not-found`.
    #[serde(rename = "type")]
    pub kind: String,
    /// In few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What exactly, and what to do.
    pub detail: String,
}
