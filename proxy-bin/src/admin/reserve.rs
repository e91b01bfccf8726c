//! Descriptors kept back, so that the API can be asked when there are no others: that is when it is needed most.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use parking_lot::Mutex;

/// Descriptors that are open for no other use than to be closed. Cheap to clone; clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Reserve(Arc<Mutex<Kept>>);

/// What is kept.
#[derive(Debug, Default)]
struct Kept {
    /// How many connections can be served at a time while there is no descriptor to be had.
    most: usize,
    files: Vec<File>,
    /// Never lent: what comes back is made another one of it.
    spare: Option<File>,
}

/// A descriptor of the reserve that was closed. Dropped, the reserve takes one back, if it is to be had.
#[derive(Debug)]
pub(super) struct Lent(Reserve);

impl Reserve {
    /// `most`, or as many as there are to be had.
    pub(super) fn new(most: usize) -> Self {
        let reserve = Self(Arc::new(Mutex::new(Kept { most, ..Kept::default() })));
        reserve.refill();
        reserve
    }

    /// Takes back what is missing, if it is to be had.
    pub(super) fn refill(&self) {
        let mut kept = self.0.lock();
        while kept.files.len() < kept.most || kept.spare.is_none() {
            let Ok(file) = File::open("/dev/null") else { return };
            if kept.spare.is_none() {
                kept.spare = Some(file);
            } else {
                kept.files.push(file);
            }
        }
    }

    /// Closes one. None where all are lent.
    pub(super) fn lend(&self) -> Option<Lent> {
        let closed = self.0.lock().files.pop();
        closed.map(|_| Lent(self.clone()))
    }
}

impl Lent {
    /// Takes the descriptor of `socket` back, which is closed: in one step, so that nobody else who waits for one gets it.
    pub(super) fn give_back(self, mut socket: OwnedFd) -> io::Result<()> {
        let mut kept = self.0.0.lock();
        if let Some(spare) = &kept.spare {
            rustix::io::dup2(spare, &mut socket)?;
            kept.files.push(socket.into());
        }
        Ok(())
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.0.refill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lent_comes_back() {
        let reserve = Reserve::new(3);
        let lent: Vec<_> = std::iter::from_fn(|| reserve.lend()).collect();
        assert_eq!(lent.len(), 3);
        drop(lent);
        assert_eq!(reserve.0.lock().files.len(), 3);
    }
}
