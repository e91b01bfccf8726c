//! Postfix: a connection and its end, as of any client that says goodbye, and nothing that looks like a sender of spam.

use std::path::Path;
use std::process::Command;

use chain_harness::{PATIENCE, Peer, eventually, scenario};
use proxy_upstream::health::HealthState;

use super::{CHECKS, checking, is_down, settled, since, view};

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
inet_protocols = ipv4
maillog_file = /dev/stdout
maillog_file_prefixes = /dev
alias_maps =
alias_database =
local_recipient_maps =
mydestination =
relay_domains =
smtpd_peername_lookup = no
smtpd_relay_restrictions = reject
---
127.0.0.1:PORT_A inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
anvil unix - - n - 1 anvil
rewrite unix - - n - - trivial-rewrite
";

/// Where Debian has the program that runs the others.
const MASTER: &str = "/usr/lib/postfix/sbin/master";

fn prepare(file: &Path, dir: &Path) {
    let config = std::fs::read_to_string(file).unwrap();
    let (main, master) = config.split_once("---\n").unwrap();
    for (name, text) in [("main.cf", main), ("master.cf", master), ("dynamicmaps.cf", "")] {
        std::fs::write(dir.join(name), text).unwrap();
    }
    for folder in ["pid", "private", "public", "active"] {
        std::fs::create_dir_all(dir.join("queue").join(folder)).unwrap();
    }
    std::fs::create_dir(dir.join("data")).unwrap();
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find_map(|line| line.strip_prefix("postfix:"));
    let owner =
        line.and_then(|line| line.split(':').nth(1)?.parse().ok()).expect("the package makes the user");
    for folder in ["data", "queue/private", "queue/public", "queue/active"] {
        std::os::unix::fs::chown(dir.join(folder), Some(owner), None).unwrap();
    }
}

#[test]
fn is_up_while_it_greets_and_takes_the_check_for_a_client_that_left_in_order() {
    scenario(async {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: Postfix has to be started by root");
            return;
        }
        let command = |_: &Path, file: &Path, dir: &Path| {
            prepare(file, dir);
            let mut command = Command::new(MASTER);
            command.arg("-s").arg("-c").arg(dir);
            command
        };
        let Some(server) = Peer::program("postfix", "postfix", CONFIG, command).await else { return };
        let first = settled(&server).await;
        // Its first process takes a moment to begin.
        let hop = checking(server.addr(), r#"{ kind = "smtp", interval = "200ms", timeout = "1s" }"#);
        eventually(PATIENCE, || view(&hop).checks > CHECKS).await;
        assert_eq!(view(&hop).state, HealthState::Up);
        let said = since(&server, first);
        let usual = |line: &String| line.contains(": connect from ") || line.contains(": disconnect from ");
        let odd: Vec<_> = said.iter().filter(|line| !usual(line)).collect();
        assert!(odd.is_empty(), "{odd:#?}");
        let quits = said.iter().filter(|line| line.contains("quit=1 commands=1")).count();
        assert!(quits >= 10, "{said:#?}");
        drop(server);
        is_down(&hop).await;
    });
}
