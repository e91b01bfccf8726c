//! `/v1/openapi.json`: OpenAPI 3.1, made from the table of endpoints and from the types that they speak.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::api::Api;
use super::connections::PAGE_KEYS;
use super::endpoint::{Answer, Endpoint, Query};
use super::filter::KEYS;
use proxy_api::model::Filter;
use proxy_api::model::Problem;

/// `GET /v1/openapi.json`.
pub(super) async fn describe(State(api): State<Arc<Api>>) -> Json<Value> {
    Json(api.description.clone())
}

/// The description of `endpoints`.
pub(super) fn description(endpoints: &[Endpoint]) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| s.definitions_path = "/components/schemas".into());
    let mut generator = settings.into_generator();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for endpoint in endpoints {
        let operation = operation(endpoint, &mut generator);
        paths.entry(endpoint.path).or_default().insert(endpoint.method.to_owned(), operation);
    }
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "SmartProxy admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Times are seconds (`_s`), sizes bytes (`_bytes`), counts since the start `_total`. Errors are \
                problem details (RFC 9457). Over TCP, what changes something needs `Content-Type: application/json`.",
        },
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

fn operation(endpoint: &Endpoint, generator: &mut SchemaGenerator) -> Value {
    let mut parameters = Vec::new();
    if endpoint.path.contains("{id}") {
        parameters.push(json!({
            "name": "id", "in": "path", "required": true, "description": "The id of a connection on this hop.",
            "schema": { "type": "string", "pattern": "^[0-9a-f]{8}-[0-9a-f]{1,16}$" },
        }));
    }
    parameters.extend(of_query(endpoint.query, generator));
    let problem = generator.subschema_for::<Problem>();
    let mut operation = json!({
        "summary": endpoint.about,
        "operationId": operation_id(endpoint),
        "parameters": parameters,
        "responses": {
            "200": answer(&endpoint.answer, generator),
            "default": {
                "description": "What is wrong",
                "content": { "application/problem+json": { "schema": problem } },
            },
        },
    });
    if let (Some(body), Some(keys)) = (endpoint.body, operation.as_object_mut()) {
        let content = json!({ body.media: { "schema": (body.schema)(generator) } });
        keys.insert("requestBody".to_owned(), json!({ "required": true, "content": content }));
    }
    operation
}

/// `get /v1/connections/{id}` → `get_connections_id`.
fn operation_id(endpoint: &Endpoint) -> String {
    let path = endpoint.path.trim_start_matches("/v1").replace(".json", "");
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let name: Vec<_> = std::iter::once(endpoint.method).chain(words).collect();
    name.join("_")
}

fn answer(answer: &Answer, generator: &mut SchemaGenerator) -> Value {
    let (media, schema, about) = match answer {
        Answer::Json(schema) => ("application/json", json!(schema(generator)), "The answer".to_owned()),
        Answer::Text(media) => (*media, json!({ "type": "string" }), "The answer".to_owned()),
        Answer::Events(event, schema) => {
            let about =
                format!("Server-sent events `{event}`; the data of each is JSON as the schema has it");
            ("text/event-stream", json!(schema(generator)), about)
        }
    };
    json!({ "description": about, "content": { media: { "schema": schema } } })
}

/// What stands behind the question mark.
fn of_query(query: Query, generator: &mut SchemaGenerator) -> Vec<Value> {
    let one = |name: &str, schema: Value, about: &str| json!({ "name": name, "in": "query", "description": about, "schema": schema });
    let limit = |most: u64, usual: u64| {
        one(
            "limit",
            json!({ "type": "integer", "minimum": 1, "maximum": most, "default": usual }),
            "The most that are listed.",
        )
    };
    match query {
        Query::None => Vec::new(),
        Query::List => filter_parameters(generator).into_iter().chain(page_parameters(generator)).collect(),
        Query::Groups => {
            let by = generator.subschema_for::<proxy_api::model::GroupBy>();
            let of_groups =
                [one("by", json!(by), "What they are grouped by; `route` if not given."), limit(1000, 50)];
            filter_parameters(generator).into_iter().chain(of_groups).collect()
        }
        Query::Limit => vec![limit(10_000, 20)],
        Query::Behind => {
            let schema = json!({ "type": "integer", "minimum": 0, "maximum": 16, "default": 0 });
            vec![one("behind", schema, "How many proxies connections came through whose deadlines are told.")]
        }
        Query::Texts(texts) => {
            texts.iter().map(|(name, about)| one(name, json!({ "type": "string" }), about)).collect()
        }
    }
}

/// The filter's keys, described as the type describes them.
fn filter_parameters(generator: &mut SchemaGenerator) -> Vec<Value> {
    let filter = generator.root_schema_for::<Filter>();
    let of_filter = KEYS.iter().map(|key| {
        let property = filter.pointer(&format!("/properties/{key}")).cloned().unwrap_or_default();
        let about = property.get("description").cloned().unwrap_or_default();
        let number = key.ends_with("_s");
        json!({
            "name": key, "in": "query", "description": about,
            "schema": { "type": if number { "number" } else { "string" } },
        })
    });
    of_filter.collect()
}

/// Those of a page.
fn page_parameters(generator: &mut SchemaGenerator) -> Vec<Value> {
    let sort = generator.subschema_for::<proxy_api::model::SortBy>();
    let page = [
        (json!(sort), "What the list is sorted by; `age` if not given."),
        (json!({ "type": "boolean" }), "The other way round."),
        (
            json!({ "type": "integer", "minimum": 1, "maximum": 10_000, "default": 100 }),
            "The most of a page.",
        ),
        (json!({ "type": "integer", "minimum": 0, "default": 0 }), "How many to pass over."),
    ];
    let of_page = PAGE_KEYS.iter().zip(page).map(
        |(key, (schema, about))| json!({ "name": key, "in": "query", "description": about, "schema": schema }),
    );
    of_page.collect()
}
