//! Five hops in a row: bytes, ends and identities travel through all of them, and nothing is left on any.

use std::time::Duration;

use chain_harness::{Backend, Chain, Ending, eventually, scenario};
use proxy_conn::Cause;

const HOPS: usize = 5;
const AT_ONCE: Duration = Duration::from_secs(2);

#[test]
fn a_request_and_its_answer() {
    scenario(async {
        let backend = Backend::answers("hello");
        let chain = Chain::of(HOPS, backend.addr());
        let mut client = chain.connect().await;
        client.send("GET / HTTP/1.1\r\n\r\n").await;
        let received = client.read_to_end().await;
        assert!(received.text().ends_with("hello") && received.end == Some(Ending::Fin), "{received:?}");
        let addr = client.local_addr();
        drop(client);
        assert_eq!(chain.hops().count(), HOPS);
        let mut previous = String::new();
        for hop in chain.hops() {
            let end = hop.the_end().await;
            assert_eq!((end.cause, end.client), (Cause::Finished, Some(addr)));
            assert!(end.previous.ends_with(&previous), "{} after {previous}", end.previous);
            previous = end.id;
        }
        chain.settles().await;
    });
}

#[test]
fn a_reset_either_way() {
    scenario(async {
        let backend = Backend::silent();
        let chain = Chain::of(HOPS, backend.addr());
        let mut client = chain.connect().await;
        client.send("request").await;
        eventually(AT_ONCE, || backend.first().text() == "request").await;
        client.reset();
        eventually(AT_ONCE, || backend.first().end == Some(Ending::Reset)).await;
        for hop in chain.hops() {
            assert_eq!(hop.the_end().await.cause, Cause::ClientReset);
        }
        chain.settles().await;

        let backend = Backend::resets_after(7, b"last words");
        let chain = Chain::of(HOPS, backend.addr());
        let mut client = chain.connect().await;
        client.send("request").await;
        let received = client.read_to_end().await;
        assert_eq!((received.text().as_str(), received.end), ("last words", Some(Ending::Reset)));
        drop(client);
        for hop in chain.hops() {
            assert_eq!(hop.the_end().await.cause, Cause::BackendReset);
        }
        chain.settles().await;
    });
}

#[test]
fn a_half_close_and_all_that_comes_after_it() {
    scenario(async {
        let backend = Backend::sink();
        let chain = Chain::of(HOPS, backend.addr());
        let mut client = chain.connect().await;
        client.send(vec![7; 1 << 20]).await;
        client.half_close().await;
        let received = client.read_to_end().await;
        assert_eq!((received.text(), received.end), ((1 << 20).to_string(), Some(Ending::Fin)));
        drop(client);
        chain.settles().await;
    });
}
