//! A client that reads a KiB now and then from a backend that never pauses: nothing piles up on the way, for the backend
//! cannot write what nobody takes.

use std::time::Duration;

use chain_harness::{Backend, Chain, Counting, Wire, allocated, eventually, scenario, settled};

#[global_allocator]
static COUNTING: Counting = Counting;

const CLIENTS: usize = 10;
const KIB: usize = 1024;

/// What a hop may keep for one connection: what one read took and the other side did not (`scratch::SIZE` of `proxy-core`),
/// the connection's own state, and the growth of what all share.
const KEPT: usize = 64 * KIB + 16 * KIB;

/// What the kernel may hold at most of one connection between backend and client: both buffers of all three legs, as its
/// limits are (tcp(7)).
fn kernel_buffers() -> usize {
    let largest = |name| -> usize {
        let limits = std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).unwrap_or_default();
        let largest = limits.split_whitespace().nth(2).and_then(|largest| largest.parse().ok());
        largest.expect("Linux has /proc, with three limits in a line")
    };
    3 * (largest("tcp_rmem") + largest("tcp_wmem"))
}

/// All that this side of the chain got from the backend and has not passed on.
fn on_the_way(chain: &Chain, clients: &[Wire]) -> u64 {
    let read: u64 = chain.inner.tracker().snapshot().iter().map(|view| view.from_backend).sum();
    read - clients.iter().map(|client| client.received().bytes.len() as u64).sum::<u64>()
}

#[test]
fn memory_is_bounded_and_flow_control_reaches_the_backend() {
    scenario(async {
        let backend = Backend::floods();
        let chain = Chain::to(backend.addr());
        let before = allocated();
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            clients.push(Wire::connect_with_room_for(4 * KIB, chain.outer.addr()).await);
        }
        let still = Duration::from_millis(300);
        for _ in 0..3 {
            for client in &mut clients {
                client.read_at_most(KIB).await;
            }
            let sent = settled(still, || backend.sent()).await;
            assert!(sent < (CLIENTS * kernel_buffers()) as u64, "the backend wrote {sent} bytes");
            assert!(on_the_way(&chain, &clients) <= sent);
            let kept = allocated().saturating_sub(before);
            assert!(kept < CLIENTS * 2 * KEPT, "{kept} bytes allocated");
        }
        // It is held back, not lost: who takes bytes makes room for others.
        let sent = backend.sent();
        let greedy = clients.first_mut().unwrap();
        let taken = async { while !greedy.read_at_most(64 * KIB).await.is_empty() {} };
        tokio::select! {
            () = taken => panic!("it never ends"),
            () = eventually(chain_harness::PATIENCE, || backend.sent() > sent + (1 << 20)) => {}
        }
        clients.into_iter().for_each(Wire::reset);
        chain.settles().await;
    });
}
