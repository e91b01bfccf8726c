//! The machine of a target: an address, or a name for the resolver.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// The longest name in text form (RFC 1035, section 2.3.4).
const LONGEST_NAME: usize = 253;

/// The longest label (RFC 1035, section 2.3.4).
const LONGEST_LABEL: usize = 63;

/// A machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// Its address. Invariant: not IPv4-mapped, when it was parsed.
    Ip(IpAddr),
    /// Its name, to be resolved when it is dialled. Invariant: a valid name in lower case, when it was parsed.
    Name(Box<str>),
}

/// Why a text is not a [`Host`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// Nothing was written.
    #[error("the host is missing: write an address or a name in front of the port, as in \"127.0.0.1:3000\"")]
    Empty,
    /// Colons, and not an IPv6 address.
    #[error("\"{text}\" is not an IPv6 address")]
    Ipv6 {
        /// The text as written.
        text: String,
    },
    /// Numbers and dots, and not an IPv4 address.
    #[error("\"{text}\" is not an IPv4 address: it has four numbers from 0 to 255")]
    Ipv4 {
        /// The text as written.
        text: String,
    },
    /// A character that no name has.
    #[error(
        "\"{text}\" is not a host: {character:?} can not be in a name, which has letters, digits, \"-\", \"_\" and dots"
    )]
    Character {
        /// The text as written.
        text: String,
        /// The first such character.
        character: char,
    },
    /// A label that is empty, too long, or has a hyphen at one of its ends.
    #[error(
        "\"{text}\" is not a host name: between two dots go 1 to 63 characters, with no hyphen at either end"
    )]
    Label {
        /// The text as written.
        text: String,
    },
    /// More than 253 characters in all.
    #[error("a host name has at most {LONGEST_NAME} characters, this one has {length}")]
    TooLong {
        /// Its length.
        length: usize,
    },
}

impl FromStr for Host {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        if text.is_empty() {
            return Err(HostError::Empty);
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Ip(address.to_canonical()));
        }
        if text.contains(':') {
            return Err(HostError::Ipv6 { text: text.to_owned() });
        }
        check(text)?;
        Ok(Self::Name(text.to_ascii_lowercase().into()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl From<Ipv6Addr> for Host {
    fn from(address: Ipv6Addr) -> Self {
        Self::Ip(IpAddr::V6(address).to_canonical())
    }
}

/// Whether the text is a name.
fn check(text: &str) -> Result<(), HostError> {
    let whole = || text.to_owned();
    if text.len() > LONGEST_NAME {
        return Err(HostError::TooLong { length: text.len() });
    }
    if let Some(character) = text.chars().find(|c| !c.is_ascii_alphanumeric() && !"-_.".contains(*c)) {
        return Err(HostError::Character { text: whole(), character });
    }
    // A trailing dot is the root: the resolver then adds no search domain.
    let mut labels = text.strip_suffix('.').unwrap_or(text).split('.');
    let bad = |label: &str| {
        label.is_empty() || label.len() > LONGEST_LABEL || label.starts_with('-') || label.ends_with('-')
    };
    if labels.clone().any(bad) {
        return Err(HostError::Label { text: whole() });
    }
    // No top-level domain is a number, and a resolver may read one as an address (RFC 3696, section 2).
    if labels.next_back().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(HostError::Ipv4 { text: whole() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn addresses_and_names_parse() {
        assert_eq!("::ffff:10.0.0.1".parse(), Ok(Host::Ip([10, 0, 0, 1].into())));
        assert_eq!("::1".parse(), Ok(Host::from(Ipv6Addr::LOCALHOST)));
        for name in ["localhost", "a-b.c_d.internal", "db1", "backend.internal.", "1.example"] {
            assert_eq!(name.parse(), Ok(Host::Name(name.into())));
        }
        assert_eq!("Backend".parse(), Ok(Host::Name("backend".into())));
        assert!("x".repeat(63).parse::<Host>().is_ok());
    }

    #[test]
    fn what_is_no_host_says_why() {
        let refusal = |text: &str| text.parse::<Host>().unwrap_err().to_string();
        assert_snapshot!(refusal(""), @r#"the host is missing: write an address or a name in front of the port, as in "127.0.0.1:3000""#);
        assert_snapshot!(refusal("256.0.0.1"), @r#""256.0.0.1" is not an IPv4 address: it has four numbers from 0 to 255"#);
        assert_snapshot!(refusal("1.2.3"), @r#""1.2.3" is not an IPv4 address: it has four numbers from 0 to 255"#);
        assert_snapshot!(refusal("::g"), @r#""::g" is not an IPv6 address"#);
        assert_snapshot!(refusal("a b"), @r#""a b" is not a host: ' ' can not be in a name, which has letters, digits, "-", "_" and dots"#);
        assert_snapshot!(refusal("http//a"), @r#""http//a" is not a host: '/' can not be in a name, which has letters, digits, "-", "_" and dots"#);
        assert_snapshot!(refusal("bücher"), @r#""bücher" is not a host: 'ü' can not be in a name, which has letters, digits, "-", "_" and dots"#);
        assert_snapshot!(refusal("a..b"), @r#""a..b" is not a host name: between two dots go 1 to 63 characters, with no hyphen at either end"#);
        assert_snapshot!(refusal("-a"), @r#""-a" is not a host name: between two dots go 1 to 63 characters, with no hyphen at either end"#);
        assert_snapshot!(refusal(&"x".repeat(64)), @r#""xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" is not a host name: between two dots go 1 to 63 characters, with no hyphen at either end"#);
        assert_snapshot!(refusal(&"x.".repeat(127)), @"a host name has at most 253 characters, this one has 254");
    }
}
