//! A connection is one function; its entry is a guard in that function's frame: `cargo run -p proxy-conn --example guard`
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use proxy_conn::{Cause, ConnGuard, Ended, Opening, Phase, Reason, Session, Subscriber, Tracker, Verdict};
use proxy_core::{Bound, Dial, Endpoint, Listen, Socket, TcpDialer, TcpListener};

/// Prints each end, as an access log would.
struct Print;

impl Subscriber for Print {
    fn ended(&self, ended: &Ended<'_>) {
        let detail = ended.detail.map(|detail| format!(": {detail}")).unwrap_or_default();
        println!("{} {} after {:.3}s{detail}", ended.id, ended.end, ended.spent(Phase::Header).as_secs_f64());
    }
}

/// The life of a connection: it has to send a PROXY header within 20 ms, and is refused whatever that says.
async fn serve(mut session: Session<'_, Socket>) -> Result<Verdict, Verdict> {
    let header = session.header(&proxy_core::header::HeaderLimits::default(), Bound::millis(20)).await?;
    let detail = format!("{:?}", header.endpoints.source());
    Ok(Verdict::explained(session.conn, Cause::RouteRefused, detail))
}

/// A connection that has just been accepted, and the client's end of it.
async fn accept(
    listener: &TcpListener,
    tracker: &Arc<Tracker>,
) -> Result<(ConnGuard, Socket, Socket), Box<dyn Error>> {
    let far = TcpDialer::default().dial((&Endpoint::Ip(listener.local_addr()?)).into()).await?;
    let (near, peer) = listener.accept().await?;
    Ok((tracker.open(0, Opening::new(peer, "example")), near, far))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (tracker, listener) = (Tracker::new(1, Print), TcpListener::bind("127.0.0.1:0".parse()?)?);
    let life = async |session: Session<'_, Socket>| serve(session).await;

    println!("one whose deadline passes:");
    let (conn, near, _far) = accept(&listener, &tracker).await?;
    conn.run(near, life).await;

    println!("one that is killed meanwhile:");
    let (conn, near, _far) = accept(&listener, &tracker).await?;
    let killing = async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        tracker.cancel_all(Reason::Killed)
    };
    tokio::join!(conn.run(near, life), killing);

    println!("one whose function is dropped before it has run:");
    let (conn, near, _far) = accept(&listener, &tracker).await?;
    drop(conn.run(near, life));

    println!("{} open, {} opened in all", tracker.len(), tracker.opened());
    Ok(())
}
