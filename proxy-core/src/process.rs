//! What belongs to the whole process, or to one of its threads, and not to a connection.
//!
//! Everything else in this crate acts on the values that it is given. What is here acts on state that a process has once,
//! so a program that embeds the crate decides on it in one place, and a library above it had better leave it alone:
//!
//! - [`pipes`]: how many pipes large flows are spliced through, in all threads together;
//! - [`reactor`]: the `epoll` instance of this thread's sockets, made ahead of its first socket;
//! - [`memory`]: what the C library's allocator keeps, and gives back;
//! - [`activation`]: the sockets that this process was started with.
//!
//! None of it has to be called: without it, pipes are bounded by a default, a thread's reactor is made with its first socket,
//! and the allocator keeps what it likes. Two things are read once for the process and are not set here: the system's default
//! congestion control, when the first socket asks for it, and the buffer of 64 KiB that each thread reads through, which is
//! made by its first read.

pub mod activation;
pub mod memory;

/// How many pipes the process may splice large flows through, and how many it has.
pub mod pipes {
    #[doc(inline)]
    pub use crate::pipe::{SIZE, at_most, open, release_idle, take_refusal};
}

/// The reactor of this thread's sockets.
pub mod reactor {
    #[doc(inline)]
    pub use crate::reactor::{Opened, open};
}
