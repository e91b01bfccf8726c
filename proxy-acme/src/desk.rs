//! Where answers lie for as long as they are due: this proxy's own, and those of others who share the folder.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use proxy_tls::Challenges;
use tracing::warn;

use crate::answer::{Answer, answer_with};
use crate::aside::aside;
use crate::storage::{Storage, StorageError};

/// How often a shared folder is looked at.
pub(crate) const LOOK: Duration = Duration::from_secs(1);

/// How long an answer lies in a shared folder before its authority is asked to come: until the others have looked, and a little more.
const KNOWN: Duration = Duration::from_millis(2500);

/// Answers of others that are heeded at most.
const MOST: usize = 256;

/// The answers that are due, and where they are given.
#[derive(Debug)]
pub(crate) struct Desk {
    storage: Arc<Storage>,
    shared: bool,
    due: Mutex<Due>,
}

#[derive(Debug, Default)]
struct Due {
    /// By name: an order has one name, and one at a time has the lock of a name.
    own: BTreeMap<Box<str>, Answer>,
    others: Vec<Answer>,
    challenges: Arc<Challenges>,
}

impl Due {
    fn give(&self) {
        // What this process is about to prove itself goes over what is found of the same name.
        let answers = self.others.iter().chain(self.own.values());
        for error in answer_with(&self.challenges, answers) {
            warn!(%error, "a challenge cannot be answered");
        }
    }
}

impl Desk {
    pub(crate) fn new(storage: Arc<Storage>, shared: bool, challenges: Arc<Challenges>) -> Self {
        Self { storage, shared, due: Mutex::new(Due { challenges, ..Due::default() }) }
    }

    /// Whether others answer what is put here, and their answers are given here.
    pub(crate) const fn is_shared(&self) -> bool {
        self.shared
    }

    /// Gives an answer from now on; returns when all who may be asked do.
    pub(crate) async fn put(&self, answer: Answer) -> Result<(), StorageError> {
        {
            let mut due = self.due.lock();
            due.own.insert(answer.name.clone(), answer.clone());
            due.give();
        }
        if self.shared {
            aside(&self.storage, move |storage| storage.put_answer(&answer)).await?;
            tokio::time::sleep(KNOWN).await;
        }
        Ok(())
    }

    /// Gives no answer for `name` any more.
    pub(crate) async fn take_back(&self, name: &str) {
        let was = {
            let mut due = self.due.lock();
            let was = due.own.remove(name);
            due.give();
            was
        };
        if was.is_some() && self.shared {
            let of = name.to_owned();
            if let Err(error) = aside(&self.storage, move |storage| storage.take_answer(&of)).await {
                warn!(%error, "an answer stays in the folder until it has had its time");
            }
        }
    }

    /// Takes over what others have put into the folder, or taken away.
    pub(crate) async fn look(&self) -> Result<(), StorageError> {
        let mut found = aside(&self.storage, |storage| storage.answers(MOST)).await?;
        let now = SystemTime::now();
        found.retain(|answer| !answer.is_over(now));
        let mut due = self.due.lock();
        if due.others != found {
            due.others = found;
            due.give();
        }
        Ok(())
    }

    /// Gives its answers there from now on: a configuration has been replaced.
    pub(crate) fn give_at(&self, challenges: Arc<Challenges>) {
        let mut due = self.due.lock();
        due.challenges = challenges;
        due.give();
    }
}
