//! Answers every request with what it was asked: `cargo run -p proxy-http --example serve`, then `curl http://127.0.0.1:PORT/`.

#![expect(clippy::print_stdout, reason = "an example says where it listens")]

use std::future::{Future, pending};

use proxy_conn::{Cause, Opening, Tracker, Verdict};
use proxy_core::{Listen, TcpListener};
use proxy_http::hyper::Response;
use proxy_http::{Answer, Asked, Handler, Options, Served, Told, serve};

struct Echo;

impl Handler for Echo {
    type Tunnel = ();

    fn handle(&self, asked: Asked) -> impl Future<Output = Told<()>> + Send {
        let text = format!("{} {}, request {}\n", asked.request.method(), asked.request.uri(), asked.nth);
        std::future::ready(Response::new(Answer::own(text)).into())
    }

    fn leaves(&self) -> impl Future<Output = ()> + Send {
        pending()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind(([127, 0, 0, 1], 0).into())?;
    println!("http://{}/", listener.local_addr()?);
    let tracker = Tracker::new(1, ());
    loop {
        let (client, peer) = listener.accept().await?;
        let conn = tracker.open(0, Opening::new(peer, "main"));
        let serving = conn.run(client, async |session| {
            if let Err(end) = session.conn.enter(
                proxy_conn::Phase::Dial,
                session.conn.opened(),
                proxy_conn::DeadlineKind::Dial,
            ) {
                return Verdict::from(end);
            }
            match serve(session.conn, session.client, session.ahead, &Echo, &Options::default()).await {
                Served::Ended(verdict) => verdict,
                Served::Switched { .. } => Verdict::of(session.conn, Cause::Aborted),
            }
        });
        serving.await;
    }
}
