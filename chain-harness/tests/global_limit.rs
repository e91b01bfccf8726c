//! As many connections as may be are open: one more waits in the kernel, a freed place serves it, and none is ever lost.

use std::time::Duration;

use chain_harness::{Backend, Chain, Ending, PATIENCE, eventually, scenario};

#[test]
fn one_too_many_waits_in_the_backlog_and_is_served_when_there_is_room() {
    scenario(async {
        let backend = Backend::echo();
        let chain = Chain::with("limits.max_connections = 2", "", &[&backend.addr()]);
        for round in 1..=3 {
            let mut clients = vec![chain.connect().await, chain.connect().await];
            for client in &mut clients {
                client.send("hello").await;
                client.expect("hello").await;
            }
            assert_eq!(chain.outer.permits(), 2);
            let mut third = chain.connect().await;
            third.send("third").await;
            assert_eq!(backend.accepted(), 3 * round - 1, "nobody is dialled for who waits");
            clients.pop();
            third.expect("third").await;
            assert_eq!(chain.outer.permits(), 2);
            drop((clients, third));
            eventually(PATIENCE, || chain.outer.permits() == 0).await;
            chain.settles().await;
        }
        chain.outer.is_clean().await;
        chain.inner.is_clean().await;
    });
}

/// Ten times as many as may be, in every way to leave: permits are guards.
#[test]
fn no_permit_is_lost_in_a_crowd() {
    scenario(async {
        let backend = Backend::echo();
        let chain = Chain::with("limits.max_connections = 5", "", &[&backend.addr()]);
        for round in 0..50 {
            let mut client = chain.connect().await;
            // Whoever is refused learns it with the next read.
            client.try_send("hello").await.unwrap_or_default();
            match round % 3 {
                0 => client.reset(),
                1 => drop(client),
                _ => {
                    client.half_close().await;
                    let received = client.read_to_end().await;
                    let served = received.text() == "hello" && received.end == Some(Ending::Fin);
                    assert!(served || received.is_only_a_reset(), "{received:?}");
                }
            }
            assert!(chain.outer.permits() <= 5);
        }
        chain.settles_within(Duration::from_secs(2)).await;
        let mut client = chain.connect().await;
        client.send("hello").await;
        client.expect("hello").await;
        drop(client);
        chain.settles().await;
    });
}
