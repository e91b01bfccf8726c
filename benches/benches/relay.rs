//! The relay between two real TCP connections on loopback, in one thread with both far ends: round trips of 100 bytes, and
//! a mebibyte one way. What the far ends cost is in it (`alone`: the same without a relay between them).

use std::future::Future;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use benches::samples;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use proxy_core::relay::{Preface, relay};
use proxy_core::stream::{read, write_all};
use proxy_core::{Socket, Stream};
use tokio::runtime::Runtime;

const ROUND_TRIP: usize = 100;
const BULK: usize = 1 << 20;

/// Both ends of a connection. In the runtime's context.
fn pair() -> io::Result<(Socket, Socket)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    #[expect(clippy::disallowed_methods, reason = "a bench on loopback")]
    let one = TcpStream::connect(listener.local_addr()?)?;
    let (other, _) = listener.accept()?;
    let [one, other] = [one, other].map(|stream| {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        Socket::try_from(stream)
    });
    Ok((one?, other?))
}

/// `bytes` from one to the other.
async fn carry<S: Stream>(from: &S, to: &S, bytes: usize) -> io::Result<()> {
    let (message, mut buffer, mut taken) = (vec![7; bytes], vec![0; bytes.min(65_536)], 0);
    let mut writing = pin!(write_all(from, &message));
    let mut written = false;
    while taken < bytes {
        let mut reading = pin!(read(to, &mut buffer));
        taken += std::future::poll_fn(|cx| {
            written = written || writing.as_mut().poll(cx)?.is_ready();
            reading.as_mut().poll(cx)
        })
        .await?;
    }
    Ok(())
}

/// How long `count` times `bytes` there, and `back` bytes back, take between two far ends.
async fn talk<S: Stream>(
    client: &S,
    backend: &S,
    count: u64,
    [there, back]: [usize; 2],
) -> io::Result<Duration> {
    #[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
    let start = std::time::Instant::now();
    for _ in 0..count {
        carry(client, backend, there).await?;
        carry(backend, client, back).await?;
    }
    Ok(start.elapsed())
}

/// The same through a relay.
async fn relayed(count: u64, bytes: [usize; 2]) -> io::Result<Duration> {
    let ((client, near_client), (near_backend, backend)) = (pair()?, pair()?);
    let limits = samples::relay_limits();
    let mut relaying = pin!(relay(&near_client, &near_backend, Preface::default(), &limits, &()));
    let mut talking = pin!(talk(&client, &backend, count, bytes));
    std::future::poll_fn(|cx| {
        if let Poll::Ready(end) = relaying.as_mut().poll(cx) {
            return Poll::Ready(Err(io::Error::other(format!("{end:?}"))));
        }
        talking.as_mut().poll(cx)
    })
    .await
}

async fn alone(count: u64, bytes: [usize; 2]) -> io::Result<Duration> {
    let (client, backend) = pair()?;
    talk(&client, &backend, count, bytes).await
}

#[expect(clippy::expect_used, reason = "a bench has nobody to report to")]
fn over_tcp(c: &mut Criterion) {
    let runtime: Runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for (name, bytes) in [("round_trip", [ROUND_TRIP; 2]), ("bulk", [BULK, 1])] {
        let mut group = c.benchmark_group(format!("relay_{name}"));
        let moved = bytes.iter().sum::<usize>() as u64;
        group.throughput(Throughput::Bytes(moved));
        group.bench_function(BenchmarkId::from_parameter("relayed"), |b| {
            b.iter_custom(|count| runtime.block_on(relayed(count, bytes)).expect("nobody ends"));
        });
        group.bench_function(BenchmarkId::from_parameter("alone"), |b| {
            b.iter_custom(|count| runtime.block_on(alone(count, bytes)).expect("nobody ends"));
        });
        group.finish();
    }
}

criterion_group!(benches, over_tcp);
criterion_main!(benches);
