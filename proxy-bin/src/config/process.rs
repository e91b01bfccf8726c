//! What the process may do, and who it is.

use std::fmt;
use std::str::FromStr;

use proxy_core::Bound;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

use super::document::Document;
use super::file::ConfigFile;
use super::finding::Finding;

/// Who the process is, and what it leaves behind. Takes effect at the start only, but for `upgrade_timeout`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Process {
    /// The user to go on as, by name or number, once ports are bound and logs are open; it has to be started as root.
    /// From then on no port below 1024 can be added. Default: whoever started it.
    pub user: Option<String>,
    /// The group to go on as, by name or number. Only with `user`. Default: the user's own.
    pub group: Option<String>,
    /// What others may not do with the files it makes (its sockets, its logs), in octal digits. Default `"027"`: its
    /// group may read them, others nothing.
    pub umask: Umask,
    /// Whether the kernel may write its memory to a file when it crashes; that has clients' bytes in it. Default false.
    pub core_dumps: bool,
    /// How long a new process may take to be ready in an upgrade, before it is killed and this one goes on. Default 30s.
    pub upgrade_timeout: Bound,
}

impl Default for Process {
    fn default() -> Self {
        Self {
            user: None,
            group: None,
            umask: Umask(0o027),
            core_dumps: false,
            upgrade_timeout: Bound::secs(30),
        }
    }
}

impl Process {
    /// Whether two differ in nothing that only a start can change.
    #[must_use]
    pub fn is_the_same_from_the_start(&self, other: &Self) -> bool {
        let upgrade_timeout = self.upgrade_timeout;
        *self == Self { upgrade_timeout, ..other.clone() }
    }
}

/// What others may not do with files that are made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Umask(u32);

impl Umask {
    /// Its bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }
}

impl fmt::Debug for Umask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Umask({:03o})", self.0)
    }
}

/// A text that is no file mode mask.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected three octal digits such as \"027\", found `{0}`")]
pub struct UmaskError(String);

impl FromStr for Umask {
    type Err = UmaskError;

    fn from_str(text: &str) -> Result<Self, UmaskError> {
        let bits = u32::from_str_radix(text, 8).ok().filter(|bits| text.len() == 3 && *bits <= 0o777);
        bits.map(Self).ok_or_else(|| UmaskError(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Umask {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl serde::de::Visitor<'_> for Text {
            type Value = Umask;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("three octal digits in quotes, such as \"027\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Umask, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text)
    }
}

impl JsonSchema for Umask {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Umask".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-7]{3}$" })
    }
}

/// A group alone is refused: with the rights of root left, it would look like a drop and be none.
pub(super) fn check(file: &ConfigFile, document: &Document<'_>, errors: &mut Vec<Finding>) {
    let place = document.root().key("process");
    if file.process.group.is_some() && file.process.user.is_none() && !place.has_lost("user") {
        let finding = Finding::new(place.key("group").span(), "`group` needs `user`");
        errors.push(
            finding
                .label("the process would stay root")
                .help("name the user to go on as: user = \"smartproxy\""),
        );
    }
}
