//! The steps of one subject over one span, in chunks that can be read by themselves.
//!
//! ```text
//! forgotten │ chunk: steps one after another │ a gap │ chunk │ the chunk in progress
//!           first, first + 1, …                      first, first + 1, …
//! ```

use super::bits::Bits;
use super::span::Span;
use super::step::{Codes, Step};

/// Steps that follow each other without a gap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Chunk {
    /// The number of the first: of the step that ends so many steps after 1970.
    pub(super) first: u32,
    /// How many there are.
    pub(super) steps: u32,
    pub(super) bits: Bits,
}

/// What a chunk takes beside its bits: itself, and what an allocator adds to a piece.
const CHUNK_TAKES: usize = size_of::<Chunk>() + 16;

impl Chunk {
    /// The number of the step after the last.
    pub(super) fn after(&self) -> u32 {
        self.first.saturating_add(self.steps)
    }
}

/// The steps of one subject over one span. Old ones are forgotten by the chunk.
#[derive(Debug, Clone)]
pub(super) struct Ring {
    span: Span,
    chunks: Vec<Chunk>,
    /// How many chunks were forgotten.
    forgotten: u32,
    /// The last step, which the next one is written after. `None` before the first of this process: a chunk is not gone on with
    /// that another process has begun.
    last: Option<Codes>,
}

/// A place in a ring, between two steps.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cursor {
    /// The chunk, counted with those that were forgotten.
    chunk: u32,
    /// How many of its steps were read.
    read: u32,
    /// The bit that is read next.
    at: u32,
    last: Codes,
}

impl Ring {
    pub(super) fn new(span: Span) -> Self {
        Self { span, chunks: Vec::new(), forgotten: 0, last: None }
    }

    /// One that was kept. Nothing is appended to its chunks.
    pub(super) fn of(span: Span, chunks: Vec<Chunk>) -> Self {
        Self { chunks, ..Self::new(span) }
    }

    pub(super) fn span(&self) -> Span {
        self.span
    }

    pub(super) fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// What it takes of the heap.
    pub(super) fn bytes(&self) -> usize {
        let bits: usize = self.chunks.iter().map(|chunk| chunk.bits.capacity()).sum();
        self.chunks.capacity() * CHUNK_TAKES + bits
    }

    /// Appends the step of that number, later than all before; returns it as it is kept.
    pub(super) fn append(&mut self, number: u32, step: &Step) -> Step {
        let follows = |chunk: &Chunk| chunk.after() == number && chunk.steps < self.span.chunk();
        let last = self.last.filter(|_| self.chunks.last().is_some_and(follows));
        if last.is_none() {
            self.begin_chunk(number);
        }
        let precision = self.span.precision();
        let codes = Codes::of(step, precision);
        if let Some(chunk) = self.chunks.last_mut() {
            codes.write(&last.unwrap_or_default(), precision, &mut chunk.bits);
            chunk.steps += 1;
        }
        self.last = Some(codes);
        codes.step(precision)
    }

    fn begin_chunk(&mut self, first: u32) {
        if let Some(done) = self.chunks.last_mut() {
            done.bits.seal();
        }
        self.chunks.reserve_exact(1);
        self.chunks.push(Chunk { first, ..Chunk::default() });
    }

    /// Forgets what is older than the span, seen from the step of that number.
    pub(super) fn forget(&mut self, number: u32) {
        let oldest = number.saturating_sub(self.span.steps());
        while self.chunks.first().is_some_and(|chunk| chunk.after() <= oldest + 1) {
            self.forget_first();
        }
    }

    /// Forgets the oldest chunk.
    pub(super) fn forget_first(&mut self) {
        if !self.chunks.is_empty() {
            self.chunks.remove(0);
            self.forgotten = self.forgotten.wrapping_add(1);
        }
        if self.chunks.is_empty() {
            self.chunks = Vec::new();
        }
    }

    /// Before the oldest step.
    pub(super) fn start(&self) -> Cursor {
        Cursor { chunk: self.forgotten, ..Cursor::default() }
    }

    /// The number of the step that a second is in, by the second's end.
    pub(super) fn number_of(&self, second: u32) -> u32 {
        second.div_ceil(self.span.step_s())
    }

    /// The steps that are kept, the oldest first.
    pub(super) fn steps(&self) -> impl Iterator<Item = (u32, Step)> + '_ {
        let mut cursor = self.start();
        std::iter::from_fn(move || cursor.next(self))
    }
}

impl Cursor {
    /// The chunk that the next step is in. Those that were forgotten are passed over.
    fn chunk<'a>(&mut self, ring: &'a Ring) -> Option<&'a Chunk> {
        if self.chunk.wrapping_sub(ring.forgotten) > u32::MAX / 2 {
            *self = ring.start();
        }
        let chunk_at = |nth: u32| ring.chunks.get(usize::try_from(nth.wrapping_sub(ring.forgotten)).ok()?);
        let chunk = chunk_at(self.chunk)?;
        if self.read < chunk.steps {
            return Some(chunk);
        }
        let next = chunk_at(self.chunk.wrapping_add(1))?;
        *self = Self { chunk: self.chunk.wrapping_add(1), ..Self::default() };
        Some(next)
    }

    /// The number of the next step.
    pub(super) fn number(&mut self, ring: &Ring) -> Option<u32> {
        let first = self.chunk(ring)?.first;
        Some(first.saturating_add(self.read))
    }

    /// The next step and its number.
    pub(super) fn next(&mut self, ring: &Ring) -> Option<(u32, Step)> {
        let number = self.number(ring)?;
        let chunk = self.chunk(ring)?;
        let precision = ring.span.precision();
        self.last = Codes::read(&self.last, precision, &chunk.bits, &mut self.at);
        self.read += 1;
        Some((number, self.last.step(precision)))
    }
}

#[cfg(test)]
mod tests;
