//! What changes the proxy as a whole: another configuration, drains, stopping, the log.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use tokio::sync::OwnedSemaphorePermit;

use super::api::Api;
use super::body::{JsonBody, TextBody};
use super::counts::Counts;
use super::status;
use crate::admin::problem::Problem;
use crate::control::{DrainError, UpgradeError};
use proxy_api::model::{Drain, DrainRequest, LogStatus, Reload, SetLogLevel, Status, Upgrade};

/// Leave to compare a configuration, for one at a time. To be had before the body is read: a large one is tens of megabytes,
/// and becomes many times that.
pub(super) struct Alone(OwnedSemaphorePermit);

impl FromRequestParts<Arc<Api>> for Alone {
    type Rejection = Problem;

    async fn from_request_parts(_: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let alone = Arc::clone(&api.comparing).try_acquire_owned();
        alone.map(Self).map_err(|_| Problem::busy("another configuration is being compared: one at a time"))
    }
}

/// `POST /v1/config/diff`. On a thread of its own: that of the API answers others meanwhile.
pub(super) async fn diff(
    State(api): State<Arc<Api>>,
    Alone(alone): Alone,
    TextBody(text): TextBody,
) -> Result<Response, Problem> {
    if text.trim().is_empty() {
        return Err(Problem::bad_request("the request needs a body: the text of a configuration"));
    }
    let control = api.control().clone();
    let comparing = tokio::task::spawn_blocking(move || {
        // Until it is done, whether or not it is waited for.
        let _alone = alone;
        let diff = control.diff(&text);
        let answer = diff.map(|diff| serde_json::to_vec(&diff)).map_err(Problem::invalid_configuration);
        drop(text);
        // What it took, a running proxy with few connections would never need again.
        proxy_core::process::memory::release();
        answer
    });
    let answer =
        comparing.await.map_err(|lost| Problem::internal(format!("it was not compared: {lost}")))??;
    let answer = answer.map_err(|error| Problem::internal(error.to_string()))?;
    Ok(([(CONTENT_TYPE, "application/json")], answer).into_response())
}

/// `POST /v1/reload`. A configuration that is refused is no problem of the request: the answer says why.
pub(super) async fn reload(State(api): State<Arc<Api>>) -> Json<Reload> {
    Json(api.control().reload().await)
}

/// `POST /v1/drain`.
pub(super) async fn drain(
    State(api): State<Arc<Api>>,
    JsonBody(request): JsonBody<DrainRequest>,
) -> Result<Json<Drain>, Problem> {
    Ok(Json(api.control().drain(&request).await?))
}

impl From<DrainError> for Problem {
    fn from(error: DrainError) -> Self {
        let text = error.to_string();
        match error {
            DrainError::Unknown(_) => Self::not_found(text),
            DrainError::Nameless { .. } | DrainError::Named { .. } | DrainError::Time { .. } => {
                Self::bad_request(text)
            }
            DrainError::NotDraining { .. } | DrainError::Stopping(_) | DrainError::Listen(_) => {
                Self::conflict(text)
            }
        }
    }
}

/// `GET /v1/drains`.
pub(super) async fn drains(State(api): State<Arc<Api>>) -> Json<Vec<Drain>> {
    Json(api.control().drains())
}

/// `POST /v1/stop`. What is answered is how it was; it stops afterwards.
pub(super) async fn stop(State(api): State<Arc<Api>>) -> Json<Status> {
    let before = status::of_all(&api, &Counts::take(api.tracker()));
    api.control().stop();
    Json(before)
}

/// `POST /v1/upgrade`. Answers once the new process serves; this one stops afterwards.
pub(super) async fn upgrade(State(api): State<Arc<Api>>) -> Result<Json<Upgrade>, Problem> {
    api.control().upgrade().await?;
    let upgrade = api.control().last_upgrade();
    upgrade.map(Json).ok_or_else(|| Problem::internal("the upgrade left no trace".to_owned()))
}

impl From<UpgradeError> for Problem {
    fn from(error: UpgradeError) -> Self {
        let text = error.to_string();
        match error {
            UpgradeError::Busy(_) | UpgradeError::Embedded | UpgradeError::First => Self::conflict(text),
            UpgradeError::Failed(_) | UpgradeError::Lost(_) => Self::internal(text),
        }
    }
}

/// `PUT /v1/log`.
pub(super) async fn set_level(
    State(api): State<Arc<Api>>,
    JsonBody(SetLogLevel { level }): JsonBody<SetLogLevel>,
) -> Result<Json<LogStatus>, Problem> {
    let level = level
        .parse()
        .map_err(|error: crate::config::LogLevelError| Problem::bad_request(error.to_string()))?;
    api.logs()?.set_level(level);
    Ok(Json(status::log(&api)))
}

/// `POST /v1/log/reopen`.
pub(super) async fn reopen(State(api): State<Arc<Api>>) -> Result<Json<LogStatus>, Problem> {
    api.logs()?;
    api.control().reopen_logs().await.map_err(Problem::internal)?;
    Ok(Json(status::log(&api)))
}
