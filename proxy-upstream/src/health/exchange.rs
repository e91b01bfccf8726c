//! What a check says and hears: a state machine over bytes for each kind, with no socket and no clock.
//!
//! ```text
//!  connected ─► [PROXY header] ─► begin ─► { hear ─► send }* ─► well: FIN, or reset
//!                                            └ something else, or the end: a finding
//! ```
//! Every one keeps what it has heard within [`MOST`].

use super::cause::{Finding, HealthCause, excerpt};
use super::hop::{self, Word};
use super::http::Http;
use super::lines::{Redis, Smtp, Ssh, Text};
use super::mariadb::Mariadb;
use super::options::CheckKind;
use super::postgres::Postgres;
#[cfg(feature = "tls")]
use super::tls::Tls;

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

/// The conversation of a check of that kind; None where a connection is all that is asked for.
#[must_use]
pub fn exchange(kind: &CheckKind) -> Option<Box<dyn Exchange>> {
    Some(match kind {
        CheckKind::Connect => return None,
        CheckKind::Redis => Box::new(Redis),
        CheckKind::Postgres => Box::new(Postgres),
        CheckKind::Mariadb(user) => Box::new(Mariadb::new(user)),
        CheckKind::Smtp => Box::new(Smtp::default()),
        CheckKind::Ssh => Box::new(Ssh),
        #[cfg(feature = "tls")]
        CheckKind::Tls(name) => Box::new(Tls::new(name.as_deref())),
        CheckKind::Http(http) => Box::new(Http::new(http)),
        CheckKind::Text { send, expect } => Box::new(Text::new(send, expect)),
        CheckKind::Smartproxy(name) => Box::new(hop::Asking::new(name.as_deref())),
    })
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
pub(super) mod tests {
    use super::*;

    /// Has the whole conversation with a server that says `said`, one byte at a time, the most that any network cuts.
    pub(in crate::health) fn talk(kind: &CheckKind, said: &[u8]) -> (Vec<u8>, Result<bool, Finding>) {
        let mut exchange = exchange(kind).expect("it says something");
        let mut sent = exchange.begin().send;
        for end in 1..=said.len() {
            match exchange.hear(&said[..end]) {
                Ok(step) => {
                    sent.extend(step.send);
                    if step.then == Then::Well {
                        return (sent, Ok(true));
                    }
                }
                Err(finding) => return (sent, Err(finding)),
            }
        }
        (sent, Ok(false))
    }

    #[test]
    fn a_connect_check_has_nothing_to_say() {
        assert!(exchange(&CheckKind::Connect).is_none());
    }

    #[test]
    fn a_line_is_one_when_it_has_its_end() {
        assert_eq!(
            (line(b"abc"), line(b"abc\r\nd"), line(b"abc\n")),
            (None, Some(&b"abc"[..]), Some(&b"abc"[..]))
        );
    }

    proptest::proptest! {
        /// Whatever comes, there is a verdict or a wait, and it is the same however the bytes are cut.
        #[test]
        fn no_answer_is_too_strange(said in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let text = CheckKind::Text { send: "a".into(), expect: "b".into() };
            for kind in [
                CheckKind::Redis, CheckKind::Postgres, CheckKind::Mariadb("u".into()), CheckKind::Smtp, CheckKind::Ssh,
                CheckKind::Http(Default::default()), text, CheckKind::Smartproxy(None),
            ] {
                let (_, by_bytes) = talk(&kind, &said);
                let mut whole = exchange(&kind).expect("it says something");
                whole.begin();
                if !said.is_empty() && let Ok(false) = by_bytes {
                    let at_once = whole.hear(&said).map(|step| step.then == Then::Well);
                    proptest::prop_assert_ne!(at_once, Ok(true), "{}", kind.name());
                }
            }
        }
    }
}
