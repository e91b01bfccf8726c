//! As much of JSON Schema as the API's description uses: whether a value is as a schema says.

use serde_json::Value;

/// What is wrong with `value`, with where; None if nothing is. `document` is what references lead into.
pub(crate) fn fault(value: &Value, schema: &Value, document: &Value) -> Option<String> {
    check(value, schema, document, "$")
}

/// The keywords that are understood: any other one would be passed over in silence.
const KEYWORDS: [&str; 16] = [
    "$ref",
    "type",
    "properties",
    "required",
    "items",
    "anyOf",
    "oneOf",
    "enum",
    "const",
    "additionalProperties",
    "minimum",
    "maximum",
    "pattern",
    "description",
    "format",
    "default",
];

fn check(value: &Value, schema: &Value, document: &Value, path: &str) -> Option<String> {
    if schema == &Value::Bool(true) {
        return None;
    }
    let Some(keys) = schema.as_object() else { return Some(format!("{path}: {schema} is no schema")) };
    if let Some(unknown) = keys.keys().find(|key| !KEYWORDS.contains(&key.as_str())) {
        return Some(format!("{path}: the schema has {unknown}, which this test does not understand"));
    }
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#'));
        let Some(target) = target else { return Some(format!("{path}: {reference} leads nowhere")) };
        return check(value, target, document, path);
    }
    let several = schema["anyOf"].as_array().or(schema["oneOf"].as_array());
    if let Some(options) = several
        && !options.iter().any(|option| check(value, option, document, path).is_none())
    {
        return Some(format!("{path}: {value} is none of {options:?}"));
    }
    of_type(value, schema, path)
        .or_else(|| of_words(value, schema, path))
        .or_else(|| of_object(value, schema, document, path))
        .or_else(|| of_list(value, schema, document, path))
}

fn of_type(value: &Value, schema: &Value, path: &str) -> Option<String> {
    let kinds = match (&schema["type"], schema["type"].as_array()) {
        (Value::Null, _) => return None,
        (_, Some(kinds)) => kinds.clone(),
        (one, None) => vec![one.clone()],
    };
    let is = |kind: &str| match kind {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        _ => false,
    };
    let fits = kinds.iter().filter_map(Value::as_str).any(is);
    let least = schema["minimum"].as_f64().zip(value.as_f64()).is_some_and(|(least, n)| n < least);
    (!fits || least).then(|| format!("{path}: {value} is no {kinds:?}"))
}

fn of_words(value: &Value, schema: &Value, path: &str) -> Option<String> {
    let wrong_word = schema["enum"].as_array().is_some_and(|words| !words.contains(value));
    let wrong_const = schema.get("const").is_some_and(|word| word != value);
    (wrong_word || wrong_const).then(|| format!("{path}: {value} is no word of {schema}"))
}

fn of_object(value: &Value, schema: &Value, document: &Value, path: &str) -> Option<String> {
    let object = value.as_object()?;
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    if let Some(missing) = required.into_iter().find(|key| !object.contains_key(*key)) {
        return Some(format!("{path}: {missing} is missing"));
    }
    let described = schema["properties"].is_object() || schema["additionalProperties"].is_object();
    object.iter().find_map(|(key, below)| {
        let (path, any) = (format!("{path}.{key}"), &schema["additionalProperties"]);
        match schema["properties"].get(key) {
            Some(schema) => check(below, schema, document, &path),
            None if any.is_object() => check(below, any, document, &path),
            None => described.then(|| format!("{path} is not described")),
        }
    })
}

fn of_list(value: &Value, schema: &Value, document: &Value, path: &str) -> Option<String> {
    let (list, items) = (value.as_array()?, schema.get("items")?);
    list.iter().enumerate().find_map(|(at, one)| check(one, items, document, &format!("{path}[{at}]")))
}

#[test]
fn a_fault_is_found_wherever_it_is() {
    let document = serde_json::json!({ "defs": { "n": { "type": "integer", "minimum": 0 } } });
    let schema = serde_json::json!({
        "type": "object",
        "properties": { "list": { "type": "array", "items": { "$ref": "#/defs/n" } }, "word": { "enum": ["a"] } },
        "required": ["list"],
    });
    let of = |value: Value| fault(&value, &schema, &document);
    assert_eq!(of(serde_json::json!({ "list": [1], "word": "a" })), None);
    for (value, says) in [
        (serde_json::json!({}), "list is missing"),
        (serde_json::json!({ "list": [1, "x"] }), "$.list[1]"),
        (serde_json::json!({ "list": [-1] }), "$.list[0]"),
        (serde_json::json!({ "list": [], "word": "b" }), "$.word"),
        (serde_json::json!({ "list": [], "other": 1 }), "$.other is not described"),
        (serde_json::json!([]), "is no"),
    ] {
        assert!(of(value.clone()).is_some_and(|fault| fault.contains(says)), "{value}");
    }
}
