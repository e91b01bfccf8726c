//! The JSON schema of the file, from the types that read it.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::Value;

/// The schema of a type, as draft 2020-12.
pub(super) fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().for_deserialize();
    let settings = settings.with_transform(RecursiveTransform(without_null));
    let settings = settings.with_transform(RecursiveTransform(described));
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// TOML has no null: a key that may be left out is one that is not required, and no more.
fn without_null(schema: &mut Schema) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            schema.insert("type".to_owned(), one);
        }
    }
    let Some(Value::Array(choices)) = schema.get_mut("anyOf") else { return };
    choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
    if let [Value::Object(one)] = choices.as_slice() {
        let one = one.clone();
        schema.remove("anyOf");
        for (key, value) in one {
            schema.ensure_object().entry(key).or_insert(value);
        }
    }
}

/// A variant of an enum that is written as a table: its description is that of the one key.
fn described(schema: &mut Schema) {
    let Some(description) = schema.get("description").cloned() else { return };
    let Some(Value::Object(keys)) = schema.get_mut("properties") else { return };
    if keys.len() != 1 {
        return;
    }
    for key in keys.values_mut().filter_map(Value::as_object_mut) {
        key.entry("description").or_insert_with(|| description.clone());
    }
}
