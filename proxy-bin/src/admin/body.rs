//! The bodies of requests: bounded in size and in time, and what is wrong with one is said.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;

use super::model::Problem;

/// The largest JSON body: a filter is some hundred bytes.
const JSON: usize = 64 * 1024;
/// The largest configuration that is read from a file, too.
const TEXT: usize = 16 << 20;
/// How long a body may take to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A body that is JSON.
pub(super) struct JsonBody<T>(pub(super) T);

/// A body that is text.
pub(super) struct TextBody(pub(super) String);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let bytes = read(request.into_body(), JSON).await?;
        if bytes.is_empty() {
            return Err(Problem::bad_request("the request needs a body: a JSON object"));
        }
        let read = serde_json::from_slice(&bytes);
        read.map(Self)
            .map_err(|error| Problem::bad_request(format!("the body is not as it should be: {error}")))
    }
}

impl<S: Send + Sync> FromRequest<S> for TextBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let bytes = read(request.into_body(), TEXT).await?;
        let text = String::from_utf8(bytes.into());
        text.map(Self).map_err(|error| Problem::bad_request(format!("the body is not UTF-8 text: {error}")))
    }
}

async fn read(body: Body, most: usize) -> Result<Bytes, Problem> {
    if body.size_hint().lower() > most as u64 {
        return Err(Problem::too_large(most));
    }
    match tokio::time::timeout(PATIENCE, axum::body::to_bytes(body, most)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if is_too_large(&error) => Err(Problem::too_large(most)),
        Ok(Err(error)) => Err(Problem::bad_request(format!("the body could not be read: {error}"))),
        Err(_) => Err(Problem::too_slow(format!("it has {} s", PATIENCE.as_secs()))),
    }
}

fn is_too_large(error: &axum::Error) -> bool {
    let inner = std::error::Error::source(error);
    inner.is_some_and(<dyn std::error::Error>::is::<http_body_util::LengthLimitError>)
}
