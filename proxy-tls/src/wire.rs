//! One buffer a thread for what goes over the wire: read into it before it is decrypted, written from it after it was encrypted.

use std::cell::RefCell;

/// What is read or written at once: as much as a relay moves at once (64 KiB), and what the records around it take.
pub(crate) const SIZE: usize = PLAIN + 4 * OVERHEAD + RECORD;

/// What is encrypted at once, at most: four of the largest records.
pub(crate) const PLAIN: usize = 64 * 1024;

/// The largest record (RFC 8446, 5.2: 16 384 and 256 bytes behind 5; RFC 5246, 6.2.3: 2 048 more rather than 256).
pub(crate) const RECORD: usize = 5 + 16 * 1024 + 2048;

/// What a record takes beside its bytes, at most, in what is sent (TLS 1.2 with an explicit nonce: 5, 8 and 16).
const OVERHEAD: usize = 32;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SIZE].into_boxed_slice());
}

/// Lends the thread's buffer to `f`, which must not come back here: it calls nothing but a plain stream's read or write.
pub(crate) fn with<R>(f: impl FnOnce(&mut [u8]) -> R) -> R {
    BUFFER.with_borrow_mut(|buffer| f(buffer))
}
