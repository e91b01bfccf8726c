//! Apache (`mod_remoteip`): closes on a bare UNKNOWN, and takes 232 bytes of version 2.

use std::process::Command;

use chain_harness::{Peer, scenario};

use super::{BOTH, over_http, sees_every_client, takes};

const CONFIG: &str = r#"
ServerRoot DIR
DefaultRuntimeDir DIR
PidFile DIR/pid
ServerName localhost
Listen 127.0.0.1:PORT_A
ErrorLog /dev/stderr
DocumentRoot DIR
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule remoteip_module /usr/lib/apache2/modules/mod_remoteip.so
LoadModule headers_module /usr/lib/apache2/modules/mod_headers.so
User nobody
Group nogroup
RemoteIPProxyProtocol On
Header always set X-Client "expr=%{REMOTE_ADDR}"
"#;

#[test]
fn sees_every_client_of_ours() {
    scenario(async {
        // -X: in the foreground, one process.
        let command = |program: &_, file: &_, _: &_| {
            let mut command = Command::new(program);
            command.arg("-X").arg("-f").arg(file);
            command
        };
        let Some(apache) = Peer::program("apache2", "apache2-bin", CONFIG, command).await else { return };
        sees_every_client(apache.addr(), &BOTH, over_http).await;
        takes(apache.addr(), 232, over_http).await;
    });
}
