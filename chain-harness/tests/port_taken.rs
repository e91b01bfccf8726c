//! A port that somebody has: the proxy says which, what to do about it, and does not start.

use std::net::TcpListener;

use chain_harness::{PATIENCE, Process, Smartproxy, refuses};

fn config(port: &str) -> String {
    format!(
        r#"
        workers = 2
        [[listeners]]
        bind = ["127.0.0.1"]
        [[routes]]
        name = "only"
        match = {{ ports = [{port}] }}
        action = {{ forward = ["{}"] }}
        "#,
        refuses()
    )
}

async fn is_told_about(port: u16) {
    let mut second = Smartproxy::start(&config(&port.to_string()));
    assert_eq!(second.process.exit_code(PATIENCE).await, 1);
    let output = second.process.output();
    assert!(output.contains(&format!("cannot listen on 127.0.0.1:{port}")), "{output}");
    assert!(output.contains("match.ports"), "it says what to do: {output}");
}

#[test]
fn by_another_program() {
    Smartproxy::scenario(async {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        is_told_about(other.local_addr().unwrap().port()).await;
    });
}

/// Its workers share the port among themselves, but not with another process.
#[test]
fn by_another_smartproxy() {
    Smartproxy::scenario(async {
        let mut first = Smartproxy::run(&config("PORT_A")).await;
        is_told_about(first.addr().port()).await;
        assert!(first.process.is_running());
    });
}

#[test]
fn by_somebody_where_the_embedded_chain_wants_to_be() {
    Smartproxy::scenario(async {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = other.local_addr().unwrap().port();
        let free = || refuses().port().to_string();
        let mut command = Smartproxy::command();
        command.args(["demo", "--outer", &port.to_string(), "--inner", &free(), "--backend", &free()]);
        let mut demo = Process::start(&mut command);
        assert_eq!(demo.exit_code(PATIENCE).await, 1);
        let output = demo.output();
        assert!(output.contains(&format!("127.0.0.1:{port}")) && output.contains("--outer PORT"), "{output}");
    });
}
