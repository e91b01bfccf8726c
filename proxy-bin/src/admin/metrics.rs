//! `/metrics`, for Prometheus: read when it is scraped, kept nowhere.
//!
//! No label is open-ended: they are causes, phases, and the names that the configuration gives to routes, targets, pools and
//! limits. Client addresses, server names and ids of connections are in the lists and in the access log, never here.

mod certificates;
mod classic;
mod families;
mod gauge;
mod listed;
mod members;
mod outcomes;
mod sampled;
mod scrape;

use std::fmt;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::registry::Registry;

use super::api::Api;
use crate::admin::problem::Problem;
use scrape::Scrape;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `GET /metrics`: OpenMetrics for those that ask for it, as Prometheus does, and its older text format for all others.
pub(super) async fn metrics(State(api): State<Arc<Api>>, headers: HeaderMap) -> Result<Response, Problem> {
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let encoded = encode(&api).map_err(|_| Problem::internal("the metrics could not be written"))?;
    let (kind, body) = if accepts.contains("application/openmetrics-text") {
        (OPEN_METRICS, gauge::histograms(&encoded))
    } else {
        (CLASSIC, classic::from_open_metrics(&encoded))
    };
    Ok(([(header::CONTENT_TYPE, kind)], body).into_response())
}

fn encode(api: &Arc<Api>) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(OfProcess(Arc::clone(api))));
    let own = registry.sub_registry_with_prefix("smartproxy");
    own.register_collector(Box::new(OfProxy(Arc::clone(api))));
    let mut body = String::new();
    text::encode(&mut body, &registry)?;
    Ok(body)
}

/// What every process has, under the names that are usual for it.
struct OfProcess(Arc<Api>);

/// What is the proxy's own.
struct OfProxy(Arc<Api>);

impl Collector for OfProcess {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        families::of_process(&self.0, &mut Scrape::new(encoder))
    }
}

impl Collector for OfProxy {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        families::of_proxy(&self.0, &mut Scrape::new(encoder))
    }
}

impl fmt::Debug for OfProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OfProcess")
    }
}

impl fmt::Debug for OfProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OfProxy")
    }
}
