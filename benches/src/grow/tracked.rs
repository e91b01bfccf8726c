//! What it costs to open and close an entry, with every limit on, while more and more others are open. In this process:
//! no proxy has a million connections here.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::Arc;

use proxy_conn::limits::{AddressLimits, AddressLimitsOptions, AddressPermit, Limit, Permit};
use proxy_conn::{ConnGuard, Opening, Tracker};
use proxy_core::PeerAddr;

use super::{Cells, Run, count};
use crate::clock;

const SIZES: [u32; 4] = [1_000, 10_000, 100_000, 1_000_000];
const OPENED: u64 = 400_000;
/// More than there are entries.
const LIMIT: usize = 2_000_000;

struct Process {
    tracker: Arc<Tracker>,
    limits: [Limit; 3],
    addresses: AddressLimits,
    listener: proxy_conn::Tally,
    clients: u32,
}

type Held = ([Option<Permit>; 3], Option<AddressPermit>, ConnGuard);

pub(super) fn table(run: &Run) -> String {
    let (mut cells, opened) = (Cells::default(), run.amount(OPENED));
    for size in SIZES {
        for (column, clients) in [(0, size.min(10_000)), (1, size)] {
            eprintln!("tracked: {size} entries of {clients} clients");
            let process = Process::new(clients);
            let held: Vec<_> = (0..size).map(|nth| process.open(nth)).collect();
            for round in 0..=run.rounds {
                let start = clock::now();
                for nth in 0..opened {
                    // An order that no cache foresees.
                    let nth = u32::try_from(nth % u64::from(u32::MAX)).unwrap_or(0).wrapping_mul(387_413);
                    drop(black_box(process.open(nth)));
                }
                // The first one warms up.
                if round > 0 {
                    cells.push(size.into(), column, start.elapsed().as_secs_f64() * 1e9 / opened as f64);
                }
            }
            drop(held);
        }
    }
    let columns = [("ns, of 10 000 clients at most", 0), ("ns, each of its own client", 0)];
    let columns = columns.map(|(title, decimals)| (title.to_owned(), decimals));
    cells.table("Opening and closing an entry, with all limits on", "entries", &columns, count)
}

impl Process {
    fn new(clients: u32) -> Self {
        let many = u32::try_from(LIMIT).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MAX);
        let addresses = AddressLimits::new(
            AddressLimitsOptions::default()
                .connections_per_client(NonZeroU32::MAX)
                .connections_per_client_per_minute(NonZeroU32::MAX)
                .client_table_capacity(many),
        );
        let limits = [(); 3].map(|()| Limit::new(LIMIT));
        Self { tracker: Tracker::new(1, ()), limits, addresses, listener: "bench".into(), clients }
    }

    fn open(&self, nth: u32) -> Held {
        let ip = IpAddr::from(Ipv4Addr::from(0x0A00_0000 + nth % self.clients));
        let opening = Opening::new(PeerAddr::new((ip, 4000).into()), self.listener.clone());
        let guard = self.tracker.open(0, opening);
        let permits = self.limits.each_ref().map(Limit::acquire);
        let permit = self.addresses.admit(ip, guard.opened()).ok();
        (permits, permit, guard)
    }
}
