//! One name, and what is to be done about it next. Pure: time is handed in.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proxy_tls::Certificate;

use crate::backoff::{Lesson, next_try};
use crate::failure::{Failure, FailureKind};
use crate::record::{Record, moment, seconds};
use crate::schedule::{Window, ask_again, renew_at};
use crate::stored::Kept;

/// When a window is asked for again that was not told.
const UNTOLD: Duration = Duration::from_secs(6 * 3600);

/// The longest that is waited for another process which has the lock of a name.
const BUSY: Duration = Duration::from_secs(10);

/// When a file is written again that could not be.
const UNWRITTEN: Duration = Duration::from_secs(60);

/// What is to be done about a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// A certificate is to be obtained.
    Obtain,
    /// Its authority is to be asked when the certificate is to be renewed.
    AskWindow,
}

/// A certificate that its folder has lost, or could not take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unwritten {
    /// When it is written next.
    pub(crate) at: SystemTime,
}

/// A name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entry {
    /// Obtained only when it is asked for.
    pub(crate) on_demand: bool,
    /// A client has asked for it.
    pub(crate) asked: bool,
    pub(crate) certificate: Option<Certificate>,
    /// What the file of the certificate says, to write it again.
    pub(crate) pem: Option<Arc<[u8]>>,
    pub(crate) record: Record,
    /// Something is being done about it.
    pub(crate) underway: bool,
    /// It is to be obtained whatever the schedule says.
    pub(crate) forced: bool,
    /// How often this process has tried: whoever waits for one try sees that it is over.
    pub(crate) tries: u64,
    /// Another process is at it: when this one looks again.
    pub(crate) busy_until: Option<SystemTime>,
    /// The folder has not, or no more, what is here: when it is written (again).
    pub(crate) unwritten: Option<Unwritten>,
}

impl Entry {
    /// What is to be done next, and when. None while something is being done, or where nothing is to be.
    pub(crate) fn next(&self) -> Option<(SystemTime, Task)> {
        if self.underway {
            return None;
        }
        let obtain = self.obtain_at().map(|at| (at, Task::Obtain));
        let asks = self.certificate.is_some() && self.record.authority.is_some();
        let ask = self.record.ask_at.filter(|_| asks).map(|at| (moment(at), Task::AskWindow));
        obtain.into_iter().chain(ask).min_by_key(|(at, _)| *at)
    }

    fn obtain_at(&self) -> Option<SystemTime> {
        let waits = self.busy_until;
        let at = if self.forced {
            SystemTime::UNIX_EPOCH
        } else {
            let due = match &self.certificate {
                Some(_) => self.record.renew_at.map_or(SystemTime::UNIX_EPOCH, moment),
                None if self.on_demand && !self.asked => return None,
                None => SystemTime::UNIX_EPOCH,
            };
            let after_failure = self.record.next_try.filter(|_| self.record.failures > 0).map(moment);
            due.max(after_failure.unwrap_or(due))
        };
        Some(waits.map_or(at, |waits| waits.max(at)))
    }

    /// A certificate with its record, as the folder has them.
    pub(crate) fn found(&mut self, certificate: Option<Kept>, record: Record, draw: f64) {
        self.record = record;
        self.keep(certificate);
        self.unwritten = None;
        let Some(certificate) = &self.certificate else { return };
        if self.record.renew_at.is_none() {
            self.record.renew_at = Some(renewal(certificate, self.record.window(), draw));
        }
    }

    /// It was obtained from the authority of that directory.
    pub(crate) fn obtained(&mut self, certificate: Kept, directory: String, now: SystemTime, draw: f64) {
        self.record = Record {
            authority: Some(directory),
            renew_at: Some(renewal(&certificate, None, draw)),
            ask_at: Some(seconds(now)),
            ..Record::default()
        };
        self.keep(Some(certificate));
        self.forced = false;
    }

    /// It was not.
    pub(crate) fn failed(&mut self, failure: &Failure, now: SystemTime, draw: f64) {
        let record = &mut self.record;
        record.failures = record.failures.saturating_add(1);
        record.last_failure = Some(failure.text.clone());
        record.failed_at = Some(seconds(now));
        let lesson = Lesson {
            failures: record.failures,
            limited: failure.kind == FailureKind::Limited,
            not_before: failure.not_before,
        };
        record.next_try = Some(seconds(next_try(now, lesson, draw)));
        self.forced = false;
    }

    /// What is to be written, if that is due.
    pub(crate) fn to_write(&self, now: SystemTime) -> Option<Kept> {
        let due = !self.underway && self.unwritten.as_ref().is_some_and(|unwritten| unwritten.at <= now);
        self.kept().filter(|_| due)
    }

    /// The certificate, with what its file says.
    pub(crate) fn kept(&self) -> Option<Kept> {
        Some(Kept { certificate: self.certificate.clone()?, pem: Arc::clone(self.pem.as_ref()?) })
    }

    /// From now on this one.
    pub(crate) fn keep(&mut self, kept: Option<Kept>) {
        (self.certificate, self.pem) = kept.map(|kept| (kept.certificate, kept.pem)).unzip();
    }

    /// It could not be written, or another process is at it: it is tried again.
    pub(crate) fn not_written(&mut self, is_busy: bool, now: SystemTime) {
        let after = if is_busy { BUSY } else { UNWRITTEN };
        self.unwritten = Some(Unwritten { at: now + after });
    }

    /// Another process is at it.
    pub(crate) fn busy(&mut self, now: SystemTime) {
        self.busy_until = Some(now + BUSY);
    }

    /// The authority has named a window, and when it is to be asked again; or nothing.
    pub(crate) fn window(&mut self, told: Option<(Window, Duration)>, now: SystemTime, draw: f64) {
        let Some((window, again)) = told else {
            self.record.ask_at = Some(seconds(now + UNTOLD));
            return;
        };
        self.record.ask_at = Some(seconds(now + ask_again(again)));
        let pair = (seconds(window.start), seconds(window.end));
        // The moment in a window is drawn once.
        if self.record.window != Some(pair) {
            self.record.window = Some(pair);
            self.record.renew_at =
                self.certificate.as_ref().map(|certificate| renewal(certificate, Some(window), draw));
        }
    }
}

fn renewal(certificate: &Certificate, window: Option<Window>, draw: f64) -> u64 {
    seconds(renew_at(certificate.not_before(), certificate.not_after(), window, draw))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    fn certificate() -> Kept {
        let mut params = CertificateParams::new(["edge.example".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 4, 1);
        let key = KeyPair::generate().unwrap();
        let made = params.self_signed(&key).unwrap();
        let pem = made.pem() + &key.serialize_pem();
        let certificate = Certificate::from_pem(pem.as_bytes(), pem.as_bytes()).unwrap();
        Kept { certificate, pem: pem.into_bytes().into() }
    }

    fn at(seconds: u64) -> SystemTime {
        moment(seconds)
    }

    fn refused() -> Failure {
        Failure::new(FailureKind::Refused, "ca.example: tls-alpn-01: no route to host")
    }

    #[test]
    fn a_name_without_a_certificate_is_due_at_once_unless_it_waits_to_be_asked_for() {
        let mut entry = Entry::default();
        assert_eq!(entry.next(), Some((at(0), Task::Obtain)));
        entry.on_demand = true;
        assert_eq!(entry.next(), None);
        entry.asked = true;
        assert_eq!(entry.next(), Some((at(0), Task::Obtain)));
        entry.underway = true;
        assert_eq!(entry.next(), None);
    }

    #[test]
    fn failures_are_waited_for_and_forgotten_by_a_success() {
        let mut entry = Entry::default();
        entry.failed(&refused(), at(1000), 0.0);
        assert_eq!(entry.next(), Some((at(1060), Task::Obtain)));
        entry.failed(&refused(), at(1060), 0.0);
        assert_eq!((entry.record.failures, entry.next()), (2, Some((at(1360), Task::Obtain))));
        entry.forced = true;
        assert_eq!(entry.next(), Some((at(0), Task::Obtain)), "an operator does not wait");
        entry.obtained(certificate(), "https://ca.example/dir".to_owned(), at(1400), 0.0);
        assert_eq!((entry.record.failures, entry.forced), (0, false));
        assert_eq!(entry.next(), Some((at(1400), Task::AskWindow)));
    }

    #[test]
    fn a_certificate_is_renewed_by_its_lifetime_until_its_authority_names_a_window() {
        let mut entry = Entry::default();
        entry.obtained(certificate(), "https://ca.example/dir".to_owned(), at(1400), 0.0);
        entry.window(None, at(1400), 0.0);
        let third = seconds(certificate().not_after()) - 30 * 24 * 3600;
        assert_eq!(entry.record.renew_at, Some(third));
        assert_eq!(entry.next(), Some((at(1400) + UNTOLD, Task::AskWindow)));
        let window = Window { start: at(5000), end: at(6000) };
        entry.window(Some((window, Duration::from_secs(7200))), at(2000), 0.5);
        assert_eq!(entry.next(), Some((at(5500), Task::Obtain)));
        entry.window(Some((window, Duration::from_secs(7200))), at(3000), 0.9);
        assert_eq!(entry.record.renew_at, Some(5500), "the moment in a window is drawn once");
    }

    #[test]
    fn a_renewal_that_fails_waits_too_and_the_certificate_stays() {
        let mut entry = Entry::default();
        let record = Record { authority: Some("https://ca.example/dir".to_owned()), ..Record::default() };
        entry.found(Some(certificate()), record, 0.0);
        let due = entry.next().unwrap().0;
        entry.failed(&refused(), due, 0.0);
        assert_eq!(entry.next(), Some((due + Duration::from_secs(60), Task::Obtain)));
        assert!(entry.certificate.is_some());
    }

    #[test]
    fn what_another_process_is_at_is_looked_at_again() {
        let mut entry = Entry { forced: true, ..Entry::default() };
        entry.busy(at(100));
        assert_eq!(entry.next(), Some((at(100) + BUSY, Task::Obtain)));
    }
}
