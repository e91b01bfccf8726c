//! MariaDB: greets before it has read the header, of which it takes 256 bytes in version 2.

use std::process::Command;

use chain_harness::{PATIENCE, Peer, Wire, eventually, scenario};

use super::{BOTH, sees_every_client, takes};

/// The configuration's file has the port alone: all else is said on the command line.
const CONFIG: &str = "[mysqld]\nport = PORT_A\n";

/// What it logs of a client that left without a name: after that comes the address.
const LEFT: &str = "user: 'unauthenticated' host: '";

#[test]
fn sees_every_client_of_ours() {
    scenario(async {
        let command = |program: &_, file: &std::path::Path, dir: &std::path::Path| {
            let data = dir.join("data");
            std::fs::create_dir(&data).expect("the directory is ours");
            let mut command = Command::new(program);
            command
                .arg(format!("--defaults-file={}", file.display()))
                .arg(format!("--datadir={}", data.display()));
            command.args(["--bind-address=127.0.0.1", "--proxy-protocol-networks=*", "--skip-name-resolve"]);
            // No tables, and nothing that takes time: who may log in is not the question.
            command.args([
                "--skip-grant-tables",
                "--innodb=OFF",
                "--default-storage-engine=Aria",
                "--log-warnings=4",
            ]);
            command.arg(format!("--socket={}", dir.join("socket").display()));
            command.arg(format!("--pid-file={}", dir.join("pid").display())).arg("--user=root");
            command
        };
        let Some(mariadb) = Peer::program("mariadbd", "mariadb-server-core", CONFIG, command).await else {
            return;
        };
        mariadb.process.says("ready for connections").await;
        let seen = || {
            let lines = mariadb.process.lines();
            let hosts =
                lines.iter().filter_map(|line| Some(line.split_once(LEFT)?.1.split_once('\'')?.0.to_owned()));
            hosts.collect::<Vec<_>>()
        };
        let ask = async |client: &mut Wire| {
            let before = seen().len();
            // It has read the header when it has taken our name, and not before.
            let greeting = client.read_some().await;
            assert!(greeting.windows(7).any(|version| version == b"MariaDB"), "{}", greeting.escape_ascii());
            client.half_close().await;
            eventually(PATIENCE, || seen().len() > before).await;
            seen().pop().unwrap_or_default()
        };
        sees_every_client(mariadb.addr(), &BOTH, &ask).await;
        takes(mariadb.addr(), 256, &ask).await;
    });
}
