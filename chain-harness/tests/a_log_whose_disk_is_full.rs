//! The access log's disk is full: connections are served all the same, and the proxy's own log says so, once and then now and
//! then, and when lines are written again.

use chain_harness::{Backend, PATIENCE, Smartproxy, Wire, config, eventually};
use rustix::process::{Pid, Signal, kill_process};

/// A disk that takes nothing.
const FULL: &str = "workers = 1\nlog.access = { file = \"/dev/full\" }";

#[test]
fn a_full_disk_is_said_where_it_is_read_and_not_once_a_line() {
    Smartproxy::scenario(async {
        let backend = Backend::echo();
        let proxy = Smartproxy::run(&config::single(FULL, &[&backend.addr()])).await;
        for _ in 0..20 {
            served(&proxy).await;
            proxy.process.says("log lines cannot be written to /dev/full").await;
        }
        let said = proxy.process.output().matches("cannot be written to /dev/full").count();
        assert!(said <= 3, "{said} lines for 20 that were lost: {}", proxy.process.output());
        proxy.settles_within(PATIENCE).await;
    });
}

/// One connection, from its greeting to its end.
async fn served(proxy: &Smartproxy) {
    let mut client = Wire::connect(proxy.addr()).await;
    client.send("hello").await;
    client.expect("hello").await;
    client.half_close().await;
    client.read_to_end().await;
}

#[test]
fn that_there_is_room_again_is_said_too() {
    Smartproxy::scenario(async {
        let (backend, dir) = (Backend::echo(), tempfile::tempdir().unwrap());
        let (log, file) = (dir.path().join("access.log"), dir.path().join("file"));
        std::os::unix::fs::symlink("/dev/full", &log).unwrap();
        let settings = format!("workers = 1\nlog.access = {{ file = \"{}\" }}", log.display());
        let proxy = Smartproxy::run(&config::single(&settings, &[&backend.addr()])).await;
        served(&proxy).await;
        proxy.process.says("log lines cannot be written to").await;
        std::fs::remove_file(&log).unwrap();
        std::os::unix::fs::symlink(&file, &log).unwrap();
        let id = i32::try_from(proxy.process.id()).ok().and_then(Pid::from_raw);
        kill_process(id.unwrap(), Signal::USR1).unwrap();
        eventually(PATIENCE, || file.exists()).await;
        served(&proxy).await;
        proxy.process.says("access.log again").await;
        served(&proxy).await;
        eventually(PATIENCE, || std::fs::read_to_string(&file).unwrap().lines().count() == 2).await;
        assert_eq!(
            proxy.process.output().matches("access.log again").count(),
            1,
            "{}",
            proxy.process.output()
        );
        proxy.settles_within(PATIENCE).await;
    });
}
