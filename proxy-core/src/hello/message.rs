//! The handshake layer: puts one handshake message together from the pieces that records carried.

use super::not_tls::{NotTls, Part};

/// Type, and a length of three bytes.
pub(super) const MESSAGE_HEADER: usize = 4;

const CLIENT_HELLO: u8 = 1;

/// What a hello without session id, with one cipher suite, one compression method and no extension takes:
/// version 2, random 32, session id 1, cipher suites 2 + 2, compression 1 + 1.
const SHORTEST_BODY: usize = 41;

/// A handshake message in the making, its header included.
///
/// It grows with the bytes that came, not with the length that was promised, and never beyond that length.
#[derive(Debug, Default)]
pub(super) struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// Appends the part of `fragment` that belongs to this message.
    ///
    /// # Errors
    /// The header, at the byte that makes it wrong: another type than `ClientHello`, or too short to be one.
    pub(super) fn absorb(&mut self, fragment: &[u8]) -> Result<(), NotTls> {
        let missing = MESSAGE_HEADER.saturating_sub(self.bytes.len());
        let (header, body) = fragment.split_at_checked(missing).unwrap_or((fragment, &[]));
        self.bytes.extend_from_slice(header);
        self.check_header()?;
        let missing = self.total().unwrap_or(MESSAGE_HEADER) - self.bytes.len();
        self.bytes.extend_from_slice(body.get(..missing).unwrap_or(body));
        Ok(())
    }

    fn check_header(&self) -> Result<(), NotTls> {
        match self.bytes.first() {
            Some(&found) if found != CLIENT_HELLO => return Err(NotTls::HandshakeType { found }),
            Some(_) | None => {}
        }
        match self.total() {
            Some(total) if total < MESSAGE_HEADER + SHORTEST_BODY => {
                Err(NotTls::Malformed { part: Part::Length, at: 1 })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The message's length in bytes, its header included, once the header is whole.
    pub(super) fn total(&self) -> Option<usize> {
        let [_type, high, middle, low, ..] = self.bytes.as_slice() else { return None };
        let body = usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low);
        Some(MESSAGE_HEADER + body)
    }

    /// Whether all of it has come.
    pub(super) fn is_whole(&self) -> bool {
        self.total() == Some(self.bytes.len())
    }

    /// The bytes so far, the header included.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}
