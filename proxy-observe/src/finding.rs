//! What is wrong, as data.

use crate::subject::Subject;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know: nobody is harmed by it.
    Info,
    /// Look at it today: it grows, or is near a bound.
    Warning,
    /// Clients are harmed by it now.
    Critical,
}

impl Severity {
    /// `info`, `warning` or `critical`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What a rule says of a subject at one moment.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Finding {
    /// The name of the rule, stable: it is a metric's label. With the subject it identifies the finding.
    pub rule: &'static str,
    /// What it is about.
    pub subject: Subject,
    /// How bad it is.
    pub severity: Severity,
    /// What is so, in a sentence without a full stop.
    pub sentence: String,
    /// The figures that it is judged by, by stable names.
    pub figures: Vec<(&'static str, f64)>,
    /// The command that shows more.
    pub shows: String,
    /// The command that mends it, or what to do in words where no command does.
    pub mends: String,
}
