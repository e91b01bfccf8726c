//! What was within the last minute, three minutes and hour, kept as a sum: a step is added when it comes, and taken off again
//! when it is as old.

use super::ring::{Cursor, Ring};
use super::step::Step;

/// The sums of the steps of a ring that are younger than so many steps.
#[derive(Debug, Clone)]
pub(super) struct Window {
    steps: u32,
    sum: Step,
    /// How many were open before the first step in it; 0 where nothing is known from before it.
    open_before: u64,
    /// The oldest step in it.
    tail: Cursor,
}

impl Window {
    /// One over so many steps of `ring`, of what is there of them; so many were open before the first of these.
    pub(super) fn over(steps: u32, ring: &Ring, open_before: u64) -> Self {
        let sum = ring.steps().fold(Step::default(), |sum, (_, step)| sum.and(&step));
        Self { steps, sum, open_before, tail: ring.start() }
    }

    /// Adds a step, as its ring keeps it.
    pub(super) fn add(&mut self, step: &Step) {
        self.sum = self.sum.and(step);
    }

    /// Takes off what is too old at the step of that number.
    pub(super) fn leave_behind(&mut self, number: u32, ring: &Ring) {
        let oldest = number.saturating_sub(self.steps);
        while self.tail.number(ring).is_some_and(|tail| tail <= oldest) {
            let Some((_, step)) = self.tail.next(ring) else { break };
            self.open_before = step.open;
            self.take_off(&step);
        }
    }

    fn take_off(&mut self, step: &Step) {
        let sum = &mut self.sum;
        sum.opened = sum.opened.saturating_sub(step.opened);
        sum.ended = sum.ended.saturating_sub(step.ended);
        sum.failed = sum.failed.saturating_sub(step.failed);
        sum.refused = sum.refused.saturating_sub(step.refused);
        sum.from_client = sum.from_client.saturating_sub(step.from_client);
        sum.from_backend = sum.from_backend.saturating_sub(step.from_backend);
    }

    /// What was within it; of its gauges those at its end.
    pub(super) fn sum(&self) -> Step {
        self.sum
    }

    /// How many were open before it.
    pub(super) fn open_before(&self) -> u64 {
        self.open_before
    }
}
