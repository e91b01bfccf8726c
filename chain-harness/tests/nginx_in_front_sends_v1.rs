//! nginx in front of us sends PROXY v1.

use chain_harness::{Backend, Ending, Hop, PATIENCE, Peer, Wire, config, scenario};
use proxy_conn::Cause;

#[test]
fn the_client_address_reaches_our_log() {
    scenario(async {
        let backend = Backend::echo();
        let hop = Hop::start(&config::inner("", &[&backend.addr()]));
        let config = format!(
            "stream {{ server {{ listen 127.0.0.1:PORT_A; proxy_pass {}; proxy_protocol on; }} }}",
            hop.addr()
        );
        let Some(nginx) = Peer::nginx(&config).await else { return };
        let mut client = Wire::connect(nginx.addr()).await;
        client.send("hello").await;
        client.expect("hello").await;
        client.half_close().await;
        assert_eq!(client.read_to_end().await.end, Some(Ending::Fin));
        let end = hop.the_end().await;
        assert_eq!((end.cause, end.client), (Cause::Finished, Some(client.local_addr())));
        assert_ne!(end.peer, client.local_addr());
        assert_eq!(backend.first().text(), "hello", "the header is not part of the payload");
        hop.empties(PATIENCE).await;
    });
}

/// Told of an IPv6 client by its own peer, on an IPv4 socket, it writes `PROXY TCP6 <IPv6> <IPv4> …`.
#[test]
fn a_client_of_the_other_family_than_the_socket_is_known_too() {
    scenario(async {
        let backend = Backend::echo();
        let hop = Hop::start(&config::inner("", &[&backend.addr()]));
        let config = format!(
            "stream {{ server {{ listen 127.0.0.1:PORT_A proxy_protocol; set_real_ip_from 127.0.0.1; \
             proxy_pass {}; proxy_protocol on; }} }}",
            hop.addr()
        );
        let Some(nginx) = Peer::nginx(&config).await else { return };
        let mut client = Wire::connect(nginx.addr()).await;
        client.send("PROXY TCP6 2001:db8::7 2001:db8::1 52953 443\r\nhello").await;
        client.expect("hello").await;
        client.half_close().await;
        assert_eq!(client.read_to_end().await.end, Some(Ending::Fin));
        let end = hop.the_end().await;
        assert_eq!((end.cause, end.client), (Cause::Finished, Some("[2001:db8::7]:52953".parse().unwrap())));
        assert_eq!(backend.first().text(), "hello");
        hop.empties(PATIENCE).await;
    });
}
