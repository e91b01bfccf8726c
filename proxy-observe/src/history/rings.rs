//! All that is kept of one subject: three rings, what is within the step in progress of the longer two, and the sums that rules
//! ask for.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::Series;
use super::ring::Ring;
use super::span::Span;
use super::step::Step;
use super::window::Window;
use crate::picture::Reading;

/// What is asked for every second is kept as a sum; anything else is added up when it is asked for.
const MINUTE: u32 = 60;
const THREE_MINUTES: u32 = 180;
const HOUR: u32 = 3600;

/// A step in progress.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Part {
    /// Its number, where one is in progress.
    pub(super) number: Option<u32>,
    pub(super) sum: Step,
}

impl Part {
    /// Adds a second to the step of that number.
    fn add(&mut self, number: u32, second: &Step) {
        self.sum = if self.number == Some(number) { self.sum.and(second) } else { *second };
        self.number = Some(number);
    }

    /// The step, if it is over when the one of that number is in progress.
    fn over_at(&mut self, number: u32) -> Option<(u32, Step)> {
        let over = self.number.filter(|own| *own < number)?;
        Some((over, std::mem::take(self).sum))
    }
}

/// What was counted up to the last picture.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    opened: u64,
    ended: u64,
    failed: u64,
    refused: u64,
    from_client: u64,
    from_backend: u64,
}

impl Counted {
    fn of(reading: &Reading) -> Self {
        let totals = &reading.totals;
        Self {
            opened: totals.opened,
            ended: totals.ended(),
            failed: totals.failed,
            refused: totals.refused(),
            from_client: totals.from_client,
            from_backend: totals.from_backend,
        }
    }
}

/// All that is kept of one subject.
#[derive(Debug, Clone)]
pub(super) struct Rings {
    pub(super) rings: [Ring; 3],
    /// The steps in progress of the middle and the long ring.
    pub(super) parts: [Part; 2],
    minute: Window,
    three_minutes: Window,
    hour: Window,
    /// What this process had counted of it up to the last picture that it is in.
    counted: Option<Counted>,
    /// The last second in which one was open or anything happened.
    pub(super) active: u32,
    /// How many were open in the last second that is known.
    open: u64,
    /// That second.
    seen: u32,
}

impl Rings {
    pub(super) fn new() -> Self {
        Self::of(Span::ALL.map(Ring::new), [Part::default(); 2], 0)
    }

    /// Those that another process has kept.
    pub(super) fn of(rings: [Ring; 3], parts: [Part; 2], active: u32) -> Self {
        let [short, middle, long] = &rings;
        let before_short = open_before(short, [middle, long]);
        let minute = Window::over(MINUTE, short, before_short);
        let three_minutes = Window::over(THREE_MINUTES, short, before_short);
        let hour = Window::over(HOUR / Span::SixHours.step_s(), middle, open_before(middle, [long]));
        Self { rings, parts, minute, three_minutes, hour, counted: None, active, open: 0, seen: 0 }
    }

    /// What they take of memory, the subject's place in a table included.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.rings.iter().map(Ring::bytes).sum::<usize>()
    }

    /// Whether a step of any span is kept.
    pub(super) fn is_empty(&self) -> bool {
        self.rings.iter().all(|ring| ring.chunks().is_empty())
    }

    /// What was counted before it was first seen is no part of its past.
    pub(super) fn begin_at(&mut self, reading: &Reading) {
        self.counted.get_or_insert(Counted::of(reading));
    }

    /// The last second that is known.
    pub(super) fn seen(&self) -> u32 {
        self.seen
    }

    /// What has happened since the last picture, as one step. A counter that has fallen was begun anew.
    fn since(&mut self, reading: &Reading) -> Step {
        let now = Counted::of(reading);
        let before = self.counted.replace(now).unwrap_or_default();
        let since = |now: u64, before: u64| now.checked_sub(before).unwrap_or(now);
        let waited = reading.first_byte_p99.map_or(0, |waited| waited.as_micros().max(1));
        Step {
            open: reading.open,
            opened: since(now.opened, before.opened),
            ended: since(now.ended, before.ended),
            failed: since(now.failed, before.failed),
            refused: since(now.refused, before.refused),
            from_client: since(now.from_client, before.from_client),
            from_backend: since(now.from_backend, before.from_backend),
            first_byte_us: u64::try_from(waited).unwrap_or(u64::MAX),
        }
    }

    /// Adds the seconds since the last picture: what has happened in them is told apart evenly.
    pub(super) fn push(&mut self, reading: &Reading, seconds: RangeInclusive<u32>) {
        let step = self.since(reading);
        let of = u64::from(seconds.end().saturating_sub(*seconds.start())) + 1;
        for (nth, second) in (0..).zip(seconds) {
            self.tick(second, Some(&step.part(nth, of)));
        }
    }

    /// The second that ends so many seconds after 1970 is over, and this was in it; `None` where nothing is known of it.
    pub(super) fn tick(&mut self, second: u32, step: Option<&Step>) {
        self.finish_parts(second);
        if let Some(step) = step {
            self.add(second, step);
        }
        let [short, middle, _] = &self.rings;
        self.minute.leave_behind(second, short);
        self.three_minutes.leave_behind(second, short);
        self.hour.leave_behind(middle.number_of(second), middle);
        for ring in &mut self.rings {
            ring.forget(ring.number_of(second));
        }
    }

    fn finish_parts(&mut self, second: u32) {
        let [_, middle, long] = &mut self.rings;
        let [ten, three_hundred] = &mut self.parts;
        if let Some((number, sum)) = ten.over_at(middle.number_of(second)) {
            self.hour.add(&middle.append(number, &sum));
        }
        if let Some((number, sum)) = three_hundred.over_at(long.number_of(second)) {
            long.append(number, &sum);
        }
    }

    fn add(&mut self, second: u32, step: &Step) {
        let [short, middle, long] = &mut self.rings;
        let kept = short.append(second, step);
        self.minute.add(&kept);
        self.three_minutes.add(&kept);
        let [ten, three_hundred] = &mut self.parts;
        ten.add(middle.number_of(second), step);
        three_hundred.add(long.number_of(second), step);
        self.open = step.open;
        self.seen = second;
        if !step.is_idle() {
            self.active = second;
        }
    }

    /// Whether there is a part that may be forgotten before its time: of the fourteen days all but the last chunk, of the six hours
    /// what is older than an hour, which rules ask for.
    pub(super) fn may_be_shortened(&self, second: u32) -> bool {
        let [_, middle, long] = &self.rings;
        let hour_ago = middle.number_of(second).saturating_sub(HOUR / middle.span().step_s());
        let is_old = || middle.chunks().first().is_some_and(|oldest| oldest.after() <= hour_ago);
        long.chunks().len() > 1 || is_old()
    }

    /// Forgets that part's oldest chunk.
    pub(super) fn shorten(&mut self) {
        let [_, middle, long] = &mut self.rings;
        let ring = if long.chunks().len() > 1 { long } else { middle };
        ring.forget_first();
    }

    /// What was over a span, up to that second.
    pub(super) fn series(&self, span: Span, second: u32) -> Series {
        let [short, middle, long] = &self.rings;
        // A longer step is in its ring once the next one has begun.
        let (ring, newest) = match span {
            Span::TenMinutes => (short, second),
            Span::SixHours => (middle, middle.number_of(second).saturating_sub(1)),
            Span::FourteenDays => (long, long.number_of(second).saturating_sub(1)),
        };
        let oldest = newest.saturating_sub(span.steps());
        let mut steps = Vec::new();
        let mut next = None;
        for (number, step) in ring.steps().filter(|(number, _)| (oldest + 1..=newest).contains(number)) {
            let unknown = number - next.unwrap_or(number);
            steps.extend((0..unknown).map(|_| None));
            steps.push(Some(step));
            next = Some(number + 1);
        }
        let unknown = next.map_or(0, |next| (newest + 1).saturating_sub(next));
        steps.extend((0..unknown).map(|_| None));
        let until = Duration::from_secs(u64::from(newest) * u64::from(span.step_s()));
        Series { until, step: span.step(), steps }
    }

    /// What was within the last so many seconds before that one, and by how many more are open than before.
    pub(super) fn within(&self, seconds: u32, second: u32) -> (Step, i64) {
        let [ten, _] = &self.parts;
        let (sum, open_before) = match seconds {
            MINUTE => (self.minute.sum(), self.minute.open_before()),
            THREE_MINUTES => (self.three_minutes.sum(), self.three_minutes.open_before()),
            HOUR => (self.hour.sum().and(&ten.sum), self.hour.open_before()),
            _ => self.added_up(seconds, second),
        };
        let open = if self.seen == second { self.open } else { 0 };
        (sum, open.cast_signed().saturating_sub(open_before.cast_signed()))
    }

    fn added_up(&self, seconds: u32, second: u32) -> (Step, u64) {
        let [short, middle, long] = &self.rings;
        let [ten, three_hundred] = &self.parts;
        let (ring, part) = match Span::reaching(seconds) {
            Span::TenMinutes => (short, &Part::default()),
            Span::SixHours => (middle, ten),
            Span::FourteenDays => (long, three_hundred),
        };
        let oldest = ring.number_of(second).saturating_sub(seconds / ring.span().step_s());
        let younger = ring.steps().filter(|(number, _)| *number > oldest);
        let sum = younger.fold(Step::default(), |sum, (_, step)| sum.and(&step));
        (sum.and(&part.sum), self.open_at(oldest.saturating_mul(ring.span().step_s())))
    }

    /// How many were open at the end of that second, or of the last one before it that is known: as exactly as is kept of it.
    fn open_at(&self, second: u32) -> u64 {
        open_at(&self.rings, second)
    }
}

/// How many were open at the end of that second, or of the last one before it that one of these rings knows; the first that does.
fn open_at<'r>(rings: impl IntoIterator<Item = &'r Ring>, second: u32) -> u64 {
    let last_of = |ring: &Ring| {
        let ends = |number: u32| number.saturating_mul(ring.span().step_s());
        ring.steps().take_while(|(number, _)| ends(*number) <= second).last()
    };
    rings.into_iter().find_map(last_of).map_or(0, |(_, step)| step.open)
}

/// How many were open before the first step of `ring`, as the longer ones know it.
fn open_before<'r>(ring: &Ring, longer: impl IntoIterator<Item = &'r Ring>) -> u64 {
    let first =
        ring.steps().next().map(|(number, _)| number.saturating_sub(1).saturating_mul(ring.span().step_s()));
    open_at(longer, first.unwrap_or(u32::MAX))
}
