//! What the allocator has and does not need.

/// Gives memory that was freed back to the kernel: a crowd of connections that has gone leaves pages behind that the C
/// library would keep for the next one. Takes milliseconds for tens of megabytes: not for a worker's thread.
///
/// It is the C library's (`malloc_trim(3)`); with another allocator it does nothing.
pub fn release() {
    crate::sys::trim();
}

/// Has the allocator keep at most half a MiB that is free at the end of a heap, of which each thread may have one. Else that
/// bound grows with the largest block that was ever given back, and [`release`] cannot reach it in the heaps of other
/// threads. To be called once, before there are any; it is a matter of the whole process.
///
/// Less than half a MiB would be given back and asked for again between any two batches of connections.
pub fn retain_little() {
    const MOST: i32 = 512 * 1024;
    crate::sys::retain_at_most(MOST);
}

/// Bytes that are allocated and in use, as the C library counts (`mallinfo2(3)`): what the program holds, where resident
/// memory is what the kernel has given it. None with another allocator. It locks each of the allocator's arenas for a
/// moment: once a second is often enough.
#[must_use]
pub fn allocated() -> Option<u64> {
    crate::sys::allocated()
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_held_is_counted_and_what_is_given_back_is_not() {
        const HELD: u64 = 64 << 20;
        let Some(before) = super::allocated() else { return };
        let held = vec![1_u8; 64 << 20];
        let with = super::allocated().unwrap_or_default();
        assert!(with >= before + HELD / 2, "{before} bytes before, {with} with {}", held.len());
        drop(held);
        let after = super::allocated().unwrap_or_default();
        assert!(after <= with - HELD / 2, "{with} bytes with it, {after} without");
    }
}
