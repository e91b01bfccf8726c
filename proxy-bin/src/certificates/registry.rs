//! What is presented at the moment, and how it is kept up to date.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use proxy_tls::{Certificate, CertificateStore, Certificates, TicketKeys};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::pair::Pair;
use super::reading::{Kept, read};
use super::source::{Source, SourceError, Wanted};
use super::standing::Standing;

/// For so long a folder in which something cannot be used is taken for one that somebody is writing to; then what can be used of it is
/// taken.
const WRITTEN_TO: Duration = Duration::from_secs(60);

/// The certificates that servers present, and where they come from. It outlives configurations: the next one takes over its stores, its
/// ticket keys, and what was read already.
#[derive(Default)]
pub struct Registry {
    tickets: TicketKeys,
    table: Mutex<Table>,
    /// Other sources are in force.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    /// How often it was replaced: a look at what was there before changes nothing.
    version: u64,
    sources: Sources,
    sets: Sets,
}

impl Table {
    /// The routes that present each source.
    fn routes(&self) -> HashMap<&Source, Vec<Arc<str>>> {
        let mut routes: HashMap<_, Vec<_>> = HashMap::new();
        for (wanted, set) in &self.sets {
            for source in &wanted.sources {
                routes.entry(source).or_default().extend(set.routes.iter().cloned());
            }
        }
        routes
    }
}

pub(super) type Sources = BTreeMap<Source, Arc<Held>>;
pub(super) type Sets = HashMap<Wanted, Set>;

/// What there is of a source.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) certificates: Vec<Kept>,
    pub(super) trouble: Option<Trouble>,
}

/// Why a source has something else than what is presented.
#[derive(Debug, Clone, PartialEq)]
pub struct Trouble {
    /// What cannot be used, and why: one at least.
    pub errors: Vec<SourceError>,
    /// Since when.
    pub since: Instant,
}

/// The certificates of one store.
#[derive(Debug, Clone)]
pub(super) struct Set {
    pub(super) store: Arc<CertificateStore>,
    /// The routes that are served with it.
    pub(super) routes: Vec<Arc<str>>,
}

impl Set {
    /// Has the store present what its sources have.
    pub(super) fn fill(&self, wanted: &Wanted, sources: &Sources) {
        let held = wanted.sources.iter().filter_map(|source| sources.get(source));
        let all: Vec<_> =
            held.flat_map(|held| held.certificates.iter().map(|kept| kept.certificate.clone())).collect();
        self.store.replace(Certificates::new(&all, wanted.default));
    }
}

/// What a look has found.
#[derive(Debug, Default)]
pub struct Seen {
    /// The sources whose certificates are others from now on, and how many of them are new.
    pub replaced: Vec<(Source, usize)>,
    /// Those that have begun to have something that cannot be used.
    pub failed: Vec<(Source, Vec<SourceError>)>,
    /// Those that can be used again, though nothing is new.
    pub mended: Vec<Source>,
}

/// A certificate that is presented.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Where it comes from, as the configuration names it.
    pub source: Source,
    /// Its files.
    pub pair: Arc<Pair>,
    /// Itself.
    pub certificate: Certificate,
    /// The routes that present it.
    pub routes: Vec<Arc<str>>,
}

/// What there is of a source, in short.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Which.
    pub source: Source,
    /// The routes that present it.
    pub routes: Vec<Arc<str>>,
    /// How many of its certificates stand how, and of each the one that ends first.
    pub standings: BTreeMap<Standing, (u64, Certificate)>,
    /// What of it cannot be used.
    pub trouble: Option<Trouble>,
}

impl fmt::Debug for Registry {
    /// With how many there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = self.table.lock();
        let (sources, sets) = (table.sources.len(), table.sets.len());
        f.debug_struct("Registry").field("sources", &sources).field("sets", &sets).finish_non_exhaustive()
    }
}

impl Registry {
    /// The keys of session tickets, the same for all servers and configurations.
    #[must_use]
    pub fn tickets(&self) -> &TicketKeys {
        &self.tickets
    }

    /// Resolves when other sources are in force. Cancel-safe.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Whether there are sources.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.lock().sources.is_empty()
    }

    /// The folders in which something happens when a source changes.
    #[must_use]
    pub fn folders(&self) -> Vec<PathBuf> {
        let table = self.table.lock();
        let mut folders: Vec<_> = table
            .sources
            .iter()
            .flat_map(|(source, held)| {
                let files = held.certificates.iter().flat_map(|kept| kept.pair.files());
                let of_files = files.filter_map(Path::parent).map(Path::to_path_buf);
                let itself = match source {
                    Source::Folder(folder) => Some(folder.clone()),
                    Source::Obtained(file) => file.parent().map(Path::to_path_buf),
                    Source::Files(_) => None,
                };
                of_files.chain(itself).collect::<Vec<_>>()
            })
            .collect();
        drop(table);
        folders.sort_unstable();
        folders.dedup();
        folders
    }

    /// How all sources stand at `now`, in their order.
    #[must_use]
    pub fn summaries(&self, now: SystemTime) -> Vec<Summary> {
        let table = self.table.lock();
        let routes = table.routes();
        let summary = |(source, held): (&Source, &Arc<Held>)| {
            let mut standings: BTreeMap<_, (u64, Certificate)> = BTreeMap::new();
            for Kept { certificate, .. } in &held.certificates {
                let standing = standings.entry(Standing::of(certificate, now));
                let (count, first) = standing.or_insert_with(|| (0, certificate.clone()));
                *count += 1;
                if certificate.not_after() < first.not_after() {
                    *first = certificate.clone();
                }
            }
            let routes = routes.get(source).cloned().unwrap_or_default();
            Summary { source: source.clone(), routes, standings, trouble: held.trouble.clone() }
        };
        table.sources.iter().map(summary).collect()
    }

    /// What is presented, in the order of the sources.
    #[must_use]
    pub fn listed(&self) -> Vec<Listed> {
        let table = self.table.lock();
        let routes = table.routes();
        let listed = table.sources.iter().flat_map(|(source, held)| {
            let routes = routes.get(source).cloned().unwrap_or_default();
            held.certificates.iter().map(move |kept| Listed {
                source: source.clone(),
                pair: Arc::clone(&kept.pair),
                certificate: kept.certificate.clone(),
                routes: routes.clone(),
            })
        });
        listed.collect()
    }

    /// What is wrong with sources, by source.
    #[must_use]
    pub fn troubles(&self) -> Vec<(Source, Trouble)> {
        let table = self.table.lock();
        let troubles = table.sources.iter().map(|(source, held)| (source.clone(), held.trouble.clone()));
        troubles.filter_map(|(source, trouble)| Some((source, trouble?))).collect()
    }

    /// Looks at all sources again and takes over what has changed, each source whole or not at all: while something in one cannot be used,
    /// what was presented stays. In a folder where that lasts (`WRITTEN_TO`) the rest is taken.
    ///
    /// It may take its time where files are on another machine; nothing waits for it meanwhile.
    pub fn look(&self, now: Instant) -> Seen {
        let (version, before) = {
            let table = self.table.lock();
            (table.version, table.sources.clone())
        };
        let mut seen = Seen::default();
        let mut looked = Sources::new();
        for (source, read) in read_sources(before.keys(), &before) {
            let Some(held) = before.get(&source) else { continue };
            let next = again(&source, held, read, now);
            note(&source, held, &next, &mut seen);
            looked.insert(source, Arc::new(next));
        }
        let mut table = self.table.lock();
        if table.version != version {
            // Others are in force by now, or somebody else has looked meanwhile.
            return Seen::default();
        }
        table.version += 1;
        table.sources = looked;
        let replaced: BTreeSet<_> = seen.replaced.iter().map(|(source, _)| source).collect();
        for (wanted, set) in &table.sets {
            if wanted.sources.iter().any(|source| replaced.contains(source)) {
                set.fill(wanted, &table.sources);
            }
        }
        seen
    }

    /// The store for what is wanted, where there is one.
    pub(super) fn store(&self, wanted: &Wanted) -> Option<Arc<CertificateStore>> {
        self.table.lock().sets.get(wanted).map(|set| Arc::clone(&set.store))
    }

    /// What there is of some sources.
    pub(super) fn held(&self, sources: &BTreeSet<Source>) -> Sources {
        let table = self.table.lock();
        let known = sources.iter().filter_map(|source| table.sources.get_key_value(source));
        known.map(|(source, held)| (source.clone(), Arc::clone(held))).collect()
    }

    /// From now on these.
    pub(super) fn replace(&self, sources: Sources, sets: Sets) {
        sets.iter().for_each(|(wanted, set)| set.fill(wanted, &sources));
        let mut table = self.table.lock();
        table.version += 1;
        table.sources = sources;
        table.sets = sets;
        drop(table);
        self.changed.notify_one();
    }
}

/// What of a source cannot be used.
pub(super) struct Wrong {
    pub(super) errors: Vec<SourceError>,
    /// All that can.
    pub(super) good: Vec<Kept>,
}

/// Reads sources of which there was this much before.
pub(super) fn read_sources<'s>(
    sources: impl Iterator<Item = &'s Source>,
    before: &Sources,
) -> Vec<(Source, Result<Vec<Kept>, Wrong>)> {
    let known = before.values().flat_map(|held| &held.certificates);
    let in_one = known.clone().filter(|kept| kept.pair.key.is_none());
    let in_one = in_one.map(|kept| &*kept.pair.certificate).collect();
    let listed: Vec<_> = sources.map(|source| (source, source.pairs(&in_one))).collect();
    let pairs: Vec<_> =
        listed.iter().filter_map(|(_, pairs)| pairs.as_ref().ok()).flatten().cloned().collect();
    let mut read = read(&pairs, &known.map(|kept| (&*kept.pair, kept)).collect()).into_iter();
    let mut one = |pairs: Vec<Pair>| {
        let (mut good, mut errors) = (Vec::with_capacity(pairs.len()), Vec::new());
        for one in read.by_ref().take(pairs.len()) {
            match one {
                Ok(kept) => good.push(kept),
                Err(error) => errors.push(SourceError::from(error)),
            }
        }
        if errors.is_empty() { Ok(good) } else { Err(Wrong { errors, good }) }
    };
    let each = listed.into_iter().map(|(source, pairs)| {
        let read = match pairs {
            Ok(pairs) => one(pairs),
            Err(error) => Err(Wrong { errors: vec![error], good: Vec::new() }),
        };
        (source.clone(), read)
    });
    each.collect()
}

/// What there is of a source that is looked at again.
fn again(source: &Source, held: &Held, read: Result<Vec<Kept>, Wrong>, now: Instant) -> Held {
    let Wrong { errors, good } = match read {
        Ok(certificates) => return Held { certificates, trouble: None },
        Err(wrong) => wrong,
    };
    let since = held.trouble.as_ref().map_or(now, |trouble| trouble.since);
    let lasts = now.duration_since(since) >= WRITTEN_TO;
    let certificates = if lasts && !good.is_empty() {
        beside(&held.certificates, &good, source)
    } else {
        held.certificates.clone()
    };
    Held { certificates, trouble: Some(Trouble { errors, since }) }
}

/// What can be used, and of what cannot, what it was before.
fn beside(before: &[Kept], good: &[Kept], source: &Source) -> Vec<Kept> {
    let in_one = before.iter().filter(|kept| kept.pair.key.is_none());
    let Ok(pairs) = source.pairs(&in_one.map(|kept| &*kept.pair.certificate).collect()) else {
        return before.to_vec();
    };
    let mut by_pair: HashMap<&Pair, &Kept> = before.iter().map(|kept| (&*kept.pair, kept)).collect();
    by_pair.extend(good.iter().map(|kept| (&*kept.pair, kept)));
    pairs.iter().filter_map(|pair| by_pair.get(pair).map(|kept| Kept::clone(kept))).collect()
}

/// Notes what is different.
fn note(source: &Source, before: &Held, now: &Held, seen: &mut Seen) {
    let known: HashMap<&Pair, &Kept> = before.certificates.iter().map(|kept| (&*kept.pair, kept)).collect();
    let new =
        now.certificates.iter().filter(|kept| !known.get(&*kept.pair).is_some_and(|was| was.is_same(kept)));
    let new = new.count();
    let replaced = new > 0 || now.certificates.len() != before.certificates.len();
    if replaced {
        seen.replaced.push((source.clone(), new));
    }
    let errors = |held: &Held| held.trouble.as_ref().map(|trouble| trouble.errors.clone());
    match (errors(before), errors(now)) {
        (was, Some(errors)) if was.as_ref() != Some(&errors) => seen.failed.push((source.clone(), errors)),
        (Some(_), None) if !replaced => seen.mended.push(source.clone()),
        (Some(_) | None, Some(_) | None) => {}
    }
}
