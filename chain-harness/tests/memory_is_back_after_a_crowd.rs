//! Rounds of a mixed crowd through a chain: after each, memory is where it was after the one before.

use chain_harness::{Backend, Chain, Counting, Ending, Wire, allocated, scenario};

#[global_allocator]
static COUNTING: Counting = Counting;

const ROUNDS: usize = 12;
const CROWD: usize = 120;

/// What may be more after the last rounds than after the first three, which find out how much room the tables, queues and
/// wakers need that all connections share. A worker that happens to get more of a later crowd may double one of its own.
/// A leak of 32 bytes a connection is four times as much: the rounds in between open over two thousand on both hops.
const ROOM_OF_TABLES: usize = 16 * 1024;

/// The ends that the harness notes are memory too: one of them for each connection and hop.
fn forget(chain: &Chain) {
    chain.hops().for_each(chain_harness::Hop::forget_ends);
}

async fn comes_and_goes(n: usize, mut client: Wire) {
    if n.is_multiple_of(6) {
        return;
    }
    client.try_send(vec![7; n * 100]).await.unwrap_or_default();
    match n % 6 {
        1 => client.reset(),
        2 => {
            client.half_close().await;
            assert_eq!(client.read_to_end().await.end, Some(Ending::Fin));
        }
        3 => {
            client.read_until(|bytes| bytes.len() == n * 100).await;
        }
        4 => {
            client.read_at_most(10).await;
            client.reset();
        }
        _ => {
            client.half_close().await;
            client.reset();
        }
    }
}

async fn round(chain: &Chain, backend: &Backend) -> usize {
    let mut crowd = Vec::new();
    for _ in 0..CROWD {
        crowd.push(chain.connect().await);
    }
    for (n, client) in crowd.into_iter().enumerate() {
        comes_and_goes(n, client).await;
    }
    chain.settles().await;
    forget(chain);
    backend.forget_visits();
    allocated()
}

#[test]
fn memory_and_tasks_are_at_baseline() {
    scenario(async {
        let backend = Backend::echo();
        let chain = Chain::to(backend.addr());
        let mut after = Vec::new();
        for _ in 0..ROUNDS {
            after.push(round(&chain, &backend).await);
        }
        let (first, last) = (&after[..3], &after[ROUNDS - 3..]);
        let most = first.iter().max().unwrap() + ROOM_OF_TABLES;
        assert!(last.iter().min().unwrap() <= &most, "bytes after each round: {after:?}");
    });
}
