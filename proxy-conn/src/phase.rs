//! The phases of a connection, and the ways from one to another.
//!
//! ```text
//!               CONNECTING                        ESTABLISHED           CLOSING    CLOSED
//!  ┌──────────────────────────────────┐   ┌────────────────────────┐     ┌───┐
//!  header ─► peek ─► tls ─► dial ────────────────────────► relay ───────► drain ─────► (absent)
//!     └───────┴───────┴─────►┘ └─► idle ◄─► busy ───────────►┘    one side has ended ─┘
//!                                  HTTP, by requests    upgraded
//! ```
//! A connection that carries HTTP goes from request to request, idle between them; one that is upgraded is relayed from then on.
//! Every phase may also be left by the end of the connection: the entry is then absent.

use std::fmt;

/// Where a connection is in its life. Each phase has a deadline of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// Accepted; the PROXY header is read where one is due.
    Header = 0,
    /// The ClientHello is read, where a route of the port needs a name.
    Peek = 1,
    /// The TLS handshake with the client, where the route terminates TLS.
    Tls = 2,
    /// The route is chosen, the connection admitted, the backend dialled.
    Dial = 3,
    /// HTTP: no request is under way.
    Idle = 4,
    /// HTTP: a request is under way, from the first byte of its head to the last of its answer.
    Busy = 5,
    /// Both sides are connected, and both may still send.
    Relay = 6,
    /// One side has ended; the other may still send, under a deadline of its own.
    Drain = 7,
}

/// How users see a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Header, peek, tls or dial.
    Connecting,
    /// Idle, busy or relay.
    Established,
    /// Drain.
    Closing,
}

/// The legal ways from one phase to another. The ends are not here: every phase may end.
const TRANSITIONS: [(Phase, Phase); 12] = [
    (Phase::Header, Phase::Peek),
    (Phase::Header, Phase::Tls),
    (Phase::Header, Phase::Dial),
    (Phase::Peek, Phase::Tls),
    (Phase::Peek, Phase::Dial),
    (Phase::Tls, Phase::Dial),
    (Phase::Dial, Phase::Idle),
    (Phase::Idle, Phase::Busy),
    (Phase::Busy, Phase::Idle),
    (Phase::Busy, Phase::Relay),
    (Phase::Dial, Phase::Relay),
    (Phase::Relay, Phase::Drain),
];

impl Phase {
    /// All phases, in order.
    pub const ALL: [Self; 8] =
        [Self::Header, Self::Peek, Self::Tls, Self::Dial, Self::Idle, Self::Busy, Self::Relay, Self::Drain];

    /// Whether a connection may go from this phase to `next`.
    #[must_use]
    pub fn may_enter(self, next: Self) -> bool {
        TRANSITIONS.contains(&(self, next))
    }

    /// How users see it.
    #[must_use]
    pub const fn state(self) -> State {
        match self {
            Self::Header | Self::Peek | Self::Tls | Self::Dial => State::Connecting,
            Self::Idle | Self::Busy | Self::Relay => State::Established,
            Self::Drain => State::Closing,
        }
    }

    /// Its letter in an end's code: H, P, T, C (as HAProxy's for connecting), I (idle), B (busy), D (data), L (last bytes).
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Header => 'H',
            Self::Peek => 'P',
            Self::Tls => 'T',
            Self::Dial => 'C',
            Self::Idle => 'I',
            Self::Busy => 'B',
            Self::Relay => 'D',
            Self::Drain => 'L',
        }
    }

    /// Its name in logs, metrics and the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Peek => "peek",
            Self::Tls => "tls",
            Self::Dial => "dial",
            Self::Idle => "idle",
            Self::Busy => "busy",
            Self::Relay => "relay",
            Self::Drain => "drain",
        }
    }

    /// What a connection does in it, in a few words.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Header => "Reading the PROXY header.",
            Self::Peek => "Reading the ClientHello.",
            Self::Tls => "TLS handshake with the client.",
            Self::Dial => "Waiting for a place or for a backend.",
            Self::Idle => "Between two requests of HTTP.",
            Self::Busy => "A request of HTTP is under way.",
            Self::Relay => "Established.",
            Self::Drain => "One side has ended, the other is still sending.",
        }
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    pub(crate) fn from_index(index: u8) -> Self {
        Self::ALL.get(usize::from(index)).copied().unwrap_or(Self::Header)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Connecting => "CONNECTING",
            Self::Established => "ESTABLISHED",
            Self::Closing => "CLOSING",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_matrix() {
        let mut matrix =
            String::from("from \\ to  header  peek  tls  dial  idle  busy  relay  drain  state\n");
        for from in Phase::ALL {
            let mark = |to| if from.may_enter(to) { "yes" } else { "-" };
            let [h, p, t, d, i, b, r, l] = Phase::ALL.map(mark);
            let state = from.state();
            matrix += &format!(
                "{from:<9}  {h:<6}  {p:<4}  {t:<3}  {d:<4}  {i:<4}  {b:<4}  {r:<5}  {l:<5}  {state}\n"
            );
        }
        insta::assert_snapshot!(matrix, @r"
        from \ to  header  peek  tls  dial  idle  busy  relay  drain  state
        header     -       yes   yes  yes   -     -     -      -      CONNECTING
        peek       -       -     yes  yes   -     -     -      -      CONNECTING
        tls        -       -     -    yes   -     -     -      -      CONNECTING
        dial       -       -     -    -     yes   -     yes    -      CONNECTING
        idle       -       -     -    -     -     yes   -      -      ESTABLISHED
        busy       -       -     -    -     yes   -     yes    -      ESTABLISHED
        relay      -       -     -    -     -     -     -      yes    ESTABLISHED
        drain      -       -     -    -     -     -     -      -      CLOSING
        ");
    }
}
