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

/// The last major version of a record that some server takes ahead of and with a hello: Go's `crypto/tls` refuses from 0x1000
/// on (`readRecordOrCCS` in `conn.go`), where OpenSSL and `GnuTLS` want 3. What a server reads a name from is read here, too.
const LAST_MAJOR: u8 = 0x0f;

const ALERT: u8 = 21;

/// A level and a description (RFC 8446, section 6).
const ALERT_LENGTH: u16 = 2;

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
    Minor(Header),
    LengthHigh(Header),
    LengthLow { of: Header, high: u8 },
    Fragment { left: usize },
}

/// What is known of a header that is not whole yet.
#[derive(Debug, Clone, Copy)]
struct Header {
    content_type: u8,
}

/// Strips record headers, checking each byte of them as it comes.
#[derive(Debug)]
pub(super) struct Records {
    expect: Expect,
    /// Whole headers seen.
    headers: usize,
    /// Whether the first header is that of a TLS record.
    versioned: bool,
    /// Whether it has another major version than TLS has, one that some server takes all the same.
    odd: bool,
}

impl Default for Records {
    fn default() -> Self {
        Self { expect: Expect::ContentType, headers: 0, versioned: false, odd: false }
    }
}

impl Records {
    /// Whole record headers seen so far.
    pub(super) fn headers(&self) -> usize {
        self.headers
    }

    /// Whether the stream begins with the content type and the major version of a TLS record, or with a whole header that some
    /// server takes for one.
    pub(super) fn are_versioned(&self) -> bool {
        self.versioned
    }

    /// Whether its first major version is another than TLS has: then it is a matter of what is in the record whether it is TLS.
    pub(super) fn are_odd(&self) -> bool {
        self.odd
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
            Expect::Minor(of) => Ok(Expect::LengthHigh(of)),
            Expect::LengthHigh(of) => Ok(Expect::LengthLow { of, high: byte }),
            Expect::LengthLow { of, high } => self.length(of, u16::from_be_bytes([high, byte])),
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
        if self.headers == 0 {
            (self.versioned, self.odd) = (major == MAJOR, major != MAJOR);
        }
        match (content_type, major) {
            (HANDSHAKE, 0..=LAST_MAJOR) => Ok(Expect::Minor(Header { content_type })),
            (HANDSHAKE, found) => Err(HelloError::RecordVersion { found }),
            (found, MAJOR) => Err(HelloError::Interrupted { found }),
            // A warning ahead of the hello is dropped by the same servers.
            (ALERT, 0..=LAST_MAJOR) => Ok(Expect::Minor(Header { content_type })),
            (found, _) => Err(HelloError::FirstByte { found }),
        }
    }

    fn length(&mut self, of: Header, len: u16) -> Result<Expect, HelloError> {
        if of.content_type == ALERT {
            self.versioned = len == ALERT_LENGTH;
            let found = of.content_type;
            let why = if self.versioned {
                HelloError::Interrupted { found }
            } else {
                HelloError::FirstByte { found }
            };
            return Err(why);
        }
        self.headers += 1;
        self.versioned |= len <= MAX_RECORD;
        match len {
            0 => Err(HelloError::EmptyRecord),
            1..=MAX_RECORD => Ok(Expect::Fragment { left: usize::from(len) }),
            len => Err(HelloError::RecordLength { len }),
        }
    }
}
