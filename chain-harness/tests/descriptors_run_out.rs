//! The limit of open files is met: the proxy neither spins nor stops accepting, and serves again when there is one free.

use std::time::Duration;

use chain_harness::{Backend, PATIENCE, Process, Processes, Smartproxy, Wire, config, within};
use tokio::time::Instant;

async fn greets(client: &mut Wire) {
    client.send("hello").await;
    client.expect("hello").await;
}

/// With no more than these from the start, there is room for a few: what it keeps back is not for connections.
#[test]
fn where_few_are_to_be_had_it_takes_in_fewer_and_the_others_wait() {
    Smartproxy::scenario(async {
        let backend = Backend::echo();
        let config = config::single("workers = 1", &[&backend.addr()]);
        let proxy = Smartproxy::run_with_descriptors(149, &config).await;
        // 149, less 18 of its own, one that listens and two pipes, and a quarter of the rest to spare, at two a connection.
        const ROOM: usize = 47;
        let mut clients = Vec::new();
        for _ in 0..2 * ROOM {
            let mut client = Wire::connect(proxy.addr()).await;
            client.send("hello").await;
            clients.push(client);
        }
        let waiting = clients.split_off(ROOM);
        for client in &mut clients {
            client.expect("hello").await;
        }
        assert_eq!(backend.accepted(), ROOM);
        drop(clients);
        for mut client in waiting {
            client.expect("hello").await;
        }
        assert!(!proxy.process.output().contains("cannot accept"), "{}", proxy.process.output());
        proxy.settles_within(PATIENCE).await;
    });
}

/// They run out later: the limit is lowered while it runs, as other users of the machine do with that of all files.
#[test]
fn where_all_are_gone_it_does_not_spin_and_goes_on_when_there_are_some() {
    Smartproxy::scenario(async {
        let backend = Backend::echo();
        // Only one thread accepts, and the breaker soon sees that there is room again.
        let outer = "workers = 1\npools.chain.overload.least_stay = \"1s\"\n";
        let chain = Processes::with(outer, "", backend.addr()).await;
        let outer = &chain.outer.process;
        outer.leave_room_for(2 * SERVED as u64);
        let mut served = Vec::new();
        for _ in 0..SERVED {
            let mut client = chain.connect().await;
            greets(&mut client).await;
            served.push(client);
        }
        let mut late = chain.connect().await;
        late.send("hello").await;
        outer.says("cannot accept").await;
        does_not_spin(outer).await;
        // Its breaker sees it too, though there is not even a descriptor to look with.
        outer.says("→ shed").await;
        for client in &mut served {
            client.send("!").await;
            client.expect("hello!").await;
        }
        drop(served.pop());
        // Who waited is served or turned away, but does not wait for ever; and soon all are served again.
        assert!(!late.read_some().await.is_empty() || late.received().is_only_a_reset());
        drop((served, late));
        outer.leave_room();
        within(PATIENCE, is_served_again(&chain)).await;
        chain.settle_within(PATIENCE).await;
    });
}

const SERVED: usize = 5;

/// A tenth of one processor would be far too much; spinning takes a whole one, or what a busy machine leaves of it.
async fn does_not_spin(process: &Process) {
    let (cpu, since) = (process.cpu(), Instant::now());
    tokio::time::sleep(Duration::from_millis(500)).await;
    let used = process.cpu() - cpu;
    assert!(used < since.elapsed() / 10, "{used:?} of {:?}: it spins", since.elapsed());
}

async fn is_served_again(chain: &Processes) {
    loop {
        let mut client = chain.connect().await;
        client.try_send("hello").await.unwrap_or_default();
        if client.read_some().await == b"hello" {
            return;
        }
    }
}
