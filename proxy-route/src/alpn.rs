//! An ALPN protocol name (RFC 7301) as a route names it: `h2`, `http/1.1`. Any name is taken, registered or not.

use std::fmt;
use std::str::FromStr;

/// The longest name: TLS gives its length in one byte (RFC 7301, section 3.1).
const LONGEST: usize = 255;

/// A protocol name of 1 to 255 bytes, compared byte by byte: case matters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Alpn(Box<str>);

/// Why a text is not an [`Alpn`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AlpnError {
    /// TLS has no empty protocol name.
    #[error("an ALPN protocol name is missing: write one such as \"h2\", or leave the list out to match any")]
    Empty,
    /// More than 255 bytes.
    #[error("an ALPN protocol name has at most 255 bytes, this one has {length}")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
}

impl Alpn {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<[u8]> for Alpn {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl FromStr for Alpn {
    type Err = AlpnError;

    fn from_str(text: &str) -> Result<Self, AlpnError> {
        match text.len() {
            0 => Err(AlpnError::Empty),
            1..=LONGEST => Ok(Self(text.into())),
            length => Err(AlpnError::TooLong { length }),
        }
    }
}

impl fmt::Display for Alpn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(feature = "serde")]
crate::text::text_form!(Alpn, "an ALPN protocol name such as \"h2\"");

#[cfg(feature = "schemars")]
crate::text::text_schema!(Alpn, "Alpn", {
    "description": "An ALPN protocol name of 1 to 255 bytes. Case matters.",
    "examples": ["h2", "http/1.1"],
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
});

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn names_of_1_to_255_bytes_parse() {
        for name in ["h", "http/1.1", &"x".repeat(255)] {
            assert_eq!(name.parse::<Alpn>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn names_of_0_and_256_bytes_are_refused() {
        assert_snapshot!("".parse::<Alpn>().unwrap_err(), @r#"an ALPN protocol name is missing: write one such as "h2", or leave the list out to match any"#);
        assert_snapshot!("x".repeat(256).parse::<Alpn>().unwrap_err(), @"an ALPN protocol name has at most 255 bytes, this one has 256");
    }

    #[test]
    fn case_matters() {
        assert_ne!("h2".parse::<Alpn>(), "H2".parse::<Alpn>());
    }
}
