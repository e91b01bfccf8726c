//! HAProxy in front of us sends PROXY v1.

use chain_harness::{Backend, Ending, Hop, PATIENCE, Peer, Wire, config, scenario};
use proxy_conn::Cause;

#[test]
fn the_client_address_reaches_our_log() {
    scenario(async {
        let backend = Backend::echo();
        let hop = Hop::start(&config::inner("", &[&backend.addr()]));
        let config = format!(
            "defaults\n mode tcp\n timeout connect 5s\n timeout client 9s\n timeout server 9s\n\
             listen front\n bind 127.0.0.1:PORT_A\n server us {} send-proxy\n",
            hop.addr()
        );
        let Some(haproxy) = Peer::haproxy(&config).await else { return };
        let mut client = Wire::connect(haproxy.addr()).await;
        client.send("hello").await;
        client.half_close().await;
        let received = client.read_to_end().await;
        assert_eq!((received.text().as_str(), received.end), ("hello", Some(Ending::Fin)));
        let end = hop.the_end().await;
        assert_eq!((end.cause, end.client), (Cause::Finished, Some(client.local_addr())));
        assert_ne!(end.peer, client.local_addr());
        assert_eq!(backend.first().text(), "hello", "the header is not part of the payload");
        hop.empties(PATIENCE).await;
    });
}
