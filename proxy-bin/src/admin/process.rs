//! What the process uses.

use proxy_core::process::memory;

use proxy_api::model::{Memory, Usage};
use proxy_dataplane::descriptors;
use proxy_dataplane::resident::Resident;

/// The process. It holds one descriptor, with which its memory is read.
#[derive(Debug)]
pub(super) struct Process {
    resident: Option<Resident>,
}

impl Process {
    pub(super) fn new() -> Self {
        Self { resident: Resident::new() }
    }

    /// Descriptors in use, and the most there may be.
    pub(super) fn descriptors(&self) -> Usage {
        Usage { used: descriptors::in_use(), most: Some(descriptors::limit()) }
    }

    /// Memory, resident and allocated. An allocator that does not count has allocated what is resident, for all one can say.
    pub(super) fn memory(&self) -> Memory {
        let resident_bytes = self.resident.as_ref().and_then(Resident::bytes).unwrap_or(0);
        Memory { resident_bytes, allocated_bytes: memory::allocated().unwrap_or(resident_bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_the_kernel_says() {
        let process = Process::new();
        let (memory, descriptors) = (process.memory(), process.descriptors());
        let resident = Resident::new().and_then(|resident| resident.bytes()).unwrap();
        assert!(memory.resident_bytes.abs_diff(resident) < 64 << 20, "{memory:?}, {resident}");
        assert!(memory.allocated_bytes > 0);
        assert!(descriptors.used > 3 && descriptors.used <= descriptors.most.unwrap());
    }
}
