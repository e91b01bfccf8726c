//! The record layer: takes the five-byte headers out of the stream and leaves the handshake bytes between them.

use super::error::HelloError;

/// The longest record accepted: 2^14 bytes of payload, plus the 2048 bytes that RFC 5246, section 6.2.3, allows a
/// protected one. The hello's records are plain, but a longer hello is the backend's to refuse; this bound only
/// recognises nonsense.
pub const MAX_RECORD: u16 = (1 << 14) + 2048;

/// Content type, version, length.
pub(super) const RECORD_HEADER: usize = 5;

const HANDSHAKE: u8 = 22;

/// From `change_cipher_spec` to heartbeat: what a record may hold (RFC 5246, section 6.2.1, and RFC 6520).
const CONTENT_TYPES: std::ops::RangeInclusive<u8> = 20..=24;

/// The major version of all of TLS, and of SSL 3.0.
const MAJOR: u8 = 3;

/// Where in the record layer the stream is.
///
/// ```text
/// ContentType ─► Major ─► Minor ─► LengthHigh ─► LengthLow ─► Fragment ─┐
///      ▲                                                     left == 0 │
///      └───────────────────────────────────────────────────────────────┘
/// ```
#[derive(Debug, Clone, Copy)]
enum Expect {
    ContentType,
    Major { content_type: u8 },
    Minor,
    LengthHigh,
    LengthLow { high: u8 },
    Fragment { left: usize },
}

/// Strips record headers, checking each byte of them as it comes.
#[derive(Debug)]
pub(super) struct Records {
    expect: Expect,
    /// Whole headers seen.
    headers: usize,
    /// Whether the first header has the version of TLS.
    versioned: bool,
}

impl Default for Records {
    fn default() -> Self {
        Self { expect: Expect::ContentType, headers: 0, versioned: false }
    }
}

impl Records {
    /// Whole record headers seen so far.
    pub(super) fn headers(&self) -> usize {
        self.headers
    }

    /// Whether the stream begins with the content type and the major version of a TLS record.
    pub(super) fn are_versioned(&self) -> bool {
        self.versioned
    }

    /// Takes the next piece of handshake from the front of `input`, with the header before it if there is one.
    ///
    /// The piece ends with its record or with the input, and is empty only if the input ended in or with a header.
    ///
    /// # Errors
    /// The byte of a header that cannot be part of a TLS handshake.
    pub(super) fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<&'a [u8], HelloError> {
        while let Some((&byte, rest)) = input.split_first() {
            if let Expect::Fragment { left } = self.expect {
                return Ok(self.fragment(left, input));
            }
            self.expect = self.header_byte(byte)?;
            *input = rest;
        }
        Ok(&[])
    }

    fn fragment<'a>(&mut self, left: usize, input: &mut &'a [u8]) -> &'a [u8] {
        let (fragment, rest) = input.split_at_checked(left).unwrap_or((input, &[]));
        self.expect = match left - fragment.len() {
            0 => Expect::ContentType,
            left => Expect::Fragment { left },
        };
        *input = rest;
        fragment
    }

    fn header_byte(&mut self, byte: u8) -> Result<Expect, HelloError> {
        match self.expect {
            Expect::ContentType => self.content_type(byte),
            Expect::Major { content_type } => self.major(content_type, byte),
            // Any: RFC 8446, section 5.1, has it ignored, and old clients differ.
            Expect::Minor => Ok(Expect::LengthHigh),
            Expect::LengthHigh => Ok(Expect::LengthLow { high: byte }),
            Expect::LengthLow { high } => self.length(u16::from_be_bytes([high, byte])),
            // Its bytes are not the header's; `next` hands them out.
            Expect::Fragment { .. } => Ok(self.expect),
        }
    }

    fn content_type(&self, byte: u8) -> Result<Expect, HelloError> {
        match byte {
            HANDSHAKE => Ok(Expect::Major { content_type: byte }),
            found if self.headers > 0 => Err(HelloError::Interrupted { found }),
            // It may be TLS all the same (GnuTLS takes a change_cipher_spec ahead of a hello): the next byte tells.
            found if CONTENT_TYPES.contains(&found) => Ok(Expect::Major { content_type: found }),
            found => Err(HelloError::FirstByte { found }),
        }
    }

    fn major(&mut self, content_type: u8, major: u8) -> Result<Expect, HelloError> {
        self.versioned |= major == MAJOR;
        match (content_type, major) {
            (HANDSHAKE, MAJOR) => Ok(Expect::Minor),
            (HANDSHAKE, found) => Err(HelloError::RecordVersion { found }),
            (found, MAJOR) => Err(HelloError::Interrupted { found }),
            (found, _) => Err(HelloError::FirstByte { found }),
        }
    }

    fn length(&mut self, len: u16) -> Result<Expect, HelloError> {
        self.headers += 1;
        match len {
            0 => Err(HelloError::EmptyRecord),
            1..=MAX_RECORD => Ok(Expect::Fragment { left: usize::from(len) }),
            len => Err(HelloError::RecordLength { len }),
        }
    }
}
