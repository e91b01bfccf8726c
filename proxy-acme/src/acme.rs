//! Certificates for a set of names, obtained and renewed for as long as it runs.
//!
//! ```text
//!               ┌── nothing due: until the next is, or a name is asked for ──┐
//! names ─► due ─┴─► attempt (a few at a time) ─► folder ─► the caller is told ┘
//!                      └─ failed: later, ever later
//! ```
//! It runs in one future, spawns nothing, and touches no connection.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use parking_lot::Mutex;
use proxy_core::Dial;
use proxy_tls::Certificate;
use tokio::sync::Notify;
use tracing::{info, warn};

use crate::aside::aside;
use crate::attempt::{Attempt, Outcome};
use crate::desk::{Desk, LOOK};
use crate::entry::{Entry, Task, Unwritten};
use crate::http::Network;
use crate::options::{Options, Wanted};
use crate::record::Record;
use crate::standing::Standing;
use crate::storage::{Storage, StorageError};
use crate::stored::{Kept, restored, stored};

/// Names that are worked on at a time: many more would meet an authority's limit of requests, and a thousand at a start are through in
/// an hour.
const AT_ONCE: usize = 4;

/// The longest sleep: a clock that was set is noticed by then.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// How often a shared folder is looked at for certificates that others have renewed.
const RENEWED: Duration = Duration::from_secs(5);

/// Certificates that obtain and renew themselves.
#[derive(Default)]
pub struct Acme {
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    in_force: Option<InForce>,
    names: BTreeMap<Arc<str>, Entry>,
}

/// What a configuration wants, open.
#[derive(Clone)]
struct InForce {
    options: Arc<Options>,
    storage: Arc<Storage>,
    desk: Arc<Desk>,
}

/// What a configuration wants, read and ready to be put in force.
pub struct Prepared {
    in_force: Option<InForce>,
    names: BTreeMap<Arc<str>, Entry>,
    wanted: Option<Wanted>,
}

/// There is no such name among those that are obtained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no certificate of that name is obtained here")]
pub struct UnknownName;

impl fmt::Debug for Acme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acme").field("names", &self.state.lock().names.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("names", &self.names.len()).finish_non_exhaustive()
    }
}

impl Acme {
    /// Opens the folder and reads what is there of the names. Blocks; changes nothing yet.
    ///
    /// # Errors
    /// What is wrong with the folder.
    pub fn prepare(&self, wanted: Option<Wanted>) -> Result<Prepared, StorageError> {
        let Some(wanted) = wanted else {
            return Ok(Prepared { in_force: None, names: BTreeMap::new(), wanted: None });
        };
        let options = Arc::clone(&wanted.options);
        let before = self.state.lock().in_force.clone();
        let same = before.filter(|before| {
            before.options.folder == options.folder && before.options.shared == options.shared
        });
        let (storage, desk) = match same {
            // Orders that are under way go on with it.
            Some(before) => (before.storage, before.desk),
            None => {
                let storage = Arc::new(Storage::open(&options.folder)?);
                let challenges = Arc::clone(&wanted.challenges);
                let desk = Arc::new(Desk::new(Arc::clone(&storage), options.shared, challenges));
                (storage, desk)
            }
        };
        let mut names = BTreeMap::new();
        for name in &wanted.names {
            let mut entry = Entry { on_demand: name.on_demand, ..Entry::default() };
            let (certificate, record) = stored(&storage, &name.name)?;
            entry.found(certificate, record, fastrand::f64());
            names.insert(Arc::clone(&name.name), entry);
        }
        Ok(Prepared { in_force: Some(InForce { options, storage, desk }), names, wanted: Some(wanted) })
    }

    /// From now on these names, so. What is under way for a name that stays goes on.
    pub fn put_in_force(&self, prepared: Prepared) {
        let Prepared { in_force, mut names, wanted } = prepared;
        if let (Some(in_force), Some(wanted)) = (&in_force, &wanted) {
            in_force.desk.give_at(Arc::clone(&wanted.challenges));
        }
        {
            let mut state = self.state.lock();
            for (name, entry) in &mut names {
                if let Some(known) = state.names.get(name) {
                    let on_demand = entry.on_demand;
                    *entry = Entry { on_demand, ..known.clone() };
                }
            }
            state.names = names;
            state.in_force = in_force;
        }
        self.wake.notify_one();
    }

    /// The certificate of `name`, where there is one.
    #[must_use]
    pub fn certificate(&self, name: &str) -> Option<Certificate> {
        self.state.lock().names.get(name)?.certificate.clone()
    }

    /// How it stands with each name.
    #[must_use]
    pub fn standing(&self) -> Vec<Standing> {
        self.state.lock().names.iter().map(|(name, entry)| Standing::of(name, entry)).collect()
    }

    /// A client has asked for `name`, of which there is no certificate: what is being done about it. None where it is no name that is
    /// obtained here.
    pub fn missing(&self, name: &str) -> Option<String> {
        let mut state = self.state.lock();
        let (name, entry) = state
            .names
            .get_key_value(name)
            .map(|(name, _)| Arc::clone(name))
            .and_then(|name| state.names.get_mut(&name).map(|entry| (name, entry)))?;
        if entry.on_demand && !entry.asked {
            entry.asked = true;
            self.wake.notify_one();
        }
        Some(Standing::of(&name, entry).awaited(SystemTime::now()))
    }

    /// Obtains a certificate for `name` now, whatever the schedule and earlier failures say. Returns how often was tried before:
    /// once there are more [tries](Standing::tries), it is done.
    ///
    /// # Errors
    /// [`UnknownName`].
    pub fn renew(&self, name: &str) -> Result<u64, UnknownName> {
        let mut state = self.state.lock();
        let entry = state.names.get_mut(name).ok_or(UnknownName)?;
        entry.forced = true;
        let tries = entry.tries;
        drop(state);
        self.wake.notify_one();
        Ok(tries)
    }

    /// This file of the folder's is gone, or nothing that can be used: it is written again at once, from memory.
    pub fn lost(&self, file: &Path) {
        let name = {
            let state = self.state.lock();
            let Some(in_force) = &state.in_force else { return };
            let is_it = |name: &&Arc<str>| Storage::certificate_file(&in_force.options.folder, name) == file;
            state.names.keys().find(is_it).cloned()
        };
        if let Some(name) = name {
            self.lost_name(&name);
            self.wake.notify_one();
        }
    }

    fn lost_name(&self, name: &str) {
        let mut state = self.state.lock();
        if let Some(entry) = state.names.get_mut(name).filter(|entry| entry.certificate.is_some()) {
            let now = SystemTime::now();
            entry.unwritten.get_or_insert(Unwritten { at: now });
        }
    }

    /// Obtains and renews, until it is dropped; `changed` is called whenever a certificate is there that was not. Dropped, orders that
    /// are under way are abandoned, and their answers with them.
    pub async fn run<D: Dial + Clone>(&self, network: Network<D>, changed: impl Fn(&str))
    where
        D::Stream: Unpin,
    {
        let mut underway = FuturesUnordered::new();
        let mut looked = tokio::time::Instant::now();
        loop {
            while underway.len() < AT_ONCE
                && let Some(attempt) = self.begin(SystemTime::now())
            {
                underway.push(attempt.run(network.clone()));
            }
            let full = underway.len() >= AT_ONCE;
            tokio::select! {
                Some((attempt, outcome)) = underway.next(), if !underway.is_empty() => {
                    if self.end(&attempt, outcome) {
                        changed(&attempt.name);
                    }
                }
                () = self.wake.notified() => {}
                () = tokio::time::sleep(self.sleep(SystemTime::now(), full)) => {}
            }
            self.look(&mut looked, &changed).await;
            self.write_again(&changed).await;
        }
    }

    /// How long there is nothing to do.
    fn sleep(&self, now: SystemTime, full: bool) -> Duration {
        let state = self.state.lock();
        let longest = match &state.in_force {
            Some(in_force) if in_force.desk.is_shared() => LOOK,
            Some(_) | None => LONGEST_SLEEP,
        };
        if full || state.in_force.is_none() {
            return longest;
        }
        let due = state.names.values().filter_map(Entry::next).map(|(at, _)| at);
        let unwritten = state.names.values().filter_map(|entry| entry.unwritten.as_ref()).map(|one| one.at);
        let next = due.chain(unwritten).min();
        next.map_or(longest, |at| at.duration_since(now).unwrap_or_default().min(longest))
    }

    /// What is due first, begun.
    fn begin(&self, now: SystemTime) -> Option<Attempt> {
        let mut state = self.state.lock();
        let InForce { options, storage, desk } = state.in_force.clone()?;
        let due = state.names.iter().filter_map(|(name, entry)| Some((entry.next()?, name)));
        let ((at, task), name) = due.min_by_key(|((at, _), _)| *at)?;
        if at > now {
            return None;
        }
        let name = Arc::clone(name);
        let entry = state.names.get_mut(&name)?;
        entry.underway = true;
        entry.busy_until = None;
        if task == Task::Obtain {
            info!(name = &*name, renewal = entry.certificate.is_some(), "obtaining a certificate");
        }
        Some(Attempt { name, task, entry: entry.clone(), options, storage, desk })
    }

    /// Takes over what came of an attempt; whether there is another certificate.
    fn end(&self, attempt: &Attempt, outcome: Outcome) -> bool {
        let mut state = self.state.lock();
        // A reload may have taken the name away meanwhile.
        let Some(entry) = state.names.get_mut(&attempt.name) else { return false };
        entry.underway = false;
        if attempt.task == Task::Obtain && !matches!(outcome, Outcome::Busy) {
            entry.tries += 1;
        }
        let (kept, record, is_written) = match outcome {
            Outcome::Busy => {
                entry.busy(SystemTime::now());
                return false;
            }
            Outcome::Told(record) => {
                entry.record = record;
                return false;
            }
            Outcome::Failed(record) => {
                entry.record = record;
                entry.forced = false;
                return false;
            }
            Outcome::Obtained { kept, record, is_written } => (kept, record, is_written),
        };
        entry.keep(Some(kept));
        entry.record = record;
        entry.forced = false;
        entry.unwritten = None;
        if !is_written {
            entry.not_written(false, SystemTime::now());
        }
        true
    }

    /// Looks into a shared folder: for answers of others, and now and then for what they have renewed.
    async fn look(&self, looked: &mut tokio::time::Instant, changed: &impl Fn(&str)) {
        let (storage, desk, names) = {
            let state = self.state.lock();
            let Some(InForce { storage, desk, .. }) = state.in_force.clone() else { return };
            if !desk.is_shared() {
                return;
            }
            (storage, desk, state.names.keys().cloned().collect::<Vec<_>>())
        };
        if let Err(error) = desk.look().await {
            warn!(%error, "the answers of others cannot be given");
        }
        if looked.elapsed() < RENEWED {
            return;
        }
        *looked = tokio::time::Instant::now();
        for name in names {
            let of = Arc::clone(&name);
            match aside(&storage, move |storage| stored(storage, &of)).await {
                Ok((Some(certificate), record)) if self.take_over(&name, &certificate, &record) => {
                    info!(name = &*name, "another process has renewed the certificate");
                    changed(&name);
                }
                Ok((None, _)) => self.lost_name(&name),
                Ok(_) => {}
                Err(error) => {
                    warn!(%error, "the folder of certificates cannot be read");
                    return;
                }
            }
        }
    }

    /// Writes what the folder has lost.
    async fn write_again(&self, changed: &impl Fn(&str)) {
        let now = SystemTime::now();
        let (storage, due) = {
            let state = self.state.lock();
            let Some(in_force) = &state.in_force else { return };
            let due = state.names.iter().filter_map(|(name, entry)| {
                Some((Arc::clone(name), entry.to_write(now)?, entry.record.clone()))
            });
            (Arc::clone(&in_force.storage), due.collect::<Vec<_>>())
        };
        for (name, kept, record) in due {
            let (of, text) = (Arc::clone(&name), kept.clone());
            let written = aside(&storage, move |storage| restored(storage, &of, &text, &record)).await;
            if self.written(&name, &kept, written) {
                changed(&name);
            }
        }
    }

    /// Takes over what came of writing; whether the folder has it now.
    fn written(&self, name: &str, kept: &Kept, written: Result<bool, StorageError>) -> bool {
        let mut state = self.state.lock();
        let same = |entry: &&mut Entry| entry.pem.as_ref().is_some_and(|now| Arc::ptr_eq(now, &kept.pem));
        let Some(entry) = state.names.get_mut(name).filter(same) else { return false };
        match written {
            Ok(true) => {
                info!(name, "the folder has lost a certificate, and has it again");
                entry.unwritten = None;
                return true;
            }
            Ok(false) => entry.not_written(true, SystemTime::now()),
            Err(error) => {
                warn!(name, %error, "the folder has lost a certificate, which cannot be written again: it is presented still");
                entry.not_written(false, SystemTime::now());
            }
        }
        false
    }

    /// Takes over what is in the folder, where it is something else; whether it was.
    fn take_over(&self, name: &str, certificate: &Kept, record: &Record) -> bool {
        let mut state = self.state.lock();
        let Some(entry) = state.names.get_mut(name).filter(|entry| !entry.underway) else { return false };
        let known = entry.certificate.as_ref().is_some_and(|known| known.chain() == certificate.chain());
        if !known {
            entry.found(Some(certificate.clone()), record.clone(), fastrand::f64());
        }
        !known
    }
}
