//! nginx: as a web server it takes 1024 bytes of version 2, as a stream 107 until 1.23.

use chain_harness::{Peer, Wire, scenario};

use super::{BOTH, over_http, sees_every_client, takes};

#[test]
fn as_a_web_server_it_sees_every_client_of_ours() {
    scenario(async {
        let config = "http { access_log off; \
             client_body_temp_path DIR/a; proxy_temp_path DIR/b; fastcgi_temp_path DIR/c; uwsgi_temp_path DIR/d; \
             scgi_temp_path DIR/e; set_real_ip_from 127.0.0.1; real_ip_header proxy_protocol; \
             server { listen 127.0.0.1:PORT_A proxy_protocol; \
             location / { add_header X-Client $remote_addr; return 200; } } }";
        let Some(nginx) = Peer::nginx(config).await else { return };
        sees_every_client(nginx.addr(), &BOTH, over_http).await;
        takes(nginx.addr(), 1024, over_http).await;
    });
}

#[test]
fn as_a_stream_it_sees_every_client_of_ours() {
    scenario(async {
        let config = "stream { server { listen 127.0.0.1:PORT_A proxy_protocol; \
             return \"$proxy_protocol_addr $remote_addr\"; } }";
        let Some(nginx) = Peer::nginx(config).await else { return };
        let ask = async |client: &mut Wire| {
            // Without an address in the header the first is empty.
            let answer = client.read_to_end().await.text();
            answer.split_whitespace().next().unwrap_or_default().to_owned()
        };
        sees_every_client(nginx.addr(), &BOTH, &ask).await;
        takes(nginx.addr(), 107, &ask).await;
    });
}
