//! Forwards one connection to a backend and tells how it ended: `cargo run -p proxy-core --example forward`
//!
//! Both the client and the backend are this program's own.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::time::Duration;

use proxy_core::dial::{AllOpen, reach};
use proxy_core::relay::{Due, Meter, Preface, RelayEnd, RelayLimits, relay};
use proxy_core::stream::{read, write_all};
use proxy_core::{Bound, Dial, Endpoint, Listen, Resolver, Side, Stream, TargetAddr, TcpDialer, TcpListener};
use tokio::time::Instant;

/// Tells what moves.
struct Tell;

impl Meter for Tell {
    fn moved(&self, from: Side, bytes: u64, _: Instant) {
        println!("{bytes} bytes from the {from}");
    }

    fn half_closed(&self, side: Side, _: Instant) {
        println!("the {side} has ended its direction");
    }

    fn deadline(&self, _: &Due) {}
}

/// Accepts one client, dials `target` and relays until both have ended.
async fn forward(listener: &TcpListener, target: TargetAddr) -> Result<RelayEnd, Box<dyn Error>> {
    let (client, peer) = listener.accept().await?;
    println!("accepted {peer}");
    let targets = [target];
    let dialled =
        reach(&TcpDialer::default(), &Resolver::fixed([]), &targets, &AllOpen, Bound::secs(5)).await?;
    // A minute of silence ends it, an hour whatever happens.
    let limits = RelayLimits::new(Bound::secs(60), Instant::now() + Duration::from_secs(3600));
    let end = relay(&client, &dialled.stream, Preface::default(), &limits, &Tell).await;
    if matches!(end, RelayEnd::Finished { .. }) {
        // Otherwise both are reset, by being dropped.
        dialled.stream.finish();
        client.finish();
    }
    Ok(end)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let backend = TcpListener::bind("127.0.0.1:0".parse()?)?;
    let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
    let target = TargetAddr::Ip(backend.local_addr()?);
    let here = Endpoint::Ip(listener.local_addr()?);
    let client = async {
        let client = TcpDialer::default().dial((&here).into()).await?;
        write_all(&client, b"request").await?;
        client.shutdown_write()?;
        let mut answer = [0; 64];
        let n = read(&client, &mut answer).await?;
        println!("the client got \"{}\"", answer.get(..n).unwrap_or_default().escape_ascii());
        client.finish();
        Ok::<_, std::io::Error>(())
    };
    let answering = async {
        let (stream, _) = backend.accept().await?;
        while read(&stream, &mut [0; 64]).await? > 0 {}
        write_all(&stream, b"answer").await?;
        stream.finish();
        Ok::<_, std::io::Error>(())
    };
    let (end, asked, answered) = tokio::join!(forward(&listener, target), client, answering);
    asked.and(answered)?;
    println!("{:?}", end?);
    Ok(())
}
