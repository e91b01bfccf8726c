//! Dovecot: takes 1500 bytes of version 2, and no PROXY without an address.

use std::process::Command;

use chain_harness::{PATIENCE, Peer, Wire, eventually, scenario};

use super::{BOTH, sees_every_client, takes};

const CONFIG: &str = "
base_dir = DIR/run
state_dir = DIR/state
log_path = /dev/stderr
protocols = imap
ssl = no
haproxy_trusted_networks = 127.0.0.0/8
haproxy_timeout = 3s
service imap-login {
  chroot =
  inet_listener imap {
    address = 127.0.0.1
    port = PORT_A
    haproxy = yes
  }
  inet_listener imaps {
    port = 0
  }
}
passdb {
  driver = static
  args = password=x
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=DIR
}
";

#[test]
fn sees_every_client_of_ours() {
    scenario(async {
        if !super::is_root("Dovecot") {
            return;
        }
        let command = |program: &_, file: &_, _: &_| {
            let mut command = Command::new(program);
            command.arg("-F").arg("-c").arg(file);
            command
        };
        let Some(dovecot) = Peer::program("dovecot", "dovecot-imapd", CONFIG, command).await else { return };
        // It logs the address of each that has left.
        let seen = || {
            let lines = dovecot.process.lines();
            let left = lines
                .iter()
                .filter_map(|line| Some(line.split_once(" rip=")?.1.split_once(',')?.0.to_owned()));
            left.collect::<Vec<_>>()
        };
        let ask = async |client: &mut Wire| {
            let before = seen().len();
            client.send("a LOGOUT\r\n").await;
            let answer = client.read_to_end().await.text();
            assert!(answer.ends_with("a OK Logout completed.\r\n"), "{answer}");
            eventually(PATIENCE, || seen().len() > before).await;
            seen().pop().unwrap_or_default()
        };
        sees_every_client(dovecot.addr(), &BOTH, &ask).await;
        takes(dovecot.addr(), 1500, &ask).await;
    });
}
