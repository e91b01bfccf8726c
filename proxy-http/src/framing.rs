//! Where each request of a client begins and ends, byte by byte, and whether anybody could see that otherwise (RFC 9112).
//!
//! ```text
//!               first byte             CRLF CRLF          Content-Length bytes
//!  ┌─────────┐ ───────────► ┌──────┐ ─────────────► ┌────────┐ ────────────► the next
//!  │ between │              │ head │                │ length │
//!  └─────────┘              └──┬───┘                └────────┘
//!       ▲                      └─ chunked ─► size ─► data ─► size … ─► 0 ─► trailers ─► the next
//! ```
//! It parses nothing for use: what it lets through a parser reads anew. It refuses whatever two parsers might read in two ways, from the
//! very byte on that makes it so, whatever pieces it came in.

mod chunked;
mod head;
mod target;

use self::chunked::Chunked;
use self::head::{BodyKind, check};

/// How much a request's head may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FramerLimits {
    /// The longest head, request line and all, in bytes. Default 64 KiB.
    pub max_head: usize,
    /// The longest request line, in bytes. Default 16 KiB.
    pub max_line: usize,
    /// The most fields. Default 100, as many as hyper takes.
    pub max_fields: usize,
    /// The longest trailers, and the longest line of a chunk's size, in bytes. Default 8 KiB.
    pub max_trailer: usize,
}

impl Default for FramerLimits {
    fn default() -> Self {
        Self { max_head: 64 << 10, max_line: 16 << 10, max_fields: 100, max_trailer: 8 << 10 }
    }
}

/// Why a request is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The status of the answer.
    pub status: u16,
    /// A stable word for it, for logs.
    pub word: &'static str,
    /// What is wrong and what to do, in a sentence.
    pub sentence: &'static str,
}

impl Refusal {
    pub(crate) const fn bad(word: &'static str, sentence: &'static str) -> Self {
        Self { status: 400, word, sentence }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.word, self.sentence)
    }
}

impl std::error::Error for Refusal {}

/// Follows the requests of one client. It holds no memory between two heads.
#[derive(Debug)]
pub struct RequestFramer {
    limits: FramerLimits,
    place: Place,
    begun: u64,
    ended: u64,
}

#[derive(Debug)]
enum Place {
    /// Between two requests; how many bytes of an empty line have come.
    Between(u8),
    /// In a head, of which so much has come, the request line or a part of it.
    Head(Vec<u8>, bool),
    /// In a body, of which so many bytes are to come.
    Length(u64),
    Chunked(Chunked),
    /// What comes is another protocol's.
    Switched,
    Refused(Refusal),
}

impl RequestFramer {
    /// One that has seen nothing yet.
    #[must_use]
    pub const fn new(limits: FramerLimits) -> Self {
        Self { limits, place: Place::Between(0), begun: 0, ended: 0 }
    }

    /// Takes what has come next.
    ///
    /// # Errors
    /// How many of these bytes are sound, and why the rest is not: nothing more is ever taken.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), (usize, Refusal)> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.step(rest) {
                Ok(taken) => rest = rest.get(taken..).unwrap_or_default(),
                Err((sound, refusal)) => {
                    self.place = Place::Refused(refusal);
                    return Err((bytes.len() - rest.len() + sound, refusal));
                }
            }
        }
        Ok(())
    }

    /// How many requests have begun to come.
    #[must_use]
    pub const fn begun(&self) -> u64 {
        self.begun
    }

    /// How many have come whole.
    #[must_use]
    pub const fn ended(&self) -> u64 {
        self.ended
    }

    /// Whether a head has begun that is not whole.
    #[must_use]
    pub const fn is_in_head(&self) -> bool {
        matches!(self.place, Place::Head(..))
    }

    /// Whether more of a body is to come.
    #[must_use]
    pub const fn is_in_body(&self) -> bool {
        matches!(self.place, Place::Length(_) | Place::Chunked(_))
    }

    /// What comes from here on is another protocol's, and passes.
    pub fn switch(&mut self) {
        self.place = Place::Switched;
    }

    /// Takes some of the bytes; how many.
    fn step(&mut self, bytes: &[u8]) -> Result<usize, (usize, Refusal)> {
        match &mut self.place {
            Place::Between(skipped) => match (*skipped, bytes.first()) {
                // One empty line before a request is let pass (section 2.2): some clients send one behind a body.
                (0, Some(b'\r')) => {
                    *skipped = 1;
                    Ok(1)
                }
                (1, Some(b'\n')) => {
                    *skipped = 2;
                    Ok(1)
                }
                (1, _) => Err((0, BARE_CR)),
                (_, Some(b'\r' | b'\n')) => Err((0, EMPTY_LINES)),
                (_, _) => {
                    self.begun += 1;
                    self.place = Place::Head(Vec::new(), false);
                    Ok(0)
                }
            },
            Place::Head(..) => self.in_head(bytes),
            Place::Length(left) => {
                let some = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= some as u64;
                if *left == 0 {
                    self.ends();
                }
                Ok(some)
            }
            Place::Chunked(chunked) => {
                let taken = chunked.take(bytes, &self.limits)?;
                if chunked.is_done() {
                    self.ends();
                }
                Ok(taken)
            }
            Place::Switched => Ok(bytes.len()),
            Place::Refused(refusal) => Err((0, *refusal)),
        }
    }

    fn in_head(&mut self, bytes: &[u8]) -> Result<usize, (usize, Refusal)> {
        let Place::Head(come, has_line) = &mut self.place else { return Ok(0) };
        let end = head_end(come, bytes).map_err(|refusal| (0, refusal))?;
        let taken = end.unwrap_or(bytes.len());
        let some = bytes.get(..taken).unwrap_or_default();
        *has_line |= some.contains(&b'\n');
        let length = come.len() + taken;
        if !*has_line && length > self.limits.max_line {
            return Err((0, URI_TOO_LONG));
        }
        if length > self.limits.max_head {
            return Err((0, HEAD_TOO_LARGE));
        }
        if end.is_none() {
            come.extend_from_slice(some);
            return Ok(taken);
        }
        // Mostly a head comes in one piece, and is looked at where it is.
        let kind = if come.is_empty() {
            check(some, &self.limits)
        } else {
            come.extend_from_slice(some);
            check(come, &self.limits)
        };
        match kind.map_err(|refusal| (0, refusal))? {
            BodyKind::Length(0) => self.ends(),
            BodyKind::Length(left) => self.place = Place::Length(left),
            BodyKind::Chunked => self.place = Place::Chunked(Chunked::new()),
        }
        Ok(taken)
    }

    fn ends(&mut self) {
        self.ended += 1;
        self.place = Place::Between(0);
    }
}

/// How many of `bytes` are of the head of which `come` has come; None where all are, and more is to come.
fn head_end(come: &[u8], bytes: &[u8]) -> Result<Option<usize>, Refusal> {
    let at = |nth: usize| come.get(nth).or_else(|| bytes.get(nth - come.len())).copied();
    let mut from = 0;
    while let Some(found) = bytes.get(from..).and_then(|rest| rest.iter().position(|byte| *byte == b'\n')) {
        let nth = come.len() + from + found;
        if nth == 0 || at(nth - 1) != Some(b'\r') {
            return Err(BARE_LF);
        }
        if nth >= 3 && at(nth - 2) == Some(b'\n') {
            return Ok(Some(from + found + 1));
        }
        from += found + 1;
    }
    Ok(None)
}

const BARE_LF: Refusal =
    Refusal::bad("bare_lf", "A line of a request ends with CR and LF; a line ends with LF alone.");
const BARE_CR: Refusal = Refusal::bad(
    "bare_cr",
    "CR is only allowed in front of LF at the end of a line; there is one elsewhere.",
);
const EMPTY_LINES: Refusal =
    Refusal::bad("empty_lines", "A request begins with its request line, after one empty line at the most.");
const HEAD_TOO_LARGE: Refusal = Refusal {
    status: 431,
    word: "head_too_large",
    sentence: "The request line and the fields of a request are longer than this proxy takes: send fewer or shorter ones, or raise max_request_head.",
};
const URI_TOO_LONG: Refusal = Refusal {
    status: 414,
    word: "uri_too_long",
    sentence: "The request line is longer than this proxy takes: send a shorter target.",
};

#[cfg(test)]
mod tests;
