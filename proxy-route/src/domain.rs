//! Server names as a route names them: `api.example.com`, `*.example.com`, `*`. Not a DNS name to resolve, and
//! not a regular expression: a wildcard stands only for whole labels at the front.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

/// The longest name in text form, without the trailing dot (RFC 1035, section 2.3.4: 255 octets on the wire).
const LONGEST_NAME: usize = 253;

/// The longest label (RFC 1035, section 2.3.4).
const LONGEST_LABEL: usize = 63;

/// A pattern of server names, kept in lower case and without a trailing dot.
///
/// | written | matches |
/// |---|---|
/// | `api.example.com` | that name only |
/// | `*.example.com` | every name below `example.com`, at any depth, never `example.com` itself |
/// | `*` | every name; a connection without a name does not match |
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainPattern(Shape);

/// Invariant: the texts are lower case, valid names of at least one label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Shape {
    /// This name.
    Exact(Arc<str>),
    /// The names below this one.
    Below(Arc<str>),
    /// Any name.
    Any,
}

/// Why a text is not a [`DomainPattern`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DomainError {
    /// Nothing, or only the dot of the root.
    #[error("a domain is missing: write a name such as \"api.example.com\", \"*.example.com\" or \"*\"")]
    Empty,
    /// An IPv4 or IPv6 address.
    #[error("\"{text}\" is an IP address, and SNI never carries an IP address: match on clients or ports")]
    IpAddress {
        /// The text as written.
        text: String,
    },
    /// Letters beyond ASCII; TLS carries such names in their ASCII form only.
    #[error("\"{text}\" is not ASCII: write the punycode form of the name, whose labels start with \"xn--\"")]
    NotAscii {
        /// The text as written.
        text: String,
    },
    /// A `*` anywhere but as the whole first label.
    #[error(
        "\"{text}\" has a wildcard inside: \"*\" can only be the whole first label, as in \"*.example.com\""
    )]
    WildcardInside {
        /// The text as written.
        text: String,
    },
    /// A character that no name has.
    #[error("\"{text}\" has the character {character:?}: a name has letters, digits, \"-\", \"_\" and dots")]
    Character {
        /// The text as written.
        text: String,
        /// The first such character.
        character: char,
    },
    /// Two dots in a row, or one in front.
    #[error("\"{text}\" has an empty label: remove the extra dot")]
    EmptyLabel {
        /// The text as written.
        text: String,
    },
    /// A label of more than 63 characters.
    #[error("\"{text}\" has a label of {length} characters: at most 63 are allowed between two dots")]
    LabelTooLong {
        /// The text as written.
        text: String,
        /// The label's length.
        length: usize,
    },
    /// A label with a hyphen at one of its ends.
    #[error("\"{text}\" has the label \"{label}\": a label neither starts nor ends with a hyphen")]
    Hyphen {
        /// The text as written.
        text: String,
        /// The label.
        label: String,
    },
    /// More than 253 characters in all.
    #[error("a domain has at most 253 characters, this one has {length}")]
    TooLong {
        /// Its length without the trailing dot.
        length: usize,
    },
}

impl DomainPattern {
    /// Whether a connection with this server name matches. Case and a trailing dot are ignored.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let Some(name) = canonical(name) else { return false };
        match &self.0 {
            Shape::Exact(exact) => **exact == *name,
            Shape::Below(parent) => name.strip_suffix(&**parent).is_some_and(|front| front.ends_with('.')),
            Shape::Any => true,
        }
    }

    pub(crate) fn shape(&self) -> &Shape {
        &self.0
    }
}

impl FromStr for DomainPattern {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() {
            return Err(DomainError::Empty);
        }
        if name.len() > LONGEST_NAME {
            return Err(DomainError::TooLong { length: name.len() });
        }
        if is_address(name) {
            return Err(DomainError::IpAddress { text: text.to_owned() });
        }
        if name == "*" {
            return Ok(Self(Shape::Any));
        }
        let below = name.strip_prefix("*.");
        let labels = below.unwrap_or(name);
        check(labels, text)?;
        let labels: Arc<str> = canonical(labels).unwrap_or_default().into();
        Ok(Self(if below.is_some() { Shape::Below(labels) } else { Shape::Exact(labels) }))
    }
}

impl fmt::Display for DomainPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Shape::Exact(name) => f.write_str(name),
            Shape::Below(parent) => write!(f, "*.{parent}"),
            Shape::Any => f.write_str("*"),
        }
    }
}

/// The name as patterns hold it: lower case, without the trailing dot. `None` if nothing is left.
/// Allocates only when there is a capital to lower.
pub(crate) fn canonical(name: &str) -> Option<Cow<'_, str>> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() {
        None
    } else if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Some(Cow::Owned(name.to_ascii_lowercase()))
    } else {
        Some(Cow::Borrowed(name))
    }
}

/// An address, bare or in the brackets of a URL.
fn is_address(name: &str) -> bool {
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    bare.parse::<IpAddr>().is_ok()
}

/// Checks the labels; `text` is the whole pattern, for the message.
fn check(labels: &str, text: &str) -> Result<(), DomainError> {
    let whole = || text.to_owned();
    if !labels.is_ascii() {
        return Err(DomainError::NotAscii { text: whole() });
    }
    if labels.contains('*') {
        return Err(DomainError::WildcardInside { text: whole() });
    }
    if let Some(character) = labels.chars().find(|c| !c.is_ascii_alphanumeric() && !"-_.".contains(*c)) {
        return Err(DomainError::Character { text: whole(), character });
    }
    for label in labels.split('.') {
        if label.is_empty() {
            return Err(DomainError::EmptyLabel { text: whole() });
        }
        if label.len() > LONGEST_LABEL {
            return Err(DomainError::LabelTooLong { text: whole(), length: label.len() });
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err(DomainError::Hyphen { text: whole(), label: label.to_owned() });
        }
    }
    Ok(())
}

#[cfg(feature = "serde")]
crate::text::text_form!(DomainPattern, "a domain such as \"api.example.com\", \"*.example.com\" or \"*\"");

#[cfg(feature = "schemars")]
crate::text::text_schema!(DomainPattern, "DomainPattern", {
    "description": "A server name: exact (api.example.com), everything below a name (*.example.com, at any depth, \
                    never example.com itself), or any name (*). Case is ignored.",
    "examples": ["api.example.com", "*.example.com", "*"],
    "type": "string",
    "pattern": "^(\\*|(\\*\\.)?[A-Za-z0-9_-]{1,63}(\\.[A-Za-z0-9_-]{1,63})*)\\.?$",
    "maxLength": 254,
});

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> DomainPattern {
        text.parse().unwrap()
    }

    fn refusal(text: &str) -> DomainError {
        text.parse::<DomainPattern>().unwrap_err()
    }

    /// A name of exactly `length` characters, in labels of 49 and a rest.
    fn long(length: usize) -> String {
        let mut name = format!("{}.", "a".repeat(49)).repeat(length / 50);
        name.push_str(&"b".repeat(length % 50));
        name
    }

    #[test]
    fn the_three_shapes_parse() {
        assert_eq!(parse("api.a.com").0, Shape::Exact("api.a.com".into()));
        assert_eq!(parse("*.a.com").0, Shape::Below("a.com".into()));
        assert_eq!(parse("*").0, Shape::Any);
        assert_eq!(parse("localhost").0, Shape::Exact("localhost".into()));
        assert_eq!(parse("*.com").0, Shape::Below("com".into()));
        assert_eq!(parse("_acme.xn--bcher-kva.example").to_string(), "_acme.xn--bcher-kva.example");
    }

    #[test]
    fn case_and_a_trailing_dot_are_dropped() {
        assert_eq!(parse("API.A.com."), parse("api.a.com"));
        assert_eq!(parse("*.A.COM."), parse("*.a.com"));
    }

    #[test]
    fn lengths_are_checked_on_both_sides_of_their_limits() {
        assert!("a".repeat(63).parse::<DomainPattern>().is_ok());
        assert_eq!(refusal(&"a".repeat(64)), DomainError::LabelTooLong { text: "a".repeat(64), length: 64 });
        assert!(long(253).parse::<DomainPattern>().is_ok());
        assert!(format!("{}.", long(253)).parse::<DomainPattern>().is_ok());
        assert_snapshot!(refusal(&long(254)), @"a domain has at most 253 characters, this one has 254");
        assert!(format!("*.{}", long(251)).parse::<DomainPattern>().is_ok());
        assert_eq!(refusal(&format!("*.{}", long(252))), DomainError::TooLong { length: 254 });
    }

    #[test]
    fn refusals_say_what_to_write() {
        assert_snapshot!(refusal(""), @r#"a domain is missing: write a name such as "api.example.com", "*.example.com" or "*""#);
        assert_snapshot!(refusal("."), @r#"a domain is missing: write a name such as "api.example.com", "*.example.com" or "*""#);
        assert_snapshot!(refusal("10.0.0.1"), @r#""10.0.0.1" is an IP address, and SNI never carries an IP address: match on clients or ports"#);
        assert_snapshot!(refusal("2001:db8::1"), @r#""2001:db8::1" is an IP address, and SNI never carries an IP address: match on clients or ports"#);
        assert_snapshot!(refusal("[::1]"), @r#""[::1]" is an IP address, and SNI never carries an IP address: match on clients or ports"#);
        assert_snapshot!(refusal("bücher.example"), @r#""bücher.example" is not ASCII: write the punycode form of the name, whose labels start with "xn--""#);
        assert_snapshot!(refusal("a.*.com"), @r#""a.*.com" has a wildcard inside: "*" can only be the whole first label, as in "*.example.com""#);
        assert_snapshot!(refusal("*a.com"), @r#""*a.com" has a wildcard inside: "*" can only be the whole first label, as in "*.example.com""#);
        assert_snapshot!(refusal("*.*.com"), @r#""*.*.com" has a wildcard inside: "*" can only be the whole first label, as in "*.example.com""#);
        assert_snapshot!(refusal("a.com:443"), @r#""a.com:443" has the character ':': a name has letters, digits, "-", "_" and dots"#);
        assert_snapshot!(refusal("a b.com"), @r#""a b.com" has the character ' ': a name has letters, digits, "-", "_" and dots"#);
        assert_snapshot!(refusal("a..com"), @r#""a..com" has an empty label: remove the extra dot"#);
        assert_snapshot!(refusal(".a.com"), @r#"".a.com" has an empty label: remove the extra dot"#);
        assert_snapshot!(refusal("*..com"), @r#""*..com" has an empty label: remove the extra dot"#);
        assert_snapshot!(refusal("-a.com"), @r#""-a.com" has the label "-a": a label neither starts nor ends with a hyphen"#);
        assert_snapshot!(refusal("*.a-.com"), @r#""*.a-.com" has the label "a-": a label neither starts nor ends with a hyphen"#);
    }

    #[test]
    fn a_wildcard_matches_whole_labels_only() {
        assert!(parse("*.a.com").matches("x.y.A.com."));
        assert!(!parse("*.a.com").matches("a.com"));
        assert!(!parse("*.a.com").matches("xa.com"));
        assert!(parse("*").matches("com") && !parse("*").matches("."));
    }

    proptest! {
        #[test]
        fn parse_undoes_display(text in r"(\*|(\*\.)?[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,5}[a-zA-Z_])?(\.[a-z0-9_]{1,4}){0,3}\.?)") {
            if let Ok(pattern) = text.parse::<DomainPattern>() {
                prop_assert_eq!(pattern.to_string().parse(), Ok(pattern));
            } else {
                prop_assert!(is_address(text.trim_end_matches('.')), "{} was refused", text);
            }
        }

        #[test]
        fn nothing_makes_the_parser_panic(text in r"[*a-zA-Z0-9.:_\-\[\] ü]{0,20}") {
            if let Ok(pattern) = text.parse::<DomainPattern>() {
                prop_assert_eq!(pattern.to_string().parse(), Ok(pattern));
            }
        }
    }
}
