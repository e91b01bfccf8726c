//! What the API says where it cannot do what it was asked (RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use proxy_api::model;

/// What is being done for somebody else.
const BUSY: &str = "busy";
/// When to try again, in seconds: a configuration of a thousand routes is compared in much less.
const IN_A_MOMENT: &str = "2";

/// A [`model::Problem`] that is about to be the answer.
#[derive(Debug)]
pub(super) struct Problem(model::Problem);

impl Problem {
    fn new(status: StatusCode, kind: &str, title: &str, detail: impl Into<String>) -> Self {
        Self(model::Problem {
            kind: format!("/problems/{kind}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
        })
    }

    /// The status of the answer.
    #[cfg(test)]
    pub(super) fn status(&self) -> u16 {
        self.0.status
    }

    /// What was asked is not well put.
    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", "The request is not understood", detail)
    }

    /// There is no such thing.
    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is no such thing", detail)
    }

    /// The path is there, but not for this method.
    pub(super) fn wrong_method(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "wrong-method",
            "The path does not take this method",
            detail,
        )
    }

    /// It has to be known who asks.
    pub(super) fn unauthorised(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorised", "A token is needed", detail)
    }

    /// Whoever asks may not.
    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "The request is refused", detail)
    }

    /// It cannot be done as things are.
    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", "It cannot be done as things are", detail)
    }

    /// The configuration is no good.
    pub(super) fn invalid_configuration(detail: impl Into<String>) -> Self {
        let title = "The configuration is not valid";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-configuration", title, detail)
    }

    /// The body is too large.
    pub(super) fn too_large(most: usize) -> Self {
        let detail = format!("the body of this request has at most {most} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large", detail)
    }

    /// The body does not come.
    pub(super) fn too_slow(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "too-slow", "The body did not come in time", detail)
    }

    /// Not now.
    pub(super) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not now", detail)
    }

    /// Not now, and in a moment.
    pub(super) fn busy(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, BUSY, "Not now", detail)
    }

    /// A fault of ours.
    pub(super) fn internal(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The proxy could not do it", detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self(problem) = self;
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(&problem)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if problem.kind == format!("/problems/{BUSY}") {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(IN_A_MOMENT));
        }
        if status == StatusCode::UNAUTHORIZED {
            // Both: a program sends the one, a browser asks its user for the other.
            let schemes =
                r#"Bearer realm="smartproxy", Basic realm="smartproxy (the token is the password)""#;
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(schemes));
        }
        response
    }
}
