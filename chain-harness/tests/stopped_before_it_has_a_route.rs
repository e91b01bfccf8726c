//! A proxy that stands still (a container that is paused, a machine that is stopped) for longer than a header and a hello may
//! take: those that came meanwhile came in time, and are read before anybody is cut.

use std::time::Duration;

use chain_harness::{Backend, PATIENCE, Smartproxy, Wire, client_hello, eventually};
use rustix::process::{Pid, Signal, kill_process};

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

fn signal(proxy: &Smartproxy, signal: Signal) {
    let id = i32::try_from(proxy.process.id()).ok().and_then(Pid::from_raw);
    kill_process(id.expect("it runs"), signal).expect("it is our child");
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
    signal(proxy, Signal::STOP);
    for client in &mut clients {
        client.send(rest).await;
    }
    // Not a wait to be sure: the deadline has to pass while it stands.
    tokio::time::sleep(STILL).await;
    signal(proxy, Signal::CONT);
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
