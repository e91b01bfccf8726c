//! A name that connections are counted under.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use super::counts::Counts;
use super::totals::Totals;
use crate::histogram::Snapshot;

/// A name that connections are counted under: of a route, a target, a listener, a pool. Clones are the same, and cost a step of a
/// count; it reads as the name. Two are equal if their names are; [`is`](Self::is) tells whether they count together.
#[derive(Clone)]
pub struct Tally(Arc<Inner>);

struct Inner {
    name: Box<str>,
    counts: Counting,
}

enum Counting {
    Own(Counts),
    /// What has this name is counted with that.
    With(Tally),
}

impl Tally {
    /// A name under which nothing is counted yet. It takes no memory for counts before something is.
    #[must_use]
    pub fn new(name: impl Into<Box<str>>) -> Self {
        Self(Arc::new(Inner { name: name.into(), counts: Counting::Own(Counts::default()) }))
    }

    /// Another name of the same: what has it is counted with this one.
    #[must_use]
    pub fn called(&self, name: impl Into<Box<str>>) -> Self {
        Self(Arc::new(Inner { name: name.into(), counts: Counting::With(self.clone()) }))
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether connections are counted together under both.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.key() == other.key()
    }

    /// What was counted.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.counts().totals()
    }

    /// How long those that have ended took from their route to their backend, waits for a place left out, in microseconds.
    #[must_use]
    pub fn dial(&self) -> Snapshot {
        self.counts().dial()
    }

    /// How long those that have ended waited for the backend's first byte, in microseconds: from the client's first words on, or from
    /// when they had the backend, if that spoke first.
    #[must_use]
    pub fn first_byte(&self) -> Snapshot {
        self.counts().first_byte()
    }

    /// How long those that have ended were open, in milliseconds.
    #[must_use]
    pub fn lifetime(&self) -> Snapshot {
        self.counts().lifetime()
    }

    pub(crate) fn counts(&self) -> &Counts {
        match &self.0.counts {
            Counting::Own(counts) => counts,
            Counting::With(other) => other.counts(),
        }
    }

    /// What tells apart those that do not count together.
    pub(crate) fn key(&self) -> usize {
        std::ptr::from_ref(self.counts()).addr()
    }
}

impl Deref for Tally {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0.name
    }
}

impl Borrow<str> for Tally {
    fn borrow(&self) -> &str {
        self
    }
}

impl AsRef<str> for Tally {
    fn as_ref(&self) -> &str {
        self
    }
}

impl From<&str> for Tally {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl From<String> for Tally {
    fn from(name: String) -> Self {
        Self::new(name)
    }
}

impl From<Arc<str>> for Tally {
    fn from(name: Arc<str>) -> Self {
        Self::new(&*name)
    }
}

impl PartialEq for Tally {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Tally {}

impl Hash for Tally {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl PartialOrd for Tally {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Tally {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
