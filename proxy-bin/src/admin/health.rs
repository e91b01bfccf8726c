//! Whether the proxy is alive, and whether it takes connections: for those who start and restart it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::State;

use super::api::Api;
use crate::admin::problem::Problem;

/// What an audit may take beyond its interval: a hundred thousand connections take seconds, a machine that is paused more.
const AUDIT_TAKES: Duration = Duration::from_secs(60);

/// `GET /healthz`: the control plane is alive. To restart a proxy that only refuses connections would help nobody.
pub(super) async fn healthz(State(api): State<Arc<Api>>) -> Result<&'static str, Problem> {
    let proxy = api.proxy();
    let patience = proxy.settings.audit.interval.get() * 2 + AUDIT_TAKES;
    let ago = match api.audit().state().last_run() {
        Some(at) => SystemTime::now().duration_since(at).unwrap_or_default(),
        None => api.control().uptime(),
    };
    if ago > patience {
        let ago = ago.as_secs();
        return Err(Problem::unavailable(format!(
            "the audit has not run for {ago} s: the control plane stands still"
        )));
    }
    Ok("ok\n")
}

/// `GET /readyz`: it takes new connections.
pub(super) async fn readyz(State(api): State<Arc<Api>>) -> Result<&'static str, Problem> {
    match api.unready() {
        Some(why) => Err(Problem::unavailable(why)),
        None => Ok("ready\n"),
    }
}
