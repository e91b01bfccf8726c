//! A side that ends and is reset afterwards, over real sockets: what it had said lies in the kernel, whole, behind a slow reader.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::time::Duration;

use proxy_core::relay::{Preface, RelayEnd, RelayLimits, Side, relay};
use proxy_core::stream::{read, write_all};
use proxy_core::{Bound, Dial, Endpoint, Kernel as _, Listen, Socket, Stream, TcpDialer, TcpListener};
use tokio::time::Instant;

/// More than the kernel's buffers of the reading side hold here, and less than those of both.
const BYTES: usize = 400 * 1024;
/// What each kernel may keep for a reader.
const KEPT: usize = 32 * 1024;
/// For longer than this nothing is taken: a reset alone is passed on sooner.
const PAUSE: Duration = Duration::from_millis(700);

/// The near end and the far end of a connection on loopback.
async fn pair() -> (Socket, Socket) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let addr = listener.local_addr().unwrap();
    let listener = TcpListener::from_std(listener).unwrap();
    let (far, near) = tokio::join!(
        async { TcpDialer::default().dial((&Endpoint::Ip(addr)).into()).await.unwrap() },
        async { listener.accept().await.unwrap().0 }
    );
    for socket in [&near, &far] {
        socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO)).unwrap();
    }
    (near, far)
}

fn buffers(socket: &Socket, receive: usize, send: usize) {
    let socket = socket2::SockRef::from(socket);
    socket.set_recv_buffer_size(receive).unwrap();
    socket.set_send_buffer_size(send).unwrap();
}

fn limits() -> RelayLimits {
    RelayLimits::new(Bound::secs(60), Instant::now() + Duration::from_secs(60)).half_closed(Bound::secs(5))
}

/// How the side that speaks goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goes {
    /// It ends, and resets when all of it has arrived.
    EndsAndResets,
    /// It is closed, and answers what it is sent then by a reset.
    Closes,
    /// It resets without having ended.
    Resets,
}

/// `speaker` says all it has and goes, while the other side takes nothing; that one then reads to the end. What came, whether
/// with an end, and how the relay ended.
async fn told(speaker: Side, goes: Goes) -> (usize, bool, RelayEnd) {
    let ((near_client, client), (near_backend, backend)) = (pair().await, pair().await);
    let (speaks, near_speaks, listens, near_listens) = match speaker {
        Side::Client => (client, &near_client, backend, &near_backend),
        Side::Backend => (backend, &near_backend, client, &near_client),
    };
    buffers(near_listens, KEPT, KEPT);
    buffers(&listens, KEPT, KEPT);
    buffers(near_speaks, BYTES, KEPT);
    let limits = limits();
    let relaying = async {
        let end = relay(&near_client, &near_backend, Preface::default(), &limits, &()).await;
        match end {
            RelayEnd::Reset { delivered: true, .. } => near_client.finish(),
            RelayEnd::Reset { .. } | RelayEnd::Finished { .. } | RelayEnd::Deadline { .. } => {
                drop(near_client);
            }
        }
        drop(near_backend);
        end
    };
    let playing = async {
        write_all(&speaks, &vec![7; BYTES]).await.unwrap();
        if goes != Goes::Resets {
            speaks.shutdown_write().unwrap();
        }
        while speaks.unacknowledged() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if goes == Goes::Closes {
            speaks.finish();
            write_all(&listens, b"x").await.unwrap();
        } else {
            drop(speaks);
        }
        tokio::time::sleep(PAUSE).await;
        read_to_end(&listens).await
    };
    let all = async { tokio::join!(relaying, playing) };
    let (end, (bytes, ended)) = tokio::time::timeout(Duration::from_secs(30), all).await.expect("it ends");
    (bytes, ended, end)
}

/// How much comes, and whether with an end.
async fn read_to_end(from: &Socket) -> (usize, bool) {
    let (mut all, mut buffer) = (0, vec![0; 64 * 1024]);
    loop {
        match read(from, &mut buffer).await {
            Ok(0) => return (all, true),
            Ok(n) => all += n,
            Err(_) => return (all, false),
        }
    }
}

#[tokio::test]
async fn what_had_come_with_its_end_before_a_reset_is_delivered_with_its_end() {
    for goes in [Goes::EndsAndResets, Goes::Closes] {
        let (bytes, ended, end) = told(Side::Backend, goes).await;
        assert_eq!((bytes, ended), (BYTES, true), "{goes:?} {end:?}");
        assert!(matches!(end, RelayEnd::Reset { by: Side::Backend, delivered: true, .. }), "{end:?}");
        // The other way, too: the backend gets the end, and then the reset.
        let (bytes, ended, end) = told(Side::Client, goes).await;
        assert_eq!((bytes, ended), (BYTES, true), "{goes:?} {end:?}");
        assert!(matches!(end, RelayEnd::Reset { by: Side::Client, delivered: false, .. }), "{end:?}");
    }
}

#[tokio::test]
async fn what_had_come_without_an_end_ends_in_a_reset() {
    for speaker in [Side::Client, Side::Backend] {
        let (bytes, ended, end) = told(speaker, Goes::Resets).await;
        assert!(bytes <= BYTES && !ended, "{bytes} {end:?}");
        assert!(matches!(end, RelayEnd::Reset { by, delivered: false, .. } if by == speaker), "{end:?}");
    }
}
