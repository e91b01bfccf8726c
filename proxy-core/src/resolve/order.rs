//! In which order the addresses of a name are tried.
//!
//! The families take turns (RFC 8305, section 4), the first of the answer first, and within a family its addresses do, from one
//! dial to the next, so that an answer that is kept spreads dials over them. An address that failed or was overtaken by another one
//! comes last for a while. When that is over, one dial finds out how it is by now; it costs that one
//! a quarter of a second at most, and nobody else anything.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::time::Instant;

/// For how long: every so often one dial is a quarter of a second late where an address stays dead.
const LAST_FOR: Duration = Duration::from_secs(60);

/// Addresses remembered. One that is forgotten costs a dial what it cost before.
const CAPACITY: usize = 1024;

/// Addresses that failed lately, of those that are not their name's only one.
#[derive(Debug, Default)]
pub(super) struct Laggards {
    since: Mutex<HashMap<SocketAddr, Instant>>,
    turn: AtomicUsize,
}

impl Laggards {
    pub(super) fn lags(&self, addr: SocketAddr, now: Instant) {
        let mut since = self.since.lock();
        if since.len() >= CAPACITY && !since.contains_key(&addr) {
            let oldest = since.iter().min_by_key(|(_, at)| **at).map(|(addr, _)| *addr);
            oldest.and_then(|oldest| since.remove(&oldest));
        }
        since.insert(addr, now);
    }

    pub(super) fn answers(&self, addr: SocketAddr) {
        self.since.lock().remove(&addr);
    }

    pub(super) fn order(&self, addrs: &[IpAddr], port: u16, now: Instant) -> SmallVec<[SocketAddr; 1]> {
        if let [only] = addrs {
            return SmallVec::from_buf([SocketAddr::new(*only, port)]);
        }
        self.order_from(self.turn.fetch_add(1, Ordering::Relaxed), addrs, port, now)
    }

    /// The order of the dial whose turn it is.
    fn order_from(
        &self,
        turn: usize,
        addrs: &[IpAddr],
        port: u16,
        now: Instant,
    ) -> SmallVec<[SocketAddr; 1]> {
        let mut addrs = by_turns(addrs, port, turn);
        let mut since = self.since.lock();
        if since.is_empty() {
            return addrs;
        }
        // Stable: their turns among those of which nothing is known, then whose failure is the longest ago.
        addrs.sort_by_key(|addr| since.get(addr).filter(|at| now.duration_since(**at) < LAST_FOR).copied());
        // Who is tried again after that time is tried by this dial alone.
        for addr in &addrs {
            if let Some(at) = since.get_mut(addr).filter(|at| now.duration_since(**at) >= LAST_FOR) {
                *at = now;
            }
        }
        addrs
    }
}

/// The families by turns, beginning with that of the first; of each, the one whose turn it is first.
fn by_turns(addrs: &[IpAddr], port: u16, turn: usize) -> SmallVec<[SocketAddr; 1]> {
    let is_first = |addr: &&IpAddr| addrs.first().is_some_and(|first| first.is_ipv4() == addr.is_ipv4());
    let from = |family: &dyn Fn(&&IpAddr) -> bool| {
        let count = addrs.iter().filter(family).count();
        let skipped = turn.checked_rem(count).unwrap_or(0);
        addrs.iter().filter(family).cycle().skip(skipped).take(count).collect::<SmallVec<[&IpAddr; 4]>>()
    };
    let (first, second) = (from(&is_first), from(&|addr| !is_first(addr)));
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut ordered = SmallVec::with_capacity(addrs.len());
    loop {
        let (one, other) = (first.next(), second.next());
        if one.is_none() && other.is_none() {
            return ordered;
        }
        ordered.extend(one.into_iter().chain(other).map(|ip| SocketAddr::new(*ip, port)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(laggards: &Laggards, addrs: &[&str], now: Instant) -> String {
        let addrs: Vec<IpAddr> = addrs.iter().map(|addr| addr.parse().unwrap()).collect();
        let order = laggards.order_from(0, &addrs, 80, now);
        order.iter().map(|addr| addr.ip().to_string()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn families_take_turns_and_what_failed_last_goes_last_for_a_while() {
        let (laggards, start) = (Laggards::default(), Instant::now());
        let addrs = ["fd00::1", "fd00::2", "10.0.0.1", "10.0.0.2", "10.0.0.3"];
        let answered = "fd00::1 10.0.0.1 fd00::2 10.0.0.2 10.0.0.3";
        assert_eq!(order(&laggards, &addrs, start), answered);
        laggards.lags("[fd00::1]:80".parse().unwrap(), start);
        laggards.lags("10.0.0.2:80".parse().unwrap(), start + Duration::from_secs(1));
        laggards.lags("10.0.0.1:443".parse().unwrap(), start);
        let soon = start + Duration::from_secs(59);
        assert_eq!(order(&laggards, &addrs, soon), "10.0.0.1 fd00::2 10.0.0.3 fd00::1 10.0.0.2");
        laggards.answers("10.0.0.2:80".parse().unwrap());
        assert_eq!(order(&laggards, &addrs, soon), "10.0.0.1 fd00::2 10.0.0.2 10.0.0.3 fd00::1");
        let later = start + LAST_FOR;
        assert_eq!(order(&laggards, &addrs, later), answered);
        assert_eq!(
            order(&laggards, &addrs, later),
            "10.0.0.1 fd00::2 10.0.0.2 10.0.0.3 fd00::1",
            "one dial finds out"
        );
    }

    #[test]
    fn an_answer_that_is_kept_spreads_dials_over_its_addresses() {
        let (laggards, now) = (Laggards::default(), Instant::now());
        let addrs = ["fd00::1", "10.0.0.1", "10.0.0.2", "10.0.0.3"].map(|addr| addr.parse().unwrap());
        let firsts = |addrs: &[IpAddr]| {
            let first = |_| laggards.order(addrs, 80, now).first().unwrap().ip().to_string();
            (0..4).map(first).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(firsts(&addrs[1..]), "10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.1");
        assert_eq!(firsts(&addrs), "fd00::1 fd00::1 fd00::1 fd00::1", "the first family comes first");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (laggards, start) = (Laggards::default(), Instant::now());
        for n in 0..CAPACITY + 10 {
            let addr = SocketAddr::new([10, 0, 0, 1].into(), u16::try_from(n).unwrap());
            laggards.lags(addr, start + Duration::from_millis(n as u64));
        }
        assert_eq!(laggards.since.lock().len(), CAPACITY);
        assert!(!laggards.since.lock().contains_key(&"10.0.0.1:9".parse().unwrap()), "the oldest made room");
    }
}
