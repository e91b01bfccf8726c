//! The handshake layer: how much of one handshake message the records have carried, and the message once it is whole.

use std::borrow::Cow;

use super::error::{HelloError, Part};
use super::record::Records;

/// Type, and a length of three bytes.
pub(super) const MESSAGE_HEADER: usize = 4;

const CLIENT_HELLO: u8 = 1;

/// What a hello without session id, with one cipher suite, one compression method and no extension takes:
/// version 2, random 32, session id 1, cipher suites 2 + 2, compression 1 + 1.
const SHORTEST_BODY: usize = 41;

/// A handshake message that is on its way. Its bytes stay in the stream: only its header is kept.
#[derive(Debug, Default)]
pub(super) struct Message {
    header: [u8; MESSAGE_HEADER],
    /// Bytes of it that have come, the header's included; never more than it has.
    seen: usize,
}

impl Message {
    /// Counts the part of `fragment` that belongs to this message.
    ///
    /// # Errors
    /// The header, at the byte that makes it wrong: another type than `ClientHello`, or too short to be one.
    pub(super) fn absorb(&mut self, fragment: &[u8]) -> Result<(), HelloError> {
        let free = self.header.get_mut(self.seen..).unwrap_or_default();
        let head = free.len().min(fragment.len());
        free.iter_mut().zip(fragment).for_each(|(slot, byte)| *slot = *byte);
        self.seen += head;
        self.check_header()?;
        let missing = self.total().unwrap_or(MESSAGE_HEADER) - self.seen;
        self.seen += missing.min(fragment.len() - head);
        Ok(())
    }

    fn check_header(&self) -> Result<(), HelloError> {
        match self.header.first() {
            Some(&found) if self.seen > 0 && found != CLIENT_HELLO => {
                return Err(HelloError::HandshakeType { found });
            }
            Some(_) | None => {}
        }
        match self.total() {
            Some(total) if total < MESSAGE_HEADER + SHORTEST_BODY => {
                Err(HelloError::Malformed { part: Part::Length, at: 1 })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The message's length in bytes, its header included, once the header is whole.
    pub(super) fn total(&self) -> Option<usize> {
        let [_type, high, middle, low] = self.header;
        let body = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        (self.seen >= MESSAGE_HEADER).then_some(MESSAGE_HEADER + body)
    }

    /// Whether all of it has come.
    pub(super) fn is_whole(&self) -> bool {
        self.total() == Some(self.seen)
    }

    /// The whole message, out of the stream that carried it from its first byte. What one record holds, as nearly always, is
    /// not copied.
    pub(super) fn of<'s>(&self, stream: &'s [u8]) -> Cow<'s, [u8]> {
        let (mut records, mut rest) = (Records::default(), stream);
        let mut next = || records.next(&mut rest).ok().filter(|fragment| !fragment.is_empty());
        let first = next().unwrap_or_default();
        if let Some(whole) = first.get(..self.seen) {
            return Cow::Borrowed(whole);
        }
        let mut bytes = Vec::with_capacity(self.seen);
        bytes.extend_from_slice(first);
        while let Some(fragment) = next().filter(|_| bytes.len() < self.seen) {
            bytes.extend_from_slice(fragment);
        }
        bytes.truncate(self.seen);
        Cow::Owned(bytes)
    }
}
