//! Where a key belongs that stands in the wrong table: the schema knows every table and its keys.

use serde_json::Value;

use super::file::ConfigFile;
use proxy_values::spelling;

use super::schema;

/// What stands in a path for a name that the file chooses, as in `pools.NAME`.
const ANY: &str = "NAME";

/// Tables below tables, at most. The file has five levels.
const DEEPEST: usize = 8;

/// Places that are told of one key: beyond them, nobody is helped.
const MOST: usize = 3;

/// A table that the file may have.
struct Table {
    /// The keys that lead to it; lists add none.
    path: Vec<String>,
    /// Whether it is one of a list.
    listed: bool,
    keys: Vec<String>,
}

/// What to say of a key that is not known in the table of this path: beside it, and how it is written instead. `None`
/// if no other table has it either.
pub(super) fn told(name: &str, here: &[&str]) -> Option<(String, Option<String>)> {
    let whole = schema::of::<ConfigFile>();
    let mut tables = Vec::new();
    collect(&whole, &whole, &Table { path: Vec::new(), listed: false, keys: Vec::new() }, &mut tables);
    let mut known: Vec<(usize, &Table, &str)> = tables
        .iter()
        .filter(|table| !is_same(&table.path, here))
        .filter_map(|table| {
            let far = far(&table.path, here);
            // A name that is only near is sought one table down: further off, everything is near something.
            let below = far == 1 && table.path.len() > here.len();
            let exact = spelling::same(name, &table.keys);
            let near = || spelling::nearest(name, &table.keys).filter(|_| below);
            let (key, slip) = exact.map(|key| (key, 0)).or_else(|| near().map(|key| (key, 1)))?;
            Some((far + slip, table, key))
        })
        .collect();
    let nearest = known.iter().map(|(far, ..)| *far).min()?;
    known.retain(|(far, ..)| *far == nearest);
    known.truncate(MOST);
    let places: Vec<String> = known.iter().map(|(_, table, key)| place(name, key, table, here)).collect();
    let form = match known.as_slice() {
        [(_, table, key)] => form(key, table, here),
        _ => None,
    };
    let places = places.join(", or ");
    let misspelled = known.iter().all(|(.., key)| *key != name);
    Some((if misspelled { format!("did you mean {places}?") } else { format!("it belongs {places}") }, form))
}

/// Where a table is, as seen from here, for the end of "it belongs"; with the key, if that is spelled otherwise.
fn place(name: &str, key: &str, table: &Table, here: &[&str]) -> String {
    let path = &table.path;
    let (is_near, into) = (name == key, if name == key { "into" } else { "in" });
    let key = if is_near { String::new() } else { format!("`{key}` ") };
    if path.is_empty() {
        return format!("{key}at the top of the file, before the first table");
    }
    if let Some((last, around)) = here.split_last()
        && is_same(path, around)
    {
        return format!("{key}beside `{last}`");
    }
    let whole: Vec<&str> = path
        .iter()
        .enumerate()
        .map(|(level, step)| here.get(level).copied().filter(|_| step == ANY).unwrap_or(step))
        .collect();
    match whole.get(here.len()..) {
        Some(below) if !here.is_empty() && is_same(path.get(..here.len()).unwrap_or_default(), here) => {
            format!("{key}{into} `{}`", below.join("."))
        }
        Some(_) | None if table.listed => format!("{key}{into} `[[{}]]`", whole.join(".")),
        Some(_) | None => format!("{key}{into} `[{}]`", whole.join(".")),
    }
}

/// How a key of a table right below this one is written.
fn form(key: &str, table: &Table, here: &[&str]) -> Option<String> {
    let (last, around) = table.path.split_last()?;
    (!here.is_empty() && !table.listed && is_same(around, here))
        .then(|| format!("write `{last} = {{ {key} = … }}`"))
}

/// Whether a path of the schema is the one that is written.
fn is_same(path: &[String], written: &[&str]) -> bool {
    path.len() == written.len()
        && path.iter().zip(written).all(|(step, written)| step == ANY || step == written)
}

/// Steps from one table to the other: up to what they share, and down again.
fn far(path: &[String], here: &[&str]) -> usize {
    let shared = path.iter().zip(here).take_while(|(step, here)| *step == ANY || step == *here).count();
    path.len() + here.len() - 2 * shared
}

/// All tables of a schema, with the keys of each.
fn collect(schema: &Value, whole: &Value, at: &Table, tables: &mut Vec<Table>) {
    if at.path.len() > DEEPEST {
        return;
    }
    let named = schema.get("$ref").and_then(Value::as_str);
    let schema = named.and_then(|name| whole.pointer(name.trim_start_matches('#'))).unwrap_or(schema);
    let forms = ["oneOf", "anyOf"].iter().filter_map(|forms| schema.get(forms)?.as_array()).flatten();
    let forms: Vec<&Value> = std::iter::once(schema).chain(forms).collect();
    let properties = forms.iter().filter_map(|form| form.get("properties")?.as_object()).flatten();
    let properties: Vec<(&String, &Value)> = properties.collect();
    if !properties.is_empty() {
        let keys = properties.iter().map(|(key, _)| (*key).clone()).collect();
        tables.push(Table { path: at.path.clone(), listed: at.listed, keys });
    }
    let below = |step: &str| Table {
        path: at.path.iter().cloned().chain([step.to_owned()]).collect(),
        listed: false,
        keys: Vec::new(),
    };
    for (key, value) in properties {
        collect(value, whole, &below(key), tables);
    }
    if let Some(any) = schema.get("additionalProperties").filter(|any| any.is_object()) {
        collect(any, whole, &below(ANY), tables);
    }
    if let Some(entries) = schema.get("items") {
        collect(entries, whole, &Table { path: at.path.clone(), listed: true, keys: Vec::new() }, tables);
    }
}
