//! What is wrong, as one list: pure rules over a picture, its past and facts, and what begins, lasts and ends.
//!
//! ```text
//!  Picture, Facts, Past ─► Scene ─► RULES: each yields findings ─► Findings: begun, lasting, over ─► list, log, metric
//! ```
//! A rule is a function and keeps nothing. What has to be kept (what ended within the last minute, how soon a target usually answers,
//! since when something is so) is kept here, by subject, and bounded by how many subjects a picture has.

mod engine;
mod facts;
mod lately;
mod rule;
mod rules;
mod scene;
mod told;
mod usual;

#[cfg(test)]
mod planted;

pub use engine::{Change, Findings, Lasting};
pub use facts::{
    AuditFacts, CertificateFacts, CertificateTrouble, ClientLimit, Drained, Facts, HopFacts, LimitFacts,
    LogFacts, PoolFacts, Share, TargetFacts, Trouble, WorkerFacts,
};
pub use rules::names as rule_names;
