//! What is good on one machine and not on another: no part of reading the file, but asked by whoever is about to use it.

use super::finding::{ConfigErrors, Finding, Severity, Source};
use super::{Config, listener, recover};
use proxy_dataplane::descriptors::{self, Needs};

impl Config {
    /// Asks the kernel for every congestion control that the file names, and for as many descriptors as the listening sockets
    /// take: those that a start would have, after it has raised its limit.
    ///
    /// # Errors
    /// Each place that names what cannot be had.
    pub fn suits_this_machine(&self) -> Result<(), ConfigErrors> {
        let mut findings = self.congestion_lacking();
        findings.extend(self.too_many_sockets(descriptors::attainable()));
        self.unless_empty(findings)
    }

    /// The same, and what else a start would refuse before it opens anything: an admin token or socket that cannot be had, a
    /// user that is not there, a log file that could not be opened. Not asked by a reload, which takes none of these over, or
    /// opens them itself.
    ///
    /// # Errors
    /// Each place that names what cannot be had.
    pub fn suits_a_start(&self) -> Result<(), ConfigErrors> {
        let mut findings = self.congestion_lacking();
        findings.extend(self.too_many_sockets(descriptors::attainable()));
        findings.extend(self.start_lacking());
        self.unless_empty(findings)
    }

    fn unless_empty(&self, findings: Vec<Finding>) -> Result<(), ConfigErrors> {
        if findings.is_empty() {
            return Ok(());
        }
        let source = Source::of(&self.origin);
        Err(ConfigErrors::new(source.findings(Severity::Error, findings)))
    }

    /// That there are not as many descriptors as it takes to listen, if so. The place is looked for by reading the text again.
    fn too_many_sockets(&self, limit: u64) -> Option<Finding> {
        let needs = Needs::of(&self.settings);
        if needs.fit(limit) {
            return None;
        }
        let title = format!("{needs}, and the limit of open files is {limit}");
        let finding = match recover::read(&self.origin.text, &mut Vec::new()) {
            Some(recovered) => listener::at_widest_range(&recovered.file.routes, &recovered.document, title),
            None => Finding::new(0..0, title),
        };
        Some(finding.help("raise the limit (`ulimit -Hn`, `LimitNOFILE=` of a unit), listen on fewer ports, or lower `workers`"))
    }
}
