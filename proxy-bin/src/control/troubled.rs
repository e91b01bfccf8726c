//! Certificates that have to be seen to, as rules know them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proxy_observe::{CertificateFacts, CertificateTrouble, Subject};
use proxy_tls::Certificate;

use crate::certificates::{Standing, Summary};

/// What of all sources has to be seen to: for each route and kind of trouble the worst of them, and how many there are. What several
/// routes present is the first one's.
pub(super) fn troubles(all: &[Summary], now: SystemTime) -> Vec<CertificateFacts> {
    let mut worst: BTreeMap<(Arc<str>, u8), CertificateFacts> = BTreeMap::new();
    for summary in all {
        let Some(route) = summary.routes.iter().min() else { continue };
        for facts in of(summary, route, now) {
            match worst.entry((Arc::clone(route), facts.trouble as u8)) {
                Entry::Vacant(place) => drop(place.insert(facts)),
                Entry::Occupied(mut place) => worse(place.get_mut(), facts),
            }
        }
    }
    worst.into_values().collect()
}

/// What is to be obtained and has failed: that of which there is none, and that of which there is one yet.
pub(super) fn not_obtained(all: &[proxy_acme::Standing], now: SystemTime) -> Vec<CertificateFacts> {
    let kinds = [(CertificateTrouble::NotObtained, false), (CertificateTrouble::NotRenewed, true)];
    let of = |(trouble, there): (CertificateTrouble, bool)| {
        let failing = all.iter().filter(|one| one.failures > 0 && one.not_after.is_some() == there);
        let first = failing.clone().max_by_key(|one| one.failures)?;
        let why = first.last_failure.as_deref().unwrap_or_default();
        let since = first.failed_at.and_then(|at| now.duration_since(at).ok()).unwrap_or_default();
        let text = format!("{} ({why})", first.name);
        Some(CertificateFacts::new(Subject::Process, trouble, failing.count() as u64, text, since))
    };
    kinds.into_iter().filter_map(of).collect()
}

/// Adds others of the same kind.
fn worse(one: &mut CertificateFacts, other: CertificateFacts) {
    let count = one.count + other.count;
    // What ends soon is the worse the less time it has; all else, the more.
    let is_worse = if one.trouble == CertificateTrouble::EndsSoon {
        other.time < one.time
    } else {
        other.time > one.time
    };
    if is_worse {
        *one = other;
    }
    one.count = count;
}

fn of(summary: &Summary, route: &Arc<str>, now: SystemTime) -> Vec<CertificateFacts> {
    let subject = || Subject::Route(Arc::clone(route));
    let between = |from: SystemTime, to: SystemTime| to.duration_since(from).unwrap_or_default();
    let standing = |(standing, (count, first)): (&Standing, &(u64, Certificate))| {
        let (trouble, time) = match standing {
            Standing::Valid => return None,
            Standing::EndsSoon => (CertificateTrouble::EndsSoon, between(now, first.not_after())),
            Standing::NotYet => (CertificateTrouble::NotYet, between(now, first.not_before())),
            Standing::Expired => (CertificateTrouble::Expired, between(first.not_after(), now)),
        };
        let name = first.names().first().map_or("one without a name", String::as_str);
        let first = format!("{name} ({})", summary.source.path().display());
        Some(CertificateFacts::new(subject(), trouble, *count, first, time))
    };
    let mut all: Vec<_> = summary.standings.iter().filter_map(standing).collect();
    if let Some(trouble) = &summary.trouble {
        let since: Duration = trouble.since.elapsed();
        let count = trouble.errors.len() as u64;
        let first = trouble.errors.first().map(ToString::to_string).unwrap_or_default();
        all.push(CertificateFacts::new(subject(), CertificateTrouble::Unusable, count, first, since));
    }
    all
}
