//! The endpoints, in one table: the router is made from it, and so is what `/v1/openapi.json` says. They cannot differ.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use proxy_api::model;
use tokio_util::sync::CancellationToken;

use super::api::{Api, Subject};
use super::endpoint::{Endpoint, Query, endpoint};
use super::process::Process;
use super::{
    certs, chain, change, connections, events, findings, grouped, health, history, hop, members, metrics,
    openapi, page, status, targets, trace,
};
use crate::admin::problem::Problem;

/// The table.
fn endpoints() -> Vec<Endpoint> {
    let mut all = looks();
    all.extend(looks_at_connections());
    all.extend(looks_at_the_chain());
    all.extend(acts());
    all.extend(acts_on_members());
    all
}

/// What changes nothing.
fn looks() -> Vec<Endpoint> {
    vec![
        endpoint("get", "/v1/status", "The proxy as a whole", status::status).says::<model::Status>(),
        endpoint("get", "/v1/events", "The proxy as a whole, once a second", events::events)
            .tells::<model::Sample>("sample"),
        endpoint("get", "/v1/routes", "The routes, each with its targets", status::all_routes)
            .says::<Vec<model::Route>>(),
        endpoint(
            "get",
            "/v1/targets",
            "The targets of all routes and groups, each with how it is",
            targets::all_targets,
        )
        .says::<Vec<model::Target>>(),
        endpoint(
            "get",
            "/v1/groups",
            "The groups that have a name, each with its members",
            targets::all_groups,
        )
        .says::<Vec<model::Group>>(),
        endpoint("get", "/v1/pools", "The pools, with how hard pressed they are", status::all_pools)
            .says::<Vec<model::Pool>>(),
        endpoint("get", "/v1/listeners", "The listeners", status::all_listeners)
            .says::<Vec<model::Listener>>(),
        endpoint(
            "get",
            "/v1/limits",
            "Every limit that is set, and what of it is in use",
            status::all_limits,
        )
        .says::<Vec<model::Limit>>(),
        endpoint("get", "/v1/findings", "What is wrong, the worst first", findings::all)
            .says::<Vec<model::Finding>>(),
        endpoint("get", "/v1/certs", "The certificates that are presented", certs::all)
            .says::<model::Certificates>(),
        endpoint("get", "/v1/history", "What was, of the process or of one of its parts", history::history)
            .asked(Query::Texts(&history::KEYS))
            .says::<model::History>(),
        endpoint(
            "get",
            "/v1/history/all",
            "What was, of up to 200 routes, targets, listeners or pools at once, the liveliest first",
            history::all,
        )
        .asked(Query::Texts(&history::KEYS_OF_ALL))
        .says::<Vec<model::History>>(),
        endpoint("get", "/v1/config", "The configuration in force", status::config)
            .says::<model::ConfigText>(),
        endpoint("get", "/v1/log", "What is logged", status::log_status).says::<model::LogStatus>(),
        endpoint("get", "/v1/audit", "The last audit", status::last_audit).says::<model::AuditSummary>(),
        endpoint("get", "/v1/drains", "What is being drained, and how far it is", change::drains)
            .says::<Vec<model::Drain>>(),
        endpoint("get", "/v1/build", "The build", status::build).says::<model::Build>(),
        endpoint("get", "/v1/openapi.json", "This description", openapi::describe)
            .says::<serde_json::Value>(),
        endpoint("get", "/", "The dashboard", page::dashboard).shows("text/html; charset=utf-8"),
        endpoint("get", "/metrics", "Metrics for Prometheus", metrics::metrics)
            .shows("text/plain; version=0.0.4; charset=utf-8"),
        endpoint("get", "/healthz", "Whether the proxy is alive", health::healthz),
        endpoint("get", "/readyz", "Whether it takes new connections", health::readyz),
    ]
}

/// What changes nothing, of connections.
fn looks_at_connections() -> Vec<Endpoint> {
    vec![
        endpoint(
            "get",
            "/v1/connections",
            "Connections, filtered, sorted, a page at a time",
            connections::list,
        )
        .asked(Query::List)
        .says::<model::Connections>(),
        endpoint(
            "get",
            "/v1/connections/groups",
            "Connections, filtered, by what they have in common; the largest groups first",
            grouped::groups,
        )
        .asked(Query::Groups)
        .says::<model::ConnectionGroups>(),
        endpoint(
            "get",
            "/v1/connections/{id}",
            "One connection in full, with both its sockets",
            connections::one,
        )
        .says::<model::ConnectionInFull>(),
        endpoint("get", "/v1/connections/{id}/trace", "One connection, followed until it ends", trace::trace)
            .tells::<model::TraceEvent>("trace"),
    ]
}

/// What changes nothing, of this hop and the others.
fn looks_at_the_chain() -> Vec<Endpoint> {
    vec![
        endpoint("get", "/v1/hop", "What this hop says of itself to its neighbours", hop::hop)
            .asked(Query::Behind)
            .says::<model::Hop>(),
        endpoint(
            "get",
            "/v1/chain",
            "The hops of the chain side by side, and their connections joined",
            chain::chain,
        )
        .asked(Query::Limit)
        .says::<model::Chain>(),
    ]
}

/// What changes something.
fn acts() -> Vec<Endpoint> {
    vec![
        endpoint("delete", "/v1/connections/{id}", "Ends one connection", connections::kill_one)
            .says::<model::Killed>(),
        endpoint(
            "post",
            "/v1/connections/kill",
            "Ends connections, or says which it would end",
            connections::kill,
        )
        .takes::<model::Kill>()
        .says::<model::Killed>(),
        endpoint("post", "/v1/audit", "Audits now", status::audit_now).says::<model::Audit>(),
        endpoint(
            "post",
            "/v1/config/diff",
            "What a configuration would change; the body is its text",
            change::diff,
        )
        .takes_text("application/toml")
        .says::<model::Diff>(),
        endpoint(
            "post",
            "/v1/reload",
            "Reads the configuration's file again and puts it in force",
            change::reload,
        )
        .says::<model::Reload>(),
        endpoint("post", "/v1/certs/renew", "Has a certificate obtained now", certs::renew)
            .takes::<model::RenewCertificate>()
            .says::<model::ObtainedCertificate>(),
        endpoint("post", "/v1/drain", "Drains something, or takes new connections again", change::drain)
            .takes::<model::DrainRequest>()
            .says::<model::Drain>(),
        endpoint("post", "/v1/stop", "Stops the proxy, as SIGTERM does", change::stop)
            .says::<model::Status>(),
        endpoint(
            "post",
            "/v1/upgrade",
            "Starts the program anew and hands the listeners over to it; this process then finishes what it has and goes",
            change::upgrade,
        )
        .says::<model::Upgrade>(),
        endpoint(
            "put",
            "/v1/log",
            "Sets the log level, until the next start or a changed `[log]`",
            change::set_level,
        )
        .takes::<model::SetLogLevel>()
        .says::<model::LogStatus>(),
        endpoint(
            "post",
            "/v1/log/reopen",
            "Opens the log's files anew, after they were moved away",
            change::reopen,
        )
        .says::<model::LogStatus>(),
    ]
}

/// What changes a group.
fn acts_on_members() -> Vec<Endpoint> {
    vec![
        endpoint(
            "post",
            "/v1/targets/weight",
            "Sets the weight of a member of a group, until a reload gives it another one than the file did",
            members::set_weight,
        )
        .takes::<model::SetWeight>()
        .says::<model::MemberChange>(),
        endpoint("post", "/v1/targets/add", "Adds a member to a group, until the next reload", members::add)
            .takes::<model::AddMember>()
            .says::<model::MemberChange>(),
        endpoint(
            "post",
            "/v1/targets/remove",
            "Removes a member from a group, until the next reload",
            members::remove,
        )
        .takes::<model::RemoveMember>()
        .says::<model::MemberChange>(),
    ]
}

/// Answers what the table says; and what it has to answer with.
pub(super) fn router(
    subject: Subject,
    name: String,
    process: Process,
    stop: CancellationToken,
) -> (Router, Arc<Api>) {
    let endpoints = endpoints();
    let description = openapi::description(&endpoints);
    let api = Arc::new(Api::new(subject, name, process, stop, description));
    let routes = endpoints.into_iter().fold(Router::new(), |router, one| router.route(one.path, one.handler));
    let router = routes.fallback(unknown).method_not_allowed_fallback(wrong_method);
    (router.with_state(Arc::clone(&api)), api)
}

async fn unknown(request: Request) -> Problem {
    let path = request.uri().path();
    Problem::not_found(format!("there is no {path}: /v1/openapi.json says what there is"))
}

async fn wrong_method(request: Request) -> Problem {
    let (method, path) = (request.method(), request.uri().path());
    Problem::wrong_method(format!("{path} does not take {method}: see the Allow header, or /v1/openapi.json"))
}
