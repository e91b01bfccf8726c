//! Postfix, as the child of a test: a server that greets, and turns every mail away.

use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;

use super::Peer;

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
maillog_file = /dev/stdout
maillog_file_prefixes = /dev
alias_maps =
alias_database =
local_recipient_maps =
mydestination =
relay_domains =
smtpd_peername_lookup = no
smtpd_relay_restrictions = reject
SETTINGS
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

impl Peer {
    /// Postfix with these lines of `main.cf` beside the least that it needs; it listens on `PORT_A`, and its log is among the lines
    /// of its process. Only root can start it. None, and a word to whoever runs the test, where it is not installed.
    pub async fn postfix(settings: &str) -> Option<Self> {
        let command = |_: &Path, file: &Path, dir: &Path| {
            prepare(file, dir);
            let mut command = Command::new(MASTER);
            command.arg("-s").arg("-c").arg(dir);
            command
        };
        Self::program("postfix", "postfix", &CONFIG.replace("SETTINGS", settings), command).await
    }
}

/// Cuts the file in two, and makes the folders that the package would have made.
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
        chown(dir.join(folder), Some(postfix), None).expect("only root starts it");
    }
}

/// The user that its package makes.
fn owner() -> u32 {
    let users = std::fs::read_to_string("/etc/passwd").expect("there are users");
    let line = users.lines().find_map(|line| line.strip_prefix("postfix:"));
    line.and_then(|line| line.split(':').nth(1)?.parse().ok()).expect("the package makes the user")
}
