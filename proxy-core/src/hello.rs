//! Reads the name and the protocols a TLS client asks for, out of its first bytes, and decides early that a stream
//! is not TLS at all.
//!
//! It is *sans IO*: it is shown the stream as it grows, an answer comes out. It opens no socket, keeps no time and holds
//! none of the bytes; the caller keeps them, to replay them to the backend, and bounds the waiting with a deadline of
//! its own.
//!
//! It is deliberately **not** a TLS server: it has no opinion on cipher suites, versions or key shares, and a hello
//! no server would accept for such a reason is still a hello. What it insists on is the *shape*, because a proxy and
//! a backend that read the same bytes differently are a way around the routes: lengths must add up, an extension may
//! come once, a list that must not be empty is not.
//!
//! ```text
//! stream     │ record            │ record            │ …      what is behind the hello is not looked at
//!            ├────┬─────┬─────┬──┴────┬────┬─────┬───┴────┐
//! record     │0x16│3 .. │ len │ bytes │0x16│3 .. │  bytes │    `record`:  a hello may be cut anywhere, even
//!            └────┴─────┴─────┴───┬───┴────┴─────┴────┬───┘               inside its own header
//!                                 ▼ put together      ▼
//! handshake  ┌────┬───────┬──────────────────────────────────┐ `message`: type 1 (ClientHello), length in 3 bytes
//!            │ 1  │  len  │ body                             │
//!            └────┴───────┴─────────┬────────────────────────┘
//!                                   ▼
//! body       version · random · session id · cipher suites · compression · extensions      `body`
//!                                   ┌──────────────────────────────────────────┘
//!                                   ▼
//! extensions  type len data │ type len data │ …                                            `extensions`
//!               0  server_name                ─► [ type 0, len, host name ]                `host_name`
//!              16  ALPN                       ─► [ len, protocol ] …
//!              43  supported_versions         ─► [ version ] …
//!          0xfe0d  encrypted_client_hello     ─► seen, not read
//! ```
//!
//! The answer is a function of the bytes alone: how they were cut into chunks changes neither what it is nor the
//! byte at which it is given. Each byte is looked at once until the hello is whole, and once more to read it.
//!
//! ```
//! use proxy_core::hello::{HelloReader, HelloError, Progress};
//!
//! let mut reader = HelloReader::default();
//! assert_eq!(reader.look(&[]), Progress::More);
//! assert_eq!(reader.look(b"GET / HTTP/1.1\r\n"), Progress::NotTls(HelloError::FirstByte { found: b'G' }));
//! ```

mod body;
mod client_hello;
mod cursor;
mod error;
mod extensions;
mod host_name;
mod message;
mod record;

pub use client_hello::{ClientHello, Protocols, TlsVersion, UnusableName};
pub use error::{HelloError, Part};
pub use record::MAX_RECORD;

use message::Message;
use record::{RECORD_HEADER, Records};

/// How many bytes of a stream are read, at most, in search of a `ClientHello`: 16 KiB.
///
/// Ten times what browsers send today (0.5 KiB, or 1.8 KiB with a post-quantum key share), and as much as one TLS
/// record can carry (RFC 8446, section 5.1).
pub const MAX_HELLO: usize = 16 * 1024;

/// Finds the `ClientHello` at the head of a stream.
///
/// Once it has answered with something else than [`Progress::More`] it looks at no further bytes, and gives the same
/// answer to every look.
#[derive(Debug)]
pub struct HelloReader {
    /// Bytes of the stream it may look at.
    cap: usize,
    /// Bytes of the stream it has looked at; never above `cap`.
    taken: usize,
    records: Records,
    message: Message,
    refused: Option<HelloError>,
}

/// What the bytes so far amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// They may be the beginning of a hello: more are needed.
    More,
    /// They are of another protocol, whatever follows.
    NotTls(HelloError),
    /// They begin as TLS does, and no hello can be read from them, whatever follows. Another reader may read one, and a
    /// name in it: where it matters which, they must not be taken for those of another protocol.
    Unreadable(HelloError),
    /// The hello is whole.
    Hello(ClientHello),
}

impl HelloReader {
    /// A reader that looks at `cap` bytes at most, record headers included.
    ///
    /// A hello that fits exactly is read. One that cannot fit is refused as soon as its length is known.
    #[must_use]
    pub fn new(cap: usize) -> Self {
        Self { cap, taken: 0, records: Records::default(), message: Message::default(), refused: None }
    }

    /// Looks at the stream, from its first byte to the last that has come: the same bytes as before, and those that have
    /// come since. Each is looked at once.
    pub fn look(&mut self, stream: &[u8]) -> Progress {
        let outcome = match self.refused {
            Some(why) => Err(why),
            None => self.read(stream),
        };
        match outcome {
            Ok(Some(hello)) => Progress::Hello(hello),
            Ok(None) => Progress::More,
            Err(why) => self.refuse(why),
        }
    }

    /// Whether the stream begins as TLS does, by what has been seen of it: with a record of any type and of its version, or with
    /// the header of a handshake or an alert of a version that some server takes.
    #[must_use]
    pub fn begins_as_tls(&self) -> bool {
        self.records.are_versioned()
    }

    fn read(&mut self, stream: &[u8]) -> Result<Option<ClientHello>, HelloError> {
        let within = stream.get(..self.cap).unwrap_or(stream);
        let mut rest = within.get(self.taken..).unwrap_or_default();
        while !rest.is_empty() && !self.message.is_whole() {
            let before = rest.len();
            let fragment = self.records.next(&mut rest)?;
            self.taken += before - rest.len();
            self.message.absorb(fragment)?;
            self.check_it_can_fit()?;
        }
        if self.message.is_whole() {
            return body::parse(&self.message.of(within)).map(Some);
        }
        if self.taken == self.cap {
            return Err(HelloError::TooLarge { cap: self.cap });
        }
        Ok(None)
    }

    /// Refuses a hello that ends behind the cap, long before the cap is reached.
    ///
    /// Both numbers are settled by headers alone, so the answer comes at the same byte however the stream is cut.
    fn check_it_can_fit(&self) -> Result<(), HelloError> {
        let headers = self.records.headers() * RECORD_HEADER;
        match self.message.total() {
            Some(total) if headers + total > self.cap => Err(HelloError::TooLarge { cap: self.cap }),
            Some(_) | None => Ok(()),
        }
    }

    /// Remembers the refusal.
    fn refuse(&mut self, why: HelloError) -> Progress {
        self.refused = Some(why);
        // A message of another protocol may begin with bytes that some server takes for a record's.
        let other = self.records.are_odd() && matches!(why, HelloError::HandshakeType { .. });
        if self.begins_as_tls() && !other { Progress::Unreadable(why) } else { Progress::NotTls(why) }
    }
}

impl Default for HelloReader {
    /// A reader that looks at [`MAX_HELLO`] bytes at most.
    fn default() -> Self {
        Self::new(MAX_HELLO)
    }
}
