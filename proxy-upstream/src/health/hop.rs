//! What one hop of ours asks another, and what it is told (`docs/hop-protocol.md`): whether it is ready, and how much it would
//! take.
//!
//! ```text
//!  asking: PROXY v2, LOCAL, TLV 0xE6 "how are you"  ──►
//!                               ◄── "smartproxy 1 ready places=900 load=12\n", FIN
//! ```
//! The question is asked where clients are taken, so that it goes the way that they go; and only a peer whose PROXY headers are
//! believed there is answered.

use std::fmt::{self, Write as _};

use proxy_core::header::{Command, Header, Outgoing, Tlvs, encode_v2};

use super::cause::{Finding, excerpt};

/// The field of a LOCAL header that asks: one of the types for private use (PROXY protocol, section 2.2), and a value that
/// distinguishes it from other uses of that type.
pub const QUESTION: (u8, &[u8]) = (0xE6, b"how are you");

/// What an answer of this version begins with.
const GREETING: &str = "smartproxy 1 ";

/// The longest answer of any version, in bytes, its end included.
pub(super) const LONGEST: usize = 256;

/// Whether a hop wants new connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Readiness {
    /// It does.
    #[default]
    Ready,
    /// It does not any more: it is drained, or stops.
    Draining,
    /// It cannot for now: a limit is reached.
    Full,
    /// It does not for now: it is overloaded.
    Shedding,
}

impl Readiness {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Ready, Self::Draining, Self::Full, Self::Shedding];

    /// The stable name, which is the word in the answer.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Full => "full",
            Self::Shedding => "shedding",
        }
    }
}

/// What a hop says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct Word {
    /// Whether it wants new connections.
    pub readiness: Readiness,
    /// How many more it would take; None where it does not say.
    pub places: Option<u32>,
    /// How much of what it could serve it does, in percent: 0 to 100.
    pub load: u8,
}

impl Word {
    /// What a hop says.
    #[must_use]
    pub fn new(readiness: Readiness, places: Option<u32>, load: u8) -> Self {
        Self { readiness, places, load: load.min(100) }
    }

    /// How much of its weight it asks for, in percent. However loaded it says that it is, one that is ready gets a tenth: else
    /// nobody would be told when that has changed but by the next check.
    #[must_use]
    pub fn share(&self) -> u8 {
        const LEAST: u8 = 10;
        match self.readiness {
            Readiness::Ready => (100 - self.load.min(100)).max(LEAST),
            Readiness::Draining | Readiness::Full | Readiness::Shedding => 0,
        }
    }

    /// As an answer.
    #[must_use]
    pub fn line(&self) -> String {
        let mut line = format!("{GREETING}{}", self.readiness.name());
        if let Some(places) = self.places {
            // Writing to a String cannot fail.
            write!(line, " places={places}").unwrap_or_default();
        }
        line + &format!(" load={}\n", self.load)
    }

    /// An answer without its end.
    ///
    /// # Errors
    /// Where it is none of this version. What it says that is not known here is passed over.
    pub(super) fn read(line: &[u8]) -> Result<Self, Finding> {
        let strange = || Finding::unexpected(format!("{} instead of how a SmartProxy is", excerpt(line)));
        let text = std::str::from_utf8(line).ok().and_then(|text| text.strip_prefix(GREETING));
        let mut words = text.ok_or_else(strange)?.split(' ');
        let first = words.next().unwrap_or_default();
        let readiness = Readiness::ALL.into_iter().find(|one| one.name() == first).ok_or_else(strange)?;
        let mut word = Self { readiness, ..Self::default() };
        for field in words {
            match field.split_once('=') {
                Some(("places", places)) => word.places = Some(places.parse().map_err(|_| strange())?),
                Some(("load", load)) => {
                    word.load = load.parse().ok().filter(|load| *load <= 100).ok_or_else(strange)?;
                }
                _ => {}
            }
        }
        Ok(word)
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, load {} %", self.readiness.name(), self.load)?;
        self.places.map_or(Ok(()), |places| write!(f, ", {places} places left"))
    }
}

/// The question, about those who ask for this server name, or for none.
#[must_use]
pub fn question(server_name: Option<&str>) -> Vec<u8> {
    let (kind, value) = QUESTION;
    let authority = server_name.map(|name| name.as_bytes().to_vec());
    let tlvs = Tlvs { authority, other: vec![(kind, value.to_vec())], ..Tlvs::default() };
    // INVARIANT: a name and one short field always fit.
    encode_v2(&Outgoing { tlvs, ..Outgoing::local() }).unwrap_or_default()
}

/// Whether a header asks.
#[must_use]
pub fn is_question(header: &Header) -> bool {
    let asks = |(kind, value): &(u8, Vec<u8>)| (*kind, value.as_slice()) == QUESTION;
    header.command == Command::Local && header.tlvs.other.iter().any(asks)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proxy_core::header::{HeaderLimits, decode};

    use super::*;

    #[test]
    fn the_question_is_a_header_that_speaks_for_itself() {
        let read = |bytes: &[u8]| decode(bytes, &HeaderLimits::default()).unwrap().unwrap();
        let bytes = question(None);
        let decoded = read(&bytes);
        assert_eq!((decoded.len, is_question(&decoded.header)), (bytes.len(), true));
        let named = read(&question(Some("a.test"))).header;
        assert_eq!((is_question(&named), named.tlvs.authority.as_deref()), (true, Some(&b"a.test"[..])));
        let client = Header { command: Command::Proxy, ..named.clone() };
        let mut other = named;
        other.tlvs.other = vec![(QUESTION.0, Vec::new()), (0xE5, QUESTION.1.to_vec())];
        assert!(!is_question(&client) && !is_question(&other));
        insta::assert_snapshot!(bytes.escape_ascii(), @r"\r\n\r\n\x00\r\nQUIT\n \x00\x00\x0e\xe6\x00\x0bhow are you");
    }

    #[test]
    fn answers_as_they_are_written() {
        let line = |readiness, places, load| Word::new(readiness, places, load).line();
        assert_eq!(line(Readiness::Ready, Some(900), 12), "smartproxy 1 ready places=900 load=12\n");
        assert_eq!(line(Readiness::Draining, None, 250), "smartproxy 1 draining load=100\n");
    }

    fn heard(text: &[u8]) -> Result<Word, String> {
        Word::read(text).map_err(|finding| finding.to_string())
    }

    #[test]
    fn what_a_later_version_adds_is_passed_over_and_what_is_no_answer_is_refused() {
        let ready = Word::new(Readiness::Ready, Some(3), 7);
        assert_eq!(heard(b"smartproxy 1 ready zone=b places=3 load=7 more"), Ok(ready));
        assert_eq!(heard(b"smartproxy 1 shedding"), Ok(Word::new(Readiness::Shedding, None, 0)));
        for strange in [
            &b"smartproxy 2 ready"[..],
            b"smartproxy 1 fine",
            b"smartproxy 1 ready load=101",
            b"smartproxy 1 ready places=-1",
            b"HTTP/1.1 400 Bad Request",
            b"\xff",
            b"",
        ] {
            assert!(heard(strange).unwrap_err().ends_with("instead of how a SmartProxy is"), "{strange:?}");
        }
    }

    #[test]
    fn shares() {
        let share = |readiness, load| Word::new(readiness, None, load).share();
        assert_eq!([0, 37, 90, 91, 100].map(|load| share(Readiness::Ready, load)), [100, 63, 10, 10, 10]);
        let others = [Readiness::Draining, Readiness::Full, Readiness::Shedding];
        assert_eq!(others.map(|readiness| share(readiness, 0)), [0, 0, 0]);
    }

    proptest! {
        #[test]
        fn whatever_is_said_is_heard(nth in 0..4_usize, places: Option<u32>, load in 0..=100_u8) {
            let word = Word::new(Readiness::ALL[nth], places, load);
            let line = word.line();
            prop_assert!(line.len() <= LONGEST);
            prop_assert_eq!(heard(line.trim_end().as_bytes()), Ok(word));
        }
    }
}
