//! Routes of which more connections open than end, in absolute numbers and against their own past.

use std::time::Duration;

use crate::finding::{Finding, Severity};
use crate::findings::scene::Scene;
use crate::findings::told;
use crate::past::Figure;
use crate::picture::Reading;
use crate::subject::Subject;

pub(crate) const NAME: &str = "growing";

/// Over how long it is looked, in seconds. The shorter one finds 24 a minute after two minutes where few are open; the longer one
/// where some two hundred are.
const WINDOWS: [u64; 2] = [120, 165];
/// Growth that is worth a word: 24 a minute over two minutes are 48.
const FEWEST: (f64, f64) = (40.0, 20.0);
/// How many come and go differs from one minute to the next by about the root of how many are open; two such differences by 1.4 times
/// that. Five times it is three and a half of those: once in four thousand looks at independent minutes, and both halves have to agree.
const NOISE: (f64, f64) = (5.0, 3.0);
/// Each half of the time has grown by so much of the whole: a crowd that came at once has not.
const A_HALF: f64 = 0.25;
/// How many such times of the last hour it is compared with, and how many times what the largest of them was it has to be.
const BEFORE: u64 = 20;
const TIMES: f64 = 2.0;

/// More open than end, for two minutes and evenly, more than chance has it, and more than it ever was in the last hour.
pub(crate) fn growing(scene: &Scene<'_>) -> Vec<Finding> {
    scene.routes().filter_map(|(subject, reading)| judge(scene, subject, reading)).collect()
}

fn judge(scene: &Scene<'_>, subject: &Subject, reading: &Reading) -> Option<Finding> {
    let grown = WINDOWS
        .iter()
        .find_map(|window| grown(scene, subject, reading, *window).map(|grown| (*window, grown)));
    let (window, grown) = grown?;
    let minute = scene.minute(subject);
    let per_minute = grown * 60.0 / window as f64;
    Some(Finding {
        rule: NAME,
        subject: subject.clone(),
        severity: Severity::Warning,
        sentence: format!(
            "more connections open than end: {grown:.0} more than {window} s ago, {per_minute:.0} a minute; {} are open",
            reading.open
        ),
        figures: vec![
            ("grown", grown),
            ("over_s", window as f64),
            ("grown_per_minute", per_minute),
            ("open", reading.open as f64),
            ("opened_in_a_minute", minute.opened as f64),
            ("ended_in_a_minute", minute.ended as f64),
        ],
        shows: format!("smartproxy conns --sort age{}", told::filter(subject)),
        mends: format!(
            "find out who does not end them (smartproxy chain says on which hop they live); smartproxy kill --min-idle 10m{} \
             --dry-run ends those that say nothing; for good: the route's inactivity_timeout",
            told::filter(subject)
        ),
    })
}

/// By how much it has grown over so many seconds, if that is growth.
fn grown(scene: &Scene<'_>, subject: &Subject, reading: &Reading, window: u64) -> Option<f64> {
    let change = |over: u64| scene.change(subject, Figure::Open, Duration::from_secs(over));
    let (whole, late) = (change(window)?, change(window / 2)?);
    let fewest = scene.bound(NAME, subject, FEWEST.0, FEWEST.1);
    let noise = scene.bound(NAME, subject, NOISE.0, NOISE.1);
    let before = (reading.open as f64 - whole).max(0.0);
    if whole < fewest || whole < noise * before.sqrt() {
        return None;
    }
    let evenly = late >= whole * A_HALF && whole - late >= whole * A_HALF;
    let lasts = (scene.lasts)(NAME, subject);
    (lasts || evenly && whole >= TIMES * largest(window, change)).then_some(whole)
}

/// The largest growth over as long a time, of those that lay before it in the last hour; 0 where none is known.
fn largest(window: u64, change: impl Fn(u64) -> Option<f64>) -> f64 {
    // The first one after this one may have grown already.
    let known = (2..BEFORE).map_while(|nth| Some(change(window * (nth + 1))? - change(window * nth)?));
    known.fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Facts;
    use crate::findings::planted::{self, Curve, Shown};

    /// What is found where `open` says how many are open at each second.
    fn found(now: u64, open: impl Fn(u64) -> f64, lasts: bool) -> Vec<Finding> {
        let mut picture = planted::picture(now);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of a test")]
        let count = open(now) as u64;
        planted::route(&mut picture, "a").open = count;
        let lasts = if lasts { vec![(NAME, planted::subject("a"))] } else { Vec::new() };
        Shown { lasts, ..Shown::default() }.judge(NAME, &picture, &Facts::default(), &Curve(now, open))
    }

    /// So many a minute from the tenth minute on, where `usual` are open.
    fn from_ten_minutes(usual: f64, per_minute: f64) -> impl Fn(u64) -> f64 {
        move |at| usual + at.saturating_sub(600) as f64 * per_minute / 60.0
    }

    #[test]
    fn twenty_four_a_minute_are_found_within_three_minutes() {
        for usual in [0.0, 20.0, 60.0, 100.0, 170.0] {
            let when = (600..900).find(|now| !found(*now, from_ten_minutes(usual, 24.0), false).is_empty());
            let after = when.expect("it is found") - 600;
            assert!((100..=180).contains(&after), "where {usual} are open, after {after} s");
        }
        let all = found(720, from_ten_minutes(20.0, 24.0), false);
        assert_eq!(
            all[0].sentence,
            "more connections open than end: 48 more than 120 s ago, 24 a minute; 68 are open"
        );
    }

    #[test]
    fn what_grows_more_slowly_is_not() {
        // 40 in the shorter window are 20 a minute; 14 are 38 in the longer one.
        assert!((600..2000).all(|now| found(now, from_ten_minutes(20.0, 14.0), false).is_empty()));
        assert!((600..2000).any(|now| !found(now, from_ten_minutes(20.0, 15.0), false).is_empty()));
    }

    #[test]
    fn a_crowd_that_comes_at_once_and_stays_is_no_growth() {
        let step = |at: u64| if at < 600 { 0.0 } else { 5000.0 };
        assert!((600..1000).all(|now| found(now, step, false).is_empty()));
    }

    #[test]
    fn where_many_are_open_as_much_is_chance() {
        assert!((600..900).all(|now| found(now, from_ten_minutes(5000.0, 24.0), false).is_empty()));
        assert!((600..900).any(|now| !found(now, from_ten_minutes(5000.0, 240.0), false).is_empty()));
    }

    #[test]
    fn what_rises_and_falls_like_that_every_ten_minutes_is_usual() {
        // A wave of 200, ten minutes long.
        let wave = |at: u64| 300.0 - 100.0 * (at as f64 * std::f64::consts::TAU / 600.0).cos();
        assert!((3600..4800).all(|now| found(now, wave, false).is_empty()));
        assert!((130..600).any(|now| !found(now, wave, false).is_empty()), "the first one is not");
    }

    #[test]
    fn what_lasts_is_over_when_it_hardly_grows() {
        assert_eq!(found(900, from_ten_minutes(20.0, 7.0), true).len(), 0);
        assert_eq!(found(900, from_ten_minutes(20.0, 11.0), true).len(), 1);
    }
}
