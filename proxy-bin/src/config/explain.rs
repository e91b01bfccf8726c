//! From what serde and toml say to what an operator reads.
//!
//! Serde has no structured errors, so its sentences are taken apart here, and nowhere else. A sentence that is not
//! recognised is shown as it is.

use super::document::Document;
use super::finding::{Finding, Span};
use super::{elsewhere, other_names, words};
use proxy_values::spelling;

/// A syntax error in this text.
pub(super) fn syntax(error: &toml::de::Error, text: &str) -> Finding {
    let span = error.span().unwrap_or_default();
    let written = text.get(span.clone()).unwrap_or_default();
    match error.message().split_once(", expected ").unwrap_or((error.message(), "")) {
        // What toml makes of nothing, and of a word that may have wanted to be infinite.
        ("string values must be quoted", _) if written.trim().is_empty() => {
            Finding::new(span, "a value is missing")
        }
        ("invalid float", _) if written.starts_with(char::is_alphabetic) => {
            Finding::new(span, "a word has to be in quotes").label(format!("write \"{written}\""))
        }
        ("", _) => Finding::new(span, "not valid TOML"),
        (title, "") => Finding::new(span, title),
        (title, expected) => Finding::new(span, title).label(format!("expected {expected}")),
    }
}

/// An error in what the file says; `None` if it only follows from one that was reported.
pub(super) fn finding(error: &toml::de::Error, document: &Document<'_>, text: &str) -> Option<Finding> {
    let (message, span) = (error.message(), error.span().unwrap_or_default());
    if let Some(name) = between(message, "missing field `", "`") {
        // It was there with a bad value, or by a name that was nearly right.
        let is_meant = |lost: &str| {
            spelling::nearest(lost, &[name]).is_some() || other_names::meant(lost, &[name]).is_some()
        };
        let was_there = document.lost(&span).any(is_meant);
        return (!was_there).then(|| missing(span, name));
    }
    if document.is_emptied(&span) {
        return None;
    }
    Some(
        unknown(message, &span, document)
            .or_else(|| no_word(message, &span, document))
            .or_else(|| wrong_type(message, &span, text))
            .unwrap_or_else(|| told(message, span)),
    )
}

/// Whether a word is not one of those expected.
pub(super) fn is_unknown_variant(message: &str) -> bool {
    message.starts_with(UNKNOWN_VARIANT)
}

const UNKNOWN_FIELD: &str = "unknown field `";
const UNKNOWN_VARIANT: &str = "unknown variant `";

fn missing(span: Span, name: &str) -> Finding {
    Finding::new(span, format!("missing key `{name}`")).label(format!("`{name}` has to be set here"))
}

/// "unknown field `x`, expected one of `a`, `b`" and the same of variants.
fn unknown(message: &str, span: &Span, document: &Document<'_>) -> Option<Finding> {
    let rest = message.strip_prefix(UNKNOWN_FIELD).or_else(|| message.strip_prefix(UNKNOWN_VARIANT))?;
    let what = if document.table_of_key(span).is_some() { "key" } else { "value" };
    let (name, expected) = rest.rsplit_once("`, expected ")?;
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    let finding = Finding::new(span.clone(), format!("unknown {what} `{name}`"));
    let near = other_names::meant(name, &known).or_else(|| spelling::nearest(name, &known));
    if near.is_none()
        && what == "key"
        && let Some((place, form)) = elsewhere::told(name, &document.path_to_key(span))
    {
        return Some(Finding { help: form, ..finding.label(place) });
    }
    if what == "key"
        && let Some(form) = as_word(name, span, document)
    {
        return Some(finding.label("this is a word, not a key").help(format!("write {form}")));
    }
    let finding = match near {
        Some(near) => finding.label(format!("did you mean `{near}`?")),
        None => finding.label(format!("not a {what} that is known here")),
    };
    Some(finding.help(match known.as_slice() {
        [one] => format!("the only {what} here is `{one}`"),
        several => format!("the {what}s here are `{}`", several.join("`, `")),
    }))
}

/// How it is written, where the table of this key may be a word of its name in place of a table.
fn as_word(name: &str, key: &Span, document: &Document<'_>) -> Option<String> {
    let table = document.table_of_key(key)?;
    let word = format!("\"{name}\"");
    let is_word = words::of(document, &table).contains(&word);
    let path = document.path_to_key(key);
    path.last().filter(|_| is_word).map(|last| format!("{last} = {word}"))
}

/// What toml says where a unit enum is expected, which takes a string only.
fn no_word(message: &str, span: &Span, document: &Document<'_>) -> Option<Finding> {
    let says =
        ["wanted string or table", "wanted exactly 1 element", "expected table, found", "expected empty"];
    if !says.iter().any(|start| message.starts_with(start)) {
        return None;
    }
    let (finding, words) =
        (Finding::new(span.clone(), "expected a word in quotes"), words::of(document, span));
    Some(match words.is_empty() {
        true => finding,
        false => finding.help(format!("the words here are `{}`", words.join("`, `"))),
    })
}

/// "invalid type: integer `3`, expected a string" and the same of values.
fn wrong_type(message: &str, span: &Span, text: &str) -> Option<Finding> {
    let rest = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "))?;
    let (found, expected) = rest.rsplit_once(", expected ")?;
    let title = format!("expected {}", plain_expected(expected));
    let finding = Finding::new(span.clone(), title).label(format!("this is {}", plain_found(found)));
    let written = text.get(span.clone()).unwrap_or_default();
    Some(match expected {
        "a sequence" => {
            let list = as_tables(span, text).unwrap_or_else(|| as_list(written));
            finding.help(format!("write {list}"))
        }
        _ => finding,
    })
}

/// The header of one table of a list, where it was written as a table with a name: `[routes.web]`.
fn as_tables(span: &Span, text: &str) -> Option<String> {
    let rest = text.get(span.end..)?.strip_prefix('.')?;
    let key = text.get(span.clone())?.trim_start_matches('[');
    let name = rest.split([']', '.', ' ', '=', '\n']).next()?.trim_matches(['"', '\'']);
    Some(match key {
        "routes" => format!("[[{key}]], and `name = \"{name}\"` below it"),
        _ => format!("[[{key}]]"),
    })
}

/// The list that was meant by one value, or by several in one string.
fn as_list(written: &str) -> String {
    /// The longest value that is shown again, in bytes: more does not fit the line.
    const LONGEST: usize = 80;
    if written.contains('\n') || written.len() > LONGEST {
        return "it in brackets, `[` and `]`".to_owned();
    }
    // A header: `[routes]`.
    if written.starts_with('[') {
        return format!("[{written}]");
    }
    let quote = written.get(..1).filter(|quote| ["\"", "'"].contains(quote)).unwrap_or_default();
    let several =
        written.split(',').filter(|_| !quote.is_empty()).map(|one| one.trim_matches([' ', '"', '\'']));
    let several: Vec<String> =
        several.filter(|one| !one.is_empty()).map(|one| format!("{quote}{one}{quote}")).collect();
    if several.len() > 1 { format!("[{}]", several.join(", ")) } else { format!("[{written}]") }
}

/// The names of Rust's types in TOML's words.
fn plain_expected(expected: &str) -> &str {
    match expected {
        "a sequence" => "a list",
        "a map" => "a table",
        "i32" => "a whole number that fits 32 bits",
        "i64" => "a whole number",
        "a boolean" => "true or false",
        _ if expected.starts_with("struct ") => "a table",
        _ => expected,
    }
}

/// What serde found, in TOML's words.
fn plain_found(found: &str) -> String {
    match found.split_once(' ').unwrap_or((found, "")) {
        ("integer" | "floating", value) => format!("the number {}", quoted(value)),
        ("boolean", value) => format!("the boolean {}", quoted(value)),
        ("string", _) => "a string".to_owned(),
        ("sequence", _) => "a list".to_owned(),
        ("map", _) => "a table".to_owned(),
        _ => found.to_owned(),
    }
}

/// What a type of ours said, which names what was expected and what was found, and may end with what to write.
fn told(message: &str, span: Span) -> Finding {
    if message == "integer number overflowed" {
        return Finding::new(span, "a number this large is nowhere taken");
    }
    let message = message.replace('\n', "\\n");
    match message.rsplit_once(": write ") {
        Some((title, help)) => Finding::new(span, title).help(format!("write {help}")),
        None => Finding::new(span, message),
    }
}

/// What stands between the first two backticks.
fn quoted(value: &str) -> &str {
    value.split('`').nth(1).unwrap_or(value)
}

fn between<'m>(message: &'m str, start: &str, end: &str) -> Option<&'m str> {
    message.strip_prefix(start)?.strip_suffix(end)
}
