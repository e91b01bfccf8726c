//! The access log's disk is full: connections are served all the same, and the proxy's own log says so, once and then now and then.

use chain_harness::{Backend, PATIENCE, Smartproxy, Wire, config};

/// A disk that takes nothing.
const FULL: &str = "workers = 1\nlog.access = { file = \"/dev/full\" }";

#[test]
fn a_full_disk_is_said_where_it_is_read_and_not_once_a_line() {
    Smartproxy::scenario(async {
        let backend = Backend::echo();
        let proxy = Smartproxy::run(&config::single(FULL, &[&backend.addr()])).await;
        for _ in 0..20 {
            let mut client = Wire::connect(proxy.addr()).await;
            client.send("hello").await;
            client.expect("hello").await;
            client.half_close().await;
            client.read_to_end().await;
            proxy.process.says("log lines cannot be written to /dev/full").await;
        }
        let said = proxy.process.output().matches("cannot be written to /dev/full").count();
        assert!(said <= 3, "{said} lines for 20 that were lost: {}", proxy.process.output());
        proxy.settles_within(PATIENCE).await;
    });
}
