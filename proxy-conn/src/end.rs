//! How a connection ended: in which phase, for what cause, and which party is responsible.
//!
//! A connection does not fail, it *ends*, and every end has one [`Cause`], counted once and logged once. The two-letter
//! [`code`](End::code) follows HAProxy's: who and how, then in which phase.
//!
//! | first letter | meaning |
//! |---|---|
//! | `-` | both sides finished (then the second is `-` too) |
//! | `C` / `c` | the client ended it / kept it waiting beyond a deadline |
//! | `S` / `s` | the backend ended or refused it / kept it waiting beyond a deadline |
//! | `P` / `p` | the proxy refused it by a rule / ended it by a policy of time (idle, lifetime) |
//! | `R` | the proxy ran out of a resource, or a limit was reached |
//! | `K` | an operator ended it: shutdown, kill |
//! | `I` | a fault of the proxy itself: must never be seen |
//!
//! Second letter: the phase, `H` header, `P` peek, `T` tls, `C` dial, `I` idle, `B` busy, `D` relay, `L` drain.

use std::fmt;

use crate::phase::Phase;

/// The party responsible for an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum By {
    /// The side that was accepted.
    Client,
    /// The side that was dialled.
    Backend,
    /// This proxy: a rule, a limit, a policy, a fault.
    Proxy,
    /// A person, or whatever acts for one: shutdown, kill.
    Operator,
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Client => "client",
            Self::Backend => "backend",
            Self::Proxy => "proxy",
            Self::Operator => "operator",
        })
    }
}

macro_rules! causes {
    ($($(#[$meta:meta])* $cause:ident = $name:literal $letter:literal $by:ident,)*) => {
        /// Why a connection ended. The names are stable: they are metric labels and log fields.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Cause {
            $($(#[$meta])* $cause,)*
        }

        impl Cause {
            /// Every cause, in the order of a life.
            pub const ALL: &[Self] = &[$(Self::$cause,)*];

            /// The stable name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$cause => $name,)* }
            }

            /// The party that is responsible, where the cause alone says.
            #[must_use]
            pub const fn usual_culprit(self) -> By {
                match self { $(Self::$cause => By::$by,)* }
            }

            const fn letter(self) -> char {
                match self { $(Self::$cause => $letter,)* }
            }
        }
    };
}

causes! {
    /// Both sides ended (FIN), and every byte was delivered.
    Finished = "finished" '-' Client,
    /// The client closed before a backend was reached, with nothing left to deliver.
    ClientLeft = "client_left" 'C' Client,
    /// The client reset the connection.
    ClientReset = "client_reset" 'C' Client,
    /// The client's machine stopped answering: keepalive or user timeout.
    ClientVanished = "client_vanished" 'c' Client,
    /// The backend reset the connection.
    BackendReset = "backend_reset" 'S' Backend,
    /// The backend's machine stopped answering: keepalive or user timeout.
    BackendVanished = "backend_vanished" 's' Backend,
    /// The client ended without the `close_notify` of its TLS: what it sent may be cut off. Browsers end so, with nothing missing.
    ClientTruncated = "client_truncated" 'C' Client,
    /// The backend ended without the `close_notify` of its TLS: what it sent may be cut off.
    BackendTruncated = "backend_truncated" 'S' Backend,
    /// The PROXY header was not complete in time.
    HeaderTimeout = "header_timeout" 'c' Client,
    /// The PROXY header is malformed, or is none where one is due.
    HeaderMalformed = "header_malformed" 'P' Client,
    /// A PROXY header (or any connection, where one is required) from a peer that is not trusted to send it.
    HeaderUntrusted = "header_untrusted" 'P' Client,
    /// A hop before this one has asked, in place of a client, how this one is, and was told (`docs/hop-protocol.md`).
    Asked = "asked" 'C' Client,
    /// An authority has asked for the proof that a name is served here, and was answered (ACME).
    Challenge = "challenge" 'C' Client,
    /// The ClientHello was not complete in time.
    HelloTimeout = "hello_timeout" 'c' Client,
    /// Bytes that begin like TLS have no readable ClientHello, or no usable server name, where routes match on the name.
    HelloUnreadable = "hello_unreadable" 'P' Client,
    /// The TLS handshake with the client was not done in time.
    TlsTimeout = "tls_timeout" 'c' Client,
    /// The TLS handshake with the client failed.
    TlsFailed = "tls_failed" 'P' Client,
    /// No route matches.
    NoRoute = "no_route" 'P' Proxy,
    /// The route says to refuse.
    RouteRefused = "route_refused" 'P' Proxy,
    /// The process has reached its limit of connections.
    GlobalLimit = "global_limit" 'R' Proxy,
    /// The limit of connections that have no route yet is reached, and of these it waited longest.
    UnroutedLimit = "unrouted_limit" 'R' Proxy,
    /// The pool has reached its limit of connections.
    PoolLimit = "pool_limit" 'R' Proxy,
    /// The listener has reached its limit of connections.
    ListenerLimit = "listener_limit" 'R' Proxy,
    /// The route has reached its limit of connections.
    RouteLimit = "route_limit" 'R' Proxy,
    /// The client has reached the limit of connections for each client.
    ClientLimit = "client_limit" 'P' Client,
    /// The client has reached the rate limit for each client.
    ClientRate = "client_rate" 'P' Client,
    /// So many distinct clients are connected that another cannot be counted.
    ClientTable = "client_table" 'R' Proxy,
    /// The queue for a place is full.
    QueueFull = "queue_full" 'R' Proxy,
    /// It waited for a place for the longest time allowed.
    QueueTimeout = "queue_timeout" 'R' Proxy,
    /// The pool sheds: it is overloaded and takes no new connections.
    Shed = "shed" 'R' Proxy,
    /// Every target failed too often lately to be tried again yet.
    TargetsDown = "targets_down" 'S' Backend,
    /// Every target has reached its limit of connections.
    TargetLimit = "target_limit" 'R' Proxy,
    /// The backend refused the connection.
    DialRefused = "dial_refused" 'S' Backend,
    /// There is no way to the backend.
    DialUnreachable = "dial_unreachable" 'S' Backend,
    /// The backend neither accepted nor refused in time.
    DialTimeout = "dial_timeout" 's' Backend,
    /// The backend reset while the connection was being made.
    DialReset = "dial_reset" 'S' Backend,
    /// The backend's name could not be resolved.
    DialUnresolved = "dial_unresolved" 'S' Backend,
    /// This machine had no descriptor, port or memory for the backend connection.
    DialShortage = "dial_shortage" 'R' Proxy,
    /// The dial could not leave this machine as it was to: its source address, interface or mark.
    DialEgress = "dial_egress" 'R' Proxy,
    /// The dial failed in another way.
    DialFailed = "dial_failed" 'S' Backend,
    /// The TLS handshake with the backend failed, or was not done in time.
    BackendTls = "backend_tls" 'S' Backend,
    /// A request of HTTP was not complete in time: its head, or the next bytes of its body.
    RequestTimeout = "request_timeout" 'c' Client,
    /// A request of HTTP is malformed, or can be read in several ways.
    RequestMalformed = "request_malformed" 'P' Client,
    /// What the backend answered is no HTTP.
    BackendMalformed = "backend_malformed" 'S' Backend,
    /// The backend did not answer a request of HTTP in time, or stopped in the middle of its answer.
    BackendTimeout = "backend_timeout" 's' Backend,
    /// Silence both ways for too long.
    Idle = "idle" 'p' Proxy,
    /// Established, and never a byte either way.
    NoData = "no_data" 'p' Proxy,
    /// One side had ended and the other stayed silent for too long; it is the one at fault.
    HalfClosed = "half_closed" 's' Backend,
    /// Bytes waited too long for a side that took none; it is the one at fault.
    WriteStall = "write_stall" 's' Backend,
    /// The connection reached the end of its allowed life.
    Lifetime = "lifetime" 'p' Proxy,
    /// Its member of a group was found down, and the group says that such connections are ended.
    MemberDown = "member_down" 's' Backend,
    /// The proxy is shutting down, and the time to finish was over.
    Shutdown = "shutdown" 'K' Operator,
    /// An operator ended it.
    Killed = "killed" 'K' Operator,
    /// An operator drains its route, or every target that it could have gone to.
    Draining = "draining" 'K' Operator,
    /// Its listener, route or target was drained, or its route removed, and the time to finish was over.
    Drained = "drained" 'K' Operator,
    /// Ended to relieve an overloaded pool: among those of least use.
    Overload = "overload" 'R' Proxy,
    /// A system call of the proxy's own failed on one of its sockets: it was not permitted, or there was no memory for it.
    CallFailed = "call_failed" 'R' Proxy,
    /// It outlived a deadline and the audit ended it: a fault.
    Overdue = "overdue" 'I' Proxy,
    /// The task that served it panicked: a fault.
    Panicked = "panicked" 'I' Proxy,
    /// The task that served it was dropped before it said how it ended.
    Aborted = "aborted" 'I' Proxy,
    /// It tried a way between phases that does not exist: a fault.
    IllegalTransition = "illegal_transition" 'I' Proxy,
}

impl Cause {
    /// The limit that it met, where it ended since one was met. The names are stable: they are metric labels.
    #[must_use]
    pub const fn limit(self) -> Option<&'static str> {
        Some(match self {
            Self::GlobalLimit => "global",
            Self::UnroutedLimit => "unrouted",
            Self::PoolLimit => "pool",
            Self::ListenerLimit => "listener",
            Self::RouteLimit => "route",
            Self::ClientLimit => "client",
            Self::ClientRate => "client_rate",
            Self::ClientTable => "client_table",
            Self::QueueFull => "queue",
            Self::QueueTimeout => "queue_time",
            Self::TargetLimit => "target",
            Self::Shed => "overload",
            Self::Finished
            | Self::ClientLeft
            | Self::ClientReset
            | Self::ClientVanished
            | Self::BackendReset
            | Self::BackendVanished
            | Self::ClientTruncated
            | Self::BackendTruncated
            | Self::HeaderTimeout
            | Self::HeaderMalformed
            | Self::HeaderUntrusted
            | Self::Asked
            | Self::Challenge
            | Self::HelloTimeout
            | Self::HelloUnreadable
            | Self::TlsTimeout
            | Self::TlsFailed
            | Self::NoRoute
            | Self::RouteRefused
            | Self::TargetsDown
            | Self::DialRefused
            | Self::DialUnreachable
            | Self::DialTimeout
            | Self::DialReset
            | Self::DialUnresolved
            | Self::DialShortage
            | Self::DialEgress
            | Self::DialFailed
            | Self::BackendTls
            | Self::RequestTimeout
            | Self::RequestMalformed
            | Self::BackendMalformed
            | Self::BackendTimeout
            | Self::Idle
            | Self::NoData
            | Self::HalfClosed
            | Self::WriteStall
            | Self::Lifetime
            | Self::MemberDown
            | Self::Shutdown
            | Self::Killed
            | Self::Draining
            | Self::Drained
            | Self::Overload
            | Self::CallFailed
            | Self::Overdue
            | Self::Panicked
            | Self::Aborted
            | Self::IllegalTransition => return None,
        })
    }

    /// Whether it comes in storms: the connection was refused for what others do or have done, and a client that is refused
    /// tries again.
    #[must_use]
    pub const fn is_refusal(self) -> bool {
        self.limit().is_some() || matches!(self, Self::TargetsDown)
    }

    /// The classes, in a fixed order.
    pub const CLASSES: [&str; 6] = ["finished", "client", "backend", "refused", "proxy", "operator"];

    /// Its class: `refused` where a limit or a rule kept it out, else `finished`, or the party that is usually responsible. The names are
    /// stable: they are metric labels.
    #[must_use]
    pub const fn class(self) -> &'static str {
        if matches!(self, Self::Finished) {
            return "finished";
        }
        if self.limit().is_some() || matches!(self, Self::NoRoute | Self::RouteRefused) {
            return "refused";
        }
        match self.usual_culprit() {
            By::Client => "client",
            By::Backend => "backend",
            By::Proxy => "proxy",
            By::Operator => "operator",
        }
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// This cause, in `phase`, by the party that is usually responsible.
    #[must_use]
    pub const fn during(self, phase: Phase) -> End {
        End { phase, cause: self, by: self.usual_culprit() }
    }

    /// This cause, in `phase`, by `by`.
    #[must_use]
    pub const fn during_by(self, phase: Phase, by: By) -> End {
        End { phase, cause: self, by }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The one end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct End {
    /// The phase it ended in.
    pub phase: Phase,
    /// Why.
    pub cause: Cause,
    /// The responsible party.
    pub by: By,
}

impl End {
    /// The two-letter code; see the module's table.
    #[must_use]
    pub fn code(&self) -> [char; 2] {
        let first = match (self.cause.letter(), self.by) {
            ('-', _) => return ['-', '-'],
            ('s', By::Client) => 'c',
            (letter, _) => letter,
        };
        [first, self.phase.letter()]
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = self.code();
        write!(f, "{first}{second} {} by {} in {}", self.cause, self.by, self.phase)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_say_who_and_where() {
        let code = |end: End| String::from_iter(end.code());
        assert_eq!(code(Cause::Finished.during(Phase::Drain)), "--");
        assert_eq!(code(Cause::DialTimeout.during(Phase::Dial)), "sC");
        assert_eq!(code(Cause::ClientReset.during(Phase::Relay)), "CD");
        assert_eq!(code(Cause::HalfClosed.during_by(Phase::Drain, By::Client)), "cL");
        assert_eq!(code(Cause::HalfClosed.during_by(Phase::Drain, By::Backend)), "sL");
        assert_eq!(code(Cause::HeaderTimeout.during(Phase::Header)), "cH");
        let end = Cause::Shutdown.during(Phase::Relay);
        assert_eq!(end.to_string(), "KD shutdown by operator in relay");
    }

    #[test]
    fn the_table_of_causes() {
        let row = |cause: &Cause| format!("{} {cause} ({})\n", cause.letter(), cause.usual_culprit());
        let names: std::collections::HashSet<_> = Cause::ALL.iter().map(|cause| cause.name()).collect();
        assert_eq!(names.len(), Cause::ALL.len(), "names are unique");
        assert!(Cause::ALL.iter().enumerate().all(|(n, cause)| cause.index() == n));
        assert!(Cause::ALL.iter().all(|cause| Cause::CLASSES.contains(&cause.class())));
        let class = |cause: Cause| cause.class();
        let classes =
            [Cause::Finished, Cause::ClientRate, Cause::RouteRefused, Cause::TargetsDown, Cause::Idle];
        assert_eq!(classes.map(class), ["finished", "refused", "refused", "backend", "proxy"]);
        let limits: Vec<_> = Cause::ALL.iter().filter_map(|cause| cause.limit()).collect();
        assert_eq!(
            limits.iter().collect::<std::collections::HashSet<_>>().len(),
            limits.len(),
            "so are those of limits"
        );
        insta::assert_snapshot!(Cause::ALL.iter().map(row).collect::<String>());
    }
}
