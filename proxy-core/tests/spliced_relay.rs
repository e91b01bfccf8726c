//! Large flows over real sockets: through a pipe, whole, and with the same ends as any other.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests fail by panicking")]

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use proxy_core::process::pipes;
use proxy_core::relay::{Preface, RelayEnd, RelayLimits, Side, relay};
use proxy_core::{Bound, Dial, Endpoint, Socket, Stream, TcpDialer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Pipes are counted for the whole process.
static ALONE: Mutex<()> = Mutex::new(());

const MIB: usize = 1 << 20;
/// Far more than the kernel's buffers of a pair of sockets on loopback.
const LARGE: usize = 48 * MIB;

/// A test with all pipes to itself. It lets go of those that its thread keeps.
struct Alone(#[expect(dead_code, reason = "held")] MutexGuard<'static, ()>);

impl Drop for Alone {
    fn drop(&mut self) {
        release();
    }
}

fn alone() -> Alone {
    let alone = Alone(ALONE.lock().unwrap_or_else(PoisonError::into_inner));
    pipes::at_most(16);
    assert_eq!(pipes::open(), 0);
    alone
}

fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|n| u8::try_from((n * 31 + (n >> 13)) % 251).unwrap()).collect()
}

/// One side of the relay, and who is on its other end.
async fn side() -> (Socket, TcpStream) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near =
        TcpDialer::default().dial((&Endpoint::Ip(listener.local_addr().unwrap())).into()).await.unwrap();
    (near, listener.accept().await.unwrap().0)
}

fn limits() -> RelayLimits {
    RelayLimits::new(Bound::secs(60), Instant::now() + Duration::from_secs(60))
}

/// Relays between two real sockets while `ends` plays client and backend; how the relay ended.
async fn relayed<E: Future<Output = ()>>(ends: impl FnOnce(TcpStream, TcpStream) -> E) -> RelayEnd {
    let ((near_client, client), (near_backend, backend)) = (side().await, side().await);
    let limits = limits();
    let relaying = async {
        let end = relay(&near_client, &near_backend, Preface::default(), &limits, &()).await;
        if matches!(end, RelayEnd::Finished { .. }) {
            near_client.finish();
            near_backend.finish();
        } else {
            drop((near_client, near_backend));
        }
        end
    };
    tokio::time::timeout(Duration::from_secs(50), async { tokio::join!(relaying, ends(client, backend)).0 })
        .await
        .expect("it ends")
}

async fn read_to_end(mut from: TcpStream) -> (Vec<u8>, Option<std::io::ErrorKind>) {
    let (mut all, mut buffer) = (Vec::new(), vec![0; 256 * 1024]);
    loop {
        match from.read(&mut buffer).await {
            Ok(0) => return (all, None),
            Ok(n) => all.extend_from_slice(&buffer[..n]),
            Err(error) => return (all, Some(error.kind())),
        }
    }
}

/// Lets go of the pipes that this thread keeps.
fn release() {
    pipes::release_idle();
    pipes::release_idle();
}

#[tokio::test]
async fn a_large_flow_each_way_arrives_whole_through_pipes_that_are_kept_empty() {
    let _alone = alone();
    let end = relayed(|client, backend| async {
        let (up, down) = (bytes(LARGE), bytes(LARGE / 2));
        let ((mut client_in, mut client_out), (mut backend_in, mut backend_out)) =
            (client.into_split(), backend.into_split());
        let sending = async {
            client_out.write_all(&up).await.unwrap();
            client_out.shutdown().await.unwrap();
        };
        let answering = async {
            backend_out.write_all(&down).await.unwrap();
            backend_out.shutdown().await.unwrap();
        };
        let (mut got_up, mut got_down) = (Vec::new(), Vec::new());
        let receiving = async { backend_in.read_to_end(&mut got_up).await.unwrap() };
        let hearing = async { client_in.read_to_end(&mut got_down).await.unwrap() };
        tokio::join!(sending, answering, receiving, hearing);
        assert!(got_up == up && got_down == down, "every byte in its place");
    })
    .await;
    assert!(matches!(end, RelayEnd::Finished { .. }), "{end:?}");
    assert!(pipes::open() > 0, "it was spliced");
    release();
    assert_eq!(pipes::open(), 0, "and its pipes were empty in the end");
}

#[tokio::test]
async fn what_is_in_a_pipe_when_its_source_ends_is_sent_before_the_end() {
    let _alone = alone();
    let end = relayed(|mut client, backend| async move {
        let sent = bytes(LARGE);
        let sending = async {
            client.write_all(&sent).await.unwrap();
            client.shutdown().await.unwrap();
        };
        let receiving = async {
            // Everything on the way is full by now, a pipe among it.
            while pipes::open() == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            read_to_end(backend).await
        };
        let ((), (got, error)) = tokio::join!(sending, receiving);
        assert!(got == sent && error.is_none(), "{} bytes, {error:?}", got.len());
    })
    .await;
    assert!(matches!(end, RelayEnd::Finished { first: Side::Client }), "{end:?}");
    release();
    assert_eq!(pipes::open(), 0);
}

#[tokio::test]
async fn who_gets_no_pipe_is_copied() {
    let _alone = alone();
    pipes::at_most(0);
    let end = relayed(|mut client, backend| async move {
        let sent = bytes(LARGE);
        let sending = async {
            client.write_all(&sent).await.unwrap();
            client.shutdown().await.unwrap();
        };
        let ((), (got, error)) = tokio::join!(sending, read_to_end(backend));
        assert!(got == sent && error.is_none());
    })
    .await;
    assert!(matches!(end, RelayEnd::Finished { .. }), "{end:?}");
    assert_eq!(pipes::open(), 0);
}

#[tokio::test]
async fn a_pipe_whose_sink_has_reset_is_closed_with_what_is_in_it() {
    let _alone = alone();
    let end = relayed(|mut client, backend| async move {
        let sent = bytes(LARGE);
        let sending = async { client.write_all(&sent).await };
        let resetting = async {
            while pipes::open() == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            backend.set_zero_linger().unwrap();
            drop(backend);
        };
        let (sent, ()) = tokio::join!(sending, resetting);
        assert!(sent.is_err(), "the reset has travelled");
    })
    .await;
    assert!(matches!(end, RelayEnd::Reset { by: Side::Backend, .. }), "{end:?}");
    release();
    assert_eq!(pipes::open(), 0, "a dirty pipe is nobody else's");
}

#[tokio::test]
async fn what_was_spliced_from_a_source_that_then_reset_arrives_before_its_reset() {
    let _alone = alone();
    let end = relayed(|mut client, backend| async move {
        let sent = bytes(LARGE);
        let sending = async {
            client.write_all(&sent).await.unwrap();
            // The relay has read all of it.
            while unacknowledged(&client) > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            client.set_zero_linger().unwrap();
            drop(client);
        };
        let ((), (got, error)) = tokio::join!(sending, read_to_end(backend));
        assert_eq!(error, Some(std::io::ErrorKind::ConnectionReset), "a reset stays a reset");
        assert!(got == sent, "{} bytes of {}", got.len(), sent.len());
    })
    .await;
    assert!(matches!(end, RelayEnd::Reset { by: Side::Client, .. }), "{end:?}");
}

#[tokio::test]
async fn urgent_bytes_amid_a_large_flow_keep_their_place() {
    let _alone = alone();
    let end = relayed(|client, backend| async move {
        let part = bytes(8 * MIB);
        let mut expected = Vec::new();
        for _ in 0..3 {
            expected.extend_from_slice(&part);
            expected.push(b'!');
        }
        let sending = async {
            let mut client = client;
            for _ in 0..3 {
                client.write_all(&part).await.unwrap();
                loop {
                    client.writable().await.unwrap();
                    let urgent = client.try_io(tokio::io::Interest::WRITABLE, || {
                        socket2::SockRef::from(&client).send_out_of_band(b"!")
                    });
                    match urgent {
                        Ok(_) => break,
                        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
                    }
                }
            }
            client.shutdown().await.unwrap();
        };
        let ((), (got, error)) = tokio::join!(sending, read_to_end(backend));
        assert!(got == expected && error.is_none(), "{} bytes of {}", got.len(), expected.len());
    })
    .await;
    assert!(matches!(end, RelayEnd::Finished { .. }), "{end:?}");
}

/// Bytes that the other side's kernel has not taken, as the kernel lists them.
fn unacknowledged(stream: &TcpStream) -> usize {
    let port = format!(":{:04X}", stream.local_addr().unwrap().port());
    let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let own = |line: &&str| line.split_whitespace().nth(1).is_some_and(|at| at.ends_with(&port));
    let queues = sockets.lines().find(own).and_then(|line| line.split_whitespace().nth(4)).unwrap();
    usize::from_str_radix(queues.split(':').next().unwrap(), 16).unwrap()
}
