//! HAProxy: takes UNKNOWN only bare, and refuses PROXY without an address.

use chain_harness::{Peer, scenario};

use super::{BOTH, over_http, sees_every_client, takes};

#[test]
fn sees_every_client_of_ours() {
    scenario(async {
        let config = "defaults\n mode http\n timeout connect 5s\n timeout client 9s\n timeout server 9s\n\
             frontend behind\n bind 127.0.0.1:PORT_A accept-proxy\n \
             http-request return status 200 hdr X-Client %[src]\n";
        let Some(haproxy) = Peer::haproxy(config).await else { return };
        sees_every_client(haproxy.addr(), &BOTH, over_http).await;
        takes(haproxy.addr(), 16384, over_http).await;
    });
}
