//! PostgreSQL: quiet about who asks for TLS and closes.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

use chain_harness::{Peer, scenario};
use proxy_upstream::health::HealthCause;

use super::{checking, follows, is_up, settled, since};

/// Where Debian has the programs of a version, the newest last.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut folders: Vec<_> = versions.flatten().map(|version| version.path().join("bin")).collect();
    folders.sort();
    folders.pop().filter(|folder| folder.join("initdb").exists())
}

/// A command that is run as the user of the package, where we are root: these programs refuse to be.
fn as_postgres(program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command
}

fn user(name: &str) -> Option<u32> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split(':').nth(1)?.parse().ok()
}

fn command(file: &Path, dir: &Path, programs: &Path) -> Command {
    let data = dir.join("data");
    std::fs::create_dir(&data).unwrap();
    if rustix::process::geteuid().is_root() {
        let owner = user("postgres").expect("the package makes the user");
        chown(&data, Some(owner), None).unwrap();
        chown(dir, Some(owner), None).unwrap();
    }
    let mut init = as_postgres(&programs.join("initdb"));
    let made = init.args(["--no-sync", "--auth=trust", "-D"]).arg(&data).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let port = std::fs::read_to_string(file).unwrap();
    let mut command = as_postgres(&programs.join("postgres"));
    command.arg("-D").arg(&data).args(["-p", port.trim(), "-h", "127.0.0.1", "-k"]).arg(dir);
    command
}

#[test]
fn is_up_while_it_answers_and_says_nothing_of_it() {
    scenario(async {
        let Some(programs) = programs() else {
            println!("skipped: PostgreSQL is not installed (apt-get install postgresql)");
            return;
        };
        let command = |_: &Path, file: &Path, dir: &Path| command(file, dir, &programs);
        let Some(mut server) = Peer::program("setpriv", "util-linux", "PORT_A\n", command).await else {
            return;
        };
        server.process.says("ready to accept connections").await;
        let first = settled(&server).await;
        let hop = checking(server.addr(), r#"{ kind = "postgres", interval = "100ms", timeout = "1s" }"#);
        is_up(&hop).await;
        assert_eq!(since(&server, first), [""; 0]);
        follows(&hop, &mut server, HealthCause::Timeout).await;
    });
}
