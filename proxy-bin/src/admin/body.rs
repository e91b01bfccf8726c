//! The bodies of requests: bounded in size and in time, and what is wrong with one is said.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;

use crate::admin::problem::Problem;

/// The largest JSON body: a filter is some hundred bytes.
const JSON: usize = 64 * 1024;
/// The largest configuration that is read from a file, too.
const TEXT: usize = 16 << 20;
/// Of a body that is too large so much is read and dropped.
const HEARD_OUT: usize = 2 * TEXT;
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
        let text = String::from_utf8(bytes);
        text.map(Self).map_err(|error| Problem::bad_request(format!("the body is not UTF-8 text: {error}")))
    }
}

async fn read(body: Body, most: usize) -> Result<Vec<u8>, Problem> {
    match tokio::time::timeout(PATIENCE, heard_out(body, most)).await {
        Ok(Ok(Some(bytes))) => Ok(bytes),
        Ok(Ok(None)) => Err(Problem::too_large(most)),
        Ok(Err(error)) => Err(Problem::bad_request(format!("the body could not be read: {error}"))),
        Err(_) => Err(Problem::too_slow(format!("it has {} s", PATIENCE.as_secs()))),
    }
}

/// The body; None if it is too large. One that is too large is heard out for a while all the same: whoever is still sending
/// when the connection closes is reset, and never reads why.
async fn heard_out(mut body: Body, most: usize) -> Result<Option<Vec<u8>>, axum::Error> {
    let (mut bytes, mut heard) = (Vec::new(), 0);
    while heard <= HEARD_OUT
        && let Some(frame) = body.frame().await
    {
        let Ok(data) = frame?.into_data() else { continue };
        heard += data.len();
        if heard <= most {
            bytes.extend_from_slice(&data);
        }
    }
    Ok((heard <= most).then_some(bytes))
}
