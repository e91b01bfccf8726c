//! A request and its answer, and what each hop learns of the client on the way.

use std::net::{Ipv6Addr, SocketAddr};

use chain_harness::{Backend, Chain, Ending, Wire, scenario};
use proxy_conn::Cause;

const REQUEST: &str = "GET / HTTP/1.1\r\n\r\n";

async fn goes_through(chain: &Chain, mut client: Wire) {
    client.send(REQUEST).await;
    let answer = client.read_to_end().await;
    assert!(answer.text().ends_with("\r\n\r\nhello"), "{answer:?}");
    assert_eq!(answer.end, Some(Ending::Fin));
    let addr = client.local_addr();
    drop(client);
    let (outer, inner) = (chain.outer.the_end().await, chain.inner.the_end().await);
    assert_eq!((outer.cause, inner.cause), (Cause::Finished, Cause::Finished));
    assert_eq!((outer.client, inner.client), (Some(addr), Some(addr)), "both hops know the client");
    assert_eq!(outer.peer, addr);
    assert_ne!(inner.peer, addr, "the inner hop's peer is the outer hop");
    assert_eq!((outer.previous.as_str(), inner.previous), ("", outer.id));
    assert_eq!((outer.from_client, outer.from_backend), (REQUEST.len() as u64, answer.bytes.len() as u64));
    assert_eq!(inner.from_backend, outer.from_backend);
    chain.settles().await;
}

#[test]
fn over_ipv4() {
    scenario(async {
        let backend = Backend::answers("hello");
        let chain = Chain::to(backend.addr());
        goes_through(&chain, chain.connect().await).await;
        assert_eq!(backend.first().text(), REQUEST);
    });
}

#[test]
fn over_ipv6_on_the_first_leg() {
    scenario(async {
        let backend = Backend::answers("hello");
        let chain = Chain::to(backend.addr());
        let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, chain.outer.addr().port()));
        goes_through(&chain, Wire::connect(v6).await).await;
    });
}
