//! A crowd whose every hello is nearly whole: what it costs is what was sent, and little more.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed assumption of a test is its failure"
)]

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener as StdListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use chain_harness::{Counting, allocated};
use proxy_bin::config::Config;
use proxy_conn::{Phase, Tracker};
use proxy_core::{Resolver, TcpDialer, TcpListener};
use proxy_dataplane::generation::{Generation, Listener};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

#[global_allocator]
static COUNTING: Counting = Counting;

const CROWD: usize = 100;
/// As large a hello as is read by default, less a few bytes of it.
const HELLO: usize = 16 * 1024;
const SENT: usize = HELLO - 50;
/// What one of them may hold: a hello, and everything else that there is of a connection without a route.
const EACH: usize = 20 * 1024;

fn config(accept_proxy: &str) -> Config {
    let text = format!(
        "[limits]\nmax_connections = 1000\nconnections_per_client = \"off\"\n[timeouts]\ninitial_data_timeout = \"60s\"\n\
         [[listeners]]\nports = [8000]\nbind = [\"127.0.0.1\"]\n{accept_proxy}\n\
         [[routes]]\nname = \"only\"\nmatch = {{ ports = [8000], domains = [\"a.test\"] }}\naction = \"refuse\"\n"
    );
    Config::parse(&text, "hellos.toml").unwrap()
}

/// The head of a record that holds a ClientHello of just the size that is read, and zeros.
fn hello() -> Vec<u8> {
    let (record, message) = (HELLO - 5, HELLO - 9);
    let length = |n: usize| u16::try_from(n).unwrap().to_be_bytes();
    let mut bytes = [&[22, 3, 1][..], &length(record), &[1, 0], &length(message)].concat();
    bytes.resize(SENT, 0);
    bytes
}

fn connect(to: SocketAddr) -> TcpStream {
    #[expect(clippy::disallowed_methods, reason = "a client, of a listener that is there")]
    TcpStream::connect(to).unwrap()
}

/// Bytes that are allocated for each of a crowd that sends `before` and then nearly all of a hello, in pieces of `size`.
async fn bytes_of_each(accept_proxy: &str, before: &[u8], size: usize) -> usize {
    let front = StdListener::bind("127.0.0.1:0").unwrap();
    front.set_nonblocking(true).unwrap();
    let (to, config) = (front.local_addr().unwrap(), config(accept_proxy));
    let (at, tracker) = (Listener::new(&config.settings.listeners[0]), Tracker::new(1, ()));
    let proxy =
        Generation::new(config.settings, Arc::clone(&tracker), TcpDialer::default(), Resolver::fixed([]));
    let (listener, stop) = (TcpListener::from_std(front).unwrap(), CancellationToken::new());
    let accepting = Arc::new(proxy).accept(at, 0, listener, TaskTracker::new(), stop.clone());
    let read_by_all = async |bytes: usize, all: usize| {
        let read = || {
            let views = tracker.snapshot();
            views.len() == all && views.iter().all(|view| view.from_client == bytes as u64)
        };
        while !read() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let counting = async {
        // The first one finds out how much room what all share needs.
        let mut clients = vec![connect(to)];
        read_by_all(0, 1).await;
        clients.reserve(CROWD);
        let (stream, empty) = ([before, &hello()].concat(), allocated());
        for n in 0..CROWD {
            clients.push(connect(to));
            read_by_all(0, n + 2).await;
        }
        let mut sent = 0;
        for piece in stream.chunks(size) {
            for client in &mut clients {
                client.write_all(piece).unwrap();
            }
            sent += piece.len();
            read_by_all(sent, CROWD + 1).await;
        }
        assert!(tracker.snapshot().iter().all(|view| view.phase == Phase::Peek));
        let each = (allocated() - empty) / CROWD;
        stop.cancel();
        drop(clients);
        tracker.emptied().await;
        each
    };
    tokio::time::timeout(chain_harness::PATIENCE, async { tokio::join!(accepting, counting).1 })
        .await
        .unwrap()
}

#[tokio::test]
async fn each_costs_at_most_20_kib() {
    let header = b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n";
    let trusted = "accept_proxy = { required = [\"127.0.0.1/32\"] }";
    for (accept_proxy, before, size) in [
        ("", &b""[..], SENT),
        ("", b"", 4096),
        ("", b"", 999),
        (trusted, header, 999),
        (trusted, header, SENT),
    ] {
        let each = bytes_of_each(accept_proxy, before, size).await;
        println!("{each} bytes for each hello of {SENT} in pieces of {size}");
        assert!(each <= EACH, "{each} bytes for each, in pieces of {size}");
    }
}
