//! The id of a connection, and how it travels along a chain.

use std::fmt;
use std::str::FromStr;

/// A connection's id, unique among all connections of all processes for practical purposes: a random number drawn when
/// the tracker was made, and a count. Written `5f3a9c1e-1a`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId {
    /// Drawn at random when the process's tracker was made.
    pub instance: u32,
    /// Counts the tracker's connections. Each worker counts its own, in steps of as many as there are workers: no two
    /// have the same, and of two of one worker the later has the higher.
    pub count: u64,
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{:x}", self.instance, self.count)
    }
}

/// A text that is not a [`ConnId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the id of a connection, which looks like `5f3a9c1e-1a`")]
pub struct ConnIdError(String);

impl FromStr for ConnId {
    type Err = ConnIdError;

    fn from_str(text: &str) -> Result<Self, ConnIdError> {
        let id = text.split_once('-').and_then(|(instance, count)| {
            let instance = u32::from_str_radix(instance, 16).ok()?;
            Some(Self { instance, count: u64::from_str_radix(count, 16).ok()? })
        });
        // As it is written, and no other way: a sign, leading zeros and capitals would be other texts of the same id.
        id.filter(|id| id.to_string() == text).ok_or_else(|| ConnIdError(text.to_owned()))
    }
}

/// The ids that a connection has had on the hops so far, the outermost first, as it travels in the PROXY header's
/// UNIQUE_ID: ids joined by `/`. A foreign proxy's id is one of them, whatever it looks like.
///
/// Invariant: at most [`Trail::MAX`] bytes (the PROXY protocol's bound), and printable.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Trail(Box<str>);

impl Trail {
    /// The most bytes that UNIQUE_ID can hold (PROXY protocol, section 2.2.5).
    pub const MAX: usize = 128;

    /// What a header's UNIQUE_ID holds. Bytes that do not print are written `\xNN`, and it is cut to fit.
    #[must_use]
    pub fn from_header(unique_id: &[u8]) -> Self {
        let mut text = String::new();
        for &byte in unique_id {
            if byte.is_ascii_graphic() {
                text.push(char::from(byte));
            } else {
                text += &format!("\\x{byte:02x}");
            }
        }
        text.truncate(Self::MAX);
        Self(text.into())
    }

    /// This trail with `id` at its end: what is sent to the next hop. The oldest ids give way where all do not fit.
    #[must_use]
    pub fn then(&self, id: ConnId) -> Self {
        let id = id.to_string();
        let mut before: &str = &self.0;
        while !before.is_empty() && before.len() + 1 + id.len() > Self::MAX {
            before = before.split_once('/').map_or("", |(_, rest)| rest);
        }
        Self(if before.is_empty() { id.into() } else { format!("{before}/{id}").into() })
    }

    /// The ids, outermost first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|id| !id.is_empty())
    }

    /// The id on the previous hop.
    #[must_use]
    pub fn last(&self) -> Option<&str> {
        self.0.rsplit('/').next().filter(|id| !id.is_empty())
    }

    /// As it is written in the header.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is none: the client came without a header, or its header had no id.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(count: u64) -> ConnId {
        ConnId { instance: 0x5f3a_9c1e, count }
    }

    #[test]
    fn an_id_is_read_as_it_is_written_and_no_other_way() {
        let id = ConnId { instance: 0x5f, count: u64::MAX };
        assert_eq!("0000005f-ffffffffffffffff".parse(), Ok(id));
        assert_eq!(id.to_string().parse(), Ok(id));
        for other in [
            "",
            "-",
            "5f-1",
            "0000005f-",
            "0000005f-01",
            "0000005F-1",
            "+000005f-1",
            "0000005f-10000000000000000",
        ] {
            let error = other.parse::<ConnId>().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("`{other}` is not the id of a connection, which looks like `5f3a9c1e-1a`")
            );
        }
    }

    #[test]
    fn a_trail_grows_by_one_id_a_hop_and_never_beyond_its_bound() {
        let first = Trail::default().then(id(0x1a));
        assert_eq!(first.as_str(), "5f3a9c1e-1a");
        let second = first.then(id(0x1b));
        assert_eq!(second.as_str(), "5f3a9c1e-1a/5f3a9c1e-1b");
        assert_eq!(second.last(), Some("5f3a9c1e-1b"));
        let long = (0..100).fold(Trail::default(), |trail, n| trail.then(id(n)));
        assert!(long.as_str().len() <= Trail::MAX);
        assert_eq!(long.last(), Some("5f3a9c1e-63"));
        assert_eq!(long.ids().count(), 10);
    }

    #[test]
    fn a_foreign_id_is_kept_printable_and_bounded() {
        let foreign = Trail::from_header(b"\x00req 7/\xff");
        assert_eq!(foreign.as_str(), "\\x00req\\x207/\\xff");
        assert_eq!(Trail::from_header(&[0; 128]).as_str().len(), Trail::MAX);
        let after = Trail::from_header(&[b'x'; 128]).then(id(1));
        assert_eq!(after.as_str(), "5f3a9c1e-1", "an id that leaves no room gives way");
        assert!(Trail::from_header(b"").is_empty());
        assert_eq!(Trail::from_header(b"").last(), None);
    }
}
