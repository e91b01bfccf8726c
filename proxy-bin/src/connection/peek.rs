//! The peek stage: which server the client asks for, where a route of the port wants to know.

use proxy_conn::{Cause, ConnGuard, DeadlineKind, Phase};
use proxy_core::header::{Prefix, could_be_header};
use proxy_core::hello::{ClientHello, HelloReader, Progress};
use proxy_core::{ReadAhead, Stream};

use super::client::fill;
use super::header::{Greeted, Origin, enter, within};
use super::verdict::Verdict;
use crate::proxy::{Listener, Proxy};

/// How much is read at once: more than any usual hello.
const CHUNK: usize = 4096;

/// A connection that has said what it is going to say before it is routed.
pub(super) struct Peeked<'p, S, D> {
    pub(super) client: &'p S,
    pub(super) ahead: ReadAhead,
    pub(super) origin: Origin,
    /// None where nobody needed to know, or it is not TLS.
    pub(super) hello: Option<ClientHello>,
    pub(super) at: &'p Listener,
    pub(super) proxy: &'p Proxy<D>,
}

/// Reads the ClientHello, only where some route of the port needs a name: a service whose server speaks first works on
/// any other port.
pub(super) async fn peek<'p, S: Stream, D>(
    conn: &ConnGuard,
    greeted: Greeted<'p, S, D>,
) -> Result<Peeked<'p, S, D>, Verdict> {
    let Greeted { client, mut ahead, origin, at, proxy } = greeted;
    let hello = if proxy.config.routes.needs_hello(at.config.port) {
        let timeout = proxy.config.deadlines.initial_data_timeout;
        let deadline = enter(conn, Phase::Peek, timeout, DeadlineKind::Hello)?;
        let reader = HelloReader::new(proxy.config.limits.max_client_hello.bytes());
        within(deadline, read_hello(conn, client, &mut ahead, reader)).await.unwrap_or_else(|| {
            let detail = format!("no whole ClientHello within initial_data_timeout {timeout}");
            Err(Verdict::explained(conn, Cause::HelloTimeout, detail))
        })?
    } else {
        None
    };
    if origin.screened && could_be_header(ahead.bytes()) == Prefix::Yes {
        return Err(forbidden_header(conn));
    }
    conn.learn(|facts| facts.server_name = hello.as_ref().and_then(|hello| hello.server_name.clone()));
    Ok(Peeked { client, ahead, origin, hello, at, proxy })
}

/// A PROXY header from a peer that is not trusted to send one.
pub(super) fn forbidden_header(conn: &ConnGuard) -> Verdict {
    let detail = format!(
        "{} sent a PROXY header, but is in no network of accept_proxy, or sent it after proxy_header_timeout",
        conn.peer().ip()
    );
    Verdict::explained(conn, Cause::HeaderUntrusted, detail)
}

/// Reads until the hello is whole, or what was sent is none. What was read stays read ahead, to be replayed.
async fn read_hello<S: Stream>(
    conn: &ConnGuard,
    client: &S,
    ahead: &mut ReadAhead,
    mut reader: HelloReader,
) -> Result<Option<ClientHello>, Verdict> {
    let mut seen = 0;
    loop {
        let new = ahead.bytes().get(seen..).unwrap_or_default();
        seen += new.len();
        match reader.push(new) {
            Progress::Hello(hello) => return Ok(Some(hello)),
            Progress::NotTls(_) => return Ok(None),
            Progress::More if ahead.ended() && seen == 0 => return Err(Verdict::of(conn, Cause::ClientLeft)),
            Progress::More if ahead.ended() => return Ok(None),
            Progress::More => fill(conn, client, ahead, CHUNK).await?,
        }
    }
}
