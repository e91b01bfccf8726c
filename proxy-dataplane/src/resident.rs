//! How much of the process is in memory, read in a way that works when there is no descriptor to be had.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// Enough for seven numbers (`proc(5)`).
const LINE: usize = 256;

/// Tells the process's resident bytes. It holds one descriptor, with which they are read.
#[derive(Debug)]
pub struct Resident {
    statm: File,
}

impl Resident {
    /// None where there is no `/proc`, or no descriptor.
    #[must_use]
    pub fn new() -> Option<Self> {
        Some(Self { statm: File::open("/proc/self/statm").ok()? })
    }

    /// Resident bytes. None where `/proc` says what it never said.
    #[must_use]
    pub fn bytes(&self) -> Option<u64> {
        self.number(1)
    }

    /// Bytes of the address space. None where `/proc` says what it never said.
    #[must_use]
    pub fn virtual_bytes(&self) -> Option<u64> {
        self.number(0)
    }

    /// The bytes that are the `nth` number of pages.
    fn number(&self, nth: usize) -> Option<u64> {
        let mut line = [0; LINE];
        let read = self.statm.read_at(&mut line, 0).ok()?;
        let text = std::str::from_utf8(line.get(..read)?).ok()?;
        let pages: u64 = text.split_whitespace().nth(nth)?.parse().ok()?;
        Some(pages * rustix::param::page_size() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_resident() {
        let resident = Resident::new().unwrap();
        let before = resident.bytes().unwrap();
        assert!(before > 1 << 20, "{before}");
        let held = vec![1_u8; 64 << 20];
        let with = resident.bytes().unwrap();
        assert!(with > before + (32 << 20), "{before} before, {with} with {}", held.len());
    }
}
