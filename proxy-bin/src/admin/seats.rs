//! How many are served at a time, and who gives way where that is not enough.
//!
//! Somebody who has sent no request costs nothing to put out: there is nothing that would be cut. So of those the oldest goes
//! when all seats are taken, and when one address has more than a few; whoever is being answered stays. A crowd that connects
//! and says nothing can so keep nobody out, whether or not it has a token.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Connections of one address that may wait for a request at a time: more than a browser opens to one host (6).
const WAITING_EACH: usize = 8;

/// The bits of an IPv6 address that count as one: a single client has a network of 64 bits at least.
const V6_PREFIX: u128 = !0 << 64;

/// Where a connection is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// By the Unix socket: whoever may open it may do everything.
    Local,
    /// From this address.
    Address(IpAddr),
}

impl Source {
    /// From an address, as what counts as one.
    pub(super) fn of(ip: IpAddr) -> Self {
        Self::Address(match ip.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & V6_PREFIX).into()),
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

/// The seats of one listener. Cheap to clone; clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Seats(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    most: usize,
    table: Mutex<Table>,
    /// A seat is free, or somebody who was to give way stays.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    taken: HashMap<u64, Taken>,
}

/// A seat that is taken.
#[derive(Debug)]
struct Taken {
    source: Source,
    /// Requests that are being answered.
    under_way: usize,
    /// Whether there ever was one.
    asked: bool,
    /// Since when there is none.
    waits_since: Instant,
    /// It was told to go.
    leaves: bool,
    told: Arc<Notify>,
}

impl Taken {
    fn can_be_told(&self) -> bool {
        self.under_way == 0 && !self.leaves
    }
}

/// One's seat. Dropped, it is free.
#[derive(Debug)]
pub(super) struct Seat {
    number: u64,
    seats: Seats,
    told: Arc<Notify>,
}

/// A request that is being answered, until it is dropped.
#[derive(Debug)]
pub(super) struct UnderWay(Arc<Seat>);

impl Seats {
    /// So many.
    pub(super) fn new(most: usize) -> Self {
        Self(Arc::new(Shared { most, table: Mutex::default(), changed: Notify::new() }))
    }

    /// A seat for one from `source`, once there is one: for as long as all are being answered that is not yet. Cancel-safe.
    pub(super) async fn take(&self, source: Source) -> Seat {
        loop {
            let changed = self.0.changed.notified();
            if let Some(seat) = self.try_take(source) {
                return seat;
            }
            changed.await;
        }
    }

    fn try_take(&self, source: Source) -> Option<Seat> {
        let mut table = self.0.table.lock();
        if matches!(source, Source::Address(_)) {
            let of_its = |taken: &Taken| taken.source == source && taken.can_be_told();
            if table.taken.values().filter(|taken| of_its(taken)).count() >= WAITING_EACH {
                table.tell_oldest(of_its);
            }
        }
        if table.taken.len() >= self.0.most {
            table.make_room();
            return None;
        }
        let number = table.next;
        table.next += 1;
        let told = Arc::<Notify>::default();
        let (under_way, asked, leaves) = (0, false, false);
        let waits_since = Instant::now();
        let taken = Taken { source, under_way, asked, waits_since, leaves, told: Arc::clone(&told) };
        table.taken.insert(number, taken);
        Some(Seat { number, seats: self.clone(), told })
    }

    /// Has the oldest go that waits for a request, for what it has is needed.
    pub(super) fn make_room(&self) {
        self.0.table.lock().make_room();
    }
}

impl Table {
    /// Tells the oldest to go, unless somebody goes already.
    fn make_room(&mut self) {
        if !self.taken.values().any(|taken| taken.leaves) {
            self.tell_oldest(Taken::can_be_told);
        }
    }

    fn tell_oldest(&mut self, among: impl Fn(&Taken) -> bool) {
        let waiting = self.taken.iter_mut().filter(|(_, taken)| among(taken));
        if let Some((_, oldest)) = waiting.min_by_key(|(number, taken)| (taken.waits_since, **number)) {
            oldest.leaves = true;
            oldest.told.notify_one();
        }
    }
}

impl Seat {
    /// Resolves when it is needed for somebody else. Cancel-safe.
    pub(super) async fn needed(&self) {
        self.told.notified().await;
    }

    /// Whether whoever has it has ever asked for something, and whether it is being answered now.
    pub(super) fn asked(&self) -> (bool, bool) {
        let table = self.seats.0.table.lock();
        table.taken.get(&self.number).map_or((false, false), |taken| (taken.asked, taken.under_way > 0))
    }

    /// Stays although it was told to go: a request has come since.
    pub(super) fn stay(&self) {
        if let Some(taken) = self.seats.0.table.lock().taken.get_mut(&self.number) {
            taken.leaves = false;
        }
        self.seats.0.changed.notify_one();
    }

    /// A request has come.
    pub(super) fn begin(self: &Arc<Self>) -> UnderWay {
        if let Some(taken) = self.seats.0.table.lock().taken.get_mut(&self.number) {
            taken.under_way += 1;
            taken.asked = true;
        }
        UnderWay(Arc::clone(self))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(taken) = self.0.seats.0.table.lock().taken.get_mut(&self.0.number) {
            taken.under_way -= 1;
            taken.waits_since = Instant::now();
        }
        // Whoever waits for a seat may have it now.
        self.0.seats.0.changed.notify_one();
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.0.table.lock().taken.remove(&self.number);
        self.seats.0.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::time::Duration;
    use tokio::time::{advance, timeout};

    fn from(last: u8) -> Source {
        Source::of(Ipv4Addr::new(10, 0, 0, last).into())
    }

    async fn is_needed(seat: &Seat) -> bool {
        timeout(Duration::ZERO, seat.needed()).await.is_ok()
    }

    async fn is_in_vain(seats: &Seats, source: Source) -> bool {
        timeout(Duration::from_secs(1), seats.take(source)).await.is_err()
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_waited_longest_without_a_request_gives_way() {
        let seats = Seats::new(3);
        let mut taken = Vec::new();
        for last in 1..=3 {
            taken.push(Arc::new(seats.take(from(last)).await));
            advance(Duration::from_secs(1)).await;
        }
        let busy = taken[0].begin();
        assert!(is_in_vain(&seats, from(4)).await, "it has not gone yet");
        assert!(!is_needed(&taken[0]).await && is_needed(&taken[1]).await && !is_needed(&taken[2]).await);
        taken.remove(1);
        let fourth = Arc::new(seats.take(from(4)).await);
        advance(Duration::from_secs(1)).await;
        // Answered just now: the third has waited longer.
        drop(busy);
        assert!(is_in_vain(&seats, from(5)).await);
        assert!(!is_needed(&taken[0]).await && is_needed(&taken[1]).await && !is_needed(&fourth).await);
    }

    #[tokio::test(start_paused = true)]
    async fn while_all_are_answered_who_comes_waits() {
        let seats = Seats::new(1);
        let only = Arc::new(seats.take(from(1)).await);
        let under_way = only.begin();
        assert!(is_in_vain(&seats, from(2)).await);
        assert!(!is_needed(&only).await);
        let ends = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            drop(under_way);
            only.needed().await;
            drop(only);
        };
        let (_, ()) = tokio::join!(seats.take(from(2)), ends);
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_asked_meanwhile_stays_and_another_is_told() {
        let seats = Seats::new(2);
        let (one, two) = (Arc::new(seats.take(from(1)).await), seats.take(from(2)).await);
        assert!(is_in_vain(&seats, from(3)).await);
        let _answered = one.begin();
        assert!(is_needed(&one).await);
        assert_eq!(one.asked(), (true, true));
        one.stay();
        assert!(is_in_vain(&seats, from(3)).await);
        assert!(is_needed(&two).await);
    }

    #[tokio::test(start_paused = true)]
    async fn of_one_address_a_few_wait_and_others_are_left_alone() {
        let seats = Seats::new(64);
        let other = seats.take(from(2)).await;
        let mut crowd = Vec::new();
        for _ in 0..WAITING_EACH {
            crowd.push(seats.take(from(1)).await);
        }
        assert!(!is_needed(&crowd[0]).await);
        crowd.push(seats.take(from(1)).await);
        assert!(is_needed(&crowd[0]).await && !is_needed(&crowd[1]).await && !is_needed(&other).await);
        let mut local = Vec::new();
        for _ in 0..2 * WAITING_EACH {
            local.push(seats.take(Source::Local).await);
        }
        assert!(!is_needed(&local[0]).await);
    }

    #[test]
    fn a_network_of_v6_is_one_and_a_mapped_address_is_v4() {
        let v6 = |text: &str| Source::of(text.parse::<Ipv6Addr>().unwrap().into());
        assert_eq!(v6("2001:db8::1"), v6("2001:db8::ffff:2"));
        assert_ne!(v6("2001:db8::1"), v6("2001:db8:0:1::1"));
        assert_eq!(v6("::ffff:10.0.0.1"), from(1));
    }
}
