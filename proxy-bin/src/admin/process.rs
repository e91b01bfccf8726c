//! What the process uses, read in a way that works when there is no descriptor to be had.

use std::fs::File;
use std::os::unix::fs::FileExt;

use proxy_core::memory;

use super::model::{Memory, Usage};
use crate::descriptors;

/// Enough for seven numbers (`proc(5)`).
const LINE: usize = 256;

/// The process. It holds one descriptor, with which its memory is read.
#[derive(Debug)]
pub(super) struct Process {
    statm: Option<File>,
}

impl Process {
    pub(super) fn new() -> Self {
        Self { statm: File::open("/proc/self/statm").ok() }
    }

    /// Descriptors in use, and the most there may be.
    pub(super) fn descriptors(&self) -> Usage {
        Usage { used: descriptors::in_use(), most: Some(descriptors::limit()) }
    }

    /// Memory, resident and allocated. An allocator that does not count has allocated what is resident, for all one can say.
    pub(super) fn memory(&self) -> Memory {
        let resident_bytes = self.resident().unwrap_or(0);
        Memory { resident_bytes, allocated_bytes: memory::allocated().unwrap_or(resident_bytes) }
    }

    fn resident(&self) -> Option<u64> {
        let mut line = [0; LINE];
        let read = self.statm.as_ref()?.read_at(&mut line, 0).ok()?;
        let text = std::str::from_utf8(line.get(..read)?).ok()?;
        let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
        Some(pages * rustix::param::page_size() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_the_kernel_says() {
        let process = Process::new();
        let (memory, descriptors) = (process.memory(), process.descriptors());
        let resident = descriptors::resident().unwrap();
        assert!(memory.resident_bytes.abs_diff(resident) < 64 << 20, "{memory:?}, {resident}");
        assert!(memory.allocated_bytes > 0);
        assert!(descriptors.used > 3 && descriptors.used <= descriptors.most.unwrap());
    }
}
