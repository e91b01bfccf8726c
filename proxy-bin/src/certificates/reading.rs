//! Reading many certificates: only what has changed, and with all cores where it is much.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;

use proxy_tls::Certificate;

use super::pair::{Looks, Pair, PairError};

/// From so many on that have to be read it is worth another thread: each takes about a tenth of a millisecond, as a thread does.
const A_THREADS: usize = 64;

/// The most threads: a start has the machine for itself, a look has not.
const MOST_THREADS: usize = 8;

/// A certificate as it was read.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) pair: Arc<Pair>,
    /// How the files looked before they were read: what is changed meanwhile is read again.
    looks: Looks,
    pub(super) certificate: Certificate,
}

impl Kept {
    /// Whether they are the same files, and look the same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.pair == other.pair && self.looks == other.looks
    }
}

/// What was read before, by its files.
pub(super) type Before<'k> = HashMap<&'k Pair, &'k Kept>;

/// Reads `pairs`, but for those that look as they did before.
pub(super) fn read(pairs: &[Pair], before: &Before<'_>) -> Vec<Result<Kept, PairError>> {
    let looked = pairs.iter().map(|pair| {
        let looks = pair.looks();
        let known = before.get(pair).filter(|kept| kept.looks == looks);
        known.map(|kept| Kept::clone(kept)).ok_or((pair, looks))
    });
    let looked: Vec<_> = looked.collect();
    let new: Vec<_> = looked.iter().filter_map(|one| one.as_ref().err()).collect();
    let mut new = read_new(&new).into_iter();
    let read = looked.into_iter().filter_map(|one| one.map_or_else(|_| new.next(), |kept| Some(Ok(kept))));
    read.collect()
}

/// Reads all of these, in their order.
fn read_new(new: &[&(&Pair, Looks)]) -> Vec<Result<Kept, PairError>> {
    let one = |(pair, looks): &(&Pair, Looks)| {
        let certificate = pair.read()?;
        Ok(Kept { pair: Arc::new(Pair::clone(pair)), looks: *looks, certificate })
    };
    let some = |new: &[&(&Pair, Looks)]| new.iter().map(|at| one(at)).collect::<Vec<_>>();
    let cores = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let threads = cores.min(new.len() / A_THREADS);
    if threads < 2 {
        return some(new);
    }
    thread::scope(|scope| {
        let parts = new.chunks(new.len().div_ceil(threads)).map(|part| scope.spawn(move || some(part)));
        let parts: Vec<_> = parts.collect();
        let read =
            parts.into_iter().map(|part| part.join().unwrap_or_else(|lost| std::panic::resume_unwind(lost)));
        read.flatten().collect()
    })
}
