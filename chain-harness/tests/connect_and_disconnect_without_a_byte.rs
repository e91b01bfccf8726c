//! Thousands of clients connect and leave at once without a byte: both hops are at zero, and so is the kernel.

use chain_harness::{Backend, Chain, Wire, scenario, time_waits};

const CLIENTS: usize = 2_000;
const AT_ONE_TIME: usize = 50;

/// Connections to both hops that are in `TIME_WAIT` on their side.
fn left_behind(chain: &Chain) -> usize {
    chain.hops().map(|hop| time_waits(hop.addr())).sum()
}

fn come_and_go(backend: fn() -> Backend, leave: fn(Wire)) {
    scenario(async {
        let backend = backend();
        let chain = Chain::to(backend.addr());
        // The kernel may have given it ports that somebody has just used.
        let before = left_behind(&chain);
        for _ in 0..CLIENTS / AT_ONE_TIME {
            let mut clients = Vec::new();
            for _ in 0..AT_ONE_TIME {
                clients.push(chain.connect().await);
            }
            clients.into_iter().for_each(leave);
        }
        chain.settles().await;
        for hop in chain.hops() {
            // Some left before they were accepted by the inner hop, none before the outer one: it has a backlog.
            assert!(hop.tracker().opened() <= CLIENTS as u64);
            assert_eq!(hop.tracker().opened(), hop.ends().len() as u64);
        }
        assert_eq!(chain.outer.tracker().opened(), CLIENTS as u64);
        let after = left_behind(&chain);
        assert!(
            after <= before,
            "{after} after {before}: whoever ends first has TIME_WAIT, and that is the client"
        );
    });
}

#[test]
fn with_a_fin() {
    come_and_go(Backend::echo, drop);
}

/// Whoever leaves so is heard of as a reset wherever a connection was made for him, also by a backend that has only just
/// been dialled: nothing else ends it.
#[test]
fn with_a_reset() {
    come_and_go(Backend::silent, Wire::reset);
}
