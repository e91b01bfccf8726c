//! How soon a target usually answers, and when it last said anything.

use std::collections::HashMap;
use std::time::Duration;

use crate::picture::Picture;
use crate::subject::Subject;

/// What is left of a slow answer after each second: half of it after eleven minutes. An answer that is that slow once in a quarter
/// of an hour is usual.
const FADES: f64 = 0.999;

/// What is known of one subject.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// The slowest of late, in seconds; nothing where none has come.
    first_byte: Option<f64>,
    from_backend: u64,
    /// When it was last seen to have said anything, if ever.
    heard: Option<Duration>,
}

/// What is usual, by subject.
#[derive(Debug, Default)]
pub(crate) struct Usual {
    known: HashMap<Subject, Known>,
    at: Duration,
    /// When bytes were last counted: between two walks nobody is heard.
    walked: Duration,
}

impl Usual {
    /// Takes in a picture. Who is not in it is forgotten.
    pub(crate) fn add(&mut self, picture: &Picture) {
        let passed = picture.at.saturating_sub(self.at).as_secs_f64();
        let mut known = HashMap::with_capacity(picture.readings.len());
        for (subject, reading) in &picture.readings {
            let before = self.known.get(subject).copied();
            let new = Known { first_byte: None, from_backend: 0, heard: None };
            let Known { first_byte, from_backend, heard } = before.unwrap_or(new);
            let faded = first_byte.map(|usual| usual * FADES.powf(passed));
            let now = reading.first_byte_p99.map(|slowest| slowest.as_secs_f64());
            let says = reading.totals.from_backend;
            let heard = if says > from_backend { Some(picture.walked) } else { heard };
            let first_byte = match (faded, now) {
                (Some(usual), Some(now)) => Some(usual.max(now)),
                (usual, now) => usual.or(now),
            };
            known.insert(subject.clone(), Known { first_byte, from_backend: says, heard });
        }
        (self.known, self.at, self.walked) = (known, picture.at, picture.walked);
    }

    /// How soon `subject` usually answers; None where it never has.
    pub(crate) fn first_byte(&self, subject: &Subject) -> Option<Duration> {
        let usual = self.known.get(subject)?.first_byte?;
        Duration::try_from_secs_f64(usual).ok()
    }

    /// For how long it has said nothing, as of the last walk; None where it never has said anything.
    pub(crate) fn silent(&self, subject: &Subject) -> Option<Duration> {
        Some(self.walked.saturating_sub(self.known.get(subject)?.heard?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::planted;

    #[test]
    fn what_is_usual_is_the_slowest_of_late_and_fades() {
        let (mut usual, a) = (Usual::default(), planted::subject("a"));
        let mut look = |at: u64, first_byte: Option<u64>, says: u64| {
            let mut picture = planted::picture(at);
            let reading = planted::route(&mut picture, "a");
            reading.first_byte_p99 = first_byte.map(Duration::from_millis);
            reading.totals.from_backend = says;
            usual.add(&picture);
            (
                usual.first_byte(&a).map(|usual| usual.as_millis()),
                usual.silent(&a).map(|silent| silent.as_secs()),
            )
        };
        assert_eq!(look(1, None, 0), (None, None));
        assert_eq!(look(2, Some(200), 10), (Some(200), Some(0)));
        assert_eq!(look(3, Some(10), 10), (Some(199), Some(1)));
        let (later, silent) = look(703, None, 10);
        assert!(matches!(later, Some(90..110)), "{later:?}");
        assert_eq!(silent, Some(701));
        assert_eq!(look(704, Some(5000), 11), (Some(5000), Some(0)));
    }
}
