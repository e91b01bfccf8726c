//! What the kernel says of some sockets of each route: round-trip times, retransmissions, bytes that are not sent.
//!
//! With every walk some of the connections that have a backend are asked for, and what was heard counts for a minute. So it is a
//! sample: a route with a few connections has all of them in it, one with thousands as many as a minute has looks for.

use std::collections::{HashMap, VecDeque};
use std::os::fd::RawFd;
use std::time::Duration;

use proxy_conn::{Sockets, Walk};
use proxy_core::Endpoint;
use proxy_core::tcp_info::{self, TcpInfo};
use tokio::time::Instant;

/// Connections that are asked for at a walk, of all routes together: each takes six system calls, some 5 µs.
const EACH: usize = 96;

/// What counts of a route, at most.
const MOST: usize = 32;

/// For so long.
const KEPT: Duration = Duration::from_secs(60);

/// What the kernel said of one side of some connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SocketFigures {
    /// The round-trip time that half of them stay below; `None` where no TCP socket was seen.
    pub rtt_median: Option<Duration>,
    /// The longest round-trip time.
    pub rtt_longest: Option<Duration>,
    /// How many have ever sent a segment again.
    pub retransmitting: u64,
    /// Bytes that were written and not sent yet, of all of them.
    pub unsent: u64,
    /// Bytes that were received and not read yet, of all of them.
    pub unread: u64,
}

/// What the kernel said of some connections of a route within the last minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RouteSockets {
    /// How many of its connections that was, each time one was asked for counted.
    pub sampled: u64,
    /// The clients' side.
    pub client: SocketFigures,
    /// The backends' side.
    pub backend: SocketFigures,
}

/// What was heard of one connection.
#[derive(Debug)]
struct Heard {
    at: Instant,
    client: Option<TcpInfo>,
    backend: Option<TcpInfo>,
}

/// What was heard within the last minute, by route.
#[derive(Debug, Default)]
pub(super) struct Sampled {
    by_route: HashMap<Box<str>, VecDeque<Heard>>,
    /// Which route is the first to be asked for, where not all can be.
    turn: usize,
}

impl Sampled {
    /// Asks for some of what a walk has seen.
    pub(super) fn look(&mut self, walk: &Walk) {
        let now = Instant::now();
        let mut routes: Vec<_> = walk.some().collect();
        // A hash table has an order of its own with every walk.
        routes.sort_unstable_by(|(one, _), (other, _)| one.name().cmp(other.name()));
        let each = (EACH / routes.len().max(1)).max(1);
        let asked = routes.len().min(EACH);
        for (route, some) in routes.iter().cycle().skip(self.turn % routes.len().max(1)).take(asked) {
            let heard = some.iter().take(each).filter_map(|one| ask(one, now));
            let all = self.by_route.entry(route.name().into()).or_default();
            all.extend(heard);
            all.drain(..all.len().saturating_sub(MOST));
        }
        self.turn = self.turn.wrapping_add(asked);
        self.by_route.retain(|_, all| {
            all.retain(|heard| now.saturating_duration_since(heard.at) < KEPT);
            !all.is_empty()
        });
    }

    /// By route; those of which nothing was heard are left out.
    pub(super) fn figures(&self) -> HashMap<Box<str>, RouteSockets> {
        self.by_route.iter().map(|(route, all)| (route.clone(), of_route(all))).collect()
    }
}

/// Asks for both sides. `None` where the client's socket is another one's by now: then both may be.
fn ask(one: &Sockets, at: Instant) -> Option<Heard> {
    let [client, backend] = one.descriptors;
    let of = |descriptor: Option<RawFd>| tcp_info::of_descriptor(descriptor?).ok();
    let backend = of(backend).and_then(|info| info.tcp);
    // Last: a connection closes its backend's socket first, so whoever still has this one had the other.
    let client = of(client)?;
    let same = client.remote.is_none_or(|remote| remote == Endpoint::Ip(one.peer));
    same.then_some(Heard { at, client: client.tcp, backend })
}

fn of_route(all: &VecDeque<Heard>) -> RouteSockets {
    RouteSockets {
        sampled: all.len() as u64,
        client: of_side(all.iter().filter_map(|heard| heard.client.as_ref())),
        backend: of_side(all.iter().filter_map(|heard| heard.backend.as_ref())),
    }
}

fn of_side<'a>(infos: impl Iterator<Item = &'a TcpInfo>) -> SocketFigures {
    let (mut figures, mut rtts) = (SocketFigures::default(), Vec::new());
    for info in infos {
        rtts.push(info.rtt);
        figures.retransmitting += u64::from(info.retransmits_total > 0);
        figures.unsent += u64::from(info.unsent);
        figures.unread += u64::from(info.unread);
    }
    rtts.sort_unstable();
    figures.rtt_median = rtts.get(rtts.len() / 2).copied();
    figures.rtt_longest = rtts.last().copied();
    figures
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use proxy_conn::{DeadlineKind, Opening, Phase, Tally, Tracker};
    use proxy_core::{PeerAddr, Side};

    use super::*;

    /// An accepted socket, who has connected, and what keeps both.
    fn pair() -> (std::net::TcpStream, std::net::TcpStream) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test of what the kernel says of sockets")]
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (listener.accept().unwrap().0, client)
    }

    #[tokio::test]
    async fn what_is_not_sent_or_not_read_is_told_of_the_route_whose_connection_it_is() {
        use std::io::Write as _;
        let tracker = Tracker::new(1, ());
        let ((accepted, client), (dialled, mut backend)) = (pair(), pair());
        let peer = PeerAddr::new(client.local_addr().unwrap());
        let guard = tracker.open(0, Opening::new(peer, Tally::new("at")));
        guard.hold(Side::Client, Some(accepted.as_raw_fd()));
        guard.hold(Side::Backend, Some(dialled.as_raw_fd()));
        guard.learn(|facts| facts.route = Some("web".into()));
        let mut sampled = Sampled::default();
        sampled.look(&tracker.walk());
        assert!(sampled.figures().is_empty(), "it has no backend yet");
        guard.enter(Phase::Dial, Instant::now() + KEPT, DeadlineKind::Dial).unwrap();
        guard.enter(Phase::Relay, Instant::now() + KEPT, DeadlineKind::Dial).unwrap();
        backend.write_all(b"unread").unwrap();
        sampled.look(&tracker.walk());
        let figures = sampled.figures();
        let web = figures.get("web").unwrap();
        assert_eq!((web.sampled, web.client.unread, web.backend.unread), (1, 0, 6));
        assert!(web.client.rtt_median.is_some() && web.client.rtt_longest >= web.client.rtt_median);
        // Another socket has its number.
        guard.hold(Side::Client, Some(dialled.as_raw_fd()));
        sampled.look(&tracker.walk());
        assert_eq!(sampled.figures().get("web").unwrap().sampled, 1, "it is not the one that was meant");
        for _ in 0..2 * MOST {
            guard.hold(Side::Client, Some(accepted.as_raw_fd()));
            sampled.look(&tracker.walk());
        }
        assert_eq!(sampled.figures().get("web").unwrap().sampled, MOST as u64);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_minute_it_counts_no_more() {
        let mut sampled = Sampled::default();
        let heard = Heard { at: Instant::now(), client: None, backend: None };
        sampled.by_route.insert("web".into(), VecDeque::from([heard]));
        tokio::time::advance(KEPT - Duration::from_secs(1)).await;
        sampled.look(&Walk::default());
        assert_eq!(sampled.figures().len(), 1);
        tokio::time::advance(Duration::from_secs(1)).await;
        sampled.look(&Walk::default());
        assert!(sampled.figures().is_empty());
    }
}
