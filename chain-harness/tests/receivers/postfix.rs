//! Postfix: answers 421 to every UNKNOWN, and to clients over a protocol that is not among its `inet_protocols`; it takes
//! 536 bytes of version 2.

use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;

use chain_harness::{Peer, Wire, scenario};

use super::{BOTH, sees_every_client, takes};

/// Two files in one: what stands before the line of the port is `main.cf`.
const CONFIG: &str = "
compatibility_level = 3.6
queue_directory = DIR/queue
data_directory = DIR/data
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mail.test
inet_interfaces = 127.0.0.1
inet_protocols = all
maillog_file = /dev/stdout
maillog_file_prefixes = /dev
alias_maps =
alias_database =
local_recipient_maps =
mydestination =
relay_domains =
smtpd_upstream_proxy_protocol = haproxy
smtpd_upstream_proxy_timeout = 3s
smtpd_peername_lookup = no
smtpd_client_restrictions = reject
smtpd_relay_restrictions = reject
---
127.0.0.1:PORT_A inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
anvil unix - - n - 1 anvil
rewrite unix - - n - - trivial-rewrite
";

/// Where Debian has the program that runs the others.
const MASTER: &str = "/usr/lib/postfix/sbin/master";

/// The folders of a queue, as far as a mail is turned away before it is one.
const QUEUE: [&str; 4] = ["pid", "private", "public", "active"];

fn prepare(file: &Path, dir: &Path) {
    let config = std::fs::read_to_string(file).expect("it was just written");
    let (main, master) = config.split_once("---\n").expect("there are two");
    for (name, text) in [("main.cf", main), ("master.cf", master), ("dynamicmaps.cf", "")] {
        std::fs::write(dir.join(name), text).expect("the directory is ours");
    }
    for folder in QUEUE {
        std::fs::create_dir_all(dir.join("queue").join(folder)).expect("the directory is ours");
    }
    std::fs::create_dir(dir.join("data")).expect("the directory is ours");
    let postfix = owner();
    for folder in ["data", "queue/private", "queue/public", "queue/active"] {
        chown(dir.join(folder), Some(postfix), None).expect("we are root");
    }
}

/// The user that its package makes.
fn owner() -> u32 {
    let users = std::fs::read_to_string("/etc/passwd").expect("there are users");
    let line = users.lines().find_map(|line| line.strip_prefix("postfix:"));
    line.and_then(|line| line.split(':').nth(1)?.parse().ok()).expect("the package makes the user")
}

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
        let command = |_: &_, file: &Path, dir: &Path| {
            prepare(file, dir);
            let mut command = Command::new(MASTER);
            command.arg("-s").arg("-c").arg(dir);
            command
        };
        let Some(postfix) = Peer::program("postfix", "postfix", CONFIG, command).await else { return };
        sees_every_client(postfix.addr(), &BOTH, ask).await;
        takes(postfix.addr(), 536, ask).await;
    });
}
