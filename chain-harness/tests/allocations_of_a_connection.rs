//! How often memory is asked for, for each connection: what is asked for in vain is time, and what is kept is resident.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed assumption of a test is its failure"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener as StdListener, TcpStream};
use std::sync::Arc;

use chain_harness::{Counting, allocations_by_this_thread};
use proxy_bin::config::Config;
use proxy_conn::Tracker;
use proxy_core::{Resolver, TcpDialer, TcpListener};
use proxy_dataplane::generation::{Generation, Listener};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

#[global_allocator]
static COUNTING: Counting = Counting;

/// Tables grow to their size in these.
const WARM_UP: usize = 200;
const COUNTED: usize = 500;

/// The task; for each of the two sockets its place in the reactor; the entry; the stages before the relay; what the client
/// sent before it had a backend, and that it waits to be sent.
const EACH: f64 = 7.0;

fn config(backend: SocketAddr) -> Config {
    let text = format!(
        "[limits]\nconnections_per_client_per_minute = \"off\"\n\
         [[listeners]]\nports = [8000]\nbind = [\"127.0.0.1\"]\n\
         [[routes]]\nname = \"only\"\nmatch = {{ ports = [8000] }}\naction = {{ forward = [\"{backend}\"] }}\n"
    );
    Config::parse(&text, "allocations.toml").unwrap()
}

/// Echoes what one client after the other sends.
fn echo(listener: &StdListener, clients: usize) {
    for _ in 0..clients {
        let (mut client, _) = listener.accept().unwrap();
        let mut message = [0; 64];
        client.read_exact(&mut message).unwrap();
        client.write_all(&message).unwrap();
        assert_eq!(client.read(&mut message).unwrap(), 0);
    }
}

fn short_connection(to: SocketAddr) {
    #[expect(clippy::disallowed_methods, reason = "a client, of a listener that is there")]
    let mut stream = TcpStream::connect(to).unwrap();
    let mut message = [7; 64];
    stream.write_all(&message).unwrap();
    stream.read_exact(&mut message).unwrap();
    drop(stream);
}

/// Allocations of the thread that serves, for each of many short connections.
fn allocations_of_each() -> f64 {
    let backend = StdListener::bind("127.0.0.1:0").unwrap();
    let front = StdListener::bind("127.0.0.1:0").unwrap();
    front.set_nonblocking(true).unwrap();
    let (to, config) = (front.local_addr().unwrap(), config(backend.local_addr().unwrap()));
    std::thread::spawn(move || echo(&backend, WARM_UP + COUNTED));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async move {
        let at = Listener::new(&config.settings.listeners[0]);
        let tracker = Tracker::new(1, ());
        let proxy = Arc::new(Generation::new(
            config.settings,
            Arc::clone(&tracker),
            TcpDialer::default(),
            Resolver::fixed([]),
        ));
        let (listener, stop) = (TcpListener::from_std(front).unwrap(), CancellationToken::new());
        let accepting = proxy.accept(at, 0, listener, TaskTracker::new(), stop.clone());
        let crowd = |n: usize| tokio::task::spawn_blocking(move || (0..n).for_each(|_| short_connection(to)));
        let counting = async {
            crowd(WARM_UP).await.unwrap();
            tracker.emptied().await;
            let before = allocations_by_this_thread();
            crowd(COUNTED).await.unwrap();
            tracker.emptied().await;
            stop.cancel();
            allocations_by_this_thread() - before
        };
        let ((), counted) = tokio::join!(accepting, counting);
        counted as f64 / COUNTED as f64
    })
}

#[test]
fn a_short_connection_asks_for_memory_seven_times() {
    let each = allocations_of_each();
    println!("{each:.2} allocations for each connection");
    assert!(each <= EACH + 0.2, "{each:.2} allocations for each connection");
}
