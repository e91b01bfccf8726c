//! The leaky proxy's table and counts.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use proxy_conn::Phase;
use proxy_core::Side;
use proxy_core::relay::{Due, Meter};
use tokio::time::Instant;

use crate::laws::{Entry, Levels};

/// All that it knows of its connections.
#[derive(Debug, Default)]
pub(super) struct Books(Mutex<Pages>);

#[derive(Default)]
struct Pages {
    entries: BTreeMap<u64, Line>,
    opened: u64,
    ended: u64,
    places: usize,
    paths: Vec<(String, Vec<Phase>)>,
    buried: Vec<Box<dyn Any + Send>>,
}

#[derive(Debug)]
struct Line {
    phases: Vec<Phase>,
    deadline: Instant,
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entries, opened, ended, places, .. } = self;
        write!(f, "{entries:?}, {opened} opened, {ended} ended, {places} places")
    }
}

impl Books {
    pub(super) fn open(books: &Arc<Self>, lifetime: Duration) -> Account {
        let mut pages = books.0.lock();
        pages.opened += 1;
        let id = pages.opened;
        let line = Line { phases: Vec::new(), deadline: Instant::now() + lifetime };
        pages.entries.insert(id, line);
        Account { books: Arc::clone(books), id, fate: Mutex::new(Fate::Leaves) }
    }

    pub(super) fn place(books: &Arc<Self>) -> Place {
        books.take_place();
        Place(Arc::clone(books))
    }

    pub(super) fn take_place(&self) {
        self.0.lock().places += 1;
    }

    pub(super) fn give_place(&self) {
        self.0.lock().places -= 1;
    }

    /// Keeps something for good.
    pub(super) fn bury(&self, thing: impl Any + Send) {
        self.0.lock().buried.push(Box::new(thing));
    }

    pub(super) fn levels(&self) -> Levels {
        let pages = self.0.lock();
        Levels {
            tracked: pages.entries.len(),
            opened: pages.opened,
            ended: pages.ended,
            counts: vec![("places".into(), pages.places)],
            ..Levels::default()
        }
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        let now = Instant::now();
        let entry = |(id, line): (&u64, &Line)| Entry {
            name: id.to_string(),
            phase: line.phases.last().map_or("header".into(), ToString::to_string),
            overdue: now.saturating_duration_since(line.deadline),
        };
        self.0.lock().entries.iter().map(entry).collect()
    }

    pub(super) fn take_paths(&self) -> Vec<(String, Vec<Phase>)> {
        std::mem::take(&mut self.0.lock().paths)
    }
}

/// A place that is given back when it is dropped.
pub(super) struct Place(Arc<Books>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.give_place();
    }
}

/// What becomes of an entry when its account is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Leaves,
    LeavesUncounted,
    Stays,
}

/// A connection's entry, for as long as this is kept.
#[derive(Debug)]
pub(super) struct Account {
    books: Arc<Books>,
    id: u64,
    fate: Mutex<Fate>,
}

impl Account {
    pub(super) fn enter(&self, phase: Phase, bound: Duration) {
        self.line(|line| {
            line.phases.push(phase);
            line.deadline = Instant::now() + bound;
        });
    }

    /// Nobody will take it out, and nothing watches over it any more.
    pub(super) fn forget(&self) {
        *self.fate.lock() = Fate::Stays;
        self.line(|line| line.deadline += super::LIFETIME);
    }

    pub(super) fn end_uncounted(&self) {
        *self.fate.lock() = Fate::LeavesUncounted;
    }

    fn line(&self, change: impl FnOnce(&mut Line)) {
        if let Some(line) = self.books.0.lock().entries.get_mut(&self.id) {
            change(line);
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let (fate, mut pages) = (*self.fate.get_mut(), self.books.0.lock());
        if fate == Fate::Leaves {
            pages.ended += 1;
        }
        if fate != Fate::Stays
            && let Some(line) = pages.entries.remove(&self.id)
        {
            pages.paths.push((self.id.to_string(), line.phases));
        }
    }
}

/// An honest account has the relay's deadlines.
impl Meter for Account {
    fn moved(&self, _: Side, _: u64, _: Instant) {}

    fn half_closed(&self, _: Side, _: Instant) {
        self.line(|line| line.phases.push(Phase::Drain));
    }

    fn deadline(&self, due: &Due) {
        self.line(|line| line.deadline = due.nearest().0);
    }
}

/// An account whose relay has no deadline after an end, though its connection has one.
pub(super) struct Unheeded<'a> {
    pub(super) account: &'a Account,
    pub(super) half_closed: Duration,
}

impl Meter for Unheeded<'_> {
    fn moved(&self, _: Side, _: u64, now: Instant) {
        self.account.line(|line| {
            if line.phases.last() == Some(&Phase::Drain) {
                line.deadline = now + self.half_closed;
            }
        });
    }

    fn half_closed(&self, side: Side, now: Instant) {
        self.account.half_closed(side, now);
        self.account.line(|line| line.deadline = now + self.half_closed);
    }

    fn deadline(&self, _: &Due) {}
}
