//! A connection is one function; its entry is a guard in that function's frame: `cargo run -p proxy-conn --example guard`
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::sync::Arc;
use std::time::Duration;

use proxy_conn::{Cause, ConnGuard, DeadlineKind, Ended, Opening, Phase, Reason, Subscriber, Tracker};
use proxy_core::PeerAddr;
use tokio::time::Instant;

/// Prints each end, as an access log would.
struct Print;

impl Subscriber for Print {
    fn ended(&self, ended: &Ended<'_>) {
        println!("{} {} ({:.3}s in dial)", ended.id, ended.end, ended.spent(Phase::Dial).as_secs_f64());
    }
}

/// The life of a connection, with a pause where a proxy would dial and relay.
async fn serve(conn: ConnGuard) {
    let deadline = Instant::now() + Duration::from_secs(30);
    if let Err(end) = conn.enter(Phase::Dial, deadline, DeadlineKind::Dial) {
        return conn.end(end, None);
    }
    tokio::select! {
        reason = conn.cancelled() => conn.end(reason.cause().during(conn.phase()), None),
        () = tokio::time::sleep(Duration::from_millis(20)) => conn.end(Cause::DialRefused.during(conn.phase()), None),
    }
    // Here `conn` is dropped, and with it the entry: there is nothing else to do, and nothing to forget.
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let tracker = Tracker::new(1, Print);
    let open = |port: u16| {
        tracker.open(0, Opening::new(PeerAddr::new(([127, 0, 0, 1], port).into()), Arc::from("example")))
    };
    println!("one that comes to its own end:");
    serve(open(4001)).await;
    println!("one that is ended from outside:");
    let conn = open(4002);
    tracker.cancel_all(Reason::Killed);
    serve(conn).await;
    println!("one whose function is dropped in the middle:");
    let conn = open(4003);
    drop(serve(conn));
    println!("{} open, {} opened in all", tracker.len(), tracker.opened());
}
