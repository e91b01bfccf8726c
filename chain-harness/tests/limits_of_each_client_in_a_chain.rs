//! The inner hop counts clients by who they are, not by the outer hop, from which they all come.

use std::net::{Ipv4Addr, SocketAddr};

use chain_harness::{Backend, Chain, Wire, eventually, scenario};
use proxy_conn::Cause;

const MOST: u64 = 2;

/// A client on one of the addresses of this machine's loopback.
async fn from(host: u8, chain: &Chain) -> Wire {
    let source = SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 0));
    Wire::connect_from(source, chain.outer.addr()).await
}

async fn is_served(mut client: Wire) -> Wire {
    client.send("hello").await;
    client.expect("hello").await;
    client
}

#[test]
fn how_many_at_one_time() {
    scenario(async {
        let backend = Backend::echo();
        let limits = "limits.connections_per_client = 2\nlimits.connections_per_client_per_minute = \"off\"";
        let chain = Chain::with("", limits, &[&backend.addr()]);
        let mut refused = 0;
        for _ in 0..2 {
            let mut clients = Vec::new();
            for host in 2..6 {
                for _ in 0..MOST {
                    clients.push(is_served(from(host, &chain).await).await);
                }
                assert!(from(host, &chain).await.read_to_end().await.is_only_a_reset());
                refused += 1;
                eventually(chain_harness::PATIENCE, || chain.inner.ends_of(Cause::ClientLimit) == refused)
                    .await;
            }
            // One of a client's own goes: it may have another, and nobody else may.
            drop(clients.remove(0));
            let full = usize::try_from(4 * MOST).unwrap();
            eventually(chain_harness::PATIENCE, || chain.inner.tracker().len() < full).await;
            clients.push(is_served(from(2, &chain).await).await);
            drop(clients);
            chain.settles().await;
        }
    });
}

#[test]
fn how_many_a_minute() {
    scenario(async {
        let backend = Backend::echo();
        let limits = "limits.connections_per_client = \"off\"\nlimits.connections_per_client_per_minute = 2";
        let chain = Chain::with("", limits, &[&backend.addr()]);
        for host in 2..5 {
            for _ in 0..MOST {
                // That it has gone again makes no difference: this is about how many come.
                drop(is_served(from(host, &chain).await).await);
            }
            assert!(from(host, &chain).await.read_to_end().await.is_only_a_reset());
        }
        eventually(chain_harness::PATIENCE, || chain.inner.ends_of(Cause::ClientRate) == 3).await;
        chain.settles().await;
    });
}
