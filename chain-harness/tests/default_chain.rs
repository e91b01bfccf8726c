//! The embedded chain, as somebody new meets it: one command, one request, and it tells what happened.

use std::net::{SocketAddr, TcpListener};

use chain_harness::{Ending, PATIENCE, Process, Smartproxy, Wire, free_port};

/// The ports that it has if they are free.
const USUAL: [u16; 4] = [8000, 8001, 8002, 8003];

/// `smartproxy` with these words, whose sockets are in a folder of the test's own.
fn demo(dir: &tempfile::TempDir, words: &[&str]) -> Process {
    Process::start(Smartproxy::command().args(words).env("XDG_RUNTIME_DIR", dir.path()))
}

/// Where it says that a request is to go, once it does.
async fn outer(demo: &Process) -> SocketAddr {
    demo.says("try: curl http://").await;
    let output = demo.output();
    let (_, url) = output.split_once("curl http://").unwrap_or_default();
    url.split('/').next().unwrap_or_default().parse().expect("it prints an address")
}

async fn answers(addr: SocketAddr) {
    let mut client = Wire::connect(addr).await;
    client.send("GET /path HTTP/1.1\r\nhost: chain\r\nconnection: close\r\n\r\n").await;
    let page = client.read_to_end().await.text();
    assert!(page.contains("chain of 2 proxies"), "{page}");
}

/// Whoever has one of its ports, another chain among them, is in nobody's way.
#[test]
fn stands_beside_whoever_has_its_ports() {
    Smartproxy::scenario(async {
        let dir = tempfile::tempdir().unwrap();
        // Those that are somebody else's are theirs for as long as they like.
        let held: Vec<_> =
            USUAL.iter().filter_map(|port| TcpListener::bind(("127.0.0.1", *port)).ok()).collect();
        let held_by_us = |port: u16| held.iter().any(|one| one.local_addr().unwrap().port() == port);
        let (mut one, mut two) = (demo(&dir, &[]), demo(&dir, &["demo"]));
        let addrs = [outer(&one).await, outer(&two).await];
        assert_ne!(addrs[0], addrs[1]);
        for addr in addrs {
            assert!(!held_by_us(addr.port()), "{addr}");
            answers(addr).await;
        }
        assert!(!held_by_us(8000) || one.output().contains("8000 is taken"), "{}", one.output());
        for demo in [&mut one, &mut two] {
            demo.terminate();
            assert_eq!(demo.exit_code(PATIENCE).await, 0, "{}", demo.output());
        }
    });
}

#[test]
fn refuses_a_port_that_was_asked_for_and_is_taken_in_one_sentence() {
    Smartproxy::scenario(async {
        let dir = tempfile::tempdir().unwrap();
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port().to_string();
        for option in ["--outer", "--inner", "--backend", "--admin"] {
            let mut demo = demo(&dir, &["demo", option, &port]);
            assert_eq!(demo.exit_code(PATIENCE).await, 1, "{}", demo.output());
            let output = demo.output();
            assert!(
                output.starts_with(&format!("smartproxy: cannot listen on 127.0.0.1:{port}: ")),
                "{output}"
            );
            assert!(output.contains(&format!("smartproxy demo {option} PORT")), "{output}");
            assert_eq!(output.lines().count(), 2, "{output}");
        }
    });
}

#[test]
fn tells_the_client_and_both_hops() {
    Smartproxy::scenario(async {
        let dir = tempfile::tempdir().unwrap();
        let [outer, inner, backend] = [(); 3].map(|()| free_port());
        let [one, two, three] = [outer, inner, backend].map(|port| port.to_string());
        let mut demo = demo(&dir, &["demo", "--outer", &one, "--inner", &two, "--backend", &three]);
        demo.listens_on(outer).await;
        demo.says(&format!("http://127.0.0.1:{outer}/")).await;
        let mut client = Wire::connect(SocketAddr::from(([127, 0, 0, 1], outer))).await;
        client.send("GET /path HTTP/1.1\r\nhost: chain\r\nconnection: close\r\n\r\n").await;
        let answer = client.read_to_end().await;
        assert_eq!(answer.end, Some(Ending::Fin));
        let (page, addr) = (answer.text(), client.local_addr());
        assert!(page.contains("chain of 2 proxies"), "{page}");
        assert!(page.contains(&format!("client   {addr} ")), "{addr}: {page}");
        assert!(page.contains("GET /path"), "{page}");
        let ids = page.lines().find(|line| line.starts_with("ids")).unwrap_or_default();
        assert_eq!(ids.matches(" -> ").count(), 1, "{ids}");
        drop(client);
        demo.terminate();
        assert_eq!(demo.exit_code(PATIENCE).await, 0, "{}", demo.output());
    });
}
