//! Where a dial stands with its targets, and what failed so far.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use super::error::{DialErrorKind, FailedAttempt};
use crate::addr::{Endpoint, TargetAddr};

/// A target that is being tried.
pub(super) struct Standing<T> {
    /// Its place in the list.
    pub(super) nth: usize,
    /// Leave to dial it.
    pub(super) ticket: T,
    /// What its name stands for; None where it is no name, or that is not known yet.
    pub(super) addresses: Option<Arc<[IpAddr]>>,
    /// Addresses of it that have not failed.
    pub(super) left: usize,
    /// The last thing that it said: the place among what failed.
    said: Option<usize>,
}

/// The targets that are being tried, and what failed.
pub(super) struct Record<T> {
    pub(super) standing: SmallVec<[Standing<T>; 1]>,
    pub(super) failed: Vec<FailedAttempt>,
}

impl<T> Record<T> {
    pub(super) fn new() -> Self {
        Self { standing: SmallVec::new(), failed: Vec::new() }
    }

    /// A target may be dialled.
    pub(super) fn enter(&mut self, nth: usize, ticket: T) {
        self.standing.push(Standing { nth, ticket, addresses: None, left: 1, said: None });
    }

    pub(super) fn find(&mut self, nth: usize) -> Option<&mut Standing<T>> {
        self.standing.iter_mut().find(|standing| standing.nth == nth)
    }

    /// Takes a target out of those that are being tried.
    pub(super) fn take(&mut self, nth: usize) -> Option<Standing<T>> {
        let at = self.standing.iter().position(|standing| standing.nth == nth)?;
        Some(self.standing.remove(at))
    }

    /// Adds a failed attempt. The target, if that was the last of its addresses: it is being tried no more.
    pub(super) fn fail(&mut self, nth: usize, attempt: FailedAttempt) -> Option<Standing<T>> {
        self.failed.push(attempt);
        let said = self.failed.len() - 1;
        let standing = self.find(nth)?;
        standing.said = Some(said);
        standing.left = standing.left.saturating_sub(1);
        if standing.left == 0 { self.take(nth) } else { None }
    }

    /// Why a target failed: the last thing that it said.
    pub(super) fn why(&self, standing: &Standing<T>) -> Option<&DialErrorKind> {
        standing.said.and_then(|said| self.failed.get(said)).map(|attempt| &attempt.kind)
    }

    /// Adds what was not dialled at all, or was given no time to be.
    pub(super) fn note(&mut self, target: &TargetAddr, endpoint: Option<Endpoint>, kind: DialErrorKind) {
        self.failed.push(FailedAttempt { target: target.clone(), endpoint, elapsed: Duration::ZERO, kind });
    }
}
