//! `/v1/openapi.json` against the live server: every path and method it describes is there, and answers as it says.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::schema::fault;
use crate::world::World;

/// What to send to an endpoint that takes a body, for an answer that is no problem.
fn body(path: &str, world: &World) -> String {
    match path {
        "/v1/connections/kill" => "{\"filter\": {\"route\": \"web\"}, \"dry_run\": true}".to_owned(),
        "/v1/config/diff" => {
            let text = std::fs::read_to_string(world.dir.path().join("outer.toml")).unwrap();
            text.replace("max_connections = 500", "max_connections = 400")
        }
        "/v1/drain" => "{\"kind\": \"route\", \"name\": \"web\"}".to_owned(),
        "/v1/targets/add" | "/v1/targets/remove" => {
            "{\"group\": \"pair\", \"target\": \"10.0.0.9:1\"}".to_owned()
        }
        "/v1/targets/weight" => "{\"target\": \"10.0.0.1:1\", \"weight\": 2}".to_owned(),
        NO_SUCH => "{\"name\": \"www.example\"}".to_owned(),
        "/v1/log" => "{\"level\": \"info\"}".to_owned(),
        _ => String::new(),
    }
}

/// What cannot be done in this process: its log is the test's, and there is no program to upgrade to.
const NOT_HERE: [&str; 3] = ["/v1/log", "/v1/log/reopen", "/v1/upgrade"];

/// What there is none of here: no certificate is obtained.
const NO_SUCH: &str = "/v1/certs/renew";

#[test]
fn what_is_described_is_there_and_answers_as_described() {
    let route =
        "[[routes]]\nname = \"pair\"\nmatch.ports = [1]\naction.forward = \"@pair\"\nenabled = false\n";
    let world = World::with("[groups.pair]\nmembers = [\"10.0.0.1:1\"]\n", route);
    let _clients = world.clients(2);
    let id = world.outer.connections()[0].id.clone();
    let document = world.at().get("/v1/openapi.json").json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut asked = BTreeSet::new();
    // What stops it comes last, what ends a connection before.
    let mut operations: Vec<(String, String, Value)> = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            operations.push((path.clone(), method.clone(), operation.clone()));
        }
    }
    operations.sort_by_key(|(path, method, _)| (method == "delete", path.ends_with("/stop")));
    for (path, method, operation) in operations {
        assert!(operation["summary"].is_string() && asked.insert(operation["operationId"].to_string()));
        check(&world, &document, &path.replace("{id}", &id), &method, &operation);
    }
    assert!(asked.len() >= 25, "{asked:?}");
}

fn check(world: &World, document: &Value, path: &str, method: &str, operation: &Value) {
    let (media, content) =
        operation["responses"]["200"]["content"].as_object().unwrap().iter().next().unwrap();
    let takes = operation["requestBody"]["content"].as_object();
    let kind = takes.and_then(|kinds| kinds.keys().next()).map(|kind| format!("content-type: {kind}"));
    let headers: Vec<&str> = kind.iter().map(String::as_str).collect();
    let mut reply = world.at().begin(&method.to_uppercase(), path, &headers, &body(path, world));
    let expected: &[u16] = match path {
        NO_SUCH => &[404],
        _ if NOT_HERE.contains(&path) && method != "get" => &[409, 503],
        _ => &[200],
    };
    assert!(expected.contains(&reply.status), "{method} {path}: {}", reply.status);
    let value = match media.as_str() {
        _ if reply.status != 200 => serde_json::from_str(&reply.rest()).unwrap(),
        "text/event-stream" => reply.event().unwrap().1,
        "application/json" => serde_json::from_str(&reply.rest()).unwrap(),
        _ => Value::String(reply.rest()),
    };
    let schema = match reply.status {
        200 => &content["schema"],
        _ => &operation["responses"]["default"]["content"]["application/problem+json"]["schema"],
    };
    if reply.status == 200 {
        assert_eq!(reply.headers["content-type"], *media, "{method} {path}");
    }
    assert_eq!(fault(&value, schema, document), None, "{method} {path}");
}

#[test]
fn the_query_of_the_list_is_described() {
    let document = World::new().at().get("/v1/openapi.json").json();
    let parameters = document["paths"]["/v1/connections"]["get"]["parameters"].as_array().unwrap();
    let names: Vec<_> = parameters.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(
        names.join(" "),
        "phase route client target pool listener server_name previous min_age_s min_idle_s search sort reverse limit offset"
    );
    assert!(parameters.iter().all(|one| one["description"].as_str().is_some_and(|about| !about.is_empty())));
}
