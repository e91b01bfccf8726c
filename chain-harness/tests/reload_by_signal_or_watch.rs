//! The real binary reads its file again: on SIGHUP, and by itself where it watches it.

use std::fmt::Display;

use chain_harness::{Backend, PATIENCE, Smartproxy, Wire, config};

fn config(settings: &str, target: impl Display) -> String {
    config::single(&format!("workers = 2\n{settings}"), &[&target])
}

/// What the backend says.
async fn answer(proxy: &Smartproxy) -> String {
    let mut client = Wire::connect(proxy.addr()).await;
    client.send("GET / HTTP/1.1\r\n\r\n").await;
    let text = client.read_to_end().await.text();
    text.rsplit('\n').next().unwrap_or_default().to_owned()
}

#[test]
fn sighup_reloads_and_a_bad_file_changes_nothing() {
    Smartproxy::scenario(async {
        let (old, new) = (Backend::answers("old"), Backend::answers("new"));
        let mut proxy = Smartproxy::run(&config("", old.addr())).await;
        assert_eq!(answer(&proxy).await, "old");
        proxy.rewrite(&config("", new.addr()));
        proxy.process.hang_up();
        proxy.process.says("the new configuration is in force").await;
        assert_eq!(answer(&proxy).await, "new");
        proxy.rewrite("workers = \"many\"");
        proxy.process.hang_up();
        proxy.process.says("not reloaded, nothing has changed").await;
        proxy.process.says("smartproxy.toml:1").await;
        assert_eq!(answer(&proxy).await, "new");
        proxy.process.terminate();
        assert_eq!(proxy.process.exit_code(PATIENCE).await, 0, "{}", proxy.process.output());
    });
}

#[test]
fn a_file_that_is_watched_is_read_again_when_it_is_replaced() {
    Smartproxy::scenario(async {
        let watch = "[reload]\nwatch = true";
        let (old, new) = (Backend::answers("old"), Backend::answers("new"));
        let mut proxy = Smartproxy::run(&config(watch, old.addr())).await;
        proxy.process.says("watching the configuration file").await;
        proxy.rewrite("[[routes]");
        proxy.process.says("not reloaded, nothing has changed").await;
        assert_eq!(answer(&proxy).await, "old");
        proxy.rewrite(&config("", new.addr()));
        proxy.process.says("the new configuration is in force").await;
        assert_eq!(answer(&proxy).await, "new");
        proxy.process.terminate();
        assert_eq!(proxy.process.exit_code(PATIENCE).await, 0, "{}", proxy.process.output());
    });
}
