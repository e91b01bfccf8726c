//! The certificates that one configuration asks for.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use proxy_tls::CertificateStore;

use super::registry::{Held, Registry, Set, Sets, Sources, read_sources};
use super::source::{Source, SourceError, Wanted};

/// The certificates that one configuration asks for, read beside those in force. Dropped, nothing has changed.
pub struct Selection {
    registry: Arc<Registry>,
    /// What was read; gone once it is in force, since from then on it changes.
    pending: Mutex<Pending>,
}

#[derive(Default)]
struct Pending {
    sources: Sources,
    wrong: HashMap<Source, Vec<SourceError>>,
    sets: Sets,
}

impl fmt::Debug for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Selection").field("registry", &self.registry).finish_non_exhaustive()
    }
}

impl Selection {
    /// Reads `sources`, but for what the registry has and that looks as it did. It may take its time where files are on another machine.
    #[must_use]
    pub fn read(registry: &Arc<Registry>, sources: &BTreeSet<Source>) -> Self {
        let mut pending = Pending::default();
        let before = registry.held(sources);
        for (source, read) in read_sources(sources.iter(), &before) {
            match read {
                Err(_) if matches!(source, Source::Obtained(_)) => {
                    // There was one, or none would be looked for: it stays, and its file is written again.
                    let held = before.get(&source).cloned();
                    pending.sources.extend(held.map(|held| (source, held)));
                }
                Ok(certificates) => {
                    let held = Held { certificates, trouble: None };
                    pending.sources.insert(source, Arc::new(held));
                }
                Err(wrong) => {
                    pending.wrong.insert(source, wrong.errors);
                }
            }
        }
        Self { registry: Arc::clone(registry), pending: Mutex::new(pending) }
    }

    /// Whose selection it is.
    #[must_use]
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// What of a source cannot be used; empty where all can.
    #[must_use]
    pub fn wrong(&self, source: &Source) -> Vec<SourceError> {
        self.pending.lock().wrong.get(source).cloned().unwrap_or_default()
    }

    /// The store for what is wanted, for a server of `routes`. A store that is in force goes on with what it has until this selection is
    /// put in force, and another one has its certificates at once.
    pub fn store(&self, wanted: Wanted, route: Arc<str>) -> Arc<CertificateStore> {
        let mut pending = self.pending.lock();
        let Pending { sources, sets, .. } = &mut *pending;
        if let Some(set) = sets.get_mut(&wanted) {
            set.routes.push(route);
            return Arc::clone(&set.store);
        }
        let in_force = self.registry.store(&wanted);
        let is_new = in_force.is_none();
        let set = Set { store: in_force.unwrap_or_default(), routes: vec![route] };
        if is_new {
            set.fill(&wanted, sources);
        }
        let store = Arc::clone(&set.store);
        sets.insert(wanted, set);
        store
    }

    /// From now on servers present these. Once; afterwards it does nothing.
    pub fn put_in_force(&self) {
        let Pending { sources, sets, .. } = std::mem::take(&mut *self.pending.lock());
        self.registry.replace(sources, sets);
    }
}
