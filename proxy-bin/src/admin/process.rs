//! What the process uses.

use std::time::Duration;

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

    /// Its address space, in bytes.
    pub(super) fn virtual_bytes(&self) -> u64 {
        self.resident.as_ref().and_then(Resident::virtual_bytes).unwrap_or(0)
    }

    /// The most address space that it may have; -1 where there is no bound, as the standard exporters say it.
    pub(super) fn most_virtual_bytes(&self) -> i64 {
        let bound = rustix::process::getrlimit(rustix::process::Resource::As).current;
        bound.and_then(|bytes| i64::try_from(bytes).ok()).unwrap_or(-1)
    }

    /// Processor time that it has taken, in user and kernel mode.
    pub(super) fn cpu(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let part = |part: i64| u64::try_from(part).unwrap_or(0);
        Duration::from_secs(part(time.tv_sec)) + Duration::from_nanos(part(time.tv_nsec))
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
        assert!(process.virtual_bytes() > memory.resident_bytes && process.cpu() > Duration::ZERO);
        let most = process.most_virtual_bytes();
        assert!(
            most == -1 || u64::try_from(most).is_ok_and(|most| most >= process.virtual_bytes()),
            "{most}"
        );
        assert!(descriptors.used > 3 && descriptors.used <= descriptors.most.unwrap());
    }
}
