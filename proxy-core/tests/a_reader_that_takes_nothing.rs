//! A reader that takes nothing, over real sockets: bytes that its kernel could still be given are no sign of life.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::time::Duration;

use proxy_core::relay::{Preface, RelayDeadline, RelayEnd, RelayLimits, Side, relay};
use proxy_core::stream::write_all;
use proxy_core::{Bound, Dial, Endpoint, Listen, Socket, TcpDialer, TcpListener};
use tokio::time::Instant;

/// The near end and the far end of a connection on loopback.
async fn pair() -> (Socket, Socket) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let addr = Endpoint::Ip(listener.local_addr().unwrap());
    let listener = TcpListener::from_std(listener).unwrap();
    let dialler = TcpDialer::default();
    let (far, near) = tokio::join!(dialler.dial((&addr).into()), listener.accept());
    (near.unwrap().0, far.unwrap())
}

/// How a relay ends whose client takes nothing of so many bytes and the end behind them, and after how long.
async fn of_an_answer(bytes: usize) -> (RelayEnd, Duration) {
    let ((near_client, _client), (near_backend, backend)) = (pair().await, pair().await);
    let limits = RelayLimits::new(Bound::secs(60), Instant::now() + Duration::from_secs(60))
        .half_closed(Bound::millis(500))
        .write_stall(Bound::secs(1));
    let answering = async {
        write_all(&backend, &vec![7; bytes]).await.unwrap_or_default();
        backend.shutdown_write().unwrap_or_default();
        std::future::pending::<()>().await;
    };
    let began = Instant::now();
    tokio::select! {
        end = relay(&near_client, &near_backend, Preface::default(), &limits, &()) => (end, began.elapsed()),
        () = answering => unreachable!("it is pending"),
    }
}

/// Of the longer one some waits in the relay, while the kernel has room for which it does not wake anybody yet.
#[tokio::test]
async fn it_is_ended_within_the_deadline_and_one_look_wherever_the_bytes_are() {
    for bytes in [1_500_000, 3_000_000, 6_000_000] {
        let (end, after) = of_an_answer(bytes).await;
        let expected = RelayDeadline::WriteStall;
        assert!(
            matches!(&end, RelayEnd::Deadline { which, at_fault: Some(Side::Client), .. } if *which == expected),
            "{bytes}: {end:?}"
        );
        // A deadline of a second, an eighth for the look, and a late timer's half a second.
        assert!((1_000..1_800).contains(&after.as_millis()), "{bytes}: {after:?}");
    }
}
