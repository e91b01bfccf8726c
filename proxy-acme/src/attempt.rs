//! One attempt to obtain a certificate, or to learn when it is to be renewed: with the lock of its name, authority by authority.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proxy_core::Dial;
use tracing::{info, warn};

use crate::answer::ChallengeKind;
use crate::aside::aside;
use crate::authority::Authority;
use crate::desk::Desk;
use crate::entry::{Entry, Task};
use crate::failure::{Failure, FailureKind};
use crate::http::{Network, Transport};
use crate::options::Options;
use crate::order::Clerk;
use crate::record::{Record, moment};
use crate::storage::{Storage, StorageError};
use crate::stored::{Kept, stored};

/// How long an order may take with one authority, all its steps together.
const ORDER: Duration = Duration::from_secs(300);

/// What an attempt is made with.
pub(crate) struct Attempt {
    pub(crate) name: Arc<str>,
    pub(crate) task: Task,
    /// As it was when the attempt began.
    pub(crate) entry: Entry,
    pub(crate) options: Arc<Options>,
    pub(crate) storage: Arc<Storage>,
    pub(crate) desk: Arc<Desk>,
}

/// What came of it.
pub(crate) enum Outcome {
    /// Another process is at it.
    Busy,
    /// There is a certificate.
    Obtained {
        kept: Kept,
        record: Record,
        /// Whether the folder has it.
        is_written: bool,
    },
    /// There is none.
    Failed(Record),
    /// When it is to be renewed is known, or known to be unknown.
    Told(Record),
}

impl Attempt {
    /// Makes it. It is bounded: each step has a deadline.
    pub(crate) async fn run<D: Dial + Clone>(self, network: Network<D>) -> (Self, Outcome)
    where
        D::Stream: Unpin,
    {
        let outcome = match self.task {
            Task::Obtain => self.obtain(network).await,
            Task::AskWindow => Outcome::Told(self.ask(&self.entry, network).await),
        };
        (self, outcome)
    }

    async fn obtain<D: Dial + Clone>(&self, network: Network<D>) -> Outcome
    where
        D::Stream: Unpin,
    {
        let name = Arc::clone(&self.name);
        let lock = match aside(&self.storage, move |storage| storage.lock(&name)).await {
            Ok(Some(lock)) => lock,
            Ok(None) => return Outcome::Busy,
            Err(error) => return self.failed(self.entry.clone(), &error.into()).await,
        };
        let mut entry = self.entry.clone();
        match self.by_another(&mut entry).await {
            Ok(true) => return self.renewed_by_another(entry),
            Ok(false) => {}
            Err(error) => return self.failed(entry, &error.into()).await,
        }
        let outcome = match self.ask_authorities(&network, &entry).await {
            Ok((obtained, authority)) => self.obtained(entry, obtained, authority, network).await,
            Err(failure) => self.failed(entry, &failure).await,
        };
        drop(lock);
        outcome
    }

    /// Whether another process that shares the folder has been faster. What is remembered of failures is taken over either way.
    async fn by_another(&self, entry: &mut Entry) -> Result<bool, StorageError> {
        let name = Arc::clone(&self.name);
        let stored = aside(&self.storage, move |storage| stored(storage, &name)).await?;
        let (certificate, record) = stored;
        let Some(certificate) = certificate.filter(|_| !entry.forced) else {
            entry.record.failures = record.failures.max(entry.record.failures);
            return Ok(false);
        };
        let known = entry.certificate.as_ref().is_some_and(|known| known.chain() == certificate.chain());
        if !known {
            entry.found(Some(certificate), record, fastrand::f64());
        }
        // One that is due itself is no reason to wait.
        let due = entry.next().is_none_or(|(at, task)| task == Task::Obtain && at <= SystemTime::now());
        Ok(!known && !due)
    }

    fn renewed_by_another(&self, entry: Entry) -> Outcome {
        match entry.kept() {
            Some(kept) => Outcome::Obtained { kept, record: entry.record, is_written: true },
            None => Outcome::Failed(entry.record),
        }
    }

    /// From the first authority that gives one.
    async fn ask_authorities<'a, D: Dial + Clone>(
        &'a self,
        network: &Network<D>,
        entry: &Entry,
    ) -> Result<(Kept, &'a Authority), Failure>
    where
        D::Stream: Unpin,
    {
        let mut first: Option<Failure> = None;
        for authority in &self.options.authorities {
            let failure = match self.order_from(authority, network, entry).await {
                Ok(obtained) => return Ok((obtained, authority)),
                Err(failure) => failure,
            };
            warn!(name = &*self.name, authority = authority.host(), error = %failure, "no certificate from this authority");
            first = Some(match first.take() {
                None => failure,
                Some(first) => Failure { text: format!("{}; {}", first.text, failure.text), ..first },
            });
        }
        Err(first.unwrap_or_else(|| Failure::new(FailureKind::Unreachable, "there is no authority to ask")))
    }

    async fn order_from<D: Dial + Clone>(
        &self,
        authority: &Authority,
        network: &Network<D>,
        entry: &Entry,
    ) -> Result<Kept, Failure>
    where
        D::Stream: Unpin,
    {
        let made_it = entry.record.authority.as_deref() == Some(&*authority.directory());
        // Only where it knows of renewal windows does it know of successors.
        let replaces = entry.certificate.as_ref().filter(|_| made_it && entry.record.window.is_some());
        let clerk = self.clerk(authority, network);
        let ordering = clerk.obtain(&self.name, self.kind(entry), replaces);
        let ordered = tokio::time::timeout(ORDER, ordering).await;
        self.desk.take_back(&self.name).await;
        ordered.unwrap_or_else(|_| {
            let text = format!("{}: the order was not done within {}s", authority.host(), ORDER.as_secs());
            Err(Failure::new(FailureKind::Unreachable, text))
        })
    }

    /// The kind of challenge that is tried: another one after each failure.
    fn kind(&self, entry: &Entry) -> ChallengeKind {
        let kinds = &self.options.kinds;
        let nth = (entry.record.failures as usize).checked_rem(kinds.len()).unwrap_or(0);
        kinds.get(nth).copied().unwrap_or(ChallengeKind::TlsAlpn01)
    }

    fn clerk<'a, D: Clone>(&'a self, authority: &'a Authority, network: &Network<D>) -> Clerk<'a, D> {
        Clerk {
            authority,
            transport: Transport::new(network.clone(), Arc::clone(&authority.tls)),
            storage: &self.storage,
            contacts: &self.options.contacts,
            desk: &self.desk,
        }
    }

    async fn obtained<D: Dial + Clone>(
        &self,
        mut entry: Entry,
        kept: Kept,
        authority: &Authority,
        network: Network<D>,
    ) -> Outcome
    where
        D::Stream: Unpin,
    {
        let (name, pem) = (Arc::clone(&self.name), Arc::clone(&kept.pem));
        let written = aside(&self.storage, move |storage| storage.keep_certificate(&name, &pem)).await;
        // What is presented is what the folder has: it is written as soon as that goes.
        let is_written = written.is_ok();
        if let Err(error) = written {
            warn!(name = &*self.name, %error, "a certificate was obtained and cannot be kept: that is tried again");
        }
        entry.obtained(kept.clone(), authority.directory(), SystemTime::now(), fastrand::f64());
        info!(name = &*self.name, authority = authority.host(), "a certificate was obtained");
        entry.record = self.ask(&entry, network).await;
        Outcome::Obtained { kept, record: entry.record, is_written }
    }

    async fn failed(&self, mut entry: Entry, failure: &Failure) -> Outcome {
        let now = SystemTime::now();
        entry.failed(failure, now, fastrand::f64());
        let next = entry.record.next_try.map(moment);
        let wait = next.and_then(|next| next.duration_since(now).ok()).unwrap_or_default();
        warn!(
            name = &*self.name,
            failures = entry.record.failures,
            next_try_s = wait.as_secs(),
            error = %failure,
            "no certificate was obtained"
        );
        self.keep(&entry.record).await;
        Outcome::Failed(entry.record)
    }

    /// Asks the authority of the certificate when it is to be renewed, and remembers it.
    async fn ask<D: Dial + Clone>(&self, entry: &Entry, network: Network<D>) -> Record
    where
        D::Stream: Unpin,
    {
        let mut entry = entry.clone();
        let of = entry.record.authority.clone().unwrap_or_default();
        let authority = self.options.authorities.iter().find(|authority| authority.directory() == of);
        let told = match (authority, &entry.certificate) {
            (Some(authority), Some(certificate)) => {
                self.clerk(authority, &network).window(certificate).await.ok()
            }
            // Of one that is configured no more nothing is asked.
            (_, _) => None,
        };
        entry.window(told, SystemTime::now(), fastrand::f64());
        self.keep(&entry.record).await;
        entry.record
    }

    async fn keep(&self, record: &Record) {
        let (name, record) = (Arc::clone(&self.name), record.clone());
        let kept = aside(&self.storage, move |storage| storage.keep_record(&name, &record)).await;
        if let Err(error) = kept {
            warn!(name = &*self.name, %error, "what is known of a certificate cannot be kept");
        }
    }
}
