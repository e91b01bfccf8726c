//! nginx behind us understands the headers that we send.

use chain_harness::{Ending, Hop, PATIENCE, Peer, Wire, scenario};
use proxy_conn::Cause;

const CONFIG: &str = "http { access_log off; \
     client_body_temp_path DIR/a; proxy_temp_path DIR/b; fastcgi_temp_path DIR/c; uwsgi_temp_path DIR/d; \
     scgi_temp_path DIR/e; \
     server { listen 127.0.0.1:PORT_A proxy_protocol; \
     location / { return 200 \"$proxy_protocol_addr:$proxy_protocol_port\"; } } }";

#[test]
fn and_knows_the_client() {
    scenario(async {
        let Some(nginx) = Peer::nginx(CONFIG).await else { return };
        let behind = nginx.addr();
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
            proxy_v2 = {{ crc32c = true }}
            "#
        ));
        for n in 0..2 {
            let mut client = Wire::connect(hop.at(n)).await;
            client.send("GET / HTTP/1.1\r\nhost: us\r\nconnection: close\r\n\r\n").await;
            let answer = client.read_to_end().await;
            assert_eq!(answer.end, Some(Ending::Fin));
            let addr = client.local_addr();
            assert!(answer.text().ends_with(&format!("\r\n\r\n{addr}")), "{addr}: {}", answer.text());
            drop(client);
            assert_eq!(hop.ended(n + 1).await.remove(n).cause, Cause::Finished);
        }
        hop.empties(PATIENCE).await;
    });
}
