//! What a connection takes of memory while it lives, its client's count included. Its own process, as it counts every
//! allocation in it.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed assumption of a test is its failure"
)]

#[path = "shared/counting.rs"]
mod counting;

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use proxy_conn::limits::{AddressLimits, AddressLimitsOptions, AddressPermit};
use proxy_conn::{ConnGuard, DeadlineKind, Opening, Phase, Reason, Tally, Tracker};
use proxy_core::relay::{Meter as _, RelayDeadline, Side};
use proxy_core::{ClientAddr, PeerAddr};

use counting::{Counting, allocated};

#[global_allocator]
static COUNTING: Counting = Counting;

/// The bound that a connection is held to.
const MOST: usize = 300;

struct Process {
    tracker: Arc<Tracker>,
    addresses: AddressLimits,
    listener: Tally,
    route: Tally,
    targets: [Tally; 3],
}

impl Process {
    fn new() -> Self {
        let addresses = AddressLimits::new(
            AddressLimitsOptions::default()
                .connections_per_client(NonZeroU32::MAX)
                .connections_per_client_per_minute(NonZeroU32::MAX)
                .client_table_capacity(NonZeroU32::new(2_000_000).unwrap()),
        );
        Self {
            tracker: Tracker::new(2, ()),
            addresses,
            listener: "0.0.0.0:443".into(),
            route: "https".into(),
            targets: ["10.0.0.1:443", "10.0.0.2:443", "10.0.0.3:443"].map(Into::into),
        }
    }

    /// A connection in its relay phase, from behind another proxy, with all that is usually known of one.
    fn connect(&self, nth: u32, clients: u32) -> (AddressPermit, ConnGuard) {
        let ip = IpAddr::from(Ipv4Addr::from(0x0A00_0000 + nth % clients));
        let peer = PeerAddr::new(([192, 0, 2, 1], 40_000).into());
        let opening = Opening::new(peer, self.listener.clone());
        let guard = self.tracker.open(nth as usize, opening);
        let permit = self.addresses.admit(ip, guard.opened()).unwrap();
        let due = guard.opened() + Duration::from_secs(30);
        guard.learn(|facts| facts.client = Some(ClientAddr::new((ip, 50_000).into())));
        guard.join(proxy_conn::PoolId::new(1).unwrap(), false);
        guard.hold(Side::Client, Some(10));
        guard.enter(Phase::Dial, due, DeadlineKind::Dial).unwrap();
        guard.learn(|facts| facts.route = Some(self.route.clone()));
        guard.learn(|facts| facts.target = Some(self.targets[nth as usize % 3].clone()));
        guard.hold(Side::Backend, Some(11));
        guard.enter(Phase::Relay, due, DeadlineKind::Relay(RelayDeadline::Idle)).unwrap();
        guard.moved(Side::Client, 100, due);
        guard.moved(Side::Backend, 1000, due);
        // Its task waits to be cancelled, as it always does; the task itself is not the tracker's.
        let mut context = Context::from_waker(Waker::noop());
        assert!(pin!(guard.cancelled()).poll(&mut context).is_pending());
        (permit, guard)
    }
}

/// One test, as others in the process would be counted too.
#[test]
fn a_connection_takes_less_than_300_bytes_and_gives_them_back() {
    // With 140 000 clients, their table has just doubled: it is at its emptiest.
    for (live, clients) in
        [(100_000, 10_000), (140_000, 140_000), (1_000_000, 10_000), (1_000_000, 1_000_000)]
    {
        let process = Process::new();
        let mut held = Vec::with_capacity(live as usize);
        let before = allocated();
        held.extend((0..live).map(|nth| process.connect(nth, clients)));
        let each = (allocated() - before) / held.len();
        let frame = size_of_val(&held[0]);
        println!(
            "{live} connections of {clients} clients: {each} bytes each, and {frame} in the task's frame"
        );
        assert!(each < MOST, "{each} bytes each, {live} connections of {clients} clients");
        assert_eq!(process.tracker.cancel_all(Reason::Shutdown), held.len());
        let listed = process.tracker.connections().len();
        held.clear();
        assert_eq!((listed, process.tracker.len(), process.addresses.total()), (live as usize, 0, 0));
        let kept = (allocated() - before) / listed;
        assert!(kept < 48, "{kept} bytes for each are kept: the table's places, and clients to be forgotten");
    }
}
