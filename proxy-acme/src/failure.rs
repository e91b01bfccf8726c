//! Why no certificate was obtained: in words for an operator, and what the next try has to heed.

use std::fmt;
use std::time::SystemTime;

use instant_acme::{Error, Problem};

use crate::storage::StorageError;

/// Why no certificate was obtained.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// What went wrong where, in a line.
    pub text: String,
    /// What it is of.
    pub kind: FailureKind,
    /// Before this the authority wants no further try.
    pub not_before: Option<SystemTime>,
}

/// What a failure is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// The authority could not be reached, or did not answer as one.
    Unreachable,
    /// A limit of the authority's is met.
    Limited,
    /// The authority has refused, or has not found the name served here.
    Refused,
    /// The authority knows no such account.
    NoAccount,
    /// The authority did not take its own nonces, several times in a row.
    Nonces,
    /// The authority does not take the order for the successor of the last.
    NoSuccessor,
    /// The folder cannot be read or written.
    Storage,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        Self::new(FailureKind::Storage, error.to_string())
    }
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, text: impl Into<String>) -> Self {
        Self { text: text.into(), kind, not_before: None }
    }

    /// What went wrong in that step with that authority.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the library's own words are good enough for the others"
    )]
    pub(crate) fn of(step: &str, authority: &str, error: &Error) -> Self {
        let (kind, why) = match error {
            Error::Api(problem) => (kind(problem), said(problem)),
            Error::Timeout(_) => (FailureKind::Unreachable, "it took too long to decide".to_owned()),
            Error::Json(error) => (FailureKind::Unreachable, format!("its answer cannot be read: {error}")),
            Error::Other(error) if error.to_string().starts_with("replaces field mismatch") => {
                (FailureKind::NoSuccessor, error.to_string())
            }
            other => (FailureKind::Unreachable, other.to_string()),
        };
        Self::new(kind, format!("{authority}: {step}: {why}"))
    }
}

/// The kinds of problems have a common front (RFC 8555, section 6.7).
const FRONT: &str = "urn:ietf:params:acme:error:";

fn kind(problem: &Problem) -> FailureKind {
    match problem.r#type.as_deref().and_then(|kind| kind.strip_prefix(FRONT)) {
        Some("rateLimited") => FailureKind::Limited,
        Some("badNonce") => FailureKind::Nonces,
        Some("accountDoesNotExist") => FailureKind::NoAccount,
        Some("alreadyReplaced") => FailureKind::NoSuccessor,
        Some("serverInternal") => FailureKind::Unreachable,
        _ if problem.status.is_some_and(|status| status >= 500) => FailureKind::Unreachable,
        _ => FailureKind::Refused,
    }
}

/// A problem as its authority tells it, in one line.
pub(crate) fn said(problem: &Problem) -> String {
    let short = problem.r#type.as_deref().map(|kind| kind.strip_prefix(FRONT).unwrap_or(kind));
    let own = [problem.detail.as_deref(), short];
    let below = problem.subproblems.iter().map(ToString::to_string);
    let parts: Vec<_> = own.into_iter().flatten().map(str::to_owned).chain(below).collect();
    let line = parts.join("; ");
    if line.is_empty() {
        return "it gave no reason".to_owned();
    }
    in_a_line(&line)
}

/// The longest reason that is kept: what an authority says is not bounded by itself.
const LONGEST: usize = 600;

/// A text in one line, and not for ever.
fn in_a_line(text: &str) -> String {
    let visible = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut line: String = visible.take(LONGEST).collect();
    if text.chars().count() > LONGEST {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> Problem {
        serde_json::from_str(text).unwrap()
    }

    fn failure(text: &str) -> Failure {
        Failure::of("new order", "ca.example", &Error::Api(problem(text)))
    }

    #[test]
    fn a_problem_is_told_by_its_authority_step_detail_and_kind() {
        let limited = failure(
            r#"{ "type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many\ncertificates", "status": 429 }"#,
        );
        assert_eq!(limited.to_string(), "ca.example: new order: too many certificates; rateLimited");
        assert_eq!(limited.kind, FailureKind::Limited);
    }

    #[test]
    fn kinds_are_told_apart() {
        let kind = |name: &str, status: u16| {
            failure(&format!(r#"{{ "type": "urn:ietf:params:acme:error:{name}", "status": {status} }}"#)).kind
        };
        assert_eq!(kind("badNonce", 400), FailureKind::Nonces);
        assert_eq!(kind("accountDoesNotExist", 400), FailureKind::NoAccount);
        assert_eq!(kind("serverInternal", 500), FailureKind::Unreachable);
        assert_eq!(kind("unheardOf", 503), FailureKind::Unreachable);
        assert_eq!(kind("connection", 400), FailureKind::Refused);
    }

    #[test]
    fn what_is_too_long_is_cut() {
        let long = format!(r#"{{ "detail": "{}" }}"#, "é".repeat(9999));
        assert!(said(&problem(&long)).chars().count() == LONGEST + 1);
        assert_eq!(said(&problem("{}")), "it gave no reason");
    }
}
