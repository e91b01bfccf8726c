//! What rules need to know beyond figures, as plain data: it is gathered where it is known, and judged here.

use std::time::Duration;

use crate::subject::Subject;

/// What is known beside a picture. All counters only rise.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Facts {
    /// Targets that are not used as they should be.
    pub targets: Vec<TargetFacts>,
    /// Limits that are nearly used up, or have a queue; others may be left out.
    pub limits: Vec<LimitFacts>,
    /// What each client may have.
    pub clients: Vec<ClientLimit>,
    /// Pools that are hard pressed; others may be left out.
    pub pools: Vec<PoolFacts>,
    /// The workers, in their order.
    pub workers: Vec<WorkerFacts>,
    /// Descriptors in use, and the most there may be.
    pub descriptors: Share,
    /// Allocated memory, and `max_memory`; nothing where that is not set.
    pub memory: Option<Share>,
    /// The last audit.
    pub audit: AuditFacts,
    /// Why the last reload was refused, if it was: the first line.
    pub reload_refused: Option<String>,
    /// Why the last upgrade failed, if it did: the first line.
    pub upgrade_failed: Option<String>,
    /// What the process does where that is anything but serve: `leaving`, `draining`, `handing_over`.
    pub leaves: Option<&'static str>,
    /// What an operator drains.
    pub drained: Vec<Drained>,
    /// The log, where it is the proxy's.
    pub log: Option<LogFacts>,
    /// The other hops of the chain, where they are known.
    pub hops: Vec<HopFacts>,
    /// Certificates that have to be seen to.
    pub certificates: Vec<CertificateFacts>,
    /// TLS handshakes with clients that failed, by kind: counters.
    pub handshakes: Vec<(&'static str, u64)>,
}

impl Facts {
    /// What only rises, by name: of these, rules ask for the last minute.
    pub(crate) fn counters(&self) -> Vec<(&'static str, u64)> {
        let lost = self.log.as_ref().map(|log| (LOST, log.lost));
        let clients = self.clients.iter().map(|limit| (limit.name, limit.refused));
        let handshakes = self.handshakes.iter().copied();
        clients.chain(lost).chain(handshakes).chain([(RESCUED, self.audit.rescued)]).collect()
    }
}

/// The counter of lines of the log that were lost.
pub(crate) const LOST: &str = "log lines lost";
/// The counter of connections that audits have ended.
pub(crate) const RESCUED: &str = "rescued by an audit";

/// So much of so much.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// What is in use.
    pub used: u64,
    /// The most there may be; 0 for no bound.
    pub most: u64,
}

impl Share {
    /// In percent; 0 where there is no bound.
    #[must_use]
    pub fn percent(self) -> f64 {
        if self.most == 0 { 0.0 } else { self.used as f64 * 100.0 / self.most as f64 }
    }
}

/// A target that is not used as it should be.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetFacts {
    /// Which.
    pub subject: Subject,
    /// What it is.
    pub trouble: Trouble,
    /// Why, in words; may be empty.
    pub why: String,
    /// How many others of its route or group may be used.
    pub others: usize,
}

/// Why a target is not used as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Its breaker is open, or half open: dials failed in a row.
    LeftAlone,
    /// Its check fails.
    Down,
    /// Its connections end badly more often than those of the others.
    Ejected,
    /// It says itself that it is full, or drains.
    Declines,
}

/// A limit.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitFacts {
    /// As `smartproxy limits` names it.
    pub name: String,
    /// The key that sets it.
    pub key: &'static str,
    /// What is used of it.
    pub share: Share,
    /// How many wait for a place.
    pub waiting: u64,
}

/// What each client may have.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientLimit {
    /// As `smartproxy limits` names it.
    pub name: &'static str,
    /// The key that sets it.
    pub key: &'static str,
    /// What that says.
    pub most: u64,
    /// How many it has refused: a counter.
    pub refused: u64,
    /// Who was refused most within the last minute, and how often, as far as is known.
    pub most_refused: Option<(String, u64)>,
}

/// How hard pressed a pool is.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolFacts {
    /// The pool.
    pub subject: Subject,
    /// Whether it refuses newcomers; else deadlines are shorter, and idle connections ended.
    pub sheds: bool,
    /// What presses it.
    pub signal: &'static str,
}

/// A worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorkerFacts {
    /// By how much its last timer was late.
    pub lag: Duration,
    /// For how long it has had no timer; there are two a second.
    pub silent: Duration,
    /// Its connections.
    pub open: u64,
}

/// The last audit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFacts {
    /// What must be 0 and is not, by gauge.
    pub differences: Vec<(&'static str, u64)>,
    /// Why the kernel could not be asked, if it could not.
    pub blind: Option<String>,
    /// Overdue connections that audits have ended: a counter.
    pub rescued: u64,
}

/// What an operator drains.
#[derive(Debug, Clone, PartialEq)]
pub struct Drained {
    /// A listener, route or target; the process for everything.
    pub subject: Subject,
    /// The command that undoes it.
    pub undo: String,
}

/// Another hop of the chain, as this one knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct HopFacts {
    /// Which.
    pub subject: Subject,
    /// For how long it has not answered, and why not; nothing where it answers.
    pub silent: Option<(Duration, String)>,
    /// What of its configuration does not fit that of the hop before it, and what to write.
    pub disagrees: Vec<(String, String)>,
    /// How many connections its limits have refused within the last minute.
    pub refused: u64,
    /// The cause of most of them.
    pub most_refused: String,
}

/// Certificates of a route that have to be seen to.
#[derive(Debug, Clone, PartialEq)]
pub struct CertificateFacts {
    /// The route that presents them.
    pub subject: Subject,
    /// What it is.
    pub trouble: CertificateTrouble,
    /// How many: one at least.
    pub count: u64,
    /// The first of them: its name and where it comes from, or what cannot be used and why.
    pub first: String,
    /// For how long that one has been so; how long it has yet where it ends soon, or begins later.
    pub time: Duration,
}

impl CertificateFacts {
    /// So many of `subject`, of which `first` has been so, or has yet, for `time`.
    #[must_use]
    pub const fn new(
        subject: Subject,
        trouble: CertificateTrouble,
        count: u64,
        first: String,
        time: Duration,
    ) -> Self {
        Self { subject, trouble, count, first, time }
    }
}

/// Why a certificate has to be seen to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateTrouble {
    /// It has ended.
    Expired,
    /// It is not valid yet.
    NotYet,
    /// It ends soon.
    EndsSoon,
    /// Its files have changed, and cannot be used: what they were before is presented.
    Unusable,
    /// It is to be obtained from an authority, which has given none yet.
    NotObtained,
    /// It is presented, and its renewal fails.
    NotRenewed,
}

/// The log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogFacts {
    /// Lines that were lost: a counter.
    pub lost: u64,
    /// Where lines cannot be written at present, if so.
    pub fails: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_no_bound_is_nothing() {
        assert_eq!(Share { used: 5, most: 0 }.percent(), 0.0);
        assert_eq!(Share { used: 9, most: 12 }.percent(), 75.0);
    }
}
