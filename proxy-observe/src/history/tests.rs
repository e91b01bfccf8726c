use std::sync::Arc;

use super::*;
use proptest::prelude::*;
use proxy_conn::Cause;

const STARTED: Duration = Duration::from_secs(1_700_000_000);

fn route(name: &str) -> Subject {
    Subject::Route(Arc::from(name))
}

/// What happens within a second, or how long nothing is looked at.
#[derive(Debug, Clone, Copy, Default)]
struct Second {
    opened: u64,
    ended: u64,
    failed: u64,
    refused: u64,
    bytes: u64,
    still: u32,
}

/// A subject's counters as a proxy has them, and every step that was ever pushed.
#[derive(Debug, Default)]
struct Naive {
    second: u32,
    /// When the process was started that counts now.
    began: u32,
    reading: Reading,
    /// What was within each second.
    steps: Vec<(u32, Step)>,
}

impl Naive {
    fn new() -> Self {
        let began = u32::try_from(STARTED.as_secs()).unwrap();
        Self { second: began, began, ..Self::default() }
    }

    /// Another process takes over, with counters of its own.
    fn begin_anew(&mut self) -> Duration {
        (self.began, self.reading) = (self.second, Reading::default());
        Duration::from_secs(self.began.into())
    }

    /// Goes on by a second, or by several of which nothing is known but the last.
    fn live(&mut self, happens: &Second) -> Picture {
        self.second += 1 + happens.still;
        let open = self.reading.open + happens.opened;
        let ended = happens.ended.min(open);
        let (failed, refused) = (happens.failed.min(ended), happens.refused.min(ended));
        self.reading.open = open - ended;
        let totals = &mut self.reading.totals;
        totals.opened += happens.opened;
        let place = |cause| Cause::ALL.iter().position(|one| *one == cause).unwrap();
        totals.ended[place(Cause::Finished)] += ended - refused;
        totals.ended[place(Cause::RouteLimit)] += refused;
        totals.failed += failed;
        totals.from_client += happens.bytes;
        totals.from_backend += happens.bytes * 3;
        let (open, bytes) = (self.reading.open, happens.bytes);
        let (from_client, from_backend) = (bytes, bytes * 3);
        let opened = happens.opened;
        let step = Step { opened, ended, open, failed, refused, from_client, from_backend, first_byte_us: 0 };
        self.steps.push((self.second, step));
        self.picture()
    }

    fn at(&self) -> Duration {
        Duration::from_secs((self.second - self.began).into())
    }

    fn picture(&self) -> Picture {
        let readings = vec![(Subject::Process, self.reading.clone()), (route("a"), self.reading.clone())];
        Picture { at: self.at(), readings, ..Picture::default() }
    }

    /// All of the steps whose seconds are within, as one.
    fn sum(&self, after: u32, up_to: u32) -> Option<Step> {
        let within = self.steps.iter().filter(|(second, _)| *second > after && *second <= up_to);
        within.map(|(_, step)| *step).reduce(|sum, step| sum.and(&step))
    }
}

/// Whether a number is kept as well as so many digits promise.
fn close(kept: u64, exact: u64, digits: u32) -> bool {
    kept.abs_diff(exact) <= exact >> (digits + 1)
}

fn all_close(kept: &Step, exact: &Step, [counts, open, bytes]: [u32; 3]) -> bool {
    close(kept.open, exact.open, open)
        && [
            (kept.opened, exact.opened),
            (kept.ended, exact.ended),
            (kept.failed, exact.failed),
            (kept.refused, exact.refused),
        ]
        .iter()
        .all(|(kept, exact)| close(*kept, *exact, counts))
        && close(kept.from_client, exact.from_client, bytes)
        && close(kept.from_backend, exact.from_backend, bytes)
}

fn digits(span: Span) -> [u32; 3] {
    match span {
        Span::TenMinutes => [10, 10, 4],
        Span::SixHours => [3, 5, 2],
        Span::FourteenDays => [3, 4, 2],
    }
}

/// Every step of a span is the sum of its seconds, as a list of all pictures has them.
fn agrees(history: &History, naive: &Naive, span: Span) -> Result<(), TestCaseError> {
    let series = history.series(&route("a"), span).unwrap();
    let every = u32::try_from(series.step.as_secs()).unwrap();
    let until = u32::try_from(series.until.as_secs()).unwrap();
    prop_assert!(naive.second - until <= every, "up to date");
    let count = u32::try_from(series.steps.len()).unwrap();
    for (nth, step) in (0..count).zip(&series.steps) {
        let end = until - (count - 1 - nth) * every;
        let exact = naive.sum(end - every, end);
        match (step, exact) {
            (None, None) => {}
            (Some(kept), Some(exact)) if all_close(kept, &exact, digits(span)) => {}
            (kept, exact) => prop_assert!(false, "{span:?} at {end}: {kept:?} is kept of {exact:?}"),
        }
    }
    // It is whole: there was nothing within the span before the first of its steps.
    let (begins, reaches) = (until - count * every, until - span.steps() * every);
    prop_assert!(naive.sum(reaches, begins).is_none(), "{count} steps");
    Ok(())
}

/// What was within the last minute and so on is what a list of all pictures says.
fn sums_agree(history: &History, naive: &Naive, seconds: u32) -> Result<(), TestCaseError> {
    let known = naive.second - naive.steps[0].0 + 1;
    let within = history.within(&route("a"), Duration::from_secs(seconds.into()));
    prop_assert_eq!(within.is_some(), known >= seconds);
    let Some(Within { step, grown }) = within else { return Ok(()) };
    let span = Span::reaching(seconds);
    let every = span.step_s();
    // In whole steps: the oldest of them may be cut.
    let after = (naive.second.div_ceil(every) * every).saturating_sub(seconds / every * every);
    let exact = naive.sum(after, naive.second).unwrap_or_default();
    let now = naive.reading.open;
    let [counts, open, bytes] = digits(span);
    let step = Step { open: now, ..step };
    prop_assert!(
        all_close(&step, &Step { open: now, ..exact }, [counts, open, bytes]),
        "{seconds} s: {step:?} of {exact:?}"
    );
    let known = naive.steps.iter().rev().find(|(second, _)| *second <= after);
    let (at, before) = known.copied().unwrap_or_default();
    // From before a longer gap it is known as a longer ring has it.
    let open = if at + span.steps() * every <= naive.second { 4.min(open) } else { open };
    let told = now.wrapping_sub(grown.cast_unsigned());
    prop_assert!(close(told, before.open, open), "{seconds} s: grown by {grown} to {now} from {before:?}");
    Ok(())
}

fn any_second() -> impl Strategy<Value = Second> {
    let still = prop_oneof![60 => Just(0_u32), 1 => 3_u32..30, 1 => 3_u32..3000];
    let count = || prop_oneof![2 => Just(0_u64), 2 => 0_u64..5, 1 => 0_u64..3000];
    (count(), count(), count(), count(), prop_oneof![Just(0_u64), 0_u64..1 << 34], still).prop_map(
        |(opened, ended, failed, refused, bytes, still)| Second {
            opened,
            ended,
            failed,
            refused,
            bytes,
            still,
        },
    )
}

/// Some seconds, each so many times: an hour in a few strokes.
fn any_life() -> impl Strategy<Value = Vec<Second>> {
    let stretch = (any_second(), 0_usize..120).prop_map(|(second, times)| {
        let steady = Second { still: 0, ..second };
        [second].into_iter().chain(std::iter::repeat_n(steady, times)).collect::<Vec<_>>()
    });
    proptest::collection::vec(stretch, 1..60).prop_map(|stretches| stretches.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// What the rings say is what a list of all pictures says, as exactly as it is stated; over a hand-over, too.
    #[test]
    fn says_what_a_list_of_all_pictures_says(life in any_life(), upgraded in any::<prop::sample::Index>(), over in 1_u32..20_000) {
        let (mut history, mut naive) = (History::new(STARTED), Naive::new());
        let upgraded = upgraded.index(life.len());
        for (nth, second) in life.iter().enumerate() {
            if nth == upgraded {
                history = History::restore(&history.save(), naive.begin_anew()).unwrap();
            }
            // A process looks for the first time when it is a second old.
            let is_first = nth == 0 || nth == upgraded;
            history.push(&naive.live(&Second { still: if is_first { 0 } else { second.still }, ..*second }));
        }
        for span in Span::ALL {
            agrees(&history, &naive, span)?;
        }
        for seconds in [60, 180, 3600, over] {
            sums_agree(&history, &naive, seconds)?;
        }
    }

    /// Whatever bytes come, they are refused or read, and what was read can be asked.
    #[test]
    fn bytes_of_any_kind_are_no_danger(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let saved = a_minute().save();
        let mut broken = saved.clone();
        broken[at.index(saved.len())] = to;
        bytes.splice(0..0, *b"smartproxy history 1\n");
        for bytes in [broken, bytes, saved[..at.index(saved.len())].to_vec()] {
            if let Ok(mut history) = History::restore(&bytes, STARTED) {
                Span::ALL.iter().for_each(|span| drop(history.series(&route("a"), *span)));
                history.push(&Naive::new().live(&Second::default()));
                assert!(history.within(&route("b"), Duration::from_secs(60)).is_none());
            }
        }
    }
}

fn a_minute() -> History {
    let (mut history, mut naive) = (History::new(STARTED), Naive::new());
    (0..60).for_each(|_| {
        history.push(&naive.live(&Second { opened: 3, ended: 2, failed: 1, ..Second::default() }));
    });
    history
}

fn within(history: &History, figure: Figure, seconds: u64) -> Option<f64> {
    history.change(&route("a"), figure, Duration::from_secs(seconds))
}

#[test]
fn a_minute_is_known_once_it_is_over() {
    let (mut history, mut naive) = (History::new(STARTED), Naive::new());
    let second = Second { opened: 3, ended: 2, failed: 1, bytes: 10, ..Second::default() };
    (0..59).for_each(|_| history.push(&naive.live(&second)));
    assert_eq!(within(&history, Figure::Opened, 60), None, "59 seconds");
    assert_eq!(within(&history, Figure::Opened, 59), Some(177.0));
    history.push(&naive.live(&second));
    assert_eq!(within(&history, Figure::Opened, 60), Some(180.0));
    assert_eq!(within(&history, Figure::Ended, 60), Some(120.0));
    assert_eq!(within(&history, Figure::Failed, 60), Some(60.0));
    assert_eq!(within(&history, Figure::Open, 60), Some(60.0));
    assert_eq!(within(&history, Figure::FromBackend, 60), Some(1800.0));
    assert_eq!(history.change(&route("b"), Figure::Opened, Duration::from_secs(60)), None, "never seen");
}

/// A route that its first connection makes has had none before: what is new is not unknown.
#[test]
fn who_is_new_has_had_nothing_before() {
    let mut history = a_minute();
    let mut naive = Naive::new();
    naive.second += 60;
    let mut picture = naive.live(&Second { opened: 7, ..Second::default() });
    picture.readings.push((route("new"), naive.reading.clone()));
    history.push(&picture);
    let opened = history.change(&route("new"), Figure::Opened, Duration::from_secs(60));
    assert_eq!(opened, Some(7.0));
}

/// A tick that is late by a second or two leaves no gap, one that is later does; what was counted is counted once.
#[test]
fn a_late_tick_is_no_gap() {
    for (still, gap) in [(1, false), (2, false), (3, true)] {
        let (mut history, mut naive) = (History::new(STARTED), Naive::new());
        let second = Second { opened: 7, ..Second::default() };
        history.push(&naive.live(&second));
        history.push(&naive.live(&Second { still, ..second }));
        let steps = history.series(&route("a"), Span::TenMinutes).unwrap().steps;
        assert_eq!(steps.iter().any(Option::is_none), gap, "{still}: {steps:?}");
        let opened: u64 = steps.iter().flatten().map(|step| step.opened).sum();
        assert_eq!(opened, 14);
    }
}

/// Two pictures within one second are one step.
#[test]
fn an_early_tick_is_counted_with_the_next() {
    let (mut history, mut naive) = (History::new(STARTED), Naive::new());
    history.push(&naive.live(&Second { opened: 1, ..Second::default() }));
    let late = naive.live(&Second { opened: 2, ..Second::default() });
    history.push(&Picture { at: late.at - Duration::from_millis(600), ..late });
    history.push(&naive.live(&Second { opened: 4, ..Second::default() }));
    let steps = history.series(&route("a"), Span::TenMinutes).unwrap().steps;
    assert_eq!(steps.iter().flatten().map(|step| step.opened).collect::<Vec<_>>(), [1, 3, 3]);
}

/// The process's own counters begin anew with the process; so does nothing that is kept.
#[test]
fn a_clock_that_was_set_back_writes_nothing_anew() {
    let history = a_minute();
    let mut next = History::restore(&history.save(), STARTED - Duration::from_secs(7200)).unwrap();
    let mut naive = Naive::new();
    (0..3).for_each(|_| next.push(&naive.live(&Second { opened: 100, ..Second::default() })));
    let steps = next.series(&route("a"), Span::TenMinutes).unwrap().steps;
    let opened: Vec<_> = steps.iter().map(|step| step.map(|step| step.opened)).collect();
    assert_eq!(opened, [vec![Some(3); 60], vec![Some(100); 3]].concat());
}

#[test]
fn what_is_no_history_is_named() {
    let said = |bytes: &[u8]| History::restore(bytes, STARTED).unwrap_err().to_string();
    let saved = a_minute().save();
    assert_eq!(said(b"smartproxy history 2\n"), "it is of another version");
    assert_eq!(said(&saved[..saved.len() - 1]), "it ends before it is whole");
    assert_eq!(said(&[&saved[..], b"x"].concat()), "it has more than it should");
}

/// Beyond the bound those go that have been idle the longest, and never the process.
#[test]
fn who_was_idle_the_longest_is_dropped_first() {
    let (mut history, mut naive) = (History::new(STARTED), Naive::new());
    for (nth, second) in [5_usize, 0, 3].into_iter().zip([1_u64, 2, 3]) {
        let mut picture = naive.live(&Second::default());
        let busy = Reading { open: second, ..Reading::default() };
        picture.readings = vec![(Subject::Process, Reading::default())];
        let routes = (0..MOST_SUBJECTS + 1).map(|nth| (route(&format!("r{nth}")), Reading::default()));
        picture.readings.extend(routes.take(if second == 3 { MOST_SUBJECTS + 1 } else { 10 }));
        picture.readings[nth + 1].1 = busy;
        history.push(&picture);
    }
    assert_eq!(history.subjects().len(), MOST_SUBJECTS);
    for kept in [Subject::Process, route("r5"), route("r0"), route("r3")] {
        assert!(history.subjects().contains(&&kept), "{kept}");
    }
}

#[test]
fn counters_that_begin_anew_are_no_flood() {
    let mut history = a_minute();
    let mut naive = Naive::new();
    naive.second += 60;
    history.push(&naive.live(&Second { opened: 5, ..Second::default() }));
    assert_eq!(within(&history, Figure::Opened, 1), Some(5.0));
}

/// Those that were open before a pause that is longer than seconds are kept for are not taken for new ones.
#[test]
fn a_long_pause_is_no_growth() {
    let (mut history, mut naive) = (History::new(STARTED), Naive::new());
    history.push(&naive.live(&Second { opened: 16, ..Second::default() }));
    (0..30).for_each(|_| history.push(&naive.live(&Second::default())));
    history.push(&naive.live(&Second { still: 1000, ..Second::default() }));
    for seconds in [30, 60, 180, 453] {
        assert_eq!(within(&history, Figure::Open, seconds), Some(0.0), "{seconds} s");
    }
}
