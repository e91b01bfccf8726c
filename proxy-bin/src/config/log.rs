//! What is logged, how and where to.

use std::path::PathBuf;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::access_rule::AccessRule;
use proxy_values::choice::{self, Choice};

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `"text"` for people, `"json"` for machines, one object a line. Default text.
    pub format: LogFormat,
    /// The least serious events that are logged: `"error"`, `"warn"`, `"info"`, `"debug"` or `"trace"`. Default info.
    pub level: LogLevel,
    /// Where the line goes with which each connection ends: `"stderr"` (with everything else, and at level info),
    /// `"stdout"` or `{ file = "/var/log/smartproxy/access.log" }` (by themselves, whatever the level is), or `"off"`.
    /// SIGUSR1 opens the file anew. Default `"stderr"`.
    pub access: AccessTo,
    /// How those lines are written, if they go to a place of their own: `"text"` or `"json"`. Default: as `format` says.
    pub access_format: Option<LogFormat>,
    /// Which of those lines are written: the first rule that a connection fits decides. Those that fit none are written, but
    /// of those that were refused for a limit, or ended before they had a route, more than 10 in 5s, alike in cause, listener and
    /// route, are only counted.
    pub access_rules: Vec<AccessRule>,
}

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// How serious an event has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Something is broken and needs an operator.
    Error,
    /// Something is likely to become a problem.
    Warn,
    /// Each connection's end, and what the proxy does as a whole.
    #[default]
    Info,
    /// What leads to that.
    Debug,
    /// Every step.
    Trace,
}

impl LogLevel {
    /// All of them, the most serious first.
    pub const ALL: [Self; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// A text that is no level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown log level `{0}`: write error, warn, info, debug or trace")]
pub struct LogLevelError(String);

impl FromStr for LogLevel {
    type Err = LogLevelError;

    fn from_str(text: &str) -> Result<Self, LogLevelError> {
        let level = Self::ALL.into_iter().find(|level| level.name() == text);
        level.ok_or_else(|| LogLevelError(text.to_owned()))
    }
}

/// Where the access log goes.
#[derive(Debug, Clone, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccessTo {
    /// To standard error, with everything else.
    #[default]
    Stderr,
    /// To standard output.
    Stdout,
    /// Nowhere.
    Off,
    /// To this file, which is appended to, and made where there is none.
    File(PathBuf),
}

impl Choice for AccessTo {
    type Body = PathBuf;
    const BODY: &'static str = "a path";
    const EXPECTED: &'static str =
        "\"stderr\", \"stdout\", \"off\" or { file = \"/var/log/smartproxy/access.log\" }";
    const WORDS: &'static [&'static str] = &["stderr", "stdout", "off"];
    const KEYS: &'static [&'static str] = &["file"];

    fn word(word: &str) -> Option<Self> {
        match word {
            "stderr" => Some(Self::Stderr),
            "stdout" => Some(Self::Stdout),
            "off" => Some(Self::Off),
            _ => None,
        }
    }

    fn table(_: &str, path: PathBuf) -> Option<Self> {
        path.file_name().is_some().then_some(Self::File(path))
    }
}

impl<'de> Deserialize<'de> for AccessTo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        choice::read(deserializer)
    }
}
