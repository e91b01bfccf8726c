//! Requests and answers as they go on: made anew from what was parsed, without what was only for the hop before.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use hyper::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, Entry, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};
use hyper::http::request::Parts;
use hyper::{Request, Response, Uri, Version};

use crate::upload::Upload;

/// Fields of one connection alone, whether `Connection` names them or not (RFC 9110, section 7.6.1).
const OF_A_HOP: [HeaderName; 6] = [
    CONNECTION,
    TRANSFER_ENCODING,
    UPGRADE,
    TE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// The id of a request, as most proxies and applications call it.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Where a request comes from, for the backend.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The client's address; None where it is unknown.
    pub client: Option<IpAddr>,
    /// Where it was accepted.
    pub local: Option<SocketAddr>,
    /// Whether it came over TLS.
    pub is_secure: bool,
    /// Whether it comes by way of a hop that is believed what it tells: its own fields go on then, ours behind them.
    pub is_trusted: bool,
    /// What the request is called along the chain.
    pub request_id: &'a str,
    /// What this proxy calls itself in `Via`.
    pub via: &'a str,
}

/// Whether a request asks for another protocol; which.
#[must_use]
pub fn asks_to_switch(parts: &Parts) -> Option<&HeaderValue> {
    let names_it = parts.version == Version::HTTP_11 && has_option(&parts.headers, "upgrade");
    parts.headers.get(UPGRADE).filter(|_| names_it)
}

/// Whether its client waits for leave to send the body.
#[must_use]
pub fn expects_leave(parts: &Parts) -> bool {
    let expects =
        parts.headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    expects && parts.version == Version::HTTP_11
}

/// The request as it goes on to a backend, with the `target` (path and query) and `host` that it is asked for.
///
/// # Errors
/// Where the target is none.
pub fn onward(
    parts: &Parts,
    target: &str,
    host: &HeaderValue,
    origin: &Origin<'_>,
    mut body: Upload,
) -> Result<Request<Upload>, hyper::http::Error> {
    let uri = Uri::try_from(target)?;
    let switch = asks_to_switch(parts).cloned();
    let gate = expects_leave(parts).then(|| body.hold());
    let mut request = Request::new(body);
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = uri;
    let fields = request.headers_mut();
    fields.reserve(parts.headers.len() + 6);
    fields.insert(HOST, host.clone());
    carry(&parts.headers, fields, |name| *name == HOST || is_told_anew(name) && !origin.is_trusted);
    if parts.headers.get_all(TE).iter().any(|value| has_word(value, "trailers")) {
        fields.insert(TE, HeaderValue::from_static("trailers"));
    }
    if let Some(protocol) = switch {
        fields.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        fields.insert(UPGRADE, protocol);
    }
    tell(fields, host, origin);
    if let Some(gate) = gate {
        hyper::ext::on_informational(&mut request, move |informational| {
            if informational.status() == hyper::StatusCode::CONTINUE {
                gate.open();
            }
        });
    }
    Ok(request)
}

/// The answer as it goes on to the client, its body apart.
#[must_use]
pub fn backward<B>(answer: Response<B>, via: &str) -> Response<B> {
    let (mut parts, body) = answer.into_parts();
    let switches = parts.status == hyper::StatusCode::SWITCHING_PROTOCOLS;
    let protocol = parts.headers.get(UPGRADE).cloned();
    let mut fields = HeaderMap::with_capacity(parts.headers.len() + 2);
    carry(&parts.headers, &mut fields, |_| false);
    if switches && let Some(protocol) = protocol {
        fields.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        fields.insert(UPGRADE, protocol);
    }
    append(&mut fields, VIA, &format!("1.1 {via}"));
    (parts.headers, parts.version) = (fields, Version::HTTP_11);
    Response::from_parts(parts, body)
}

/// Copies what is not of one hop alone, and not left out otherwise.
fn carry(from: &HeaderMap, to: &mut HeaderMap, leave: impl Fn(&HeaderName) -> bool) {
    let named = from.contains_key(CONNECTION);
    for (name, value) in from {
        let of_hop = OF_A_HOP.contains(name)
            // What says where the message ends is not somebody's to take out.
            || named && *name != CONTENT_LENGTH && *name != TRAILER && has_option(from, name.as_str());
        if !of_hop && !leave(name) {
            to.append(name.clone(), value.clone());
        }
    }
}

/// Whether `Connection` has this option.
fn has_option(fields: &HeaderMap, option: &str) -> bool {
    fields.get_all(CONNECTION).iter().any(|value| has_word(value, option))
}

fn has_word(list: &HeaderValue, word: &str) -> bool {
    list.as_bytes().split(|byte| *byte == b',').any(|part| {
        let part = part.split(|byte| *byte == b';').next().unwrap_or_default();
        part.trim_ascii().eq_ignore_ascii_case(word.as_bytes())
    })
}

/// Whether it says what this proxy says itself: of somebody who is not believed, nobody is told.
fn is_told_anew(name: &HeaderName) -> bool {
    [FORWARDED, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PORT, X_FORWARDED_PROTO, X_REQUEST_ID]
        .contains(name)
        || name.as_str() == "x-real-ip"
}

/// Says where it comes from.
fn tell(fields: &mut HeaderMap, host: &HeaderValue, origin: &Origin<'_>) {
    let proto = if origin.is_secure { "https" } else { "http" };
    let client = origin.client.map(|client| client.to_canonical());
    append(
        fields,
        X_FORWARDED_FOR,
        &client.map_or_else(|| "unknown".to_owned(), |client| client.to_string()),
    );
    set_first(fields, X_FORWARDED_PROTO, || Some(HeaderValue::from_static(proto)));
    set_first(fields, X_FORWARDED_HOST, || Some(host.clone()));
    set_first(fields, X_FORWARDED_PORT, || {
        origin.local.and_then(|local| HeaderValue::try_from(local.port().to_string()).ok())
    });
    set_first(fields, X_REQUEST_ID, || HeaderValue::from_str(origin.request_id).ok());
    append(fields, FORWARDED, &forwarded(client, host, proto));
    append(fields, VIA, &format!("1.1 {}", origin.via));
}

/// An element of `Forwarded` (RFC 7239).
fn forwarded(client: Option<IpAddr>, host: &HeaderValue, proto: &str) -> String {
    let mut text = String::from("for=");
    // INVARIANT: writing to memory cannot fail.
    match client {
        Some(IpAddr::V4(client)) => write!(text, "{client}").unwrap_or_default(),
        Some(IpAddr::V6(client)) => write!(text, "\"[{client}]\"").unwrap_or_default(),
        None => text.push_str("unknown"),
    }
    if let Ok(host) = host.to_str() {
        write!(text, ";host=\"{host}\"").unwrap_or_default();
    }
    write!(text, ";proto={proto}").unwrap_or_default();
    text
}

/// One more element of a list, in the one field that it is then.
fn append(fields: &mut HeaderMap, name: HeaderName, element: &str) {
    let Ok(value) = HeaderValue::from_str(element) else { return };
    match fields.entry(name) {
        Entry::Vacant(none) => {
            none.insert(value);
        }
        Entry::Occupied(mut some) => {
            let before: Vec<&[u8]> = some.iter().map(HeaderValue::as_bytes).collect();
            let mut all = before.join(&b", "[..]);
            all.extend_from_slice(b", ");
            all.extend_from_slice(element.as_bytes());
            if let Ok(all) = HeaderValue::from_bytes(&all) {
                some.insert(all);
            }
        }
    }
}

/// Sets it where the hop before has not.
fn set_first(fields: &mut HeaderMap, name: HeaderName, value: impl FnOnce() -> Option<HeaderValue>) {
    if let Entry::Vacant(none) = fields.entry(name)
        && let Some(value) = value()
    {
        none.insert(value);
    }
}

#[cfg(test)]
mod tests;
