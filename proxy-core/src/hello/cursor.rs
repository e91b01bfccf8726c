//! Reads numbers and length-prefixed vectors off the front of a byte string, and knows where it stands.

use super::error::{HelloError, Part};

/// What is left of a message, or of a vector within it.
///
/// Each read says what `part` it is for, which is what the error names if the bytes do not suffice.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    /// Offset of `rest` from the beginning of the message.
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Stands at the beginning of `message`.
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self { rest: message, at: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Bytes left.
    pub(super) fn len(&self) -> usize {
        self.rest.len()
    }

    /// The bytes left.
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.rest
    }

    /// The refusal that names `part`, here.
    pub(super) fn malformed(&self, part: Part) -> HelloError {
        HelloError::Malformed { part, at: self.at }
    }

    /// Takes `len` bytes.
    pub(super) fn take(&mut self, len: usize, part: Part) -> Result<Self, HelloError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or_else(|| self.malformed(part))?;
        let taken = Self { rest: taken, at: self.at };
        *self = Self { rest, at: self.at + len };
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, part: Part) -> Result<[u8; N], HelloError> {
        let (array, rest) = self.rest.split_first_chunk().ok_or_else(|| self.malformed(part))?;
        *self = Self { rest, at: self.at + N };
        Ok(*array)
    }

    pub(super) fn u8(&mut self, part: Part) -> Result<u8, HelloError> {
        self.array(part).map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self, part: Part) -> Result<u16, HelloError> {
        self.array(part).map(u16::from_be_bytes)
    }

    /// Takes a vector whose length stands before it in one byte.
    pub(super) fn vec8(&mut self, part: Part) -> Result<Self, HelloError> {
        let len = self.u8(part)?;
        self.take(usize::from(len), part)
    }

    /// Takes a vector whose length stands before it in two bytes.
    pub(super) fn vec16(&mut self, part: Part) -> Result<Self, HelloError> {
        let len = self.u16(part)?;
        self.take(usize::from(len), part)
    }

    /// Insists that nothing is left.
    pub(super) fn end(&self, part: Part) -> Result<(), HelloError> {
        if self.is_empty() { Ok(()) } else { Err(self.malformed(part)) }
    }
}
