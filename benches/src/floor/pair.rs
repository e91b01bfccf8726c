//! Two sockets and what is between them.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with, splice};

/// As much as is spliced at once: a pipe's default size.
const SPLICED: usize = 64 * 1024;

/// Empty pipes that are not in use.
pub(super) type Pipes = Vec<(OwnedFd, OwnedFd)>;

pub(super) struct Pair {
    /// The client's and the backend's; None once closed.
    sockets: Option<[OwnedFd; 2]>,
    /// What comes from each.
    lanes: [Lane; 2],
}

#[derive(Default)]
struct Lane {
    /// What the other side did not take.
    pending: Vec<u8>,
    /// Bulk goes through here.
    pipe: Option<(OwnedFd, OwnedFd)>,
    in_pipe: usize,
    /// It has filled the buffer once.
    bulk: bool,
    ended: bool,
    /// The sink knows of the end.
    told: bool,
}

enum Moved {
    /// For now, nothing more: the source has nothing, or the sink takes nothing.
    Enough,
    /// The source has ended, and everything is delivered.
    End,
    /// There may be more.
    More,
}

impl Pair {
    pub(super) fn new(client: OwnedFd, backend: OwnedFd) -> Self {
        Self { sockets: Some([client, backend]), lanes: [Lane::default(), Lane::default()] }
    }

    pub(super) const fn is_open(&self) -> bool {
        self.sockets.is_some()
    }

    pub(super) fn close(&mut self) {
        *self = Self { sockets: None, lanes: [Lane::default(), Lane::default()] };
    }

    /// Does what can be done after something happened on `side`; false once the pair is over.
    pub(super) fn serve(
        &mut self,
        side: usize,
        ended: bool,
        buffer: &mut [u8],
        pipes: &mut Pipes,
    ) -> io::Result<bool> {
        let Some([client, backend]) = &self.sockets else { return Ok(false) };
        let [up, down] = &mut self.lanes;
        // What came from this side goes first; what waits for it to take more comes after.
        let (own, other) = if side == 0 { (&mut *up, &mut *down) } else { (&mut *down, &mut *up) };
        let (here, there) = if side == 0 { (client, backend) } else { (backend, client) };
        own.run(here, there, ended, buffer, pipes)?;
        if other.waits() {
            other.run(there, here, false, buffer, pipes)?;
        }
        if up.ended && down.ended {
            return Ok(false);
        }
        for (lane, to) in [(up, backend), (down, client)] {
            if lane.ended && !lane.told {
                lane.told = true;
                shutdown(to, Shutdown::Write)?;
            }
        }
        Ok(true)
    }
}

impl Lane {
    fn waits(&self) -> bool {
        !self.pending.is_empty() || self.in_pipe > 0
    }

    fn run(
        &mut self,
        from: &OwnedFd,
        to: &OwnedFd,
        ending: bool,
        buffer: &mut [u8],
        pipes: &mut Pipes,
    ) -> io::Result<()> {
        while !self.ended {
            if self.bulk && self.pending.is_empty() && self.pipe.is_none() {
                self.pipe = Some(pipe(pipes)?);
            }
            let moved = match self.pipe {
                Some(_) => self.splice(from, to)?,
                None => self.copy(from, to, ending, buffer)?,
            };
            match moved {
                Moved::More => {}
                Moved::End => self.ended = true,
                Moved::Enough => break,
            }
        }
        if self.in_pipe == 0
            && let Some(pipe) = self.pipe.take()
        {
            pipes.push(pipe);
        }
        Ok(())
    }

    fn copy(&mut self, from: &OwnedFd, to: &OwnedFd, ending: bool, buffer: &mut [u8]) -> io::Result<Moved> {
        if !self.pending.is_empty() {
            let Some(n) = now(send(to, &self.pending, SendFlags::NOSIGNAL))? else {
                return Ok(Moved::Enough);
            };
            self.pending.drain(..n);
            return Ok(if self.pending.is_empty() { Moved::More } else { Moved::Enough });
        }
        let read = now(recv(from, &mut *buffer, RecvFlags::empty()).map(|(n, _)| n))?;
        let n = match read {
            None => return Ok(Moved::Enough),
            Some(0) => return Ok(Moved::End),
            Some(n) => n,
        };
        let bytes = buffer.get(..n).unwrap_or_default();
        let sent = now(send(to, bytes, SendFlags::NOSIGNAL))?.unwrap_or(0);
        self.pending.extend_from_slice(bytes.get(sent..).unwrap_or_default());
        self.bulk |= n == buffer.len();
        let more = (self.bulk || ending) && self.pending.is_empty();
        Ok(if more { Moved::More } else { Moved::Enough })
    }

    fn splice(&mut self, from: &OwnedFd, to: &OwnedFd) -> io::Result<Moved> {
        let Some((out, into)) = &self.pipe else { return Ok(Moved::Enough) };
        if self.in_pipe == 0 {
            match now(splice(from, None, into, None, SPLICED, SpliceFlags::NONBLOCK))? {
                None => return Ok(Moved::Enough),
                Some(0) => return Ok(Moved::End),
                Some(n) => self.in_pipe = n,
            }
        }
        match now(splice(out, None, to, None, self.in_pipe, SpliceFlags::NONBLOCK))? {
            None => Ok(Moved::Enough),
            Some(n) => {
                self.in_pipe -= n;
                Ok(Moved::More)
            }
        }
    }
}

fn pipe(pipes: &mut Pipes) -> io::Result<(OwnedFd, OwnedFd)> {
    match pipes.pop() {
        Some(pipe) => Ok(pipe),
        None => Ok(pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?),
    }
}

/// None where it can not be done now.
fn now(outcome: Result<usize, Errno>) -> io::Result<Option<usize>> {
    match outcome {
        Ok(n) => Ok(Some(n)),
        Err(Errno::AGAIN) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
