//! `docs/configuration.md` is made from the schema, which is made from the types: it cannot fall behind them.
//!
//! After a change of the types: `UPDATE_DOCS=1 cargo test -p proxy-bin --test reference`

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use proxy_bin::config::Config;
use serde_json::Value;

const INTRODUCTION: &str = "\
# Configuration reference

One TOML file. Unknown keys are refused, and every error points into the file: `smartproxy check FILE` lists all of them.
`smartproxy schema` prints the JSON schema of what is written here. Commented examples are in [`config/`](../config/).

Listening ports follow from the routes; `[[listeners]]` adds addresses, backlog and who may send a PROXY header. A connection takes the enabled route
that matches it with the highest `priority`; among equals the more specific one: an exact domain over a wildcard (the longer one) over none, then a longer
client network over a shorter one over none, then a route with `alpn` over one without. Two routes that can never be told apart are an error.

This page is generated from the types that read the file.
";

/// Writes the reference of the whole schema.
struct Reference<'s> {
    schema: &'s Value,
    text: String,
    told: BTreeSet<String>,
}

impl Reference<'_> {
    fn resolve<'a>(&'a self, value: &'a Value) -> (Option<&'a str>, &'a Value) {
        let target = value["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/"));
        let nullable =
            value["anyOf"].as_array().and_then(|options| options.iter().find(|o| o["type"] != "null"));
        match (target, nullable) {
            (Some(name), _) => (Some(name), &self.schema["$defs"][name]),
            (None, Some(option)) => self.resolve(option),
            (None, None) => (None, value),
        }
    }

    /// What may be written for a value, in a few words.
    fn kind(&self, value: &Value) -> String {
        let (name, resolved) = self.resolve(value);
        if let Some(name) = name.filter(|_| has_forms(resolved)) {
            return format!("[{name}](#{})", name.to_lowercase());
        }
        let lists = [&resolved["oneOf"], &resolved["anyOf"], &resolved["enum"]];
        if let Some(options) = lists.iter().find_map(|list| list.as_array()) {
            let shown: Vec<_> = options.iter().map(|option| self.option(option)).collect();
            return shown.join(" or ");
        }
        let kinds =
            resolved["type"].as_array().map_or(std::slice::from_ref(&resolved["type"]), Vec::as_slice);
        let kinds: Vec<_> = kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").collect();
        let [kind, others @ ..] = kinds.as_slice() else { return "any of several forms".to_owned() };
        let kind = self.of_kind(name, kind, resolved);
        others.iter().fold(kind, |kind, other| format!("{kind} or {}", self.of_kind(name, other, resolved)))
    }

    /// The same, of a value of this kind among those that it may be.
    fn of_kind(&self, name: Option<&str>, kind: &str, resolved: &Value) -> String {
        match kind {
            "array" => format!("list of: {}", self.kind(&resolved["items"])),
            "object" if resolved["additionalProperties"].is_object() => {
                format!("table of names, each with: {}", self.kind(&resolved["additionalProperties"]))
            }
            "object" => name
                .map_or("table".to_owned(), |name| format!("table, see [{name}](#{})", name.to_lowercase())),
            kind => name.map_or(kind.to_owned(), |name| format!("{kind} ({name})")),
        }
    }

    fn option(&self, option: &Value) -> String {
        if let Some(word) = option.as_str().or(option["const"].as_str()) {
            return format!("`\"{word}\"`");
        }
        match option["properties"].as_object().and_then(|keys| keys.iter().next()) {
            Some((key, value)) => format!("`{{ {key} = … }}` ({})", self.kind(value)),
            None => self.kind(option),
        }
    }

    /// A section for an object: its keys, then the objects among its values.
    fn section(&mut self, title: &str, object: &Value) {
        if !self.told.insert(title.to_owned()) {
            return;
        }
        writeln!(self.text, "\n## {title}\n").unwrap();
        if let Some(about) = object["description"].as_str() {
            writeln!(self.text, "{}\n", about.replace('\n', " ")).unwrap();
        }
        self.text += "| key | value | meaning |\n|---|---|---|\n";
        let keys = object["properties"].as_object().unwrap();
        let required: Vec<_> =
            object["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (key, value) in keys {
            let about =
                value["description"].as_str().or(self.resolve(value).1["description"].as_str()).unwrap_or("");
            let must = if required.contains(&key.as_str()) { " **Required.**" } else { "" };
            let kind = self.kind(value).replace('|', "\\|");
            writeln!(
                self.text,
                "| `{key}` | {kind} | {}{must} |",
                about.replace('\n', " ").replace('|', "\\|")
            )
            .unwrap();
        }
        for value in keys.values() {
            self.sections_within(value);
        }
    }

    fn sections_within(&mut self, value: &Value) {
        let (name, resolved) = self.resolve(value);
        let (name, resolved) = (name.map(str::to_owned), resolved.clone());
        if resolved["properties"].is_object()
            && let Some(name) = name
        {
            return self.section(&name, &resolved);
        }
        match name {
            Some(name) if has_forms(&resolved) => self.forms(&name, &resolved),
            _ => self.within_lists_and_options(&resolved),
        }
    }

    /// A section for a value that is written as text or as a table: examples of the one, the keys of the other.
    fn forms(&mut self, title: &str, value: &Value) {
        let examples = value["examples"].as_array().into_iter().flatten();
        let examples: Vec<String> = examples.map(|example| format!("`{example}`")).collect();
        let about = value["description"].as_str().unwrap_or_default().replace('\n', " ");
        let tables = value["anyOf"].as_array().into_iter().flatten();
        for table in tables.filter(|form| form["properties"].is_object()) {
            let mut table = table.clone();
            table["description"] = format!("{about} Such as {}; or a table:", examples.join(", ")).into();
            self.section(title, &table);
        }
    }

    fn within_lists_and_options(&mut self, resolved: &Value) {
        if resolved["items"].is_object() {
            self.sections_within(&resolved["items"]);
        }
        for option in resolved["anyOf"].as_array().into_iter().flatten() {
            self.sections_within(option);
        }
        for option in resolved["oneOf"].as_array().into_iter().flatten() {
            for value in option["properties"].as_object().into_iter().flatten().map(|(_, value)| value) {
                self.sections_within(value);
            }
        }
        if let Some(values) = resolved["additionalProperties"].as_object() {
            self.sections_within(&Value::Object(values.clone()));
        }
    }
}

/// Whether a value is written as text or as a table, with examples of the text.
fn has_forms(value: &Value) -> bool {
    let forms = value["anyOf"].as_array().into_iter().flatten();
    value["examples"].is_array() && forms.into_iter().any(|form| form["properties"].is_object())
}

#[test]
fn the_reference_is_up_to_date() {
    let schema = Config::schema();
    let mut reference = Reference { schema: &schema, text: INTRODUCTION.to_owned(), told: BTreeSet::new() };
    reference.section("The file", &schema);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &reference.text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == reference.text,
        "docs/configuration.md is out of date: UPDATE_DOCS=1 cargo test -p proxy-bin --test reference"
    );
}
