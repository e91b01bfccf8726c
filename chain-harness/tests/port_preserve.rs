//! One route for several ports, whose target keeps the port that the client came to.

use std::net::{Ipv6Addr, SocketAddr, TcpListener};

use chain_harness::{Backend, Ending, Hop, PATIENCE, Wire, scenario};

#[test]
fn each_port_leads_to_the_same_port_of_the_backend() {
    scenario(async {
        let hop = Hop::start(
            r#"
            [[listeners]]
            bind = ["127.0.0.1"]
            [[routes]]
            name = "all"
            match = { ports = [PORT_A, PORT_B] }
            action = { forward = ["[::1]:preserve"] }
            "#,
        );
        let backends = [0, 1].map(|n| {
            // The same port of the other loopback address, where only chance could have put somebody.
            let addr = SocketAddr::from((Ipv6Addr::LOCALHOST, hop.at(n).port()));
            let listener = TcpListener::bind(addr).unwrap();
            Backend::on(listener, move |mut wire| async move {
                wire.try_send(format!("backend {n}")).await.unwrap_or_default();
                wire.half_close().await;
                wire.read_to_end().await;
            })
        });
        for (n, backend) in backends.iter().enumerate() {
            let mut client = Wire::connect(hop.at(n)).await;
            let received = client.read_to_end().await;
            assert_eq!((received.text(), received.end), (format!("backend {n}"), Some(Ending::Fin)));
            drop(client);
            let end = hop.ended(n + 1).await.remove(n);
            assert_eq!(end.target, Some(backend.addr().to_string()));
        }
        hop.empties(PATIENCE).await;
    });
}
