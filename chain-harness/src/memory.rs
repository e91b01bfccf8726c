//! What this process has allocated: for tests whose binary uses [`Counting`] as its global allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    // Without a destructor, so that it may be used until the thread's last breath.
    static BY_THIS_THREAD: Cell<usize> = const { Cell::new(0) };
    static CALLS_BY_THIS_THREAD: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, with every byte counted.
///
/// ```ignore
/// #[global_allocator]
/// static COUNTING: chain_harness::Counting = chain_harness::Counting;
/// ```
#[derive(Debug)]
pub struct Counting;

#[expect(unsafe_code, reason = "an allocator is unsafe to implement; this one counts and hands on")]
// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        BY_THIS_THREAD.set(BY_THIS_THREAD.get().wrapping_add(layout.size()));
        CALLS_BY_THIS_THREAD.set(CALLS_BY_THIS_THREAD.get().wrapping_add(1));
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        BY_THIS_THREAD.set(BY_THIS_THREAD.get().wrapping_sub(layout.size()));
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// Bytes that are allocated now; 0 for ever where [`Counting`] is not the global allocator.
#[must_use]
pub fn allocated() -> usize {
    ALLOCATED.load(Ordering::Relaxed)
}

/// The same of this thread alone, on which a simulated world lives: what it has allocated less what it has freed.
#[must_use]
pub fn allocated_by_this_thread() -> usize {
    BY_THIS_THREAD.get()
}

/// How often this thread has allocated.
#[must_use]
pub fn allocations_by_this_thread() -> usize {
    CALLS_BY_THIS_THREAD.get()
}
