//! History as bytes, for the process that takes this one's place.
//!
//! ```text
//! smartproxy history 1
//! first, last, subjects                        numbers are u32 or u64, the lowest byte first
//! for each: its name, when it was last active, two steps in progress, three rings of chunks
//! ```

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::bits::Bits;
use super::ring::{Chunk, Ring};
use super::rings::{Part, Rings};
use super::span::Span;
use super::step::Step;
use super::{Clock, History, MOST_SUBJECTS};
use crate::subject::Subject;

/// What it begins with: the version of what follows.
const VERSION: &[u8] = b"smartproxy history 1\n";

/// Why bytes are no history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unreadable {
    /// Another version, or something else altogether.
    Version,
    /// It ends before it is whole.
    Cut,
    /// It says something that cannot be: this.
    Impossible(&'static str),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version => f.write_str("it is of another version"),
            Self::Cut => f.write_str("it ends before it is whole"),
            Self::Impossible(what) => write!(f, "it has {what}"),
        }
    }
}

impl std::error::Error for Unreadable {}

impl History {
    /// All of it, as [`History::restore`] reads it. About as long as [`History::bytes`].
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        let mut to = VERSION.to_vec();
        put(&mut to, self.clock.first);
        put(&mut to, self.clock.last);
        put(&mut to, short(self.subjects.len()));
        for (subject, rings) in &self.subjects {
            put_subject(&mut to, subject);
            put_rings(&mut to, rings);
        }
        to
    }

    /// What another process has kept, gone on with by one that was started at that time, since 1970.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn restore(saved: &[u8], started: Duration) -> Result<Self, Unreadable> {
        let mut from = From(saved.strip_prefix(VERSION).ok_or(Unreadable::Version)?);
        let mut restored = Self::new(started);
        restored.clock = Clock { first: from.number()?, last: from.number()?, ..restored.clock };
        let subjects = from.number()?;
        if long(subjects) > MOST_SUBJECTS {
            return Err(Unreadable::Impossible("more subjects than there may be"));
        }
        let read = (0..subjects).map(|_| Ok((from.subject()?, Box::new(from.rings()?))));
        restored.subjects = read.collect::<Result<HashMap<_, _>, _>>()?;
        if !from.0.is_empty() {
            return Err(Unreadable::Impossible("more than it should"));
        }
        restored.keep_within_bounds();
        Ok(restored)
    }
}

fn short(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn long(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn put(to: &mut Vec<u8>, number: u32) {
    to.extend(number.to_le_bytes());
}

fn put_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    put(to, short(bytes.len()));
    to.extend(bytes);
}

/// Kinds by number: none is ever used again for another one.
fn put_subject(to: &mut Vec<u8>, subject: &Subject) {
    let (kind, name, of): (u32, &str, &str) = match subject {
        Subject::Process => (0, "", ""),
        Subject::Route(name) => (1, name, ""),
        Subject::Target { of, target } => (2, target, of),
        Subject::Listener(name) => (3, name, ""),
        Subject::Pool(name) => (4, name, ""),
        Subject::Limit(name) => (5, name, ""),
        Subject::Hop(name) => (6, name, ""),
        Subject::Worker(number) => (7, &number.to_string(), ""),
    };
    put(to, kind);
    put_bytes(to, name.as_bytes());
    put_bytes(to, of.as_bytes());
}

fn put_rings(to: &mut Vec<u8>, rings: &Rings) {
    put(to, rings.active);
    for part in &rings.parts {
        put(to, part.number.unwrap_or(0));
        let Step { opened, ended, open, failed, refused, from_client, from_backend, first_byte_us } =
            part.sum;
        for number in [opened, ended, open, failed, refused, from_client, from_backend, first_byte_us] {
            to.extend(number.to_le_bytes());
        }
    }
    for ring in &rings.rings {
        put(to, short(ring.chunks().len()));
        for chunk in ring.chunks() {
            put(to, chunk.first);
            put(to, chunk.steps);
            put(to, chunk.bits.len());
            put_bytes(to, chunk.bits.bytes());
        }
    }
}

/// What is left to read.
struct From<'a>(&'a [u8]);

impl<'a> From<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Unreadable> {
        let (taken, left) = self.0.split_at_checked(count).ok_or(Unreadable::Cut)?;
        self.0 = left;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32, Unreadable> {
        let (bytes, left) = self.0.split_first_chunk().ok_or(Unreadable::Cut)?;
        self.0 = left;
        Ok(u32::from_le_bytes(*bytes))
    }

    fn long_number(&mut self) -> Result<u64, Unreadable> {
        let (bytes, left) = self.0.split_first_chunk().ok_or(Unreadable::Cut)?;
        self.0 = left;
        Ok(u64::from_le_bytes(*bytes))
    }

    fn bytes(&mut self) -> Result<&'a [u8], Unreadable> {
        let len = self.number()?;
        self.take(long(len))
    }

    fn name(&mut self) -> Result<Arc<str>, Unreadable> {
        let name = std::str::from_utf8(self.bytes()?);
        name.map(Arc::from).map_err(|_| Unreadable::Impossible("a name that is no text"))
    }

    fn subject(&mut self) -> Result<Subject, Unreadable> {
        let (kind, name, of) = (self.number()?, self.name()?, self.name()?);
        Ok(match kind {
            0 => Subject::Process,
            1 => Subject::Route(name),
            2 => Subject::Target { of, target: name },
            3 => Subject::Listener(name),
            4 => Subject::Pool(name),
            5 => Subject::Limit(name),
            6 => Subject::Hop(name),
            7 => Subject::Worker(
                name.parse().map_err(|_| Unreadable::Impossible("a worker without a number"))?,
            ),
            _ => return Err(Unreadable::Impossible("a subject of an unknown kind")),
        })
    }

    fn rings(&mut self) -> Result<Rings, Unreadable> {
        let active = self.number()?;
        let parts = [self.part()?, self.part()?];
        let [short, middle, long] = Span::ALL;
        let rings = [self.ring(short)?, self.ring(middle)?, self.ring(long)?];
        Ok(Rings::of(rings, parts, active))
    }

    fn part(&mut self) -> Result<Part, Unreadable> {
        let number = Some(self.number()?).filter(|number| *number > 0);
        let sum = Step {
            opened: self.long_number()?,
            ended: self.long_number()?,
            open: self.long_number()?,
            failed: self.long_number()?,
            refused: self.long_number()?,
            from_client: self.long_number()?,
            from_backend: self.long_number()?,
            first_byte_us: self.long_number()?,
        };
        Ok(Part { number, sum })
    }

    fn ring(&mut self, span: Span) -> Result<Ring, Unreadable> {
        let count = self.number()?;
        if count > span.steps() {
            return Err(Unreadable::Impossible("more chunks than steps"));
        }
        let mut chunks = Vec::new();
        let mut after = 0;
        for _ in 0..count {
            let chunk = self.chunk()?;
            if chunk.first < after || chunk.steps == 0 || chunk.steps > span.chunk() {
                return Err(Unreadable::Impossible("steps out of order"));
            }
            after = chunk.after();
            chunks.push(chunk);
        }
        chunks.shrink_to_fit();
        Ok(Ring::of(span, chunks))
    }

    fn chunk(&mut self) -> Result<Chunk, Unreadable> {
        let (first, steps, len) = (self.number()?, self.number()?, self.number()?);
        Ok(Chunk { first, steps, bits: Bits::of(self.bytes()?.to_vec(), len) })
    }
}
