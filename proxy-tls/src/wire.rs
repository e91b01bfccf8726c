//! A buffer a thread for what goes over the wire: read into it before it is decrypted, written from it after it was encrypted.

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
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(empty());
    /// The same for TLS inside of TLS: a client's within that of a hop.
    static INSIDE: RefCell<Box<[u8]>> = RefCell::new(empty());
}

fn empty() -> Box<[u8]> {
    vec![0; SIZE].into_boxed_slice()
}

/// Lends a buffer of the thread to `f`. It calls nothing but the read or the write of the stream below, which may come back here once
/// where that speaks TLS, too.
pub(crate) fn with<R>(f: impl FnOnce(&mut [u8]) -> R) -> R {
    BUFFER.with(|buffer| match buffer.try_borrow_mut() {
        Ok(mut buffer) => f(&mut buffer),
        Err(_) => INSIDE.with(|inside| match inside.try_borrow_mut() {
            Ok(mut inside) => f(&mut inside),
            // Deeper than any proxy here nests it.
            Err(_) => f(&mut empty()),
        }),
    })
}
