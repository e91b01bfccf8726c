//! Who is let in over TCP. Over the Unix socket its file's permissions have decided that already.
//!
//! - Whether the proxy is alive and ready is told to anybody.
//! - With a token: whoever brings it, as a bearer token or as a password (a browser cannot send the former by itself).
//! - Without one the address is a loopback address, and everybody on this machine is let in. Browsers on it, too, and they run
//!   what strangers wrote: so the request has to be addressed to this machine (a stranger's page reaches it by a name of its
//!   own that it makes resolve to 127.0.0.1), and what changes something has to have a content type that no page can send
//!   elsewhere without being asked first, which is never granted.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::prelude::{BASE64_STANDARD, Engine as _};

use super::token::Token;
use crate::admin::problem::Problem;

/// What a request that changes something may say that its body is.
const CONTENT_TYPES: [&str; 2] = ["application/json", "application/toml"];

/// Who is let in at one address.
#[derive(Debug)]
pub(super) struct Auth {
    pub(super) token: Option<Token>,
    /// Whether the address is a loopback address.
    pub(super) loopback: bool,
}

impl Auth {
    /// Whether the request is let in.
    pub(super) fn admits(&self, method: &Method, path: &str, headers: &HeaderMap) -> Result<(), Problem> {
        if let Some(token) = &self.token
            && !is_open(method, path)
            && !brings(token, headers)
        {
            return Err(Problem::unauthorised(
                "send the token in `token_file` of [admin]: Authorization: Bearer TOKEN",
            ));
        }
        if self.loopback && !is_addressed_to_this_machine(headers) {
            return Err(Problem::forbidden(
                "the Host header names another machine: use http://127.0.0.1, http://[::1] or http://localhost, with the port",
            ));
        }
        if *method != Method::GET && *method != Method::HEAD {
            is_from_no_other_page(headers)?;
        }
        Ok(())
    }
}

/// Lets a request in or says why not.
pub(super) async fn check(State(auth): State<Arc<Auth>>, request: Request, next: Next) -> Response {
    match auth.admits(request.method(), request.uri().path(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Whether it needs no token: whether the proxy is alive, and whether it is ready, is for who starts and restarts it and who sends
/// it clients (a kubelet and a load balancer bring no token), and says no more than a connection to one of its ports does.
fn is_open(method: &Method, path: &str) -> bool {
    (*method == Method::GET || *method == Method::HEAD) && ["/healthz", "/readyz"].contains(&path)
}

fn brings(token: &Token, headers: &HeaderMap) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|given| given.to_str().ok());
    let Some((scheme, given)) = given.and_then(|given| given.split_once(' ')) else { return false };
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => token.is(given.trim().as_bytes()),
        "basic" => password(given.trim()).is_some_and(|password| token.is(&password)),
        _ => false,
    }
}

/// The password in "user:password", in base64 (RFC 7617).
fn password(encoded: &str) -> Option<Vec<u8>> {
    let decoded = BASE64_STANDARD.decode(encoded).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    decoded.get(colon + 1..).map(<[u8]>::to_vec)
}

fn is_addressed_to_this_machine(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host.is_some_and(|host| is_this_machine(name_of(host)))
}

/// The host of "host:port", brackets taken off.
fn name_of(host: &str) -> &str {
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((v6, _)) => v6,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    }
}

fn is_this_machine(name: &str) -> bool {
    // RFC 6761, section 6.3: no resolver may take it anywhere else.
    name.eq_ignore_ascii_case("localhost")
        || name.parse().is_ok_and(|ip: IpAddr| ip.to_canonical().is_loopback())
}

/// A page elsewhere can send forms and plain text; anything else its browser asks for first.
fn is_from_no_other_page(headers: &HeaderMap) -> Result<(), Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !CONTENT_TYPES.contains(&kind.as_str()) {
        return Err(Problem::forbidden(
            "what changes something needs a header over TCP that no page elsewhere can send: Content-Type: application/json",
        ));
    }
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    match origin.map(|origin| origin.split_once("://").map(|(_, origin)| origin)) {
        Some(origin) if origin.is_none() || origin != host => {
            Err(Problem::forbidden("the request comes from a page elsewhere (see its Origin header)"))
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    fn status(auth: &Auth, method: &Method, pairs: &[(&'static str, &str)]) -> u16 {
        status_of(auth, method, "/v1/status", pairs)
    }

    fn status_of(auth: &Auth, method: &Method, path: &str, pairs: &[(&'static str, &str)]) -> u16 {
        auth.admits(method, path, &headers(pairs)).map_or_else(|problem| problem.status(), |()| 200)
    }

    fn door_with_a_token(loopback: bool) -> Auth {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "0123456789abcdef").unwrap();
        Auth { token: Some(Token::read(file.path()).unwrap()), loopback }
    }

    #[test]
    fn who_asks_whether_it_is_alive_or_ready_needs_no_token_and_gets_nothing_else() {
        let auth = door_with_a_token(false);
        for path in ["/healthz", "/readyz"] {
            assert_eq!(status_of(&auth, &Method::GET, path, &[]), 200);
            assert_eq!(status_of(&auth, &Method::HEAD, path, &[]), 200);
            assert_eq!(status_of(&auth, &Method::POST, path, &[("content-type", "application/json")]), 401);
        }
        for path in ["/", "/metrics", "/healthz/", "/v1/healthz", "//healthz", "/HEALTHZ", "/v1/status"] {
            assert_eq!(status_of(&auth, &Method::GET, path, &[]), 401, "{path}");
        }
        // A stranger's page learns nothing by a name of its own, here as elsewhere.
        let auth = door_with_a_token(true);
        assert_eq!(status_of(&auth, &Method::GET, "/readyz", &[("host", "rebound.example")]), 403);
        assert_eq!(status_of(&auth, &Method::GET, "/readyz", &[("host", "127.0.0.1:9000")]), 200);
    }

    #[test]
    fn a_loopback_address_is_for_requests_to_this_machine() {
        let auth = Auth { token: None, loopback: true };
        for host in
            ["127.0.0.1:9000", "localhost:9000", "LOCALHOST", "[::1]:9000", "127.1.2.3", "[::ffff:127.0.0.1]"]
        {
            assert_eq!(status(&auth, &Method::GET, &[("host", host)]), 200, "{host}");
        }
        for host in
            ["rebound.example:9000", "127.0.0.1.example", "10.0.0.1", "", "localhost.example", "[::2]"]
        {
            assert_eq!(status(&auth, &Method::GET, &[("host", host)]), 403, "{host}");
        }
        assert_eq!(status(&auth, &Method::GET, &[]), 403);
    }

    #[test]
    fn a_page_elsewhere_changes_nothing() {
        let (auth, host) = (Auth { token: None, loopback: true }, ("host", "127.0.0.1:9000"));
        let json = ("content-type", "application/json");
        for method in [Method::POST, Method::DELETE, Method::PUT] {
            assert_eq!(status(&auth, &method, &[host]), 403);
            for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
            {
                assert_eq!(status(&auth, &method, &[host, ("content-type", kind)]), 403, "{kind}");
            }
            assert_eq!(status(&auth, &method, &[host, json]), 200);
            assert_eq!(
                status(&auth, &method, &[host, ("content-type", "Application/JSON; charset=utf-8")]),
                200
            );
            assert_eq!(status(&auth, &method, &[host, json, ("origin", "http://127.0.0.1:9000")]), 200);
            for origin in ["http://127.0.0.1:8080", "https://elsewhere.example", "null"] {
                assert_eq!(status(&auth, &method, &[host, json, ("origin", origin)]), 403, "{origin}");
            }
        }
    }

    #[test]
    fn a_token_comes_as_it_is_or_as_a_password() {
        let auth = door_with_a_token(false);
        let given = |given: &str| status(&auth, &Method::GET, &[("authorization", given)]);
        assert_eq!(given("Bearer 0123456789abcdef"), 200);
        assert_eq!(given("bearer  0123456789abcdef "), 200);
        // "me:0123456789abcdef" and ":0123456789abcdef".
        assert_eq!(given("Basic bWU6MDEyMzQ1Njc4OWFiY2RlZg=="), 200);
        assert_eq!(given("Basic OjAxMjM0NTY3ODlhYmNkZWY="), 200);
        for other in [
            "0123456789abcdef",
            "Bearer",
            "Bearer ",
            "Bearer 0123456789abcdeg",
            "Basic bWU6bWU=",
            "Basic %%",
            // Not padded, and with what nobody encodes behind the last byte.
            "Basic bWU6MDEyMzQ1Njc4OWFiY2RlZg",
            "Basic bWU6MDEyMzQ1Njc4OWFiY2RlZh==",
            "Digest x",
        ] {
            assert_eq!(given(other), 401, "{other}");
        }
        assert_eq!(status(&auth, &Method::GET, &[("host", "anything")]), 401);
    }
}
