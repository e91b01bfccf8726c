//! A name as certificates are obtained for it.

use std::str::FromStr as _;
use std::sync::Arc;

use proxy_route::DomainPattern;
use schemars::JsonSchema;
use serde::Deserialize;

/// A name without a star.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub(in super::super) struct ExactName(pub(in super::super) Arc<str>);

impl TryFrom<String> for ExactName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let pattern = DomainPattern::from_str(&text).map_err(|error| error.to_string())?.to_string();
        if pattern.starts_with('*') {
            return Err(format!("\"{text}\" has a star: write the names that there are, one by one"));
        }
        Ok(Self(pattern.into()))
    }
}
