//! The groups of one generation that have a name of their own.

use std::collections::HashMap;
use std::sync::Arc;

use proxy_upstream::{Group, Unhealthy};

use super::Counted;
use crate::settings::{GroupConfig, Settings};

/// Groups by name. They are made with their generation; what is counted in them is kept under their names.
#[derive(Debug)]
pub(super) struct Groups {
    /// In the order of the configuration.
    all: Box<[Arc<Group>]>,
    places: HashMap<Arc<str>, usize>,
}

impl Groups {
    /// Those of `settings`. Nothing changes for members that are in force before [`take_force`](Self::take_force).
    pub(super) fn new(settings: &Settings, counted: &Counted, unhealthy: &Arc<Unhealthy>) -> Self {
        let group = |config: &Arc<GroupConfig>| {
            let (name, kept) = (Arc::clone(&config.name), counted.group(&config.name));
            let (known, members) = (kept.len(), config.members().iter().cloned());
            let group = Group::new(name, members, config.options.clone(), &kept, unhealthy).named();
            kept.set_aside(known);
            Arc::new(group)
        };
        let all: Box<[_]> = settings.groups.iter().map(group).collect();
        let places = all.iter().enumerate().map(|(at, group)| (Arc::clone(group.name()), at)).collect();
        Self { all, places }
    }

    /// Makes their members obey this generation's configuration.
    pub(super) fn take_force(&self) {
        self.all.iter().for_each(|group| group.take_force());
    }

    pub(super) fn named(&self, name: &str) -> Option<&Arc<Group>> {
        self.all.get(*self.places.get(name)?)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.all.iter()
    }
}

#[cfg(test)]
mod tests;
