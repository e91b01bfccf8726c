//! Certificates: those that have ended, end soon or begin later, and files of them that cannot be used.

use std::time::Duration;

use crate::finding::{Finding, Severity};
use crate::findings::facts::{CertificateFacts, CertificateTrouble};
use crate::findings::scene::Scene;

pub(crate) const EXPIRED: &str = "certificate_expired";
pub(crate) const NOT_YET: &str = "certificate_not_yet";
pub(crate) const ENDS_SOON: &str = "certificate_ends_soon";
pub(crate) const UNUSABLE: &str = "certificate_unusable";
pub(crate) const NOT_OBTAINED: &str = "certificate_not_obtained";
pub(crate) const NOT_RENEWED: &str = "certificate_not_renewed";

/// One that is presented has ended.
pub(crate) fn expired(scene: &Scene<'_>) -> Vec<Finding> {
    found(scene, CertificateTrouble::Expired, |facts| Finding {
        severity: Severity::Critical,
        sentence: format!(
            "it presents {}: {} has been over for {}",
            certificates(facts.count, "that has expired", "that have expired"),
            facts.first,
            lasting(facts.time)
        ),
        mends: "renew it and put it in place of its file: it is taken without a reload".to_owned(),
        ..of(EXPIRED, facts)
    })
}

/// One that is presented is not valid yet.
pub(crate) fn not_yet(scene: &Scene<'_>) -> Vec<Finding> {
    found(scene, CertificateTrouble::NotYet, |facts| Finding {
        severity: Severity::Critical,
        sentence: format!(
            "it presents {}: {} begins in {}",
            certificates(facts.count, "that is not valid yet", "that are not valid yet"),
            facts.first,
            lasting(facts.time)
        ),
        mends: "look at this machine's clock, or put back the one from before".to_owned(),
        ..of(NOT_YET, facts)
    })
}

/// One that is presented ends soon, and should have been renewed.
pub(crate) fn ends_soon(scene: &Scene<'_>) -> Vec<Finding> {
    found(scene, CertificateTrouble::EndsSoon, |facts| Finding {
        sentence: format!(
            "it presents {}: {} in {}",
            certificates(facts.count, "that ends soon", "that end soon"),
            facts.first,
            lasting(facts.time)
        ),
        mends: "see why whoever renews it does not, or renew it: it is taken without a reload".to_owned(),
        ..of(ENDS_SOON, facts)
    })
}

/// Files of certificates have changed and cannot be used.
pub(crate) fn unusable(scene: &Scene<'_>) -> Vec<Finding> {
    found(scene, CertificateTrouble::Unusable, |facts| Finding {
        sentence: format!("it presents what was there before, for {}: {}", lasting(facts.time), facts.first),
        mends: "mend the file: it is taken without a reload; a start or a reload would be refused now"
            .to_owned(),
        ..of(UNUSABLE, facts)
    })
}

/// One that is to be obtained from an authority is not: clients that ask for its name are refused.
pub(crate) fn not_obtained(scene: &Scene<'_>) -> Vec<Finding> {
    found(scene, CertificateTrouble::NotObtained, |facts| Finding {
        severity: Severity::Critical,
        sentence: format!(
            "{}: {}",
            certificates(
                facts.count,
                "that is to be obtained is not there",
                "that are to be obtained are not there"
            ),
            facts.first
        ),
        mends: MENDS.to_owned(),
        ..of(NOT_OBTAINED, facts)
    })
}

/// The renewal of one that is obtained from an authority fails.
pub(crate) fn not_renewed(scene: &Scene<'_>) -> Vec<Finding> {
    found(scene, CertificateTrouble::NotRenewed, |facts| Finding {
        sentence: format!(
            "{} cannot be renewed: {}",
            certificates(facts.count, "that is due", "that are due"),
            facts.first
        ),
        mends: MENDS.to_owned(),
        ..of(NOT_RENEWED, facts)
    })
}

/// What to do where an authority gives none.
const MENDS: &str =
    "mend what the authority says; it is tried again by itself, or at once by smartproxy certs renew NAME";

fn found(
    scene: &Scene<'_>,
    trouble: CertificateTrouble,
    told: impl Fn(&CertificateFacts) -> Finding,
) -> Vec<Finding> {
    scene.facts.certificates.iter().filter(|facts| facts.trouble == trouble).map(told).collect()
}

fn certificates(count: u64, one: &str, many: &str) -> String {
    match count {
        1 => format!("a certificate {one}"),
        count => format!("{count} certificates {many}"),
    }
}

/// As people say it: in days, hours or minutes.
fn lasting(time: Duration) -> String {
    let (one, name) = match time.as_secs() {
        0..3600 => (60, "minute"),
        3600..172_800 => (3600, "hour"),
        172_800.. => (86_400, "day"),
    };
    let count = time.as_secs() / one;
    if count == 1 { format!("1 {name}") } else { format!("{count} {name}s") }
}

fn of(rule: &'static str, facts: &CertificateFacts) -> Finding {
    Finding {
        rule,
        subject: facts.subject.clone(),
        severity: Severity::Warning,
        sentence: String::new(),
        figures: vec![("certificates", facts.count as f64), ("seconds", facts.time.as_secs_f64())],
        shows: "smartproxy certs".to_owned(),
        mends: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Facts;
    use crate::findings::planted;

    fn said(rule: &str, trouble: CertificateTrouble, count: u64, seconds: u64) -> Vec<String> {
        let facts = CertificateFacts {
            subject: planted::subject("web"),
            trouble,
            count,
            first: "www.example (/etc/www.pem)".to_owned(),
            time: Duration::from_secs(seconds),
        };
        let facts = Facts { certificates: vec![facts], ..Facts::default() };
        let found = planted::judge(rule, &planted::picture(1), &facts);
        found.into_iter().map(|one| format!("{}: {}", one.severity.name(), one.sentence)).collect()
    }

    #[test]
    fn each_is_told_by_its_own_rule() {
        use CertificateTrouble::{EndsSoon, Expired, NotObtained, NotRenewed, NotYet, Unusable};
        assert_eq!(
            said(EXPIRED, Expired, 1, 3600),
            [
                "critical: it presents a certificate that has expired: www.example (/etc/www.pem) has been over for 1 hour"
            ]
        );
        assert_eq!(
            said(NOT_YET, NotYet, 2, 60),
            [
                "critical: it presents 2 certificates that are not valid yet: www.example (/etc/www.pem) begins in 1 minute"
            ]
        );
        assert_eq!(
            said(ENDS_SOON, EndsSoon, 1, 13 * 86_400),
            ["warning: it presents a certificate that ends soon: www.example (/etc/www.pem) in 13 days"]
        );
        assert_eq!(
            said(UNUSABLE, Unusable, 1, 120),
            ["warning: it presents what was there before, for 2 minutes: www.example (/etc/www.pem)"]
        );
        assert_eq!(
            said(NOT_OBTAINED, NotObtained, 1, 120),
            ["critical: a certificate that is to be obtained is not there: www.example (/etc/www.pem)"]
        );
        assert_eq!(
            said(NOT_RENEWED, NotRenewed, 2, 120),
            ["warning: 2 certificates that are due cannot be renewed: www.example (/etc/www.pem)"]
        );
        assert!(said(NOT_RENEWED, NotObtained, 1, 1).is_empty());
        assert!(said(EXPIRED, EndsSoon, 1, 1).is_empty() && said(UNUSABLE, Expired, 1, 1).is_empty());
    }
}
