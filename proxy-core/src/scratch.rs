//! One buffer a thread, borrowed while a socket is read: a connection that is idle holds none.

use std::cell::RefCell;

/// 64 KiB: what one read of a busy loopback or 10 GbE socket returns at most usefully; larger gains nothing measurable,
/// smaller costs a system call more per window.
pub const SIZE: usize = 64 * 1024;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SIZE].into_boxed_slice());
}

/// Lends the thread's buffer to `f`. It must not be borrowed twice: `f` is never asynchronous and calls no code of others
/// that reads through here.
pub fn with<R>(f: impl FnOnce(&mut [u8]) -> R) -> R {
    BUFFER.with_borrow_mut(|buffer| f(buffer))
}
