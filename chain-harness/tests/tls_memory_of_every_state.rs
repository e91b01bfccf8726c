//! What a stream with TLS holds of memory in each of its states: however much its peer sends, and whatever it does not take.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failed assumption of a test is its failure, and figures are for whoever reads them"
)]

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use chain_harness::{Counting, allocated_by_this_thread};
use proxy_core::Stream as _;
use proxy_core::mem::{MemStream, pair};
use proxy_core::stream::{read, write_all};
use proxy_tls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use proxy_tls::rustls::{ClientConfig, ServerConfig};
use proxy_tls::{
    Certificate, CertificateStore, Certificates, ClientOptions, ServerOptions, TicketKeys, TlsStream, Trust,
    accept, client_config, connect, server_config,
};

#[global_allocator]
static COUNTING: Counting = Counting;

/// A wire that holds little, since what it holds counts too.
const WIRE: usize = 512;

fn configs() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let made = rcgen::generate_simple_self_signed(["test.example".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let own = Certificate::new(vec![made.cert.der().clone()], &key).unwrap();
    let store = Arc::new(CertificateStore::new(Certificates::new(&[own], true)));
    let trust = Trust::Pinned(vec![made.cert.der().clone()].into());
    // No tickets: a client keeps those that it has got.
    let server = server_config(store, &ServerOptions::default().tickets(0), &TicketKeys::default()).unwrap();
    (server, client_config(&ClientOptions::default().trust(trust)).unwrap())
}

type Pair = (TlsStream<MemStream>, TlsStream<MemStream>);

async fn shaken(configs: &(Arc<ServerConfig>, Arc<ClientConfig>)) -> Pair {
    let (near, far) = pair(WIRE);
    let name = ServerName::try_from("test.example").unwrap();
    let connecting = connect(near, Arc::clone(&configs.1), name);
    let (client, server) = tokio::join!(connecting, accept(far, Arc::clone(&configs.0), Vec::new()));
    (client.unwrap(), server.unwrap())
}

/// Runs on a paused clock, under a deadline.
fn run<R>(test: impl Future<Output = R>) -> R {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(600), test).await.expect("it hangs") })
}

/// How many bytes more are allocated after `then`, for each of `count`.
async fn each<R>(count: usize, then: impl AsyncFnOnce() -> R) -> (usize, R) {
    let before = allocated_by_this_thread();
    let result = then().await;
    (allocated_by_this_thread().wrapping_sub(before) / count, result)
}

fn is_at_most(state: &str, bytes: usize, most: usize) {
    println!("{bytes} bytes: {state}");
    // What wraps around was freed.
    let bytes = if bytes > usize::MAX / 2 { 0 } else { bytes };
    assert!(bytes <= most, "{bytes} bytes, at most {most}: {state}");
}

const COUNT: usize = 20;

#[test]
fn an_idle_stream_holds_no_buffer() {
    run(async {
        let configs = configs();
        // What is made once for all of them.
        drop(shaken(&configs).await);
        let (both, pairs) = each(COUNT, async || {
            let mut pairs = Vec::with_capacity(COUNT);
            for _ in 0..COUNT {
                pairs.push(shaken(&configs).await);
            }
            pairs
        })
        .await;
        is_at_most("idle, a client's side, a server's and the wire between them", both, 12 * 1024);
        let (after, ()) = each(COUNT, async || {
            for (client, server) in &pairs {
                let (message, mut buf) = (vec![7; 100_000], vec![0; 64 * 1024]);
                let reading = async {
                    let mut got = 0;
                    while got < message.len() {
                        got += read(server, &mut buf).await.unwrap();
                    }
                };
                tokio::join!(async { write_all(client, &message).await.unwrap() }, reading);
            }
        })
        .await;
        is_at_most("more when it is idle again after 100 KB", after, 1024);
    });
}

#[test]
fn a_leg_that_is_not_read_holds_what_was_encrypted_at_once() {
    run(async {
        let pair = shaken(&configs()).await;
        let message = vec![7; 4 << 20];
        let (held, ()) = each(1, async || {
            let mut written = 0;
            // Until nothing more is taken.
            while let Poll::Ready(n) =
                poll_fn(|cx| Poll::Ready(pair.1.poll_write(cx, &message[written..]))).await
            {
                written += n.unwrap();
            }
            assert!(written < 1 << 20, "{written} bytes were taken");
        })
        .await;
        is_at_most("a leg that its peer does not read", held, 68 * 1024);
    });
}

#[test]
fn one_that_reads_little_at_a_time_holds_a_record() {
    run(async {
        let (client, server) = shaken(&configs()).await;
        let message = vec![7; 1 << 20];
        let (held, ()) = each(1, async || {
            let writing = write_all(&client, &message);
            let reading = async {
                for _ in 0..100 {
                    read(&server, &mut [0; 1]).await.unwrap();
                }
            };
            tokio::select! {
                _ = writing => panic!("a megabyte was taken"),
                () = reading => {}
            }
        })
        .await;
        // One record that is handed out, the front of the next; and what the other side has encrypted of the rest.
        is_at_most("one that reads a byte at a time", held, (16 + 2 + 68) * 1024);
    });
}

#[test]
fn a_handshake_that_is_not_done_holds_the_largest_message_at_most() {
    run(async {
        let configs = configs();
        // What a thread has once is made by the first.
        drop(shaken(&configs).await);
        let (server, (near, far)) = (Arc::clone(&configs.0), pair(WIRE));
        // 60 000 bytes of a hello are said to come, in records of the largest size, and all but the last come.
        let mut hello = vec![0; 59_000];
        hello[..4].copy_from_slice(&[1, 0, 0xea, 0x60]);
        let record = |part: &[u8]| {
            let length = u16::try_from(part.len()).unwrap().to_be_bytes();
            [&[22, 3, 1][..], &length, part].concat()
        };
        let said: Vec<u8> = hello.chunks(16 * 1024).flat_map(record).collect();
        let before = allocated_by_this_thread();
        let mut accepting = Box::pin(accept(far, server, Vec::new()));
        let saying = async {
            write_all(&near, &said).await.unwrap();
            // What is on its way is read meanwhile.
            tokio::time::sleep(Duration::from_secs(1)).await;
        };
        tokio::select! {
            _ = &mut accepting => panic!("it is not done"),
            () = saying => {}
        }
        let held = allocated_by_this_thread() - before;
        is_at_most("a handshake of whose message all but the end has come", held, 72 * 1024);
        drop(accepting);
    });
}
