//! dnsdist: version 2 only, of which it takes 512 bytes, and no LOCAL with anything beside a checksum.

use std::process::Command;

use chain_harness::{Peer, Wire, scenario};

use super::{V2, V2_FULL, sees_every_client, takes};

/// It answers with an address for each client that there is.
const CONFIG: &str = r#"
setLocal("127.0.0.1:PORT_A")
setACL({"0.0.0.0/0", "::/0"})
setProxyProtocolACL({"127.0.0.0/8"})
local function from(net) local group = newNMG() group:addMask(net) return NetmaskGroupRule(group) end
addAction(from("192.0.2.7/32"), SpoofAction("192.0.2.7"))
addAction(from("2001:db8::7/128"), SpoofAction("192.0.2.6"))
addAction(from("127.0.0.1/32"), SpoofAction("127.0.0.1"))
addAction(AllRule(), RCodeAction(DNSRCode.REFUSED))
"#;

/// `a.test`, type A, over TCP.
const QUERY: &[u8] = b"\0\x18\0\x07\x01\0\0\x01\0\0\0\0\0\0\x01a\x04test\0\0\x01\0\x01";

async fn ask(client: &mut Wire) -> String {
    client.send(QUERY).await;
    client.half_close().await;
    match client.read_to_end().await.bytes.last_chunk() {
        Some([192, 0, 2, 6]) => "2001:db8::7".to_owned(),
        Some(&[a, b, c, d]) => std::net::Ipv4Addr::new(a, b, c, d).to_string(),
        None => "no answer".to_owned(),
    }
}

#[test]
fn sees_every_client_of_ours() {
    scenario(async {
        let command = |program: &_, file: &_, _: &_| {
            let mut command = Command::new(program);
            command.args(["--supervised", "--disable-syslog", "-C"]).arg(file);
            command
        };
        let Some(dnsdist) = Peer::program("dnsdist", "dnsdist", CONFIG, command).await else { return };
        sees_every_client(dnsdist.addr(), &[V2, V2_FULL], ask).await;
        takes(dnsdist.addr(), 512, ask).await;
    });
}
