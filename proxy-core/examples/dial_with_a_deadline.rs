//! Dials a target and says how it went: `cargo run -p proxy-core --example dial_with_a_deadline -- 127.0.0.1:9 500ms`
//!
//! Without arguments it dials a black hole that it makes itself: a listener that accepts nothing and whose queue is full,
//! where the kernel would keep trying for two minutes.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::net::SocketAddr;

use proxy_core::dial::{AllOpen, reach};
use proxy_core::{Bound, Dial, Endpoint, Resolver, TargetAddr, TcpDialer};
use socket2::{Domain, Socket, Type};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (target, within) = (args.next(), args.next());
    let within: Bound = within.as_deref().unwrap_or("500ms").parse()?;
    let (target, _kept) = match target {
        Some(target) => (target.parse()?, Vec::new()),
        None => black_hole().await?,
    };
    let resolver = Resolver::fixed([]);
    match reach(&TcpDialer::default(), &resolver, &[TargetAddr::Ip(target)], &AllOpen, within).await {
        Ok(dialled) => println!("connected to {}", dialled.endpoint),
        Err(error) => println!("{error}"),
    }
    Ok(())
}

/// A loopback address at which dials hang, and what has to be kept for it to stay so.
async fn black_hole() -> Result<(SocketAddr, Vec<Box<dyn std::any::Any>>), Box<dyn Error>> {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    listener.listen(0)?;
    let addr = listener.local_addr()?.as_socket().ok_or("an address of the wrong family")?;
    // Backlog 0 still queues one connection; the second SYN and all after it are dropped.
    let queued = TcpDialer::default().dial((&Endpoint::Ip(addr)).into()).await?;
    Ok((addr, vec![Box::new(listener), Box::new(queued)]))
}
