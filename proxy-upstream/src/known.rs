//! What is known of the names of a group, from one configuration to the next.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::discovery::{Discovery, Found, NameOptions};

/// What is known of a name that stands for members.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Known {
    /// Its members, by the last answer that had any; None where there was none yet.
    pub found: Option<Arc<[Found]>>,
    /// When that answer came.
    pub found_at: Option<Instant>,
    /// Why there is no newer one; None where the last look-up had one.
    pub error: Option<Arc<str>>,
    /// When it was looked up last.
    pub looked_up_at: Option<Instant>,
}

/// The names of a group. Most groups have none: then it is a word.
#[derive(Debug, Default)]
#[expect(
    clippy::box_collection,
    reason = "one for each group and each route's list, and nearly all have none"
)]
pub(crate) struct Names(Mutex<Option<Box<HashMap<Discovery, Known>>>>);

impl Names {
    pub(crate) fn of(&self, name: &Discovery) -> Known {
        self.0.lock().as_ref().and_then(|names| names.get(name)).cloned().unwrap_or_default()
    }

    /// The members that are known of a name.
    pub(crate) fn found(&self, name: &Discovery) -> Option<Arc<[Found]>> {
        self.of(name).found
    }

    /// An answer has come; whether it is the first with members.
    pub(crate) fn found_to_be(&self, name: &Discovery, found: Arc<[Found]>, now: Instant) -> bool {
        self.note(name, |known| {
            (known.found_at, known.looked_up_at, known.error) = (Some(now), Some(now), None);
            known.found.replace(found).is_none()
        })
    }

    /// None has, or one without members: what was known holds.
    pub(crate) fn failed(&self, name: &Discovery, why: Arc<str>, now: Instant) {
        self.note(name, |known| (known.error, known.looked_up_at) = (Some(why), Some(now)));
    }

    /// Forgets all names but these.
    pub(crate) fn keep(&self, names: &[NameOptions]) {
        let mut all = self.0.lock();
        if let Some(known) = &mut *all {
            known.retain(|name, _| names.iter().any(|kept| kept.name == *name));
        }
        if all.as_ref().is_some_and(|known| known.is_empty()) {
            *all = None;
        }
    }

    fn note<T>(&self, name: &Discovery, note: impl FnOnce(&mut Known) -> T) -> T {
        let mut all = self.0.lock();
        note(all.get_or_insert_default().entry(name.clone()).or_default())
    }
}
