//! Answers of the proxy's own.

use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};

use crate::answer::Answer;
use crate::framing::Refusal;

/// An answer of this proxy's own, in plain text.
#[must_use]
pub fn page(status: u16, sentence: &str) -> Response<Answer> {
    let mut response = Response::new(Answer::own(format!("{sentence}\n")));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// The same for a client that reads JSON.
#[must_use]
pub fn json_page(status: u16, sentence: &str) -> Response<Answer> {
    let mut response = page(status, sentence);
    let text = serde_json::json!({ "status": status, "error": sentence });
    *response.body_mut() = Answer::own(format!("{text}\n"));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// What a client is told whose request is refused; it is the connection's last answer.
pub(crate) fn refused(refusal: &Refusal) -> Response<Answer> {
    last(page(refusal.status, refusal.sentence))
}

/// The same as the last answer of its connection.
#[must_use]
pub fn last(mut response: Response<Answer>) -> Response<Answer> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// As it goes over the wire, as the last of a connection.
pub(crate) fn written(answer: &Response<Answer>) -> String {
    let status = answer.status();
    let reason = status.canonical_reason().unwrap_or_default();
    let text = answer.body().text();
    format!(
        "HTTP/1.1 {} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        status.as_u16(),
        text.len()
    )
}
