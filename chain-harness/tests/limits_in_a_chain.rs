//! Limits of the inner hop's parts, met through the outer one: never exceeded, never leaked, and what is too much is refused
//! at once and travels back as a reset.

use chain_harness::{Backend, Chain, Wire, eventually, scenario};
use proxy_conn::Cause;

const MOST: usize = 3;
const ROUNDS: usize = 3;

/// An inner hop with a limit in its route (`of_route`) or above all tables (`above`).
fn chain(backend: &Backend, above: &str, of_route: &str) -> Chain {
    Chain::in_front(
        "",
        &format!(
            r#"
            limits.connections_per_client = "off"
            limits.connections_per_client_per_minute = "off"
            {above}
            [[listeners]]
            ports = [PORT_A]
            bind = ["127.0.0.1"]
            accept_proxy = {{ required = ["127.0.0.1/32"] }}
            {}
            [[routes]]
            name = "inner"
            match = {{ ports = [PORT_A] }}
            action = {{ forward = ["{}"] }}
            {of_route}
            "#,
            if above == LISTENER { "max_connections = 3" } else { "" },
            backend.addr(),
        ),
    )
}

/// Says that the limit is the listener's, which has its own table.
const LISTENER: &str = "# of the listener";

async fn served(chain: &Chain) -> Wire {
    let mut client = chain.connect().await;
    client.send("hello").await;
    client.expect("hello").await;
    client
}

fn holds(above: &str, of_route: &str, expected: Cause) {
    scenario(async {
        let backend = Backend::echo();
        let chain = chain(&backend, above, of_route);
        for round in 1..=ROUNDS {
            let mut clients = Vec::new();
            for _ in 0..MOST {
                clients.push(served(&chain).await);
            }
            for _ in 0..2 {
                let mut refused = chain.connect().await;
                assert!(refused.read_to_end().await.is_only_a_reset());
            }
            eventually(chain_harness::PATIENCE, || chain.inner.ends_of(expected) == 2 * round as u64).await;
            assert_eq!(backend.accepted(), (MOST + 1) * round - 1, "nobody is dialled for who is refused");
            // One goes, another has its place.
            drop(clients.pop());
            eventually(chain_harness::PATIENCE, || chain.inner.tracker().len() == MOST - 1).await;
            clients.push(served(&chain).await);
            drop(clients);
            chain.settles().await;
        }
    });
}

#[test]
fn of_a_route() {
    holds("", "max_connections = 3", Cause::RouteLimit);
}

#[test]
fn of_a_pool() {
    holds("pools.chain.max_connections = 3", "", Cause::PoolLimit);
}

#[test]
fn of_a_target() {
    holds("", "max_connections_per_target = 3", Cause::TargetLimit);
}

#[test]
fn of_a_listener() {
    holds(LISTENER, "", Cause::ListenerLimit);
}

/// With `queue`, whoever is too much waits for a place, and is served in his turn.
#[test]
fn of_a_route_where_they_may_wait() {
    scenario(async {
        let backend = Backend::echo();
        let queue = r#"at_limit = { queue = { most_waiting = 2, longest_wait = "20s" } }"#;
        let chain = chain(&backend, "", &format!("max_connections = 3\n{queue}"));
        let mut clients = Vec::new();
        for _ in 0..MOST {
            clients.push(served(&chain).await);
        }
        let mut waiting = Vec::new();
        for n in 1..=2 {
            let mut client = chain.connect().await;
            client.send("hello").await;
            waiting.push(client);
            chain.inner.has_in(proxy_conn::Phase::Dial, n).await;
        }
        let mut refused = chain.connect().await;
        assert!(refused.read_to_end().await.is_only_a_reset());
        eventually(chain_harness::PATIENCE, || chain.inner.ends_of(Cause::QueueFull) == 1).await;
        assert_eq!(backend.accepted(), MOST);
        // The one that leaves while it waits takes nobody's place.
        waiting.remove(0).reset();
        chain.inner.has_in(proxy_conn::Phase::Dial, 1).await;
        drop(clients.pop());
        waiting[0].expect("hello").await;
        drop((clients, waiting, refused));
        chain.settles().await;
    });
}
