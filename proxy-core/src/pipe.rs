//! Pipes for `splice(2)`: bytes go from socket to socket without being copied through this process.
//!
//! A pipe is borrowed when a large flow has bytes and given back when all of them are sent, so an idle connection holds
//! none. There is a bound on how many there are in the process ([`at_most`]); who gets none copies through a buffer.
//!
//! - A pipe that still has bytes in it is closed when it is let go of, never lent again: its bytes are somebody's.
//! - A pipe is always empty before it is filled, so `EAGAIN` while filling can only be the source's.
//! - Where the kernel grants less than [`SIZE`] (it shrinks the pipes of users who have many, pipe(7)), there is none, and
//!   it is not asked again soon: that costs as much as what a pipe saves.
//! - Where the kernel does not splice at all (a sandbox forbids it), nobody gets a pipe from then on; see [`take_refusal`].
//!
//! A splice into a socket whose peer has gone raises `SIGPIPE`, which Rust programs ignore from their start; a host that does
//! not has to.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

/// A socket whose bytes can be moved through a [`Pipe`].
pub trait Splice {
    /// Moves what has come into `pipe`, which is empty; 0 is the peer's end, and None says that it has to be read instead.
    /// Cancel-safe.
    fn poll_splice_into(&self, cx: &mut Context<'_>, pipe: &mut Pipe) -> Poll<io::Result<Option<usize>>>;

    /// Sends from `pipe`, which is not empty, as much as is accepted at once; None says that its bytes have to be written
    /// instead. Cancel-safe.
    fn poll_splice_from(&self, cx: &mut Context<'_>, pipe: &mut Pipe) -> Poll<io::Result<Option<usize>>>;
}

/// The socket of a stream that is none, or is more than one. There is no value of it.
#[derive(Debug, Clone, Copy)]
pub struct NoSplice(Infallible);

impl Splice for NoSplice {
    fn poll_splice_into(&self, _: &mut Context<'_>, _: &mut Pipe) -> Poll<io::Result<Option<usize>>> {
        match self.0 {}
    }

    fn poll_splice_from(&self, _: &mut Context<'_>, _: &mut Pipe) -> Poll<io::Result<Option<usize>>> {
        match self.0 {}
    }
}

/// Bytes that a pipe is made for: 64 pages. With the kernel's own 16 a call moves a quarter as much; with more than this
/// the source's window is the limit (see `docs/performance.md`).
pub const SIZE: usize = 256 * 1024;

/// Pipes that a thread keeps for the next one that needs some.
const KEPT: usize = 8;

/// Borrowings that get nothing, after the kernel has refused one, until it is asked again: some 64 MiB of a flow.
const UNASKED: u16 = 1000;

/// Pipes in this process, whether lent or kept.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// How many there may be. The default suits a process of which nobody has said how many descriptors it may have.
static MOST: AtomicUsize = AtomicUsize::new(64);

/// Why the kernel does not splice: an error number; 0 while it does.
static REFUSED: AtomicI32 = AtomicI32::new(0);

/// The same, until somebody has asked.
static UNTOLD: AtomicI32 = AtomicI32::new(0);

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { kept: Vec::new(), lent: false, unasked: 0 }) };
}

/// What a thread keeps.
struct Pool {
    kept: Vec<Ends>,
    /// Whether one was lent since the last [`release_idle`].
    lent: bool,
    /// How often more the kernel is not asked for a new one.
    unasked: u16,
}

impl Pool {
    /// A kept pipe, or else a new one that `open` makes, unless it failed a short while ago.
    fn lend(&mut self, open: impl FnOnce(Place) -> Option<Ends>) -> Option<Ends> {
        self.lent = true;
        if let Some(ends) = self.kept.pop() {
            return Some(ends);
        }
        if self.unasked > 0 {
            self.unasked -= 1;
            return None;
        }
        let ends = open(Place::take()?);
        if ends.is_none() {
            self.unasked = UNASKED;
        }
        ends
    }
}

/// A place among the pipes that may be open: a count is a guard.
#[derive(Debug)]
struct Place;

impl Place {
    fn take() -> Option<Self> {
        let most = MOST.load(Ordering::Relaxed);
        let one_more = |open| (open < most).then_some(open + 1);
        OPEN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok().then(|| Self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An open pipe.
#[derive(Debug)]
struct Ends {
    read: OwnedFd,
    write: OwnedFd,
    _place: Place,
}

impl Ends {
    /// Makes a pipe, where the kernel grants all of it.
    fn open(place: Place) -> Option<Self> {
        let (read, write) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).ok()?;
        let granted = fcntl_setpipe_size(&write, SIZE).ok()?;
        (granted >= SIZE).then_some(Self { read, write, _place: place })
    }
}

/// Sets how many pipes (of two descriptors each) the process may have. Those that are open stay.
pub fn at_most(pipes: usize) {
    MOST.store(pipes, Ordering::Relaxed);
}

/// How many pipes the process has open, whether lent or kept.
#[must_use]
pub fn open() -> usize {
    OPEN.load(Ordering::Relaxed)
}

/// Closes the pipes that this thread keeps, if it has lent none since this was last called. For whoever owns the thread to
/// call now and then; without that a thread keeps at most eight.
pub fn release_idle() {
    POOL.with_borrow_mut(|pool| {
        if !std::mem::take(&mut pool.lent) {
            pool.kept = Vec::new();
        }
    });
}

/// Why this process does not splice any more, if the kernel has refused to since this was last called: to be reported
/// to an operator. From then on large flows are copied, and nothing else changes.
#[must_use]
pub fn take_refusal() -> Option<io::Error> {
    let errno = UNTOLD.swap(0, Ordering::Relaxed);
    (errno != 0).then(|| io::Error::from_raw_os_error(errno))
}

/// Whether a splice that failed with `error` says nothing of the connection, so that its bytes can be copied instead. One
/// that is not permitted, or that this kernel does not have, is not tried again by anybody.
pub(crate) fn is_refusal(error: Errno) -> bool {
    match error {
        // Ordinary answers, and what becomes of connections (tcp(7), ip(7)).
        Errno::AGAIN
        | Errno::INTR
        | Errno::CONNRESET
        | Errno::CONNABORTED
        | Errno::PIPE
        | Errno::TIMEDOUT
        | Errno::NOTCONN
        | Errno::HOSTUNREACH
        | Errno::NETUNREACH
        | Errno::HOSTDOWN
        | Errno::NETDOWN => false,
        Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP | Errno::NOSYS => {
            let errno = error.raw_os_error();
            if REFUSED.swap(errno, Ordering::Relaxed) == 0 {
                UNTOLD.store(errno, Ordering::Relaxed);
            }
            true
        }
        _ => true,
    }
}

/// A borrowed pipe. Dropped, it goes back to this thread's pool if it is empty, and is closed if it is not.
#[derive(Debug)]
pub struct Pipe {
    /// None only while it is being dropped.
    ends: Option<Ends>,
    held: usize,
}

impl Pipe {
    /// An empty pipe; None where there are as many as may be, or the kernel has none to give or does not splice.
    pub(crate) fn borrow() -> Option<Self> {
        if REFUSED.load(Ordering::Relaxed) != 0 {
            return None;
        }
        let ends = POOL.with_borrow_mut(|pool| pool.lend(Ends::open))?;
        Some(Self { ends: Some(ends), held: 0 })
    }

    /// Bytes in it.
    pub(crate) const fn held(&self) -> usize {
        self.held
    }

    /// Moves what `from` has into the pipe, which must be empty; 0 is its end.
    pub(crate) fn fill(&mut self, from: BorrowedFd<'_>) -> rustix::io::Result<usize> {
        debug_assert_eq!(self.held, 0, "EAGAIN must mean the source");
        let Some(ends) = &self.ends else { return Ok(0) };
        let n = splice(from, None, &ends.write, None, SIZE, SpliceFlags::MOVE | SpliceFlags::NONBLOCK)?;
        self.held += n;
        Ok(n)
    }

    /// Moves what `to` accepts out of the pipe, which must not be empty.
    pub(crate) fn drain(&mut self, to: BorrowedFd<'_>) -> rustix::io::Result<usize> {
        let Some(ends) = &self.ends else { return Ok(0) };
        let n = splice(&ends.read, None, to, None, self.held, SpliceFlags::MOVE | SpliceFlags::NONBLOCK)?;
        self.held -= n.min(self.held);
        Ok(n)
    }

    /// Reads all that is in the pipe: for whoever cannot drain it into a socket.
    ///
    /// # Errors
    /// What the kernel says; what was read until then is lost.
    pub(crate) fn unload(&mut self) -> io::Result<Vec<u8>> {
        let Some(ends) = &self.ends else { return Ok(Vec::new()) };
        let (mut bytes, mut at) = (vec![0; self.held], 0);
        while let Some(room) = bytes.get_mut(at..).filter(|room| !room.is_empty()) {
            match rustix::io::read(&ends.read, room) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => at += n,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.held = 0;
        Ok(bytes)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        if self.held > 0 {
            return;
        }
        let Some(ends) = self.ends.take() else { return };
        // Fails where the thread is ending and its pool has gone: then the pipe goes, too.
        let kept = POOL.try_with(|pool| {
            let mut pool = pool.borrow_mut();
            if pool.kept.len() < KEPT {
                pool.kept.push(ends);
            }
        });
        kept.unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    /// The pool is this thread's, and each test has a thread; the count of open pipes is the process's.
    static ALONE: parking_lot::Mutex<()> = parking_lot::Mutex::new(());

    #[test]
    fn an_empty_pipe_is_lent_again_and_one_with_bytes_is_closed() {
        let _alone = ALONE.lock();
        let (mut far, near) = UnixStream::pair().unwrap();
        let before = open();
        let mut pipe = Pipe::borrow().unwrap();
        assert_eq!(open(), before + 1);
        far.write_all(b"hello").unwrap();
        assert_eq!((pipe.fill(near.as_fd()).unwrap(), pipe.held()), (5, 5));
        assert_eq!((pipe.drain(near.as_fd()).unwrap(), pipe.held()), (5, 0));
        let mut back = [0; 5];
        far.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"hello");
        drop(pipe);
        assert_eq!(open(), before + 1, "kept");
        let mut again = Pipe::borrow().unwrap();
        assert_eq!(open(), before + 1, "lent again");
        far.write_all(b"left over").unwrap();
        again.fill(near.as_fd()).unwrap();
        drop(again);
        assert_eq!(open(), before, "a dirty pipe is closed");
    }

    #[test]
    fn there_are_no_more_than_may_be() {
        let _alone = ALONE.lock();
        let most = MOST.load(Ordering::Relaxed);
        at_most(open() + 2);
        let pipes: Vec<_> = std::iter::from_fn(Pipe::borrow).take(5).collect();
        assert_eq!(pipes.len(), 2);
        drop(pipes);
        at_most(most);
        release_idle();
    }

    #[test]
    fn what_was_not_lent_since_the_last_call_is_released() {
        let _alone = ALONE.lock();
        let before = open();
        drop(Pipe::borrow().unwrap());
        release_idle();
        assert_eq!(open(), before + 1, "it was lent since");
        release_idle();
        assert_eq!(open(), before);
    }

    #[test]
    fn a_kernel_that_refuses_is_not_asked_each_time() {
        let _alone = ALONE.lock();
        let (mut pool, mut asked) = (Pool { kept: Vec::new(), lent: false, unasked: 0 }, 0);
        for _ in 0..=UNASKED + 1 {
            let refuse = |_| {
                asked += 1;
                None
            };
            assert!(pool.lend(refuse).is_none());
        }
        assert_eq!(asked, 2);
        pool.unasked = 0;
        assert!(pool.lend(Ends::open).is_some());
    }
}
