//! How it stands with a name, for those who look.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::SystemTime;

use crate::entry::Entry;
use crate::record::moment;

/// How it stands with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Standing {
    /// The name.
    pub name: Arc<str>,
    /// Whether it is obtained when a client first asks for it.
    pub on_demand: bool,
    /// Whether it is to be obtained: a client has asked for it, or none has to.
    pub wanted: bool,
    /// Whether it is being obtained at the moment.
    pub underway: bool,
    /// Until when its certificate is valid; None where there is none.
    pub not_after: Option<SystemTime>,
    /// When that is to be renewed.
    pub renew_at: Option<SystemTime>,
    /// The directory of the authority that has made it.
    pub authority: Option<String>,
    /// How often obtaining it has failed in a row.
    pub failures: u32,
    /// Why it has failed the last time in that row.
    pub last_failure: Option<String>,
    /// When that was.
    pub failed_at: Option<SystemTime>,
    /// Not before then it is tried again.
    pub next_try: Option<SystemTime>,
    /// How often this process has tried in all.
    pub tries: u64,
}

impl Standing {
    pub(crate) fn of(name: &Arc<str>, entry: &Entry) -> Self {
        let record = &entry.record;
        let certificate = entry.certificate.as_ref();
        Self {
            name: Arc::clone(name),
            on_demand: entry.on_demand,
            wanted: !entry.on_demand || entry.asked,
            underway: entry.underway,
            not_after: certificate.map(proxy_tls::Certificate::not_after),
            renew_at: certificate.and(record.renew_at).map(moment),
            authority: certificate.and_then(|_| record.authority.clone()),
            failures: record.failures,
            last_failure: record.last_failure.clone().filter(|_| record.failures > 0),
            failed_at: record.failed_at.filter(|_| record.failures > 0).map(moment),
            next_try: record.next_try.filter(|_| record.failures > 0).map(moment),
            tries: entry.tries,
        }
    }

    /// What is being done about a certificate that is missing, for the line of a connection that needed it.
    #[must_use]
    pub fn awaited(&self, now: SystemTime) -> String {
        let mut text = "its certificate is awaited".to_owned();
        if self.underway {
            text.push_str(" and being obtained");
        }
        if let Some(why) = &self.last_failure {
            // INVARIANT: a string takes what is written.
            write!(text, "; {} failed, the last with {why}", tries(self.failures)).unwrap_or_default();
        }
        let next = self.next_try.filter(|_| !self.underway).and_then(|next| next.duration_since(now).ok());
        if let Some(wait) = next {
            let wait = wait.as_secs();
            let when = if wait == 0 { "now".to_owned() } else { format!("in {wait}s") };
            write!(text, "; next try {when}").unwrap_or_default();
        }
        text
    }
}

fn tries(count: u32) -> String {
    if count == 1 { "1 try".to_owned() } else { format!("{count} tries") }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::failure::{Failure, FailureKind};

    #[test]
    fn what_is_missing_says_what_is_done_about_it() {
        let (name, mut entry) = (Arc::from("edge.example"), Entry::default());
        let now = moment(1000);
        assert_eq!(Standing::of(&name, &entry).awaited(now), "its certificate is awaited");
        entry.failed(&Failure::new(FailureKind::Refused, "ca.example: no"), now, 0.0);
        assert_eq!(
            Standing::of(&name, &entry).awaited(now + Duration::from_secs(10)),
            "its certificate is awaited; 1 try failed, the last with ca.example: no; next try in 50s"
        );
        entry.underway = true;
        assert!(Standing::of(&name, &entry).awaited(now).starts_with("its certificate is awaited and being"));
    }
}
