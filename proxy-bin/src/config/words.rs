//! The words that a value may be: as the schema has them.

use serde_json::Value;
use toml::Spanned;
use toml::de::DeValue;

use super::document::Document;
use super::file::ConfigFile;
use super::finding::Span;
use super::{schema, type_mistakes};

/// Those that the value at `span` may be, in quotes; none where it is no choice of words.
pub(super) fn of(document: &Document<'_>, span: &Span) -> Vec<String> {
    let whole = schema::of::<ConfigFile>();
    let mut words = Vec::new();
    if let Some(schema) = find(document.tree(), span, &whole, &whole) {
        collect(schema, &whole, &mut words);
    }
    words
}

fn named<'s>(schema: &'s Value, whole: &'s Value) -> &'s Value {
    let named = schema.get("$ref").and_then(Value::as_str);
    named.and_then(|name| whole.pointer(name.trim_start_matches('#'))).unwrap_or(schema)
}

/// The schema of the value at `span`.
fn find<'s>(
    node: &Spanned<DeValue<'_>>,
    span: &Span,
    schema: &'s Value,
    whole: &'s Value,
) -> Option<&'s Value> {
    let schema = named(schema, whole);
    for (key, value) in node.get_ref().as_table().into_iter().flatten() {
        let Some(below) = type_mistakes::of_key(key.get_ref(), schema) else { continue };
        if let Some(found) = find(value, span, below, whole) {
            return Some(found);
        }
    }
    if let (Some(below), Some(entries)) = (schema.get("items"), node.get_ref().as_array()) {
        return entries.iter().find_map(|entry| find(entry, span, below, whole));
    }
    (node.span() == *span).then_some(schema)
}

fn collect(schema: &Value, whole: &Value, words: &mut Vec<String>) {
    let schema = named(schema, whole);
    let listed = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    let said = listed.chain(schema.get("const")).filter_map(Value::as_str);
    words.extend(said.map(|word| format!("\"{word}\"")));
    let forms = ["oneOf", "anyOf"].iter().filter_map(|forms| schema.get(forms)?.as_array()).flatten();
    forms.for_each(|form| collect(form, whole, words));
}
