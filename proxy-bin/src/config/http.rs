//! HTTP: how a route's clients are served by requests.

mod fields;
mod rule;

use std::fmt;
use std::sync::Arc;

use proxy_conn::Switch;
use proxy_core::Bound;
use proxy_dataplane::settings::HttpRoute;
use proxy_http::{KeepOptions, Options};
use proxy_values::{Size, Whole};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use self::fields::ChangesFile;
use self::rule::RuleFile;
use super::document::Place;
use super::file::RouteFile;
use super::finding::Finding;
use super::group::NoGroup;

/// How a route's clients are served by requests.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct HttpTable {
    /// For the first byte of a client's next request; then its connection is closed in order. Default 60s.
    keep_alive_timeout: Option<Bound>,
    /// For the whole head of a request, from its first byte. Not re-armed by bytes. Then it is answered with 408. Default 15s.
    request_head_timeout: Option<Bound>,
    /// For the next bytes of a request's body, where they are waited for. Then it is answered with 408. Default 30s.
    request_body_timeout: Option<Bound>,
    /// For the head of a backend's answer, from when the request has been delivered as far as it has come. Then the client is answered
    /// with 504. Default 60s.
    response_head_timeout: Option<Bound>,
    /// For the next bytes of a backend's answer, where they are waited for. Then the answer breaks off, with a reset. Default 60s.
    response_body_timeout: Option<Bound>,
    /// For a request and its answer as a whole, whatever moves; `"off"` for no such deadline. Default `"off"`.
    request_timeout: Option<Switch>,
    /// The longest head of a request, request line and all. What is longer is answered with 431. Default 64KiB.
    max_request_head: Option<Size<1024, { 256 << 10 }>>,
    /// The longest body of a request. What is longer is answered with 413 where its length is told, and broken off where not. Default:
    /// any.
    max_request_body: Option<Size<1, { 1 << 40 }>>,
    /// How long connections to backends are kept for the next request.
    keep: KeepFile,
    /// What this proxy calls itself in the field `Via`. Default `"smartproxy"`.
    via: Option<Pseudonym>,
    /// Whether clients are believed what they say of where a request comes from (`Forwarded`, `X-Forwarded-*`, `X-Request-Id`): then it
    /// goes on, with what this proxy knows behind it. Those that come with a PROXY header, or prove to be hops, always are. Default false.
    trust_forwarded: bool,
    /// What is changed about the fields of every request that is forwarded.
    request_headers: ChangesFile,
    /// What is changed about the fields of every answer of a backend.
    response_headers: ChangesFile,
    /// What is done with which requests. Those that no rule takes are forwarded to the route's targets.
    rules: Vec<RuleFile>,
}

/// How long connections to backends are kept for the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct KeepFile {
    /// For the next request; then it is closed in order. Shorter than the backend's own, so that a request meets none that is just being
    /// closed. Default 30s.
    idle_timeout: Option<Bound>,
    /// From when it is made: no request is begun on it later, and it is closed when none is under way. Up to a tenth less, by chance, so
    /// that those made together do not end together. Default 1h.
    lifetime: Option<Bound>,
    /// Requests that are sent over one, at most. Default: any number.
    requests: Option<Whole<1, { u32::MAX }>>,
    /// How many are kept to one target, for each worker. Default 256.
    most_idle: Option<Whole<1, 65_536>>,
}

/// What a proxy calls itself: letters, digits and what else a token has.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
struct Pseudonym(#[schemars(regex(pattern = r"^[A-Za-z0-9._-]{1,64}$"))] String);

impl TryFrom<String> for Pseudonym {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let known = |char: char| char.is_ascii_alphanumeric() || "._-".contains(char);
        if (1..=64).contains(&text.len()) && text.chars().all(known) {
            return Ok(Self(text));
        }
        Err(format!("expected 1 to 64 letters, digits, dots, underscores and hyphens, found \"{text}\""))
    }
}

/// Whether a route's clients are served by requests, and how: `true`, or a table that says more.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum HttpFile {
    #[default]
    Off,
    On(Box<HttpTable>),
}

impl<'de> Deserialize<'de> for HttpFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either)
    }
}

struct Either;

impl<'de> Visitor<'de> for Either {
    type Value = HttpFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false, or a table such as { keep_alive_timeout = \"60s\" }")
    }

    fn visit_bool<E: Error>(self, on: bool) -> Result<HttpFile, E> {
        Ok(if on { HttpFile::On(Box::default()) } else { HttpFile::Off })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<HttpFile, A::Error> {
        HttpTable::deserialize(MapAccessDeserializer::new(map)).map(|table| HttpFile::On(Box::new(table)))
    }
}

impl JsonSchema for HttpFile {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Http".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = HttpTable::json_schema(generator);
        json_schema!({
            "description": "Whether a route's clients are served by requests: true, or a table that says more.",
            "examples": [true],
            "anyOf": [{ "type": "boolean" }, table],
        })
    }
}

/// What a route's part of the file comes to.
pub(super) fn resolved(file: &RouteFile) -> Option<Arc<HttpRoute>> {
    let HttpFile::On(table) = &file.http else { return None };
    let mut options = Options::default();
    let set = |to: &mut Bound, from: Option<Bound>| *to = from.unwrap_or(*to);
    set(&mut options.keep_alive_timeout, table.keep_alive_timeout);
    set(&mut options.request_head_timeout, table.request_head_timeout);
    set(&mut options.request_body_timeout, table.request_body_timeout);
    set(&mut options.response_head_timeout, table.response_head_timeout);
    set(&mut options.response_body_timeout, table.response_body_timeout);
    options.request_timeout = match table.request_timeout {
        Some(Switch::After(bound)) => Some(bound),
        Some(Switch::Off) | None => None,
    };
    options.max_head = table.max_request_head.map_or(options.max_head, Size::bytes);
    options.max_body = table.max_request_body.map(|most| most.bytes() as u64);
    let mut keep = KeepOptions::default();
    set(&mut keep.idle, table.keep.idle_timeout);
    set(&mut keep.lifetime, table.keep.lifetime);
    keep.requests = table.keep.requests.map(|most| u64::from(most.get()));
    keep.most_idle = table.keep.most_idle.map_or(keep.most_idle, |most| most.get() as usize);
    let mut route = HttpRoute::default();
    (route.options, route.keep, route.trust_forwarded) = (options, keep, table.trust_forwarded);
    route.request_fields = table.request_headers.resolved();
    route.response_fields = table.response_headers.resolved();
    route.rules = rule::resolved(&table.rules);
    if let Some(via) = &table.via {
        route.via = via.0.as_str().into();
    }
    Some(Arc::new(route))
}

/// What is wrong with a route's part of it.
pub(super) fn check(file: &RouteFile, place: &Place<'_, '_>, findings: &mut Vec<Finding>) {
    let HttpFile::On(table) = &file.http else { return };
    let http = place.key("http");
    table.request_headers.check(&http.key("request_headers"), findings);
    table.response_headers.check(&http.key("response_headers"), findings);
    rule::check(&table.rules, &http.key("rules"), findings);
    if file.tls.terminates_with("h2") {
        let at = place.key("tls").key("terminate").key("alpn");
        findings.push(
            Finding::new(at.span(), "`http` speaks HTTP/1.1, and this offers clients HTTP/2")
                .label("remove \"h2\" here")
                .beside(place.key("http").span(), "requests are served because of this")
                .help("to pass HTTP/2 through to a backend as it comes, remove `http`"),
        );
    }
}

/// That the groups are there that its rules take requests to.
pub(super) fn check_groups(
    file: &RouteFile,
    place: &Place<'_, '_>,
    groups: NoGroup<'_>,
    findings: &mut Vec<Finding>,
) {
    if let HttpFile::On(table) = &file.http {
        rule::check_groups(&table.rules, &place.key("http").key("rules"), groups, findings);
    }
}

/// The groups that the rules of a route take requests to.
pub(super) fn groups(file: &RouteFile) -> impl Iterator<Item = &super::group::GroupName> {
    let rules = match &file.http {
        HttpFile::On(table) => &*table.rules,
        HttpFile::Off => &[],
    };
    rules.iter().filter_map(RuleFile::group)
}
