//! Postfix: answers 421 to every UNKNOWN, and to clients over a protocol that is not among its `inet_protocols`; it takes
//! 536 bytes of version 2.

use chain_harness::{Peer, Wire, scenario};

use super::{BOTH, sees_every_client, takes};

/// Whom it believes, and whom it turns away: everybody, so that it says whom it sees.
const SETTINGS: &str = "
inet_protocols = all
smtpd_upstream_proxy_protocol = haproxy
smtpd_upstream_proxy_timeout = 3s
smtpd_client_restrictions = reject
";

/// The client is turned away with its address.
async fn ask(client: &mut Wire) -> String {
    client.expect("220 mail.test ESMTP Postfix\r\n").await;
    for line in ["HELO us\r\n", "MAIL FROM:<>\r\n", "RCPT TO:<a@b.test>\r\n", "QUIT\r\n"] {
        client.send(line).await;
    }
    let answer = client.read_to_end().await.text();
    let address = answer.split_once("<unknown[").and_then(|(_, rest)| rest.split_once(']'));
    address.map_or(answer.clone(), |(address, _)| address.trim_start_matches("IPv6:").to_owned())
}

#[test]
fn sees_every_client_of_ours() {
    scenario(async {
        if !super::is_root("Postfix") {
            return;
        }
        let Some(postfix) = Peer::postfix(SETTINGS).await else { return };
        sees_every_client(postfix.addr(), &BOTH, ask).await;
        takes(postfix.addr(), 536, ask).await;
    });
}
