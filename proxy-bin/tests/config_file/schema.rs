//! The schema is the reference of the file: every key is in it, and described.

use std::collections::BTreeMap;

use insta::assert_snapshot;
use proxy_bin::config::Config;
use serde_json::{Map, Value};

/// Calls `visit` with every schema of a key, by the key.
fn keys<'s>(schema: &'s Value, visit: &mut impl FnMut(&'s str, &'s Map<String, Value>)) {
    match schema {
        Value::Object(object) => {
            for (key, property) in object.get("properties").and_then(Value::as_object).into_iter().flatten() {
                visit(key, property.as_object().expect("a key has a schema"));
            }
            object.values().for_each(|below| keys(below, visit));
        }
        Value::Array(list) => list.iter().for_each(|below| keys(below, visit)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_key_has_a_description() {
    let schema = Config::schema();
    let mut bare = Vec::new();
    keys(&schema, &mut |key, property| {
        if property.get("description").and_then(Value::as_str).is_none_or(str::is_empty) {
            bare.push(key);
        }
    });
    assert_eq!(bare, [""; 0]);
}

#[test]
fn every_key_is_in_the_file_of_every_key() {
    let schema = Config::schema();
    // Those of TLS name files that have to be there.
    let file = concat!(include_str!("every_key.toml"), include_str!("every_key_of_tls.toml"));
    keys(&schema, &mut |key, _| {
        assert!(
            [format!("{key} = "), format!("[{key}]"), format!("[{key}."), format!(".{key}]")]
                .iter()
                .any(|written| file.contains(written)),
            "{key} is missing"
        );
    });
}

#[test]
fn nothing_may_be_null() {
    assert!(!Config::schema().to_string().contains("\"null\""));
}

#[test]
fn tables_take_no_other_keys() {
    fn closed(schema: &Value, open: &mut Vec<String>) {
        match schema {
            Value::Object(object) => {
                let is_table = object.contains_key("properties");
                if is_table && object.get("additionalProperties") != Some(&Value::Bool(false)) {
                    open.push(schema.to_string());
                }
                object.values().for_each(|below| closed(below, open));
            }
            Value::Array(list) => list.iter().for_each(|below| closed(below, open)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut open = Vec::new();
    closed(&Config::schema(), &mut open);
    assert_eq!(open, [""; 0]);
}

#[test]
fn the_reference_as_an_operator_reads_it() {
    let schema = Config::schema();
    let mut lines = BTreeMap::new();
    keys(&schema, &mut |key, property| {
        let text = property.get("description").and_then(Value::as_str).unwrap_or_default();
        lines.entry(key).or_insert_with(Vec::new).push(text.replace('\n', " "));
    });
    let lines: Vec<String> = lines
        .into_iter()
        .flat_map(|(key, mut texts)| {
            texts.sort();
            texts.dedup();
            texts.into_iter().map(move |text| format!("{key}: {text}"))
        })
        .collect();
    assert_snapshot!(lines.join("\n"));
}
