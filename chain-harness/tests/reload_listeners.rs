//! Listeners that come, go and stay while the proxy runs.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use chain_harness::{Backend, Hop, PATIENCE, Wire, eventually, free_port, scenario};
use proxy_conn::Cause;
use tokio::task::JoinSet;

/// A route for each port.
fn config(settings: &str, target: SocketAddr, ports: &[u16]) -> String {
    let mut text = format!(
        r#"
        {settings}
        [[listeners]]
        bind = ["127.0.0.1"]
        [[routes]]
        name = "first"
        match = {{ ports = [PORT_A] }}
        action = {{ forward = ["{target}"] }}
        "#
    );
    for port in ports {
        text += &format!(
            "[[routes]]\nname = \"r{port}\"\nmatch = {{ ports = [{port}] }}\naction = {{ forward = [\"{target}\"] }}\n"
        );
    }
    text
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

async fn greeted(addr: SocketAddr, text: &str) -> Wire {
    let mut client = Wire::connect(addr).await;
    client.send(text).await;
    client.expect(text).await;
    client
}

/// The kernel's numbers of the sockets of a listener.
fn inodes(hop: &Hop, label: &str) -> Vec<u64> {
    let all = hop.control().listening_sockets().expect("there are descriptors");
    let (_, sockets) = all.into_iter().find(|(name, _)| **name == *label).expect("it is open");
    sockets.iter().map(|socket| rustix::fs::fstat(&**socket).expect("a socket has some").st_ino).collect()
}

#[test]
fn a_listener_comes_and_goes_and_another_ones_sockets_stay() {
    scenario(async {
        let (backend, port) = (Backend::echo(), free_port());
        let hop = Hop::start(&config("workers = 2", backend.addr(), &[]));
        let label = hop.addr().to_string();
        let sockets = inodes(&hop, &label);
        let mut first = greeted(hop.addr(), "first").await;
        assert!(Wire::is_refused(local(port)).await);
        for round in 0..3 {
            // Its backlog and what it accepts differ, its sockets do not.
            let other = format!(
                "workers = 2\n[[listeners]]\nports = [PORT_A]\nbind = [\"127.0.0.1\"]\nbacklog = {}",
                64 + round
            );
            let added = config(&other, backend.addr(), &[port]).replacen(
                "[[listeners]]\n        bind",
                "[[listeners]]\nports = [PORT_B]\nbind",
                1,
            );
            let added = added.replace("PORT_B", &port.to_string());
            let reload = hop.reload(&added).await;
            assert!(reload.taken, "{reload:?}");
            let mut second = greeted(local(port), "second").await;
            assert_eq!(inodes(&hop, &label), sockets);
            assert_eq!(inodes(&hop, &local(port).to_string()).len(), 2, "one for each worker");
            let reload = hop.reload(&config("workers = 2", backend.addr(), &[])).await;
            assert!(reload.taken, "{reload:?}");
            assert!(Wire::is_refused(local(port)).await, "gone when the reload has returned");
            second.send(" goes on").await;
            second.expect("second goes on").await;
            assert_eq!(inodes(&hop, &label), sockets);
        }
        first.send(" too").await;
        first.expect("first too").await;
        drop(first);
        hop.settles().await;
    });
}

#[test]
fn a_port_that_cannot_be_bound_refuses_the_whole_reload() {
    scenario(async {
        let (backend, free) = (Backend::echo(), free_port());
        let hop = Hop::start(&config("", backend.addr(), &[]));
        let before = hop.control().proxy();
        let taken = backend.addr().port();
        // The first one can be bound, the second cannot.
        let mut ports = [free, taken];
        ports.sort_unstable();
        let reload = hop
            .reload(
                &config("", backend.addr(), &ports)
                    .replace(&format!("forward = [\"{}\"]", backend.addr()), "forward = [\"127.0.0.1:9\"]"),
            )
            .await;
        let error = reload.error.unwrap();
        assert!(!reload.taken && error.contains(&local(taken).to_string()), "{error}");
        assert!(error.contains("stop the process that has it"), "{error}");
        assert!(Arc::ptr_eq(&before, &hop.control().proxy()));
        assert!(Wire::is_refused(local(free)).await, "what was bound is let go");
        drop((before, greeted(hop.addr(), "still here").await));
        hop.settles().await;
    });
}

/// From one address to all of them and back: two sockets of ours share the port for a moment.
#[test]
fn a_listener_moves_to_another_address_of_its_port() {
    scenario(async {
        let (backend, port) = (Backend::echo(), free_port());
        let hop = Hop::start(&config("", backend.addr(), &[]));
        let narrow = config("", backend.addr(), &[port]);
        let only = |text: &str| format!("{text}[[listeners]]\nports = [{port}]\nbind = [\"0.0.0.0\"]\n");
        let wide =
            only(&narrow).replacen("[[listeners]]\n        bind", "[[listeners]]\nports = [PORT_A]\nbind", 1);
        assert!(hop.reload(&narrow).await.taken);
        let mut living = greeted(local(port), "living").await;
        for text in [&wide, &narrow, &wide] {
            let reload = hop.reload(text).await;
            assert!(reload.taken, "{reload:?}");
            drop(greeted(local(port), "new").await);
            living.send(".").await;
        }
        living.expect("living...").await;
        drop(living);
        assert!(hop.reload(&config("", backend.addr(), &[])).await.taken);
        hop.settles().await;
    });
}

/// Clients that the kernel has queued when their listener goes are served as they would have been.
#[test]
fn nobody_who_is_queued_at_a_listener_that_goes_is_reset() {
    scenario(async {
        let (backend, port) = (Backend::echo(), free_port());
        let with = config("workers = 1", backend.addr(), &[port]);
        let hop = Hop::start(&config("workers = 1", backend.addr(), &[]));
        for _ in 0..20 {
            assert!(hop.reload(&with).await.taken);
            let queueing = async {
                let mut clients = Vec::new();
                for _ in 0..20 {
                    clients.push(Wire::connect(local(port)).await);
                }
                clients
            };
            // Both at the same time: whoever has connected is served.
            let mut clients = queueing.await;
            assert!(hop.reload(&config("workers = 1", backend.addr(), &[])).await.taken);
            for client in &mut clients {
                client.send("hello").await;
                client.expect("hello").await;
            }
        }
        assert_eq!(hop.ends_of(Cause::NoRoute), 0);
        hop.settles().await;
    });
}

/// Whoever connects while a listener comes and goes is served or refused: never let in and then reset.
#[test]
fn nobody_who_comes_while_a_listener_goes_is_reset() {
    scenario(async {
        let (backend, port) = (Backend::echo(), free_port());
        let (with, without) =
            (config("workers = 2", backend.addr(), &[port]), config("workers = 2", backend.addr(), &[]));
        let hop = Hop::start(&without);
        let (over, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut clients = JoinSet::new();
        for _ in 0..8 {
            let (over, served) = (Arc::clone(&over), Arc::clone(&served));
            clients.spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    match Wire::try_connect_from((Ipv4Addr::LOCALHOST, 0).into(), local(port)).await {
                        Ok(mut client) => {
                            client.send("hello").await;
                            client.expect("hello").await;
                            served.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
                            tokio::task::yield_now().await;
                        }
                    }
                }
            });
        }
        for round in 1..=5 {
            assert!(hop.reload(&with).await.taken);
            // Somebody is served each time, so that somebody is there when it goes.
            eventually(PATIENCE, || served.load(Ordering::Relaxed) >= round * 20).await;
            assert!(hop.reload(&without).await.taken);
        }
        over.store(true, Ordering::Relaxed);
        while let Some(ended) = clients.join_next().await {
            ended.expect("everybody was served or refused");
        }
        hop.settles().await;
    });
}
