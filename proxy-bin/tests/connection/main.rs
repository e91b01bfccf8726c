//! Ring 2: one connection on a paused clock, between in-memory streams.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed assumption of a test is its failure"
)]

mod absent_backend;
mod announced;
mod asked;
mod back_again;
mod chain;
mod deadlines;
mod door;
mod greeted;
mod limits;
mod looked_after;
mod names;
mod shown;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use proxy_conn::{Ended, Limit, Subscriber, Tracker};
use proxy_core::mem::{self, MemListener, MemNet, MemStream};
use proxy_core::stream::{gone, read, write_all};
use proxy_core::{Listen, PeerAddr, Resolver, Stream};
use tokio::time::Instant;

use proxy_bin::config::{Config, Ink};
use proxy_dataplane::Generation;
use proxy_dataplane::generation::Listener;

/// A proxy on an in-memory network, with one listener and a backend at 127.0.0.1:9000.
struct Rig {
    net: MemNet,
    proxy: Arc<Generation<MemNet>>,
    ends: Ends,
}

/// The ends seen so far: end, detail and bytes.
#[derive(Clone, Default)]
struct Ends(Arc<Mutex<Vec<String>>>);

impl Subscriber for Ends {
    fn ended(&self, ended: &Ended<'_>) {
        let line = format!("{} {}/{}", ended.end, ended.from_client, ended.from_backend);
        self.0.lock().push(ended.detail.map_or(line.clone(), |detail| format!("{line}: {detail}")));
    }
}

const PLAIN: &str = r#"
[[listeners]]
ports = [8000]
bind = ["127.0.0.1"]
[[routes]]
name = "plain"
match = { ports = [8000] }
action = { forward = ["127.0.0.1:9000"] }
"#;

const CHAINED: &str = r#"
[[listeners]]
ports = [8000]
bind = ["127.0.0.1"]
accept_proxy = { required = ["10.0.0.0/8"] }
[[routes]]
name = "chained"
match = { ports = [8000] }
action = { forward = ["127.0.0.1:9000"] }
send_proxy = "v1"
"#;

const BY_NAME: &str = r#"
[[listeners]]
ports = [8000]
bind = ["127.0.0.1"]
[[routes]]
name = "named"
match = { ports = [8000], domains = ["*.a.test"] }
action = { forward = ["127.0.0.1:9000"] }
"#;

fn backend_addr() -> SocketAddr {
    ([127, 0, 0, 1], 9000).into()
}

impl Rig {
    fn new(config: &str) -> Self {
        Self::on(MemNet::default(), config)
    }

    /// One that dials into `net`.
    fn on(net: MemNet, config: &str) -> Self {
        let config = Config::parse(config, "test.toml")
            .unwrap_or_else(|errors| panic!("{}", errors.render(Ink::Plain)));
        let ends = Ends::default();
        let proxy =
            Generation::new(config.settings, Tracker::new(1, ends.clone()), net.clone(), Resolver::fixed([]));
        Self { net, proxy: Arc::new(proxy), ends }
    }

    /// A connection from 10.0.0.1, being served: its client's end, and the future that serves it.
    fn connect(&self) -> (MemStream, impl Future<Output = ()> + Send + use<>) {
        self.connect_from([10, 0, 0, 1])
    }

    fn connect_from(&self, client: [u8; 4]) -> (MemStream, impl Future<Output = ()> + Send + use<>) {
        let (far, near) = mem::pair(64 * 1024);
        let peer = PeerAddr::new((client, 4000).into());
        (far, self.proxy.connection(&self.proxy.listeners[0], 0, near, peer))
    }

    fn spawn(&self) -> (MemStream, tokio::task::JoinHandle<()>) {
        let (far, serving) = self.connect();
        #[expect(clippy::disallowed_methods, reason = "the test stands in for the accept loop")]
        let task = tokio::spawn(serving);
        (far, task)
    }

    fn backend(&self) -> MemListener {
        self.net.listen(backend_addr())
    }

    /// The one end there was; and nothing is left.
    fn end(&self) -> String {
        assert!(self.proxy.tracker.is_empty());
        assert_eq!(self.proxy.connections.in_use(), 0);
        let ends = std::mem::take(&mut *self.ends.0.lock());
        assert_eq!(ends.len(), 1, "{ends:?}");
        ends.into_iter().next().unwrap()
    }
}

/// What can be read to the end: the bytes, and whether it was a FIN.
async fn read_to_end(stream: &MemStream) -> (Vec<u8>, bool) {
    let (mut all, mut buf) = (Vec::new(), [0; 4096]);
    loop {
        match read(stream, &mut buf).await {
            Ok(0) => return (all, true),
            Ok(n) => all.extend_from_slice(&buf[..n]),
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
                return (all, false);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_and_its_answer_pass_and_both_ends_close_cleanly() {
    let rig = Rig::new(PLAIN);
    let (listener, (client, task)) = (rig.backend(), rig.spawn());
    write_all(&client, b"request").await.unwrap();
    client.shutdown_write().unwrap();
    let (backend, _) = listener.accept().await.unwrap();
    assert_eq!(read_to_end(&backend).await, (b"request".to_vec(), true));
    write_all(&backend, b"answer").await.unwrap();
    backend.finish();
    assert_eq!(read_to_end(&client).await, (b"answer".to_vec(), true));
    task.await.unwrap();
    insta::assert_snapshot!(rig.end(), @"-- finished by client in drain 7/6");
}

#[tokio::test(start_paused = true)]
async fn a_header_deadline_is_for_the_whole_header_and_not_re_armed_by_bytes() {
    for (pause, whole) in [(Duration::from_millis(140), true), (Duration::from_millis(160), false)] {
        let rig = Rig::new(CHAINED);
        let (listener, (client, task), started) = (rig.backend(), rig.spawn(), Instant::now());
        // 32 bytes, one at a time: 31 pauses of 140 ms are under the 5 s of the deadline, of 160 ms just under too,
        // but with the byte that is missing then it is over.
        for byte in &b"PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\n"[..if whole { 33 } else { 32 }] {
            if write_all(&client, &[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(pause).await;
        }
        if whole {
            let (backend, _) = listener.accept().await.unwrap();
            write_all(&client, b"payload").await.unwrap();
            client.shutdown_write().unwrap();
            let (got, fin) = read_to_end(&backend).await;
            assert_eq!(
                (String::from_utf8(got).unwrap().as_str(), fin),
                ("PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\npayload", true)
            );
            backend.finish();
            assert_eq!(read_to_end(&client).await, (Vec::new(), true));
            task.await.unwrap();
            insta::assert_snapshot!(rig.end(), @"-- finished by client in drain 40/0");
        } else {
            task.await.unwrap();
            assert!((5.0..5.2).contains(&started.elapsed().as_secs_f64()), "{:?}", started.elapsed());
            assert_eq!(read_to_end(&client).await, (Vec::new(), false));
            insta::assert_snapshot!(rig.end(), @"cH header_timeout by client in header 32/0: no whole PROXY header from 10.0.0.1:4000 within proxy_header_timeout 5s");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn five_bytes_of_a_hello_and_then_nothing_end_at_the_hello_deadline() {
    let (rig, started) = (Rig::new(BY_NAME), Instant::now());
    let (client, task) = rig.spawn();
    write_all(&client, &[0x16, 3, 1, 2, 0]).await.unwrap();
    task.await.unwrap();
    assert!((15.0..15.1).contains(&started.elapsed().as_secs_f64()));
    insta::assert_snapshot!(rig.end(), @"cP hello_timeout by client in peek 5/0: no whole ClientHello within initial_data_timeout 15s");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_no_route_takes_is_reset() {
    let rig = Rig::new(BY_NAME);
    let (client, task) = rig.spawn();
    write_all(&client, b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    task.await.unwrap();
    assert_eq!(read_to_end(&client).await, (Vec::new(), false));
    insta::assert_snapshot!(rig.end(), @"PP no_route by proxy in peek 18/0: no route of port 8000 takes this client and server name (no name)");
}

#[tokio::test(start_paused = true)]
async fn a_dial_into_a_black_hole_ends_at_its_deadline_and_names_the_target() {
    let (rig, started) = (Rig::new(PLAIN), Instant::now());
    let _hole = rig.net.black_hole(backend_addr());
    let (client, task) = rig.spawn();
    task.await.unwrap();
    assert!((30.0..30.1).contains(&started.elapsed().as_secs_f64()));
    assert_eq!(read_to_end(&client).await, (Vec::new(), false));
    insta::assert_snapshot!(rig.end(), @"sC dial_timeout by backend in dial 0/0: cannot connect to 127.0.0.1:9000: timed out after 30.000s (connection_timeout 30s)");
}

#[tokio::test(start_paused = true)]
async fn a_refused_dial_ends_at_once() {
    let (rig, started) = (Rig::new(PLAIN), Instant::now());
    let (client, task) = rig.spawn();
    task.await.unwrap();
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert_eq!(read_to_end(&client).await, (Vec::new(), false));
    insta::assert_snapshot!(rig.end(), @"SC dial_refused by backend in dial 0/0: cannot connect to 127.0.0.1:9000: connection refused after 0.000s");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_while_its_backend_is_dialled_abandons_the_dial() {
    let rig = Rig::new(PLAIN);
    let _hole = rig.net.black_hole(backend_addr());
    for (how, expected) in
        [("fin", "CC client_left by client in dial 0/0"), ("rst", "CC client_reset by client in dial 5/0")]
    {
        let (client, task) = rig.spawn();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let left = Instant::now();
        if how == "fin" {
            client.finish();
        } else {
            write_all(&client, b"hello").await.unwrap();
            drop(client);
        }
        task.await.unwrap();
        assert_eq!(left.elapsed(), Duration::ZERO);
        assert_eq!(rig.end(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sent_its_request_and_half_closed_while_dialling_is_served() {
    let rig = Rig::new(PLAIN);
    let listener = rig.backend();
    // A full backlog makes the dial slow; it goes on when the others are accepted.
    let mut others = Vec::new();
    for _ in 0..16 {
        others.push(
            rig.net
                .connect(([127, 0, 0, 2], 1).into(), &proxy_core::Endpoint::Ip(backend_addr()))
                .await
                .unwrap(),
        );
    }
    let (client, task) = rig.spawn();
    write_all(&client, b"request").await.unwrap();
    client.shutdown_write().unwrap();
    tokio::time::sleep(Duration::from_secs(20)).await;
    for _ in 0..16 {
        drop(listener.accept().await.unwrap());
    }
    let (backend, _) = listener.accept().await.unwrap();
    assert_eq!(read_to_end(&backend).await, (b"request".to_vec(), true));
    write_all(&backend, b"answer").await.unwrap();
    backend.finish();
    assert_eq!(read_to_end(&client).await, (b"answer".to_vec(), true));
    task.await.unwrap();
    insta::assert_snapshot!(rig.end(), @"-- finished by client in drain 7/6");
}

#[tokio::test(start_paused = true)]
async fn what_a_client_sends_while_its_backend_is_dialled_is_bounded() {
    let rig = Rig::new(PLAIN);
    let _hole = rig.net.black_hole(backend_addr());
    let (client, task) = rig.spawn();
    let sent = Mutex::new(0);
    let flood = async {
        while write_all(&client, &[7; 1024]).await.is_ok() {
            *sent.lock() += 1;
        }
    };
    drop(tokio::time::timeout(Duration::from_secs(10), flood).await);
    assert_eq!(*sent.lock(), 128, "64 KiB are kept, 64 KiB are in the pipe, and then it waits");
    task.await.unwrap();
    assert!(rig.end().contains(" 65536/0"));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_ended_from_outside_resets_both_sides() {
    let rig = Rig::new(PLAIN);
    let (listener, (client, task)) = (rig.backend(), rig.spawn());
    let (backend, _) = listener.accept().await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(rig.proxy.tracker.cancel_all(proxy_conn::Reason::Shutdown), 1);
    task.await.unwrap();
    assert_eq!(
        (read_to_end(&client).await, read_to_end(&backend).await),
        ((Vec::new(), false), (Vec::new(), false))
    );
    insta::assert_snapshot!(rig.end(), @"KD shutdown by operator in relay 0/0");
}

/// Looks, when an entry goes, whether its streams have gone before it.
struct Order {
    client: Arc<Mutex<Option<MemStream>>>,
    permits: Arc<Mutex<Option<Limit>>>,
    seen: Arc<Mutex<Vec<(bool, usize)>>>,
}

impl Subscriber for Order {
    fn ended(&self, _: &Ended<'_>) {
        let client = self.client.lock();
        let mut gone = tokio_test::task::spawn(gone(client.as_ref().unwrap()));
        let permits = self.permits.lock().as_ref().map_or(0, Limit::in_use);
        self.seen.lock().push((gone.poll().is_ready(), permits));
    }
}

#[tokio::test(start_paused = true)]
async fn streams_and_permits_are_gone_before_the_entry_is_whenever_the_task_is_dropped() {
    // As many polls as a connection has until it waits in its relay, and a few more.
    for polls in 0..6 {
        let rig = Rig::new(PLAIN);
        let (client, seen) = (Arc::default(), Arc::default());
        let order = Order { client: Arc::clone(&client), permits: Arc::default(), seen: Arc::clone(&seen) };
        let permits = Arc::clone(&order.permits);
        let config = Config::parse(PLAIN, "test.toml")
            .unwrap_or_else(|errors| panic!("{}", errors.render(Ink::Plain)));
        let proxy =
            Generation::new(config.settings, Tracker::new(1, order), rig.net.clone(), Resolver::fixed([]));
        *permits.lock() = Some(proxy.connections.clone());
        let rig = Rig { proxy: Arc::new(proxy), ..rig };
        let listener = rig.backend();
        let (far, serving) = rig.connect();
        *client.lock() = Some(far);
        let mut serving = tokio_test::task::spawn(serving);
        for _ in 0..polls {
            assert!(serving.poll().is_pending());
        }
        drop(serving);
        assert!(rig.proxy.tracker.is_empty());
        assert_eq!(*seen.lock(), [(true, 0)], "dropped after {polls} polls");
        if polls > 0 {
            let (backend, _) = listener.accept().await.unwrap();
            assert_eq!(read_to_end(&backend).await, (Vec::new(), false));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_rapid_connects_and_disconnects_leaves_nothing() {
    let rig = Rig::new(&format!(
        "limits = {{ max_connections = 5000, connections_per_client = \"off\", connections_per_client_per_minute = \"off\" }}\n{PLAIN}"
    ));
    let _hole = rig.net.black_hole(backend_addr());
    let (clients, tasks): (Vec<_>, Vec<_>) = (0..5000).map(|_| rig.spawn()).unzip();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!((rig.proxy.tracker.len(), rig.proxy.connections.in_use()), (5000, 5000));
    for (n, client) in clients.into_iter().enumerate() {
        if n % 2 == 0 { client.finish() } else { drop(client) }
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(
        (rig.proxy.tracker.len(), rig.proxy.connections.in_use(), rig.ends.0.lock().len()),
        (0, 0, 5000)
    );
}
