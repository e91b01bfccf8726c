//! Who the holder of a certificate is, by what that says.

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

/// Names of a certificate that are looked at, the first ones; and the longest, in bytes: those of hosts have 253 (RFC 1035, section
/// 2.3.4), and identities in the form of URIs up to 2048 (SPIFFE ID, section 2.3).
const MOST: usize = 64;
const LONGEST: usize = 2048;

/// The names in a certificate: its subject's common name first, where it has one, then its alternative names of the kinds DNS, e-mail
/// and URI, in their order. Never empty, and no name has a control character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    names: Vec<Box<str>>,
    /// Whether the first one is the common name.
    common: bool,
}

impl Identity {
    /// The names in this certificate; None where there is none, or it cannot be read. Whether the peer is who it says is a verifier's
    /// business.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, read) = X509Certificate::from_der(certificate).ok()?;
        let common = read.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        let common: Vec<_> = common.filter(|name| is_fit(name)).collect();
        let has_common = !common.is_empty();
        let alternative = read.subject_alternative_name().ok().flatten();
        let alternative = alternative.iter().flat_map(|names| &names.value.general_names).filter_map(named);
        let mut names: Vec<Box<str>> = Vec::new();
        for name in common.into_iter().chain(alternative).filter(|name| is_fit(name)).take(MOST) {
            if !names.iter().any(|known| **known == *name) {
                names.push(name.into());
            }
        }
        (!names.is_empty()).then_some(Self { names, common: has_common })
    }

    /// The common name of its subject, where it has one.
    #[must_use]
    pub fn common_name(&self) -> Option<&str> {
        self.names().next().filter(|_| self.common)
    }

    /// What it is called in logs: the first of its names.
    #[must_use]
    pub fn name(&self) -> &str {
        self.names.first().map_or("", |name| name)
    }

    /// All of its names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the other kinds of names are no text")]
fn named<'n>(name: &GeneralName<'n>) -> Option<&'n str> {
    match name {
        GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => Some(name),
        _ => None,
    }
}

fn is_fit(name: &str) -> bool {
    (1..=LONGEST).contains(&name.len()) && !name.chars().any(char::is_control)
}

/// Which names are let in: a name as it is, without regard to case, or `*.` and what follows the first dot of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NamePattern(Box<str>);

/// A text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no name in a certificate: write one such as \"outer-1\", or \"*.example.com\" for every name with one label more"
)]
pub struct NamePatternError(String);

impl std::str::FromStr for NamePattern {
    type Err = NamePatternError;

    fn from_str(text: &str) -> Result<Self, NamePatternError> {
        let rest = text.strip_prefix("*.").unwrap_or(text);
        if is_fit(rest) && !rest.contains('*') {
            Ok(Self(text.to_ascii_lowercase().into()))
        } else {
            Err(NamePatternError(text.to_owned()))
        }
    }
}

impl std::fmt::Display for NamePattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

impl NamePattern {
    /// Whether it is about this name.
    #[must_use]
    pub fn takes(&self, name: &str) -> bool {
        match self.0.strip_prefix("*.") {
            Some(rest) => name
                .split_once('.')
                .is_some_and(|(label, below)| !label.is_empty() && below.eq_ignore_ascii_case(rest)),
            None => name.eq_ignore_ascii_case(&self.0),
        }
    }

    /// Whether it is about one of the names of `identity`.
    #[must_use]
    pub fn takes_any(&self, identity: &Identity) -> bool {
        identity.names().any(|name| self.takes(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_take_a_name_or_one_label_more() {
        let takes = |pattern: &str, name: &str| pattern.parse::<NamePattern>().unwrap().takes(name);
        assert!(takes("Outer-1", "outer-1") && takes("*.a.example", "x.A.example"));
        assert!(takes("spiffe://a/b", "spiffe://a/b"));
        for (pattern, name) in [
            ("outer-1", "outer-2"),
            ("*.a.example", "a.example"),
            ("*.a.example", "x.y.a.example"),
            ("*.a.example", ".a.example"),
            ("outer", "outer-1"),
        ] {
            assert!(!takes(pattern, name), "{pattern} {name}");
        }
        for wrong in ["", "*", "*.", "a*", "*.*.example", "a\n"] {
            assert!(wrong.parse::<NamePattern>().is_err(), "{wrong:?}");
        }
    }
}
