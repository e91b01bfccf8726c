//! OpenSSH: one line for each check, which is why they are a minute apart unless somebody says otherwise.

use std::path::Path;
use std::process::Command;

use chain_harness::{Peer, scenario};
use proxy_upstream::health::HealthCause;

use super::{CHECKS, checking, follows, is_up, settled, since, view};

const CONFIG: &str = "Port PORT_A\nListenAddress 127.0.0.1\nHostKey DIR/key\nPidFile none\nUsePAM no\nUseDNS no\n\
    MaxStartups 100\nPerSourceMaxStartups none\n";

/// Makes its key, and runs it where everything else is.
fn sshd(program: &Path, file: &Path, dir: &Path) -> Command {
    let mut key = Command::new("ssh-keygen");
    key.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(dir.join("key"));
    assert!(key.status().unwrap().success());
    // Where it goes with what an attacker could reach.
    std::fs::create_dir_all("/run/sshd").unwrap();
    let mut command = Command::new(program);
    command.args(["-D", "-e", "-f"]).arg(file);
    command
}

#[test]
fn is_up_while_it_greets_at_a_line_a_check() {
    scenario(async {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: sshd has to be started by root");
            return;
        }
        let Some(mut server) = Peer::program("sshd", "openssh-server", CONFIG, sshd).await else { return };
        let first = settled(&server).await;
        let hop = checking(server.addr(), r#"{ kind = "ssh", interval = "200ms", timeout = "1s" }"#);
        is_up(&hop).await;
        // One that is under way may be told of before it is counted.
        let (said, checks) = (since(&server, first), view(&hop).checks + 1);
        assert!(said.len() as u64 <= checks && checks > CHECKS, "{checks} checks: {said:#?}");
        follows(&hop, &mut server, HealthCause::Timeout).await;
    });
}

/// A check that ends with the handshake is in no log, and proves a kernel.
#[test]
fn a_connect_check_is_in_no_log() {
    scenario(async {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let Some(server) = Peer::program("sshd", "openssh-server", CONFIG, sshd).await else { return };
        let first = settled(&server).await;
        let hop = checking(server.addr(), r#"{ kind = "connect", interval = "100ms", timeout = "1s" }"#);
        is_up(&hop).await;
        assert_eq!(since(&server, first), [""; 0]);
    });
}
