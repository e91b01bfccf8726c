//! What the allocator has and does not need.

/// Gives memory that was freed back to the kernel: a crowd of connections that has gone leaves pages behind that the C
/// library would keep for the next one. Takes milliseconds for tens of megabytes: not for a worker's thread.
///
/// It is the C library's (`malloc_trim(3)`); with another allocator it does nothing.
pub fn release() {
    crate::sys::trim();
}
