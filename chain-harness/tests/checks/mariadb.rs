//! MariaDB: quiet about a login and a farewell, which it does not count among those that were interrupted.

use std::path::Path;
use std::process::Command;

use chain_harness::{Peer, scenario};
use proxy_upstream::health::HealthCause;

use super::{checking, follows, is_down, is_up, settled, since, view};

const CONFIG: &str = "[mysqld]\nport = PORT_A\n";

/// What `mariadb-install-db` does, which needs programs of other packages.
fn make_tables(program: &Path, data: &Path, dir: &Path) {
    let tables = ["mysql_system_tables.sql", "mysql_system_tables_data.sql"];
    let tables =
        tables.map(|name| std::fs::read_to_string(Path::new("/usr/share/mysql").join(name)).unwrap());
    let statements = dir.join("tables.sql");
    std::fs::write(&statements, format!("CREATE DATABASE mysql;\nUSE mysql;\n{}", tables.concat())).unwrap();
    let mut bootstrap = Command::new(program);
    bootstrap.arg("--no-defaults").arg(format!("--datadir={}", data.display()));
    bootstrap.args(["--user=root", "--bootstrap", "--skip-networking"]);
    let made = bootstrap.stdin(std::fs::File::open(statements).unwrap()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// Its own tables first, and then itself, with the statements of `sql` at its start.
fn command(program: &Path, file: &Path, dir: &Path, sql: &str) -> Command {
    let data = dir.join("data");
    std::fs::create_dir(&data).unwrap();
    make_tables(program, &data, dir);
    let init = dir.join("init.sql");
    std::fs::write(&init, sql).unwrap();
    let mut command = Command::new(program);
    command.arg(format!("--defaults-file={}", file.display())).arg(format!("--datadir={}", data.display()));
    command.args(["--bind-address=127.0.0.1", "--skip-name-resolve", "--log-warnings=4", "--user=root"]);
    command.arg(format!("--init-file={}", init.display()));
    command.arg(format!("--socket={}", dir.join("socket").display()));
    command.arg(format!("--pid-file={}", dir.join("pid").display()));
    command
}

async fn mariadb(sql: &str) -> Option<Peer> {
    let command = |program: &Path, file: &Path, dir: &Path| command(program, file, dir, sql);
    let server = Peer::program("mariadbd", "mariadb-server-core", CONFIG, command).await?;
    server.process.says("ready for connections").await;
    Some(server)
}

#[test]
fn is_up_while_it_takes_the_login_and_says_nothing_of_it() {
    scenario(async {
        let Some(mut server) = mariadb("CREATE USER 'smartproxy_check'@'%';\n").await else { return };
        let first = settled(&server).await;
        let hop = checking(server.addr(), r#"{ kind = "mariadb", interval = "100ms", timeout = "1s" }"#);
        is_up(&hop).await;
        assert_eq!(since(&server, first), [""; 0]);
        follows(&hop, &mut server, HealthCause::Timeout).await;
    });
}

#[test]
fn without_the_user_it_is_down_and_says_what_to_do() {
    scenario(async {
        let Some(server) = mariadb("\n").await else { return };
        let hop = checking(
            server.addr(),
            r#"{ kind = "mariadb", user = "nobody_there", interval = "100ms", timeout = "1s" }"#,
        );
        assert_eq!(is_down(&hop).await, HealthCause::Unexpected);
        let told = view(&hop).finding.unwrap().to_string();
        assert!(told.contains("CREATE USER 'nobody_there'@'%'"), "{told}");
    });
}
