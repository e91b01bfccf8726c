//! From single checks to up and down: so many in a row that succeed, so many in a row that fail.
//!
//! ```text
//!            one passes                    `fall` fail in a row
//!  Unknown ─────────────► Up ────────────────────────────────────► Down
//!     │                    ▲                                         │
//!     │ `fall` fail        └──────────── `rise` pass in a row ───────┤
//!     └──────────────────────────────────────────────────────────────►
//! ```
//! While something is about to change, or is down, checks come faster.

use std::time::Duration;

use super::options::CheckOptions;

/// How a member stands by its check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Standing {
    /// It has not come to anything yet. It is used.
    #[default]
    Unknown,
    /// It is in order.
    Up,
    /// It is not.
    Down,
}

/// Judges one member by its checks, one after the other.
#[derive(Debug, Clone, Default)]
pub struct Judge {
    standing: Standing,
    /// How many checks in a row have spoken against how it stands.
    against: u32,
}

impl Judge {
    /// How it stands.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        self.standing
    }

    /// A check has ended, and `passed` or not; how the member stands from now on, if that has changed by it.
    pub fn observe(&mut self, passed: bool, options: &CheckOptions) -> Option<Standing> {
        let (next, needed) = match (self.standing, passed) {
            (Standing::Up, true) | (Standing::Down, false) => {
                self.against = 0;
                return None;
            }
            (Standing::Unknown, true) => (Standing::Up, 1),
            (Standing::Down, true) => (Standing::Up, options.rise.get()),
            (Standing::Unknown | Standing::Up, false) => (Standing::Down, options.fall.get()),
        };
        self.against += 1;
        if self.against < needed {
            return None;
        }
        (self.standing, self.against) = (next, 0);
        Some(next)
    }

    /// How long after the beginning of a check the next one is due, before it is spread.
    #[must_use]
    pub fn pause(&self, options: &CheckOptions) -> Duration {
        let settled = self.standing == Standing::Up && self.against == 0;
        if settled { options.period().get() } else { options.fast_period().get() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proxy_values::{Bound, Whole};

    fn options(rise: u32, fall: u32) -> CheckOptions {
        CheckOptions::default().rise(Whole::nearest(rise)).fall(Whole::nearest(fall))
    }

    /// `+` passes, `-` fails; what it stands at after each: `?`, `u`, `d`.
    fn judged(checks: &str, options: &CheckOptions) -> String {
        let mut judge = Judge::default();
        let after = |check| {
            let changed = judge.observe(check == '+', options);
            assert!(changed.is_none_or(|to| to == judge.standing()));
            match judge.standing() {
                Standing::Unknown => '?',
                Standing::Up => 'u',
                Standing::Down => 'd',
            }
        };
        checks.chars().map(after).collect()
    }

    #[test]
    fn both_sides_of_rise_and_fall() {
        let options = options(2, 3);
        assert_eq!(judged("+--+---+-++", &options), "uuuuuuddddu");
        assert_eq!(judged("--+", &options), "??u", "unknown is up with the first that passes");
        assert_eq!(judged("---++", &options), "??ddu");
        assert_eq!(judged("---+-+-++", &options), "??ddddddu", "in a row");
        assert_eq!(judged("+-+", &self::options(1, 1)), "udu");
    }

    #[test]
    fn checks_come_faster_while_something_changes_or_is_down() {
        let options = options(2, 2).interval(Some(Bound::secs(8))).fast_interval(Some(Bound::secs(1)));
        let mut judge = Judge::default();
        let paused: Vec<u64> = [true, true, false, false, false, true, true]
            .into_iter()
            .map(|passed| {
                judge.observe(passed, &options);
                judge.pause(&options).as_secs()
            })
            .collect();
        assert_eq!(paused, [8, 8, 1, 1, 1, 1, 8]);
    }
}
