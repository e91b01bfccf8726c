//! Routes whose clients do not get through the TLS handshake.

use proxy_conn::Cause;

use crate::finding::{Finding, Severity};
use crate::findings::scene::Scene;
use crate::findings::told;
use crate::subject::Subject;

pub(crate) const NAME: &str = "tls_handshakes";

/// Within a minute. Those who scan a port fail too: it has to be half of all that come.
const FEWEST: (f64, f64) = (20.0, 10.0);
const HALF: f64 = 50.0;

/// Half of the connections of a route that ended within the last minute, twenty at least, failed the TLS handshake with the client.
pub(crate) fn handshakes(scene: &Scene<'_>) -> Vec<Finding> {
    scene.routes().filter_map(|(subject, _)| judge(scene, subject)).collect()
}

fn judge(scene: &Scene<'_>, subject: &Subject) -> Option<Finding> {
    let minute = scene.minute(subject);
    let failed = minute.of(Cause::TlsFailed) + minute.of(Cause::TlsTimeout);
    let share = if minute.ended == 0 { 0.0 } else { failed as f64 * 100.0 / minute.ended as f64 };
    if (failed as f64) < scene.bound(NAME, subject, FEWEST.0, FEWEST.1) || share < HALF {
        return None;
    }
    // Kinds are counted for the process: where one route fails so often, they are mostly that route's.
    let kinds = scene.facts.handshakes.iter().map(|(kind, _)| (*kind, scene.lately.other(kind)));
    let (kind, _) = kinds.filter(|(_, count)| *count > 0).max_by_key(|(_, count)| *count)?;
    Some(Finding {
        rule: NAME,
        subject: subject.clone(),
        severity: Severity::Critical,
        sentence: format!(
            "{failed} of {} that ended within the last minute did not get through the TLS handshake with the client, mostly {kind}",
            told::connections(minute.ended)
        ),
        figures: vec![("ended", minute.ended as f64), ("failed", failed as f64)],
        shows: "the access log's lines with the cause tls_failed: detail has the kind and the reason"
            .to_owned(),
        mends: mends(kind).to_owned(),
    })
}

/// What to do about handshakes that fail so; the names are those of `proxy_tls::HandshakeFault`.
fn mends(kind: &str) -> &'static str {
    match kind {
        "not_tls" => "these clients speak no TLS: send them to a port without",
        "plain_http" => "these clients use http:// where https:// is due: correct what sends them here",
        "no_certificate" => "add a certificate for the names that are asked for, or strict_sni = false",
        "nothing_in_common" => {
            "compare min_version, max_version, ciphers and groups with what these clients speak"
        }
        "no_protocol" => "add to alpn what they offer, or leave it out",
        "certificate_missing" | "certificate_refused" => {
            "give these clients certificates of an authority that is trusted here, or ask for none"
        }
        "refused_by_peer" => {
            "clients refuse the certificate: see its names, its dates, and whether the file has those that vouch for it"
        }
        "timeout" | "left" => {
            "see who these are: peer; a check that only connects belongs to a port without TLS"
        }
        _ => "see the reason in detail",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Facts;
    use crate::findings::planted::{self, NoPast, Shown};

    /// What is found where so many failed and so many did not, after `before` had failed.
    fn found(failed: u64, others: u64) -> Vec<Finding> {
        let (mut before, mut now) = (planted::picture(5000), planted::picture(5001));
        planted::route(&mut before, "a");
        planted::route(&mut now, "a").totals =
            planted::totals(&[(Cause::TlsFailed, failed), (Cause::Finished, others)]);
        let kinds = |count| vec![("left", 1000), ("no_certificate", 7 + count), ("alert", count / 4)];
        let facts = |count| Facts { handshakes: kinds(count), ..Facts::default() };
        Shown::default().before(&before, &facts(0)).judge(NAME, &now, &facts(failed), &NoPast)
    }

    #[test]
    fn half_of_a_routes_handshakes_failing_is_found_with_the_kind() {
        assert_eq!((found(19, 0).len(), found(20, 21).len()), (0, 0));
        let all = found(20, 20);
        assert_eq!(
            all[0].sentence,
            "20 of 40 connections that ended within the last minute did not get through the TLS handshake with the client, mostly no_certificate"
        );
        assert_eq!(all[0].mends, "add a certificate for the names that are asked for, or strict_sni = false");
    }
}
