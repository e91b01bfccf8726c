//! What a route's rules say of a request.

use std::borrow::Cow;

use proxy_http::Answer;
use proxy_http::hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use proxy_http::hyper::http::request::Parts;
use proxy_http::hyper::{Response, StatusCode};
use proxy_http::page;
use proxy_route::request::{Fields, RequestFacts, SeveralReadings};

use crate::settings::{FixedAnswer, HttpRoute, PathRewrite, Redirect, RequestRule};

/// The fields of a request, as a rule looks at them.
struct Of<'h>(&'h HeaderMap);

impl Fields for Of<'_> {
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.0.get_all(name).iter().any(|value| test(value.as_bytes()))
    }
}

/// The rule that a request takes, and its place.
pub(super) fn taken<'r>(
    http: &'r HttpRoute,
    parts: &Parts,
    host: &HeaderValue,
) -> Result<Option<(usize, &'r RequestRule)>, SeveralReadings> {
    if http.rules.table().is_empty() {
        return Ok(None);
    }
    let facts = RequestFacts {
        method: parts.method.as_str(),
        host: host.to_str().ok().map(without_port),
        path: parts.uri.path(),
        query: parts.uri.query(),
        fields: &Of(&parts.headers),
    };
    let at = http.rules.table().find(&facts)?;
    Ok(at.and_then(|at| Some((at, http.rules.rule(at)?))))
}

/// A host without its port.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !name.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    }
}

/// The path that a request is asked for then, and its query.
pub(super) fn rewritten<'t>(
    http: &HttpRoute,
    at: usize,
    rewrite: Option<&PathRewrite>,
    target: &'t str,
) -> Cow<'t, str> {
    let Some(to) = rewrite else { return Cow::Borrowed(target) };
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    Cow::Owned(http.rules.rewritten(at, to, path) + query)
}

/// Where its client is sent.
pub(super) fn redirected(
    http: &HttpRoute,
    (at, redirect): (usize, &Redirect),
    target: &str,
    host: &HeaderValue,
    is_secure: bool,
) -> Response<Answer> {
    let target = rewritten(http, at, redirect.path.as_ref(), target);
    let came_to = host.to_str().unwrap_or_default();
    let scheme = redirect.scheme.unwrap_or(if is_secure { "https" } else { "http" });
    // Another scheme has another port.
    let host = match (&redirect.host, redirect.scheme) {
        (Some(host), _) => host,
        (None, Some(_)) => without_port(came_to),
        (None, None) => came_to,
    };
    let location = format!("{scheme}://{host}{target}");
    let mut response = page(redirect.status, &format!("See {location}"));
    match HeaderValue::try_from(location) {
        Ok(location) => {
            response.headers_mut().insert(LOCATION, location);
            response
        }
        Err(_) => page(400, "The request is for something that cannot be redirected to."),
    }
}

/// The answer of the proxy's own.
pub(super) fn fixed(answer: &FixedAnswer) -> Response<Answer> {
    let mut response = Response::new(Answer::own(answer.body.to_string()));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    if !answer.body.is_empty() {
        response.headers_mut().insert(CONTENT_TYPE, answer.content_type.clone());
    }
    response
}
