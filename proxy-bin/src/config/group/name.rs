//! The name of a group.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

/// The name of a group: 1 to 64 letters, digits, `-`, `_` and `.`, the first one a letter or a digit. So it can stand after an `@`,
/// and beside a target on a command line, without being taken for anything else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
pub(in crate::config) struct GroupName(
    #[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"))] Arc<str>,
);

/// A text that can not be the name of a group.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a group's name has 1 to 64 letters, digits, `-`, `_` and `.`, and begins with a letter or a digit")]
pub(in crate::config) struct GroupNameError;

impl GroupName {
    pub(in crate::config) fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, shared.
    pub(in crate::config) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for GroupName {
    type Err = GroupNameError;

    fn from_str(text: &str) -> Result<Self, GroupNameError> {
        let fits = (1..=64).contains(&text.len())
            && text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text.chars().all(|one| one.is_ascii_alphanumeric() || matches!(one, '-' | '_' | '.'));
        if fits { Ok(Self(text.into())) } else { Err(GroupNameError) }
    }
}

impl<'de> Deserialize<'de> for GroupName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl serde::de::Visitor<'_> for Text {
            type Value = GroupName;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a group")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<GroupName, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text)
    }
}
