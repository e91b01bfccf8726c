//! lighttpd (`mod_extforward`): takes 256 bytes of version 2.

use std::process::Command;

use chain_harness::{Peer, scenario};

use super::{BOTH, over_http, sees_every_client, takes};

const CONFIG: &str = r#"
server.document-root = "DIR"
server.bind = "127.0.0.1"
server.port = PORT_A
server.errorlog = "/dev/stderr"
server.modules = ("mod_extforward", "mod_setenv")
extforward.forwarder = ("127.0.0.1" => "trust")
extforward.hap-PROXY = "enable"
$HTTP["remoteip"] == "192.0.2.7" { setenv.add-response-header = ("X-Client" => "192.0.2.7") }
$HTTP["remoteip"] == "2001:db8::7" { setenv.add-response-header = ("X-Client" => "2001:db8::7") }
$HTTP["remoteip"] == "127.0.0.1" { setenv.add-response-header = ("X-Client" => "127.0.0.1") }
"#;

#[test]
fn sees_every_client_of_ours() {
    scenario(async {
        let command = |program: &_, file: &_, _: &_| {
            let mut command = Command::new(program);
            command.arg("-D").arg("-f").arg(file);
            command
        };
        let Some(lighttpd) = Peer::program("lighttpd", "lighttpd", CONFIG, command).await else { return };
        sees_every_client(lighttpd.addr(), &BOTH, over_http).await;
        takes(lighttpd.addr(), 256, over_http).await;
    });
}
