//! Values that serde would take, or show its inside over, although the file has no place for them.
//!
//! - A date: toml passes it along as a table with a private key, which would turn up in the error.
//! - A list where a table belongs: serde fills a struct from it by position, so that `limits = [10]` would mean
//!   something. Where tables belong is known from the schema.

use std::cell::LazyCell;

use serde_json::Value;
use toml::Spanned;
use toml::de::DeValue;

use super::document::{Document, ROUTES, children};
use super::file::ConfigFile;
use super::finding::Finding;
use super::schema;

/// The schema of a file, made when it is first needed.
pub(super) struct Schemas(LazyCell<Value>);

impl Default for Schemas {
    fn default() -> Self {
        Self(LazyCell::new(schema::of::<ConfigFile>))
    }
}

/// One error for each.
pub(super) fn find(document: &Document<'_>, schemas: &Schemas) -> Vec<Finding> {
    let mut found = Vec::new();
    dates(document.tree(), &mut found);
    lists(document.tree(), &schemas.0, &schemas.0, &mut found);
    found
}

/// The same, in the tree of one route.
pub(super) fn in_route(route: &Spanned<DeValue<'_>>, schemas: &Schemas) -> Vec<Finding> {
    let mut found = Vec::new();
    dates(route, &mut found);
    let routes = of_key(ROUTES, &schemas.0).and_then(|routes| routes.get("items"));
    routes.into_iter().for_each(|one| lists(route, one, &schemas.0, &mut found));
    found
}

fn dates(node: &Spanned<DeValue<'_>>, found: &mut Vec<Finding>) {
    if node.get_ref().is_datetime() {
        found.push(
            Finding::new(node.span(), "no key takes a date or a time").label("this is a date or a time"),
        );
    }
    children(node).for_each(|child| dates(child, found));
}

fn lists(node: &Spanned<DeValue<'_>>, schema: &Value, whole: &Value, found: &mut Vec<Finding>) {
    let named = schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|name| whole.pointer(name.trim_start_matches('#')));
    let schema = named.unwrap_or(schema);
    let keys = schema.get("properties");
    if keys.is_some() && node.get_ref().is_array() {
        found.push(Finding::new(node.span(), "expected a table").label("this is a list"));
        return;
    }
    for (key, value) in node.get_ref().as_table().into_iter().flatten() {
        if let Some(below) = of_key(key.get_ref(), schema) {
            lists(value, below, whole, found);
        }
    }
    if let (Some(below), Some(entries)) = (schema.get("items"), node.get_ref().as_array()) {
        entries.iter().for_each(|entry| lists(entry, below, whole, found));
    }
}

/// The schema of a key: of a table with these keys, of a choice that is written with this key, or of a table of any.
pub(super) fn of_key<'s>(key: &str, schema: &'s Value) -> Option<&'s Value> {
    let named = |schema: &'s Value| schema.get("properties").and_then(|keys| keys.get(key));
    let choices = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    named(schema)
        .or_else(|| choices.into_iter().find_map(named))
        .or_else(|| schema.get("additionalProperties").filter(|any| any.is_object()))
}
