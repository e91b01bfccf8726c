//! A service whose server speaks first works through the chain: no hop waits for the client.

use chain_harness::{Backend, Chain, Ending, scenario};
use proxy_conn::Cause;

#[test]
fn the_banner_reaches_a_client_that_has_said_nothing() {
    scenario(async {
        let backend = Backend::serving(|mut wire| async move {
            wire.try_send("220 ready\r\n").await.unwrap_or_default();
            wire.read_until(|bytes| bytes == b"QUIT\r\n").await;
            wire.try_send("221 bye\r\n").await.unwrap_or_default();
            wire.half_close().await;
            wire.read_to_end().await;
        });
        let chain = Chain::to(backend.addr());
        let mut client = chain.connect().await;
        client.expect("220 ready\r\n").await;
        client.send("QUIT\r\n").await;
        let received = client.read_to_end().await;
        assert_eq!((received.text().as_str(), received.end), ("220 ready\r\n221 bye\r\n", Some(Ending::Fin)));
        drop(client);
        assert_eq!(chain.inner.the_end().await.cause, Cause::Finished);
        chain.settles().await;
    });
}

#[test]
fn a_banner_and_nothing_else() {
    scenario(async {
        let backend = Backend::source(b"the time is 12:00\r\n");
        let chain = Chain::to(backend.addr());
        let mut client = chain.connect().await;
        let received = client.read_to_end().await;
        assert_eq!((received.text().as_str(), received.end), ("the time is 12:00\r\n", Some(Ending::Fin)));
        drop(client);
        chain.settles().await;
    });
}
