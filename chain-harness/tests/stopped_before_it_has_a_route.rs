//! A proxy that stands still (a container that is paused, a machine that is stopped) for longer than a header and a hello may
//! take: those that came meanwhile came in time, and are read before anybody is cut.

use std::time::Duration;

use chain_harness::{Backend, PATIENCE, Smartproxy, Wire, client_hello, eventually};

const CLIENTS: usize = 20;

/// Longer than `SHORT` says.
const STILL: Duration = Duration::from_millis(1_500);

const SHORT: &str =
    "[timeouts]\nproxy_header_timeout = \"1s\"\ninitial_data_timeout = \"1s\"\n[log]\nformat = \"json\"\n";

fn config(accept_proxy: &str, domains: &str, backend: &Backend) -> String {
    format!(
        "{SHORT}[[listeners]]\nbind = [\"127.0.0.1\"]\n{accept_proxy}\n[[routes]]\nname = \"only\"\n\
         match = {{ ports = [PORT_A]{domains} }}\naction = {{ forward = [\"{}\"] }}\n",
        backend.addr()
    )
}

/// What is left of `bytes` comes while `proxy` stands still.
async fn completed_meanwhile(proxy: &Smartproxy, bytes: &[u8]) -> Vec<Wire> {
    let before = proxy.process.descriptors();
    let (first, rest) = bytes.split_at(9);
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = Wire::connect(proxy.addr()).await;
        client.send(first).await;
        clients.push(client);
    }
    eventually(PATIENCE, || proxy.process.descriptors() >= before + CLIENTS).await;
    proxy.process.freeze().await;
    for client in &mut clients {
        client.send(rest).await;
    }
    // Not a wait to be sure: the deadline has to pass while it stands.
    tokio::time::sleep(STILL).await;
    proxy.process.thaw();
    clients
}

#[test]
fn a_header_that_came_meanwhile_is_taken() {
    Smartproxy::scenario(async {
        let backend = Backend::echo();
        let trusted = "accept_proxy = { required = [\"127.0.0.1/32\"] }";
        let proxy = Smartproxy::run(&config(trusted, "", &backend)).await;
        let mut clients = completed_meanwhile(&proxy, b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nhello").await;
        for client in &mut clients {
            client.expect("hello").await;
        }
        drop(clients);
        proxy.settles_within(PATIENCE).await;
    });
}

/// The place that somebody waits for comes free while nobody can be told.
#[test]
fn a_place_that_came_free_meanwhile_is_taken() {
    Smartproxy::scenario(async {
        let backend = Backend::echo();
        let queue = "max_connections = 1\nat_limit = { queue = { most_waiting = 1, longest_wait = \"1s\" } }";
        let proxy = Smartproxy::run(&format!("{}{queue}", config("", "", &backend))).await;
        let before = proxy.process.descriptors();
        let mut first = Wire::connect(proxy.addr()).await;
        first.send("hello").await;
        first.expect("hello").await;
        let mut waiting = Wire::connect(proxy.addr()).await;
        waiting.send("hello").await;
        eventually(PATIENCE, || proxy.process.descriptors() == before + 3).await;
        proxy.process.freeze().await;
        drop(first);
        tokio::time::sleep(STILL).await;
        proxy.process.thaw();
        waiting.expect("hello").await;
        drop(waiting);
        proxy.settles_within(PATIENCE).await;
    });
}

#[test]
fn a_hello_that_came_meanwhile_is_taken() {
    Smartproxy::scenario(async {
        let backend = Backend::echo();
        let proxy = Smartproxy::run(&config("", ", domains = [\"a.test\"]", &backend)).await;
        let hello = client_hello("a.test");
        let mut clients = completed_meanwhile(&proxy, &hello).await;
        for client in &mut clients {
            assert_eq!(client.read_until(|bytes| bytes.len() == hello.len()).await.bytes, hello);
        }
        drop(clients);
        proxy.settles_within(PATIENCE).await;
    });
}
