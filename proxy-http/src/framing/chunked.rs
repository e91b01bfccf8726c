//! A body in chunks (RFC 9112, section 7.1).

use super::head::{field, is_token};
use super::{BARE_CR, BARE_LF, FramerLimits, Refusal};

/// Where it is in its chunks.
#[derive(Debug)]
pub(super) struct Chunked {
    part: Part,
    /// Bytes of the line or lines at hand.
    line: Vec<u8>,
    /// Bytes of extensions, and of trailers.
    beside: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The line with a chunk's size.
    Size,
    /// So many bytes are to come.
    Data(u64),
    /// What ends a chunk: CR, or LF.
    DataEnd(u8),
    /// The lines behind the last chunk.
    Trailer,
    Done,
}

impl Chunked {
    pub(super) const fn new() -> Self {
        Self { part: Part::Size, line: Vec::new(), beside: 0 }
    }

    pub(super) fn is_done(&self) -> bool {
        self.part == Part::Done
    }

    /// Takes some of the bytes; how many.
    pub(super) fn take(&mut self, bytes: &[u8], limits: &FramerLimits) -> Result<usize, (usize, Refusal)> {
        match self.part {
            Part::Size | Part::Trailer => self.take_line(bytes, limits).map_err(|refusal| (0, refusal)),
            Part::Data(left) => {
                let some = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                let left = left - some as u64;
                self.part = if left == 0 { Part::DataEnd(b'\r') } else { Part::Data(left) };
                Ok(some)
            }
            Part::DataEnd(due) if bytes.first() == Some(&due) => {
                self.part = if due == b'\r' { Part::DataEnd(b'\n') } else { Part::Size };
                Ok(1)
            }
            Part::DataEnd(_) => Err((0, CHUNK_END)),
            Part::Done => Ok(0),
        }
    }

    fn take_line(&mut self, bytes: &[u8], limits: &FramerLimits) -> Result<usize, Refusal> {
        let end = bytes.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let taken = end.unwrap_or(bytes.len());
        if self.line.len() + taken + self.beside > limits.max_trailer {
            return Err(if self.part == Part::Size { LONG_SIZE } else { LONG_TRAILER });
        }
        self.line.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        if end.is_none() {
            return Ok(taken);
        }
        let line = std::mem::take(&mut self.line);
        let text = line.strip_suffix(b"\r\n").ok_or(BARE_LF)?;
        if text.contains(&b'\r') {
            return Err(BARE_CR);
        }
        self.part = if self.part == Part::Size {
            let (size, extensions) = size(text)?;
            self.beside += extensions;
            if size == 0 { Part::Trailer } else { Part::Data(size) }
        } else if text.is_empty() {
            Part::Done
        } else {
            self.beside += line.len();
            trailer(text)?;
            Part::Trailer
        };
        Ok(taken)
    }
}

/// The size of a chunk, and how many bytes of extensions it has.
fn size(line: &[u8]) -> Result<(u64, usize), Refusal> {
    let end = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    let (digits, rest) = line.split_at(end);
    if digits.is_empty() || digits.len() > 16 {
        return Err(SIZE);
    }
    if !rest.is_empty() && !is_extension(rest) {
        return Err(EXTENSION);
    }
    let digits = std::str::from_utf8(digits).map_err(|_| SIZE)?;
    let size = u64::from_str_radix(digits, 16).map_err(|_| SIZE)?;
    // No more than a signed number holds: some count in those.
    Ok((i64::try_from(size).map_err(|_| SIZE)?.unsigned_abs(), rest.len()))
}

/// `;name` or `;name=value`, any number; no white space, which some take for the end of the size.
fn is_extension(rest: &[u8]) -> bool {
    let mut parts = rest.split(|byte| *byte == b';');
    parts.next().is_some_and(<[u8]>::is_empty)
        && parts.all(|part| {
            let end = part.iter().position(|byte| *byte == b'=').unwrap_or(part.len());
            let (name, value) = part.split_at(end);
            let value = value.get(1..).unwrap_or_default();
            let plain = value.iter().all(|byte| is_token(*byte));
            let quoted = matches!(value, [b'"', inner @ .., b'"']
                if inner.iter().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')));
            !name.is_empty() && name.iter().all(|byte| is_token(*byte)) && (plain || quoted)
        })
}

/// Fields that say how a message is read, who it is for or who sent it have no place behind it (RFC 9110, section 6.5.1).
fn trailer(line: &[u8]) -> Result<(), Refusal> {
    const FORBIDDEN: [&[u8]; 9] = [
        b"content-length",
        b"transfer-encoding",
        b"host",
        b"content-encoding",
        b"content-type",
        b"authorization",
        b"trailer",
        b"te",
        b"connection",
    ];
    let (name, _) = field(line)?;
    if FORBIDDEN.iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden)) {
        return Err(TRAILER);
    }
    Ok(())
}

const SIZE: Refusal = Refusal::bad(
    "chunk_size",
    "The size of a chunk is a hexadecimal number of at most 63 bits, and nothing else.",
);
const EXTENSION: Refusal =
    Refusal::bad("chunk_extension", "Behind the size of a chunk there is something that is no extension.");
const CHUNK_END: Refusal = Refusal::bad("chunk_end", "The data of a chunk are not followed by CR and LF.");
const LONG_SIZE: Refusal = Refusal::bad(
    "chunk_line_too_long",
    "The lines with the sizes of chunks are longer than this proxy takes.",
);
const LONG_TRAILER: Refusal = Refusal {
    status: 431,
    word: "trailer_too_large",
    sentence: "The trailers of a request are longer than this proxy takes.",
};
const TRAILER: Refusal =
    Refusal::bad("trailer", "A field that says how a request is read comes behind its body.");
