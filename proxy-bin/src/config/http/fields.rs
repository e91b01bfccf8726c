//! Fields of messages, as they are written.

use std::collections::BTreeMap;

use proxy_dataplane::settings::FieldChanges;
use proxy_http::hyper::header::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::document::Place;
use super::super::finding::Finding;

/// The name of a field, kept in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub(super) struct FieldName(#[schemars(regex(pattern = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"))] String);

impl TryFrom<String> for FieldName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match HeaderName::from_bytes(text.as_bytes()) {
            Ok(name) => Ok(Self(name.as_str().to_owned())),
            Err(_) => Err(format!("\"{text}\" is no name of a field: write letters, digits and hyphens")),
        }
    }
}

impl FieldName {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    fn name(&self) -> Option<HeaderName> {
        HeaderName::from_bytes(self.0.as_bytes()).ok()
    }
}

/// The value of a field.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub(super) struct FieldValue(String);

impl TryFrom<String> for FieldValue {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if HeaderValue::from_str(&text).is_ok() && text.trim() == text {
            return Ok(Self(text));
        }
        Err(format!("{text:?} is no value of a field: write printable ASCII, without spaces at its ends"))
    }
}

impl FieldValue {
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// As a message has it.
    pub(super) fn value(&self) -> HeaderValue {
        // INVARIANT: it was made of what is one.
        HeaderValue::from_str(&self.0).unwrap_or(HeaderValue::from_static(""))
    }
}

/// What is changed about the fields of a message, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ChangesFile {
    /// Fields that are taken out.
    remove: Vec<FieldName>,
    /// Fields that get this value in place of all that they have.
    set: BTreeMap<FieldName, FieldValue>,
    /// Fields that get this value beside those that they have.
    add: BTreeMap<FieldName, FieldValue>,
}

/// Fields that say how a message is read, or who reads it: the proxy writes them itself.
const ITS_OWN: [&str; 6] =
    ["connection", "content-length", "host", "keep-alive", "transfer-encoding", "upgrade"];

impl ChangesFile {
    pub(super) fn resolved(&self) -> FieldChanges {
        let pairs = |all: &BTreeMap<FieldName, FieldValue>| {
            all.iter().filter_map(|(name, value)| Some((name.name()?, value.value()))).collect()
        };
        let remove = self.remove.iter().filter_map(FieldName::name).collect();
        FieldChanges { remove, set: pairs(&self.set), add: pairs(&self.add) }
    }

    pub(super) fn check(&self, place: &Place<'_, '_>, findings: &mut Vec<Finding>) {
        let removed = self.remove.iter().map(|name| (name, "remove"));
        let set = self.set.keys().map(|name| (name, "set"));
        let all = removed.chain(set).chain(self.add.keys().map(|name| (name, "add")));
        for (name, key) in all.filter(|(name, _)| ITS_OWN.contains(&name.as_str())) {
            let title = format!("the field \"{}\" is the proxy's own to write", name.as_str());
            let finding = Finding::new(place.key(key).span(), title).label("take it out here");
            findings.push(match name.as_str() {
                "host" => finding.help("another host is written as rewrite = { host = \"…\" } of a rule"),
                _ => finding,
            });
        }
    }
}
