//! What the figures of a proxy say: pure logic, without sockets, clock or tasks.
//!
//! ```text
//! once a second: Picture ─┬─► history  (rings of bounded memory)
//!                         └─► findings (rules over the picture and its past)
//! ```

mod finding;
mod findings;
mod history;
mod past;
mod picture;
mod subject;

pub use finding::{Finding, Severity};
pub use findings::{
    AuditFacts, CertificateFacts, CertificateTrouble, Change, ClientLimit, Drained, Facts, Findings,
    HopFacts, Lasting, LimitFacts, LogFacts, PoolFacts, Share, TargetFacts, Trouble, WorkerFacts, rule_names,
};
pub use history::{History, MOST_SUBJECTS, Series, Span, Step, Unreadable, Within, most_bytes};
pub use past::{Figure, Past};
pub use picture::{Picture, Reading};
pub use subject::Subject;
