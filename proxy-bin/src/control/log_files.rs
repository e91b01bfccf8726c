//! The log's files, opened anew.

use std::sync::Arc;

use super::running::Running;

/// Opens the log's files anew, after somebody has moved them away.
///
/// # Errors
/// Why the files that were open are written to as before.
pub(crate) async fn reopen(running: &Arc<Running>) -> Result<(), String> {
    let Some(logs) = running.logs() else { return Ok(()) };
    let reopened = running
        .opening
        .run(&running.runtime, running.asked_to_stop(), "opening the log files", move || logs.reopen())
        .await;
    let reopened = reopened.map_err(|error| error.to_string());
    let reopened = reopened.and_then(|done| done.map_err(|error| error.to_string()));
    match &reopened {
        Ok(()) => tracing::info!("opened the log files anew"),
        Err(error) => tracing::warn!(error, "the log files stay as they are"),
    }
    reopened
}
