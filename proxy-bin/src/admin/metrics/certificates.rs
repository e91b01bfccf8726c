//! Certificates, by the file or folder that the configuration names: how many there are in a folder makes no series.

use std::fmt;
use std::time::SystemTime;

use super::super::api::Api;
use super::super::view::since_1970;
use super::scrape::Scrape;
use crate::certificates::Standing;

/// When the first of each source ends, how they stand, and whether their files can be used.
pub(super) fn of_certificates(api: &Api, scrape: &mut Scrape<'_>) -> fmt::Result {
    let all = api.control().certificates().summaries(SystemTime::now());
    let label = |summary: &crate::certificates::Summary| summary.source.path().display().to_string();
    let help = "When the first of the certificates of a file or folder ends, since 1970";
    let mut family = scrape.gauge("certificate_not_after_timestamp_seconds", help)?;
    for summary in &all {
        let ends = summary.standings.values().map(|(_, first)| first.not_after()).min();
        if let Some(ends) = ends {
            family.is(&[("source", &label(summary))], since_1970(ends))?;
        }
    }
    let help = "Certificates of a file or folder, by how they stand";
    let mut family = scrape.gauge("certificates", help)?;
    for summary in &all {
        for standing in [Standing::Valid, Standing::EndsSoon, Standing::NotYet, Standing::Expired] {
            let count = summary.standings.get(&standing).map_or(0, |(count, _)| *count);
            family.is(&[("source", &label(summary)), ("standing", standing.name())], count)?;
        }
    }
    let help = "Files of certificates that have changed and cannot be used: what was before is presented";
    let mut family = scrape.gauge("certificates_unusable", help)?;
    for summary in &all {
        let count = summary.trouble.as_ref().map_or(0, |trouble| trouble.errors.len());
        family.is(&[("source", &label(summary))], count as u64)?;
    }
    Ok(())
}
