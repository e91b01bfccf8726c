//! What a check says and hears: a state machine over bytes for each kind, with no socket and no clock.
//!
//! ```text
//!  connected ─► [PROXY header] ─► begin ─► { hear ─► send }* ─► well: FIN, or reset
//!                                            └ something else, or the end: a finding
//! ```
//! Every one keeps what it has heard within [`MOST`].

use super::cause::{Finding, HealthCause, excerpt};
use super::hop::Word;

/// Bytes of an answer that are kept: more than any greeting or status line. TLS has its own bounds.
pub const MOST: usize = 4096;

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Step {
    /// To send these bytes.
    pub send: Vec<u8>,
    /// And then this.
    pub then: Then,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Then {
    /// More has to be heard.
    #[default]
    Hear,
    /// The member is well, and the connection is to be closed in order, which is what this kind of server keeps quiet about.
    Well,
}

impl Step {
    pub(super) fn send(bytes: impl Into<Vec<u8>>) -> Self {
        Self { send: bytes.into(), then: Then::Hear }
    }

    /// The member is well; what there is to say to it at last.
    pub(super) fn well(farewell: impl Into<Vec<u8>>) -> Self {
        Self { send: farewell.into(), then: Then::Well }
    }
}

/// The conversation of one check, after its PROXY header.
pub trait Exchange: Send {
    /// What comes first, once connected.
    fn begin(&mut self) -> Step;

    /// Bytes have come: `heard` is all that has, from the first on.
    ///
    /// # Errors
    /// What was found out where they are not what is expected.
    fn hear(&mut self, heard: &[u8]) -> Result<Step, Finding>;

    /// What the member has said of itself, if it is one that does; asked when it is well.
    fn word(&self) -> Option<Word> {
        None
    }

    /// How much is kept of what is heard; more is an answer that is not expected.
    fn most(&self) -> usize {
        MOST
    }
}

/// The end came before the answer.
pub(crate) fn closed(heard: &[u8]) -> Finding {
    let text = if heard.is_empty() {
        "it closed the connection without a word".to_owned()
    } else {
        format!("it closed the connection after {}", excerpt(heard))
    };
    Finding::new(HealthCause::Closed, text)
}

/// The answer is longer than any that is expected.
pub(crate) fn too_long(heard: &[u8]) -> Finding {
    Finding::unexpected(format!("no end of an answer in {} bytes: {}", heard.len(), excerpt(heard)))
}

/// The first whole line of what was heard, without its end.
pub(super) fn line(heard: &[u8]) -> Option<&[u8]> {
    let end = heard.iter().position(|byte| *byte == b'\n')?;
    let line = heard.get(..end)?;
    Some(line.strip_suffix(b"\r").unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_when_it_has_its_end() {
        assert_eq!(
            (line(b"abc"), line(b"abc\r\nd"), line(b"abc\n")),
            (None, Some(&b"abc"[..]), Some(&b"abc"[..]))
        );
    }
}
