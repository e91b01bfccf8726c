//! Takes connections to two backends in turn, one of which is dead for a while: `cargo run -p proxy-upstream --example turns`
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::sync::Arc;

use proxy_core::dial::reach;
use proxy_core::{Bound, Resolver, TcpDialer, TcpListener};
use proxy_upstream::{Group, GroupOptions, Kept, MemberOptions, Unhealthy};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (first, second) =
        (TcpListener::bind("127.0.0.1:0".parse()?)?, TcpListener::bind("127.0.0.1:0".parse()?)?);
    let (here, there) = (first.local_addr()?, second.local_addr()?);
    let members = [here.to_string().parse()?, there.to_string().parse()?].map(MemberOptions::new);
    let (kept, unhealthy) = (Kept::default(), Arc::new(Unhealthy::default()));
    let group = Group::new("main".into(), members, GroupOptions::default(), &kept, &unhealthy);

    let mut first = Some(first);
    for n in 1..=10 {
        if n == 4 {
            println!("{here} is closed");
            drop(first.take());
        }
        let candidates = group.candidates(443);
        let (dialer, resolver) = (TcpDialer::default(), Resolver::fixed([]));
        let dialled = reach(&dialer, &resolver, &candidates.addresses, &candidates, Bound::secs(5)).await?;
        println!("{n}: to {}, after {} that failed", dialled.endpoint, dialled.failed.len());
    }
    for member in group.iter() {
        println!(
            "{}: {} connections, its breaker is {:?}",
            member.name,
            member.limit.in_use(),
            member.breaker().state
        );
    }
    Ok(())
}
