//! A whole scenario as data: what two hops are told, who comes, what their backends do, and what goes wrong.
//!
//! Times are in milliseconds of simulated time, so that a scenario that was found can be read, shrunk and pasted.

use std::time::Duration;

/// Everything that happens in a simulated world, with the seed of what is left to chance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// For latencies, and whatever else is left to chance.
    pub seed: u64,
    /// The longest that the network takes one way.
    pub latency: u16,
    /// The hop that clients connect to.
    pub outer: Settings,
    /// The hop behind it.
    pub inner: Settings,
    /// Who comes. Each has a backend of its own.
    pub clients: Vec<Client>,
    /// What goes wrong beside them.
    pub faults: Vec<Fault>,
    /// The links on which TLS is spoken, which the hops then end and begin.
    pub tls: Vec<Link>,
}

/// What a hop is told in its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `connection_timeout`.
    pub connection_timeout: u32,
    /// `inactivity_timeout`.
    pub inactivity_timeout: u32,
    /// `half_closed_timeout`.
    pub half_closed_timeout: u32,
    /// `write_stall_timeout`.
    pub write_stall_timeout: u32,
    /// `no_data_timeout`; None for off.
    pub no_data_timeout: Option<u32>,
    /// `proxy_header_timeout` and `initial_data_timeout`.
    pub greeting_timeout: u32,
    /// Whether `keep_alive_treatment` is extended: six times the silence.
    pub extended: bool,
    /// The kernel's keepalive: silence before the first probe, in seconds.
    pub keep_alive: u16,
    /// `send_proxy`; for the outer hop also what the inner one expects.
    pub send_proxy: SendProxy,
    /// `limits.max_connections`.
    pub max_connections: Option<u16>,
    /// `limits.connections_per_client`.
    pub per_client: Option<u16>,
    /// `limits.connections_per_client_per_minute`.
    pub per_minute: Option<u16>,
    /// `max_connections` of each pool, and what happens beyond.
    pub pool: Option<Pool>,
    /// What each route has beside the target that leads on.
    pub targets: Targets,
    /// `max_connections_per_target` of each route.
    pub per_target: Option<u16>,
    /// `breaker.failures_in_a_row`.
    pub failures_in_a_row: u8,
}

/// The limit of each pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// `max_connections`.
    pub most: u16,
    /// `at_limit`.
    pub at_limit: AtLimit,
}

/// `at_limit`. Not `close`, which ends in order what nobody has served: no end of a client's that a law could tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtLimit {
    /// A reset.
    Reject,
    /// So many wait, and each so long.
    Queue(u16, u32),
}

/// The targets of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Targets {
    /// The one that leads on.
    One,
    /// The same, by its name.
    Named,
    /// First a name that nobody knows.
    AfterUnknown,
    /// First one that refuses.
    AfterRefusing,
    /// First one that neither accepts nor refuses.
    AfterBlackHole,
    /// One name for an address that refuses and the one that leads on.
    SecondAddress,
    /// A group of a stranger and the one that leads on, both checked; and what becomes of the connections of one that is down.
    Checked(OnDown),
}

/// `on_down` of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDown {
    /// They go on.
    Keeps,
    /// They are reset.
    Kills,
    /// They have two seconds, and are reset then.
    Drains,
}

/// A member of checked groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The one that leads on, as far as checks can tell: what it does with connections is its backend's business.
    Real,
    /// The one beside it: as far as checks can tell, and with connections. It is not there unless something else is said.
    Stranger,
}

/// What a member does with whoever comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Answers checks. Connections it takes, and serves nobody.
    Well,
    /// Accepts and resets.
    Resets,
    /// Accepts and says nothing.
    Mute,
    /// Its kernel accepts; nobody takes what it has.
    Frozen,
    /// Refuses.
    Gone,
}

/// `send_proxy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendProxy {
    /// No header.
    Off,
    /// Version 1.
    V1,
    /// Version 2.
    V2,
}

/// A client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// When it connects.
    pub at: u32,
    /// Where, and with what first words.
    pub enters: Enters,
    /// What it does there.
    pub script: Script,
    /// What its backend does.
    pub backend: Backend,
    /// Where it speaks TLS: of its handshake it sends only so many bytes, fewer than there are. Of its script it does what needs none
    /// then: pauses and ends.
    pub stops_after: Option<u16>,
}

/// Where a client connects, and with what first words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enters {
    /// At the outer hop.
    Plainly,
    /// At a port of the outer hop that needs a name: so many bytes of a ClientHello, and then its script.
    WithHello(u16),
    /// At the inner hop, as if it were one of its trusted peers, where those send headers: so many bytes of a PROXY
    /// header, one after the other at intervals of so many milliseconds.
    AtInner(u16, u16),
}

/// What one end of a connection does: its acts in order, reading meanwhile.
///
/// When its acts are over it waits for the other's end, then ends its own direction, unless it has already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// In order.
    pub acts: Vec<Act>,
    /// How it reads meanwhile.
    pub reads: Reads,
}

/// One act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Sends so many bytes.
    Send(u32),
    /// Sends so many bytes, one at a time with pauses of so many milliseconds.
    Drip(u16, u16),
    /// Does nothing for so long.
    Pause(u32),
    /// Waits until so many bytes have come, or the end.
    Await(u32),
    /// Ends its own direction (a FIN, and what TLS has before it), and reads on.
    End,
    /// The same without what TLS has before it, as browsers do, and who is cut off in between.
    CutOff,
    /// Resets the connection.
    Reset,
    /// Goes without a word: its machine is off.
    Vanish,
}

/// How one end reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// All that comes, at once.
    All,
    /// So many bytes at most every so many milliseconds.
    Slowly(u16, u16),
    /// So many bytes, and then no more.
    Only(u32),
}

/// What a client's backend does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backend {
    /// Accepts, and does as its script says.
    Plays(Script),
    /// Sends back what comes, and ends when that does.
    Echoes,
    /// Refuses.
    Refuses,
    /// Neither accepts nor refuses.
    BlackHole,
}

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// When.
    pub at: u32,
    /// What.
    pub what: What,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// What is sent on a link arrives so much later.
    Hold(Link, u32),
    /// What is sent on a link is lost, for so long.
    Cut(Link, u32),
    /// A hop's process is killed, and comes back after so long.
    Kill(Hop, u32),
    /// A hop's machine loses its power, and comes back after so long.
    PowerLoss(Hop, u32),
    /// An operator ends every connection of a hop.
    CancelAll(Hop),
    /// The next task of a hop that looks at a socket panics.
    Panic(Hop),
    /// A hop's clock is set forward by so much.
    ClockJump(Hop, u32),
    /// A member of checked groups is so, for so long.
    Turns(Who, Mood, u32),
}

/// A hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hop {
    /// The one that clients connect to.
    Outer,
    /// The one behind it.
    Inner,
}

/// A link between two hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Clients and the outer hop.
    Front,
    /// The outer and the inner hop.
    Middle,
    /// The inner hop and the backends.
    Back,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connection_timeout: 3000,
            inactivity_timeout: 20_000,
            half_closed_timeout: 4000,
            write_stall_timeout: 6000,
            no_data_timeout: Some(10_000),
            greeting_timeout: 2000,
            extended: false,
            keep_alive: 10,
            send_proxy: SendProxy::Off,
            max_connections: None,
            per_client: None,
            per_minute: None,
            pool: None,
            targets: Targets::One,
            per_target: None,
            failures_in_a_row: 5,
        }
    }
}

impl Settings {
    /// The longest that a connection may be in any one phase without a byte.
    pub(super) fn longest(&self) -> Duration {
        let idle = u64::from(self.inactivity_timeout) * if self.extended { 6 } else { 1 };
        let queue = self.pool.map_or(0, |pool| match pool.at_limit {
            AtLimit::Reject => 0,
            AtLimit::Queue(_, millis) => millis,
        });
        let others = [
            queue,
            self.connection_timeout,
            self.half_closed_timeout,
            self.write_stall_timeout,
            self.no_data_timeout.unwrap_or(0),
            self.greeting_timeout,
        ];
        Duration::from_millis(others.into_iter().map(u64::from).fold(idle, u64::max))
    }
}

impl Script {
    /// These acts, reading all that comes.
    #[must_use]
    pub fn of(acts: &[Act]) -> Self {
        Self { acts: acts.to_vec(), reads: Reads::All }
    }
}

impl Client {
    /// One that connects to the outer hop at the start.
    #[must_use]
    pub fn new(script: Script, backend: Backend) -> Self {
        Self { at: 0, enters: Enters::Plainly, script, backend, stops_after: None }
    }
}

impl Scenario {
    /// A scenario with these clients, default settings and no faults.
    #[must_use]
    pub fn of(clients: Vec<Client>) -> Self {
        let outer = Settings { send_proxy: SendProxy::V2, ..Settings::default() };
        Self {
            seed: 0,
            latency: 20,
            outer,
            inner: Settings::default(),
            clients,
            faults: Vec::new(),
            tls: Vec::new(),
        }
    }

    /// A test of its own, to be pasted: `name` says what went wrong.
    #[must_use]
    pub fn to_test(&self, name: &str) -> String {
        // The only brackets of its Debug form are those of vectors.
        let scenario = format!("{self:#?}").replace('[', "vec![").replace('\n', "\n    ");
        format!(
            "#[test]\nfn {name}() {{\n    use chain_harness::sim::vocabulary::*;\n    let scenario = {scenario};\n    \
             chain_harness::sim::check(&scenario, Build::Product);\n}}\n"
        )
    }
}
