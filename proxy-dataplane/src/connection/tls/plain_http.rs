//! A client that speaks plain HTTP where TLS is due: it gets an answer that a person can read, and no backend hears of it.
//!
//! ```text
//! "GET / HTTP/1.1" ─┬─ refuse ──────────────────────────► 400, what is wrong
//!                   └─ redirect ─ until the head is whole ─┬─► 301, or 308 where the method matters
//!                                                          └─► 400, where there is no host to send it to
//! ```

use proxy_conn::{Cause, ConnGuard, Verdict, leave};
use proxy_core::stream::write_all;
use proxy_core::{ReadAhead, Side, Stream};
use proxy_tls::HandshakeFault;

use crate::settings::PlainHttp;

/// How requests begin (RFC 9110, section 9.3; RFC 5789; HTTP/2's preface, RFC 9113, section 3.4).
const METHODS: [&[u8]; 10] = [
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"DELETE ",
    b"CONNECT ",
    b"OPTIONS ",
    b"TRACE ",
    b"PATCH ",
    b"PRI * HTTP/2.0\r\n",
];

/// As much as nginx reads of a head before it gives up (`large_client_header_buffers`, one of them).
pub(super) const LONGEST_HEAD: usize = 8 * 1024;

/// Whether what has come is the beginning of a request, or may be one yet.
pub(super) fn may_begin(come: &[u8]) -> bool {
    METHODS.iter().any(|method| come.starts_with(method) || method.starts_with(come))
}

/// Whether the head of a request is whole.
pub(super) fn is_whole(come: &[u8]) -> bool {
    come.windows(4).any(|at| at == b"\r\n\r\n")
}

/// The name of the host that a request is for, without its port; None where it has none, or several.
pub(super) fn host_name(head: &[u8]) -> Option<&str> {
    let (head, _) = std::str::from_utf8(head).ok()?.split_once("\r\n\r\n")?;
    let host = only_host(head.split("\r\n").skip(1))?;
    Some(host.rsplit_once(':').map_or(host, |(name, _)| name))
}

/// What the one header `Host` of a request says.
fn only_host<'h>(lines: impl Iterator<Item = &'h str>) -> Option<&'h str> {
    let mut hosts = lines.filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("host").then(|| value.trim_matches([' ', '\t']))
    });
    let host = hosts.next().filter(|host| is_host(host))?;
    hosts.next().is_none().then_some(host)
}

/// Whether the client speaks HTTP: reads on while what has come may be the beginning of a method.
pub(super) async fn begins<S: Stream>(client: &S, ahead: &mut ReadAhead) -> bool {
    loop {
        let come = ahead.bytes();
        if METHODS.iter().any(|method| come.starts_with(method)) {
            return true;
        }
        let may_be = METHODS.iter().any(|method| method.starts_with(come));
        if !may_be || ahead.ended() || !matches!(ahead.fill(client, LONGEST_HEAD).await, Ok(1..)) {
            return false;
        }
    }
}

/// Answers the client, hears it out, and says how the connection ended.
pub(super) async fn answered<S: Stream>(
    conn: &ConnGuard,
    how: PlainHttp,
    client: &S,
    ahead: &mut ReadAhead,
) -> Verdict {
    let (answer, what) = match how {
        PlainHttp::Refuse => (bad_request(), "400"),
        PlainHttp::Redirect => match redirect(&read_head(client, ahead).await) {
            Some(redirect) => (redirect, "a redirect"),
            None => (bad_request(), "400, since it names no host to be sent to"),
        },
    };
    if let Err(error) = write_all(client, answer.as_bytes()).await {
        return Verdict::lost(conn, Side::Client, &error);
    }
    leave(conn, client).await;
    let detail = format!("{}: a plain HTTP request was answered with {what}", HandshakeFault::PlainHttp);
    Verdict::explained(conn, Cause::TlsFailed, detail).in_order()
}

/// The head of the request, as far as it comes.
async fn read_head<S: Stream>(client: &S, ahead: &mut ReadAhead) -> Vec<u8> {
    while !is_whole(ahead.bytes()) {
        let room = LONGEST_HEAD.saturating_sub(ahead.bytes().len());
        if room == 0 || !matches!(ahead.fill(client, room).await, Ok(1..)) {
            break;
        }
    }
    ahead.bytes().to_vec()
}

fn bad_request() -> String {
    response("400 Bad Request", "", "This port speaks TLS, and was sent plain HTTP: use https://.\n")
}

/// The answer that sends a client to the same with TLS; None where the head has no host that could be written.
fn redirect(head: &[u8]) -> Option<String> {
    let head = std::str::from_utf8(head).ok()?;
    let (head, _) = head.split_once("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let mut request = lines.next()?.split(' ');
    let (method, target, _) = (request.next()?, request.next()?, request.next()?.strip_prefix("HTTP/1.")?);
    let host = only_host(lines)?;
    let path = Some(target).filter(|target| target.starts_with('/') && is_visible(target)).unwrap_or("/");
    let status =
        if matches!(method, "GET" | "HEAD") { "301 Moved Permanently" } else { "308 Permanent Redirect" };
    let body = if method == "HEAD" { "" } else { "This port speaks TLS: use https://.\n" };
    Some(response(status, &format!("Location: https://{host}{path}\r\n"), body))
}

/// Whether it is a name or an address, with or without a port, and nothing that a header could be smuggled in by.
fn is_host(host: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    !host.is_empty() && host.bytes().all(known)
}

fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn response(status: &str, header: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n{header}Content-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(head: &str) -> Option<String> {
        let answer = redirect(head.as_bytes())?;
        let (status, rest) = answer.split_once("\r\n")?;
        let location = rest.lines().find_map(|line| line.strip_prefix("Location: "))?;
        Some(format!("{} {location}", status.split(' ').nth(1)?))
    }

    #[test]
    fn a_request_is_sent_to_the_same_host_and_path_with_tls() {
        let told =
            |request: &str, host: &str| location(&format!("{request}\r\nAccept: */*\r\n{host}\r\n\r\n"));
        for (request, host, expected) in [
            ("GET / HTTP/1.1", "Host: a.example", "301 https://a.example/"),
            ("HEAD /a?b=c HTTP/1.0", "host:\ta.example:8443 ", "301 https://a.example:8443/a?b=c"),
            ("POST /form HTTP/1.1", "HOST: [2001:db8::1]:8443", "308 https://[2001:db8::1]:8443/form"),
            ("OPTIONS * HTTP/1.1", "Host: a", "308 https://a/"),
            ("GET http://b.example/x HTTP/1.1", "Host: a.example", "301 https://a.example/"),
        ] {
            assert_eq!(told(request, host).as_deref(), Some(expected));
        }
    }

    #[test]
    fn without_a_host_that_can_be_written_there_is_nowhere_to_go() {
        for head in [
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: \r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a/../b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n",
            "GET /\r\nHost: a\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ] {
            assert_eq!(location(head), None, "{head:?}");
        }
        let smuggled = redirect(b"GET /\x7f\xc2\xa0 HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert!(smuggled.contains("Location: https://a/\r\n"), "{smuggled}");
    }

    #[test]
    fn answers_say_how_long_they_are_and_that_they_are_the_last() {
        for answer in [bad_request(), redirect(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap()] {
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{answer}");
            assert!(head.ends_with("\r\nConnection: close") && !head.contains("\n\n"), "{answer}");
        }
    }
}
