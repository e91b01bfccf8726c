//! HAProxy behind us understands the headers that we send.

use chain_harness::{Ending, Hop, PATIENCE, Peer, Wire, scenario};
use proxy_conn::Cause;

#[test]
fn and_knows_the_client_and_our_id() {
    scenario(async {
        let config = "defaults\n mode http\n timeout connect 5s\n timeout client 9s\n timeout server 9s\n\
             frontend behind\n bind 127.0.0.1:PORT_A accept-proxy\n option http-server-close\n \
             http-request return status 200 content-type text/plain \
             lf-string \"%[src]:%[src_port] %[fc_pp_unique_id].\"\n";
        let Some(haproxy) = Peer::haproxy(config).await else { return };
        let behind = haproxy.addr();
        let hop = Hop::start(&format!(
            r#"
            [[listeners]]
            bind = ["127.0.0.1"]
            [[routes]]
            name = "v1"
            match = {{ ports = [PORT_A] }}
            action = {{ forward = ["{behind}"] }}
            send_proxy = "v1"
            [[routes]]
            name = "v2"
            match = {{ ports = [PORT_B] }}
            action = {{ forward = ["{behind}"] }}
            send_proxy = "v2"
            [[routes]]
            name = "v2 with a checksum"
            match = {{ ports = [PORT_C] }}
            action = {{ forward = ["{behind}"] }}
            send_proxy = "v2"
            proxy_v2 = {{ crc32c = true }}
            "#
        ));
        for (n, has_id) in [(0, false), (1, true), (2, true)] {
            let mut client = Wire::connect(hop.at(n)).await;
            client.send("GET / HTTP/1.1\r\nhost: us\r\nconnection: close\r\n\r\n").await;
            let answer = client.read_to_end().await;
            assert_eq!(answer.end, Some(Ending::Fin));
            let addr = client.local_addr();
            drop(client);
            let end = hop.ended(n + 1).await.remove(n);
            assert_eq!(end.cause, Cause::Finished);
            let id = if has_id { end.id } else { String::new() };
            assert!(
                answer.text().ends_with(&format!("\r\n\r\n{addr} {id}.")),
                "{addr} {id}: {}",
                answer.text()
            );
        }
        hop.empties(PATIENCE).await;
    });
}
