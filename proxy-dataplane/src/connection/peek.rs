//! The peek stage: which server the client asks for, where a route of the port wants to know.
//!
//! ```text
//!              ┌─ of another protocol ────────────────────────► routed without a name
//! first bytes ─┼─ a hello, with a name, an address or neither ─► routed by what it has
//!              └─ begins as TLS, no name to go by ────┬───────► refused
//!                                                     └───────► routed without a name, where the listener says so
//! ```
//! What cannot be read here may be read by a backend: to take it for a connection without a name would be a way around
//! every route that goes by the name.

use proxy_conn::{Cause, ConnGuard, DeadlineKind, Phase, Verdict};
use proxy_core::header::{Prefix, could_be_header};
use proxy_core::hello::{ClientHello, HelloReader, Progress, UnusableName};
use proxy_core::{ReadAhead, Stream};

use super::client::fill;
use super::deadline::{enter, within};
use super::header::Greeted;
use super::passage::Passage;
use crate::generation::Wait;
use crate::settings::UnreadableHello;

/// It has said what it is going to say before it is routed.
pub(super) struct Peeked(());

/// What a client has begun with.
enum Head {
    /// Another protocol than TLS.
    Plain,
    /// What begins as TLS does, and why no hello could be read from it.
    Unreadable(String),
    /// The client ended after so many bytes of one.
    Broken(usize),
    Hello(ClientHello),
}

/// Reads the ClientHello, only where some route of the port needs a name: a service whose server speaks first works on
/// any other port.
pub(super) async fn peek<S: Stream, D>(
    conn: &ConnGuard,
    _: Greeted,
    passage: &mut Passage<'_, S, D>,
    wait: &mut Wait<'_>,
) -> Result<Peeked, Verdict> {
    let Passage { client, ahead, origin, hello, at, proxy } = passage;
    if proxy.settings.routes.needs_hello(at.config.port) {
        let timeout = proxy.settings.deadlines.initial_data_timeout;
        let deadline = enter(conn, Phase::Peek, timeout, DeadlineKind::Hello)?;
        let most = proxy.settings.max_client_hello;
        let reading = read_head(conn, *client, ahead, most, wait);
        let head = within(deadline, *client, reading).await.unwrap_or_else(|| {
            let detail = format!("no whole ClientHello within initial_data_timeout {timeout}");
            Err(Verdict::explained(conn, Cause::HelloTimeout, detail))
        })?;
        *hello = to_go_by(conn, head, at.config.unreadable_hello)?;
    }
    if origin.screened && could_be_header(ahead.bytes()) == Prefix::Yes {
        return Err(forbidden_header(conn));
    }
    conn.learn(|facts| facts.server_name = hello.as_ref().and_then(|hello| hello.server_name.clone()));
    Ok(Peeked(()))
}

/// A PROXY header from a peer that is not trusted to send one.
pub(super) fn forbidden_header(conn: &ConnGuard) -> Verdict {
    let detail = format!(
        "{} sent a PROXY header, but is in no network of accept_proxy, or sent it after proxy_header_timeout",
        conn.peer().ip()
    );
    Verdict::explained(conn, Cause::HeaderUntrusted, detail)
}

/// Reads until the hello is whole, or there is going to be none. What was read stays read ahead, to be replayed.
async fn read_head<S: Stream>(
    conn: &ConnGuard,
    client: &S,
    ahead: &mut ReadAhead,
    most: usize,
    wait: &mut Wait<'_>,
) -> Result<Head, Verdict> {
    let mut reader = HelloReader::new(most);
    loop {
        let seen = ahead.bytes().len();
        match reader.look(ahead.bytes()) {
            Progress::Hello(hello) => return Ok(Head::Hello(hello)),
            Progress::NotTls(_) => return Ok(Head::Plain),
            Progress::Unreadable(why) => return Ok(Head::Unreadable(why.to_string())),
            Progress::More if ahead.ended() && seen == 0 => return Err(Verdict::of(conn, Cause::ClientLeft)),
            Progress::More if ahead.ended() && reader.begins_as_tls() => {
                return Ok(Head::Broken(seen));
            }
            Progress::More if ahead.ended() => return Ok(Head::Plain),
            // Never more than the reader looks at: what a crowd keeps here is bounded by that.
            Progress::More => fill(conn, client, ahead, most.saturating_sub(seen), wait).await?,
        }
    }
}

/// The hello that the connection is routed by; a verdict where it might have a name that cannot be told.
fn to_go_by(
    conn: &ConnGuard,
    head: Head,
    unreadable: UnreadableHello,
) -> Result<Option<ClientHello>, Verdict> {
    let lets_through = unreadable == UnreadableHello::Unnamed;
    let (why, hello) = match head {
        Head::Plain => return Ok(None),
        Head::Unreadable(why) => (why, None),
        Head::Broken(seen) if lets_through => (format!("it ended after {seen} bytes of a ClientHello"), None),
        Head::Broken(seen) => return Err(Verdict::cut_hello(conn, seen)),
        Head::Hello(hello) => match &hello.unusable_name {
            None => return Ok(Some(hello)),
            Some(name) => (format!("its server name is \"{name}\""), Some(hello)),
        },
    };
    let unusable = hello.as_ref().and_then(|hello| hello.unusable_name.as_ref());
    // No server goes by the name of an address, and clients send it that have no other.
    let is_harmless = unusable.is_some_and(UnusableName::is_address);
    if !is_harmless && !lets_through {
        let detail = format!("no server name can be told, and unreadable_hello = \"refuse\": {why}");
        return Err(Verdict::explained(conn, Cause::HelloUnreadable, detail));
    }
    conn.learn(|facts| facts.nameless = Some(why.into()));
    Ok(hello)
}
