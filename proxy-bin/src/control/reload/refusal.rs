//! Why a configuration is not taken: in full for whoever has asked, in one line for the log.

use std::fmt;

use crate::config::{ConfigErrors, LoadError};

/// Findings that the log has room for; `smartproxy check` shows the others too.
const IN_A_LINE: usize = 3;

/// Why a configuration is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// With the lines of the file that are about it.
    pub(super) whole: String,
    /// Without.
    pub(super) line: String,
}

impl From<String> for Refusal {
    fn from(whole: String) -> Self {
        // Advice is on a line of its own.
        let line =
            whole.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
        Self { whole, line }
    }
}

impl From<ConfigErrors> for Refusal {
    fn from(errors: ConfigErrors) -> Self {
        let findings = errors.findings();
        let mut lines: Vec<_> = findings.iter().take(IN_A_LINE).map(|one| findings.in_a_line(one)).collect();
        match findings.len().saturating_sub(IN_A_LINE) {
            0 => {}
            more => lines.push(format!("and {more} more: `smartproxy check` shows them")),
        }
        Self { whole: errors.to_string(), line: lines.join(" | ") }
    }
}

impl From<LoadError> for Refusal {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Invalid(errors) => errors.into(),
            LoadError::Unreadable { .. }
            | LoadError::Missing { .. }
            | LoadError::Directory { .. }
            | LoadError::NoFile { .. }
            | LoadError::TooLarge { .. }
            | LoadError::NotUtf8 { .. } => error.to_string().into(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn the_log_has_one_line_of_it() {
        let errors = Config::parse("workers = \"many\"\nrout = 1\n", "proxy.toml").unwrap_err();
        let refusal = Refusal::from(errors);
        assert!(refusal.whole.lines().count() > 5, "{}", refusal.whole);
        assert!(!refusal.line.contains('\n'), "{}", refusal.line);
        assert!(refusal.line.starts_with("proxy.toml:1:11: "), "{}", refusal.line);
        assert!(refusal.line.contains(" | proxy.toml:2:1: "), "{}", refusal.line);
        let advised = Refusal::from("cannot listen\n  stop the other process".to_owned());
        assert_eq!(advised.line, "cannot listen; stop the other process");
    }

    #[test]
    fn of_many_errors_the_first_are_told_and_the_others_counted() {
        let text: String = (0..7).map(|n| format!("wrong_{n} = 1\n")).collect();
        let refusal = Refusal::from(Config::parse(&text, "proxy.toml").unwrap_err());
        assert_eq!(refusal.line.matches("proxy.toml:").count(), IN_A_LINE, "{}", refusal.line);
        assert!(refusal.line.contains(" more: `smartproxy check` shows them"), "{}", refusal.line);
    }
}
