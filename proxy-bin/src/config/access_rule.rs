//! Rules of the access log: which connections' lines are written.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::LazyLock;

use proxy_conn::{Cause, Ended};
use proxy_core::{Bound, ClientAddr};
use proxy_route::ClientNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

use super::document::Document;
use super::file::{ConfigFile, RouteFile};
use super::finding::Finding;
use proxy_values::spelling;

/// Which connections a rule is about, and what it says of their lines.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessRule {
    /// How they ended: causes such as `"finished"` or `"client_rate"`. Left out, anyhow.
    #[serde(default)]
    pub causes: Vec<CauseName>,
    /// The names of their routes. Left out, any or none.
    #[serde(default)]
    pub routes: Vec<String>,
    /// The networks that their clients are in. Left out, any, known or not.
    #[serde(default)]
    pub clients: Vec<ClientNet>,
    /// They lived at least so long. Left out, however short.
    pub min_lifetime: Option<Bound>,
    /// They lived at most so long. Left out, however long.
    pub max_lifetime: Option<Bound>,
    /// `"all"`, `"none"`; `"1/100"`, one of each hundred, the same ones on every hop of a chain; or `"counted"`: of those
    /// that are alike in cause, listener and route 10 in 5s, and how many more there were.
    pub keep: Keep,
}

impl AccessRule {
    /// Whether it is about a connection that ended so.
    #[must_use]
    pub fn fits(&self, ended: &Ended<'_>) -> bool {
        let Self { causes, routes, clients, min_lifetime, max_lifetime, keep: _ } = self;
        let route = ended.facts.route.as_deref();
        (causes.is_empty() || causes.contains(&CauseName(ended.end.cause)))
            && (routes.is_empty() || routes.iter().any(|name| Some(name.as_str()) == route))
            && (clients.is_empty()
                || client(ended).is_some_and(|ip| clients.iter().any(|net| net.contains(ip))))
            && min_lifetime.is_none_or(|least| ended.lifetime >= least.get())
            && max_lifetime.is_none_or(|most| ended.lifetime <= most.get())
    }
}

fn client(ended: &Ended<'_>) -> Option<IpAddr> {
    ended.facts.client.map(ClientAddr::ip)
}

/// A cause, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CauseName(pub Cause);

/// Every name, for errors and for the schema.
static CAUSES: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| Cause::ALL.iter().map(|cause| cause.name()).collect());

impl<'de> Deserialize<'de> for CauseName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let cause = Cause::ALL.iter().find(|cause| cause.name() == name);
        cause.copied().map(Self).ok_or_else(|| serde::de::Error::unknown_variant(&name, &CAUSES))
    }
}

impl JsonSchema for CauseName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Cause".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": &*CAUSES, "description": "why a connection ended" })
    }
}

/// Which of the lines of connections are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Each.
    All,
    /// None.
    None,
    /// A few of those that are alike, and how many more there were.
    Counted,
    /// One of so many, by chance, which comes out the same on every hop.
    OneOf(NonZeroU32),
}

/// A text that says nothing of which lines are written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected \"all\", \"none\", \"counted\" or a part such as \"1/100\", found `{0}`")]
pub struct KeepError(String);

impl FromStr for Keep {
    type Err = KeepError;

    fn from_str(text: &str) -> Result<Self, KeepError> {
        match text {
            "all" => Ok(Self::All),
            "none" => Ok(Self::None),
            "counted" => Ok(Self::Counted),
            part => {
                let of = part.strip_prefix("1/").and_then(|of| of.parse().ok());
                of.map(Self::OneOf).ok_or_else(|| KeepError(part.to_owned()))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Keep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl serde::de::Visitor<'_> for Text {
            type Value = Keep;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"all\", \"none\", \"counted\" or a part such as \"1/100\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Keep, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text)
    }
}

impl JsonSchema for Keep {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Keep".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^(all|none|counted|1/[1-9][0-9]*)$" })
    }
}

/// An error for each route that a rule names and that is not there.
pub(super) fn check(
    file: &ConfigFile,
    routes: &[RouteFile],
    document: &Document<'_>,
    errors: &mut Vec<Finding>,
) {
    let root = document.root();
    // A route that was cut out for what is wrong with it was there.
    if root.has_lost("routes") || root.key("routes").is_wounded() {
        return;
    }
    if file.log.access_rules.iter().all(|rule| rule.routes.is_empty()) {
        return;
    }
    let known: Vec<&str> = routes.iter().map(|route| route.name.as_str()).collect();
    let rules = root.key("log").key("access_rules");
    for (number, rule) in file.log.access_rules.iter().enumerate() {
        for (nth, name) in rule.routes.iter().enumerate().filter(|(_, name)| !known.contains(&name.as_str()))
        {
            let span = rules.index(number).key("routes").index(nth).span();
            let finding = Finding::new(span, format!("there is no route \"{name}\""));
            errors.push(match spelling::nearest(name, &known) {
                Some(near) => finding.label(format!("did you mean \"{near}\"?")),
                None => finding.label("this rule would fit no connection"),
            });
        }
    }
}

/// A warning for each rule that comes after one that fits every connection.
pub(super) fn warnings(file: &ConfigFile, document: &Document<'_>) -> Vec<Finding> {
    let place = document.root().key("log").key("access_rules");
    let rules = &file.log.access_rules;
    let Some(last) = rules.iter().position(fits_all) else { return Vec::new() };
    let after = (last + 1)..rules.len();
    after
        .map(|number| {
            Finding::new(place.index(number).span(), "no connection comes to this rule")
                .label("this has no effect")
                .beside(place.index(last).span(), "this one fits every connection")
        })
        .collect()
}

fn fits_all(rule: &AccessRule) -> bool {
    let AccessRule { causes, routes, clients, min_lifetime, max_lifetime, keep: _ } = rule;
    causes.is_empty()
        && routes.is_empty()
        && clients.is_empty()
        && min_lifetime.is_none()
        && max_lifetime.is_none()
}
