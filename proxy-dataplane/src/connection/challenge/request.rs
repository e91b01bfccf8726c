//! A challenge by request (RFC 8555, section 8.3): as much of HTTP as that takes.

use proxy_conn::{Cause, ConnGuard, DeadlineKind, Phase, Verdict, leave};
use proxy_core::stream::write_all;
use proxy_core::{ReadAhead, Stream};
use tokio::time::{Instant, timeout_at};

use super::super::client::fill;
use super::super::deadline::within;
use super::super::passage::Passage;
use super::LEAVE;
use crate::generation::Wait;
use crate::settings::Answering;

/// What a request for an answer begins with; its token follows.
const FRONT: &[u8] = b"GET /.well-known/acme-challenge/";

/// The longest head of a request that is read: authorities send a few hundred bytes.
const LONGEST: usize = 4096;

/// The longest token: those of authorities have 43 characters.
const LONGEST_TOKEN: usize = 128;

/// What the bytes so far amount to.
#[derive(Debug, PartialEq, Eq)]
enum Seen<'a> {
    /// They may be the beginning of a challenge.
    More,
    /// A whole request for this token.
    Token(&'a str),
    /// Another request, whole.
    Other,
    /// No request that is looked at.
    Else,
}

/// Answers a request for a token that is awaited. On a port for nothing else all others are answered, too: there is nothing here.
pub(super) async fn answer<S: Stream, D>(
    conn: &ConnGuard,
    answering: &Answering,
    passage: &mut Passage<'_, S, D>,
    wait: &mut Wait<'_>,
) -> Result<(), Verdict> {
    let timeout = passage.proxy.settings.deadlines.initial_data_timeout;
    let deadline = Instant::now() + timeout.get();
    if conn.phase() == Phase::Header {
        conn.enter(Phase::Peek, deadline, DeadlineKind::Hello)?;
    } else {
        conn.deadline(deadline, DeadlineKind::Hello);
    }
    let alone = answering.http_alone;
    let client = passage.client;
    let reading = read_head(conn, client, &mut passage.ahead, wait, alone);
    let read = within(deadline, client, reading).await;
    match read.transpose()? {
        Some(()) => {}
        // A server that speaks first may be what the client waits for.
        None if !alone => return Ok(()),
        None => {
            let detail = format!("no whole request within initial_data_timeout {timeout}");
            return Err(Verdict::explained(conn, Cause::HelloTimeout, detail));
        }
    }
    let said = match seen(passage.ahead.bytes(), alone) {
        Seen::Token(token) => answering.challenges.token(token).map(|said| (token.to_owned(), said)),
        Seen::More | Seen::Other | Seen::Else => None,
    };
    match said {
        Some((token, said)) => {
            let detail = format!("http-01 {token}");
            Err(write(conn, client, "200 OK", &said, detail).await)
        }
        None if alone => {
            let detail = "a request that is no challenge which is awaited, on the port for those".to_owned();
            Err(write(conn, client, "404 Not Found", "nothing here\n", detail).await)
        }
        None => Ok(()),
    }
}

/// Reads on while what comes may be a challenge; all of a head where it is to be answered whatever it is.
async fn read_head<S: Stream>(
    conn: &ConnGuard,
    client: &S,
    ahead: &mut ReadAhead,
    wait: &mut Wait<'_>,
    alone: bool,
) -> Result<(), Verdict> {
    while seen(ahead.bytes(), alone) == Seen::More && !ahead.ended() {
        let room = LONGEST.saturating_sub(ahead.bytes().len());
        if room == 0 {
            return Ok(());
        }
        fill(conn, client, ahead, room, wait).await?;
    }
    if alone && ahead.ended() && ahead.bytes().is_empty() {
        return Err(Verdict::of(conn, Cause::ClientLeft));
    }
    Ok(())
}

fn seen(bytes: &[u8], alone: bool) -> Seen<'_> {
    let front = FRONT.get(..bytes.len().min(FRONT.len())).unwrap_or_default();
    let is_challenge = bytes.starts_with(front);
    if !is_challenge && !alone {
        return Seen::Else;
    }
    let whole = bytes.windows(4).any(|end| end == b"\r\n\r\n");
    if !whole {
        return Seen::More;
    }
    let token = bytes.strip_prefix(FRONT).and_then(|rest| rest.split(|byte| *byte == b' ').next());
    let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let token = token.filter(|token| token.len() <= LONGEST_TOKEN && token.iter().all(harmless));
    token.and_then(|token| std::str::from_utf8(token).ok()).map_or(Seen::Other, Seen::Token)
}

/// Writes an answer, and hears its reader out: closed over unread bytes it would be reset.
async fn write<S: Stream>(conn: &ConnGuard, client: &S, status: &str, body: &str, detail: String) -> Verdict {
    let deadline = Instant::now() + LEAVE.get();
    conn.deadline(deadline, DeadlineKind::Leave);
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    match timeout_at(deadline, write_all(client, answer.as_bytes())).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) | Err(_) => return Verdict::of(conn, Cause::ClientReset),
    }
    leave(conn, client).await;
    Verdict::explained(conn, Cause::Challenge, detail).in_order()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_known_by_its_path_however_it_is_cut() {
        let request = b"GET /.well-known/acme-challenge/abc-_9 HTTP/1.1\r\nHost: edge.example\r\n\r\n";
        for cut in 0..request.len() {
            assert_eq!(seen(&request[..cut], false), Seen::More, "{cut}");
        }
        assert_eq!(seen(request, false), Seen::Token("abc-_9"));
    }

    #[test]
    fn what_is_none_is_known_by_its_first_byte_that_differs() {
        assert_eq!(seen(b"GET /index", false), Seen::Else);
        assert_eq!(seen(b"P", false), Seen::Else);
        assert_eq!(seen(b"", false), Seen::More);
    }

    #[test]
    fn alone_all_requests_are_read_to_their_end() {
        assert_eq!(seen(b"POST / HTTP/1.1\r\n", true), Seen::More);
        assert_eq!(seen(b"POST / HTTP/1.1\r\n\r\n", true), Seen::Other);
    }

    #[test]
    fn a_token_with_anything_but_its_letters_is_none() {
        for token in ["../key", "a%2f", &"a".repeat(129)] {
            let request = format!("GET /.well-known/acme-challenge/{token} HTTP/1.1\r\n\r\n");
            assert_eq!(seen(request.as_bytes(), false), Seen::Other, "{token}");
        }
    }
}
