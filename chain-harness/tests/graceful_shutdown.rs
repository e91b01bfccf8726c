//! What signals do to the real binary, and what it says by its exit code.

use std::time::Duration;

use chain_harness::{Backend, Ending, PATIENCE, Smartproxy, Wire, config, eventually};

/// Exit codes that `--help` lists.
const ALL_FINISHED: i32 = 0;
const SOME_WERE_ENDED: i32 = 3;
const AT_ONCE: i32 = 4;

async fn run(grace: &str, backend: &Backend) -> (Smartproxy, Wire) {
    let config = config::single(
        &format!("workers = 2\ngraceful_shutdown_timeout = \"{grace}\"\nlog.format = \"json\""),
        &[&backend.addr()],
    );
    let proxy = Smartproxy::run(&config).await;
    let mut client = Wire::connect(proxy.addr()).await;
    client.send("hello").await;
    client.expect("hello").await;
    (proxy, client)
}

async fn terminate(proxy: &mut Smartproxy) {
    proxy.process.terminate();
    proxy.process.says("stopped accepting").await;
    let addr = proxy.addr();
    eventually(PATIENCE, || !proxy.is_listening()).await;
    assert!(Wire::is_refused(addr).await);
}

#[test]
fn a_connection_that_finishes_in_time_finishes() {
    Smartproxy::scenario(async {
        let backend = Backend::echo();
        let (mut proxy, mut client) = run("30s", &backend).await;
        terminate(&mut proxy).await;
        client.send(" again").await;
        client.half_close().await;
        let received = client.read_to_end().await;
        assert_eq!((received.text().as_str(), received.end), ("hello again", Some(Ending::Fin)));
        assert_eq!(proxy.process.exit_code(PATIENCE).await, ALL_FINISHED, "{}", proxy.process.output());
        assert_eq!(proxy.causes(), ["finished"]);
    });
}

#[test]
fn without_connections_it_stops_at_once() {
    Smartproxy::scenario(async {
        let backend = Backend::echo();
        let (mut proxy, mut client) = run("30s", &backend).await;
        client.half_close().await;
        client.read_to_end().await;
        proxy.process.terminate();
        assert_eq!(proxy.process.exit_code(Duration::from_secs(2)).await, ALL_FINISHED);
    });
}

#[test]
fn a_connection_that_does_not_finish_is_reset_when_the_time_is_over() {
    Smartproxy::scenario(async {
        let backend = Backend::echo();
        let (mut proxy, mut client) = run("500ms", &backend).await;
        terminate(&mut proxy).await;
        assert_eq!(client.read_to_end().await.end, Some(Ending::Reset));
        eventually(PATIENCE, || backend.first().end == Some(Ending::Reset)).await;
        assert_eq!(proxy.process.exit_code(PATIENCE).await, SOME_WERE_ENDED, "{}", proxy.process.output());
        assert_eq!(proxy.causes(), ["shutdown"]);
    });
}

#[test]
fn a_second_signal_stops_it_at_once() {
    Smartproxy::scenario(async {
        let backend = Backend::echo();
        let (mut proxy, mut client) = run("1h", &backend).await;
        terminate(&mut proxy).await;
        assert!(proxy.process.is_running());
        proxy.process.terminate();
        assert_eq!(client.read_to_end().await.end, Some(Ending::Reset));
        eventually(PATIENCE, || backend.first().end == Some(Ending::Reset)).await;
        let code = proxy.process.exit_code(Duration::from_secs(3)).await;
        assert_eq!(code, AT_ONCE, "{}", proxy.process.output());
        assert_eq!(proxy.causes(), ["shutdown"]);
    });
}
