//! What was of a subject within one step of time, and how it is written down.

use super::bits::Bits;
use super::scale::Scale;

/// What was of a subject within one step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// Connections that were opened.
    pub opened: u64,
    /// Connections that ended.
    pub ended: u64,
    /// Connections that were open at its end.
    pub open: u64,
    /// Of those that ended, how many the backend failed.
    pub failed: u64,
    /// Of those that ended, how many a limit refused.
    pub refused: u64,
    /// Bytes read from clients.
    pub from_client: u64,
    /// Bytes read from backends.
    pub from_backend: u64,
    /// How long 99 of 100 waited for the backend's first byte at most, in the second of it in which they waited longest, in
    /// microseconds. 0 where none came.
    pub first_byte_us: u64,
}

impl Step {
    /// This one and the one that follows it as one.
    #[must_use]
    pub fn and(self, next: &Self) -> Self {
        Self {
            open: next.open,
            opened: self.opened.saturating_add(next.opened),
            ended: self.ended.saturating_add(next.ended),
            failed: self.failed.saturating_add(next.failed),
            refused: self.refused.saturating_add(next.refused),
            from_client: self.from_client.saturating_add(next.from_client),
            from_backend: self.from_backend.saturating_add(next.from_backend),
            first_byte_us: self.first_byte_us.max(next.first_byte_us),
        }
    }

    /// The `nth` of so many equal parts of it; together they are the whole.
    pub(super) fn part(&self, nth: u64, of: u64) -> Self {
        let part = |whole: u64| {
            let up_to = |nth: u64| u128::from(whole) * u128::from(nth) / u128::from(of.max(1));
            u64::try_from(up_to(nth + 1) - up_to(nth)).unwrap_or(u64::MAX)
        };
        Self {
            open: self.open,
            opened: part(self.opened),
            ended: part(self.ended),
            failed: part(self.failed),
            refused: part(self.refused),
            from_client: part(self.from_client),
            from_backend: part(self.from_backend),
            first_byte_us: self.first_byte_us,
        }
    }

    /// Whether nothing was open and nothing happened.
    pub(super) fn is_idle(&self) -> bool {
        *self == Self::default()
    }
}

/// How exactly the steps of a ring are kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Precision {
    pub(super) open: Scale,
    pub(super) counts: Scale,
    pub(super) bytes: Scale,
    pub(super) first_byte: Scale,
}

/// A step as it is kept: each number's place on its scale. As a default: nothing was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Codes {
    opened: u16,
    ended: u16,
    open: u16,
    failed: u16,
    refused: u16,
    from_client: u16,
    from_backend: u16,
    first_byte: u16,
}

impl Codes {
    pub(super) fn of(step: &Step, precision: &Precision) -> Self {
        let Precision { open, counts, bytes, first_byte } = precision;
        Self {
            opened: counts.code(step.opened),
            ended: counts.code(step.ended),
            open: open.code(step.open),
            failed: counts.code(step.failed),
            refused: counts.code(step.refused),
            from_client: bytes.code(step.from_client),
            from_backend: bytes.code(step.from_backend),
            first_byte: first_byte.code(step.first_byte_us),
        }
    }

    pub(super) fn step(&self, precision: &Precision) -> Step {
        let Precision { open, counts, bytes, first_byte } = precision;
        Step {
            opened: counts.value(self.opened),
            ended: counts.value(self.ended),
            open: open.value(self.open),
            failed: counts.value(self.failed),
            refused: counts.value(self.refused),
            from_client: bytes.value(self.from_client),
            from_backend: bytes.value(self.from_backend),
            first_byte_us: first_byte.value(self.first_byte),
        }
    }

    /// How many are open where so many were, as far as opens and ends are known exactly; as many as before where they are not.
    fn open_after(&self, last: &Self, precision: &Precision) -> u16 {
        let counts = precision.counts;
        if !counts.is_exact(self.opened) || !counts.is_exact(self.ended) {
            return last.open;
        }
        let open = precision.open.value(last.open).saturating_add(self.opened.into());
        precision.open.code(open.saturating_sub(self.ended.into()))
    }

    /// Writes it down: a bit where it is what one expects after `last`, else by how much each number differs from that.
    pub(super) fn write(&self, last: &Self, precision: &Precision, bits: &mut Bits) {
        let expected = Self { ended: last.opened, open: self.open_after(last, precision), ..*last };
        bits.write_flag(*self != expected);
        if *self == expected {
            return;
        }
        let mut differs = |from: u16, to: u16| bits.write_number(zigzag(i32::from(to) - i32::from(from)));
        differs(last.opened, self.opened);
        // Most connections are short: as many end as begin.
        differs(self.opened, self.ended);
        differs(expected.open, self.open);
        differs(last.failed, self.failed);
        differs(last.refused, self.refused);
        differs(last.from_client, self.from_client);
        differs(last.from_backend, self.from_backend);
        differs(last.first_byte, self.first_byte);
    }

    /// Reads what was written after `last`, and moves on.
    pub(super) fn read(last: &Self, precision: &Precision, bits: &Bits, at: &mut u32) -> Self {
        if !bits.read_flag(at) {
            let expected = Self { ended: last.opened, ..*last };
            return Self { open: expected.open_after(last, precision), ..expected };
        }
        let mut next = |from: u16| {
            let differs = unzigzag(bits.read_number(at));
            let code = i32::from(from).saturating_add(differs);
            u16::try_from(code.clamp(0, u16::MAX.into())).unwrap_or(0)
        };
        let opened = next(last.opened);
        let ended = next(opened);
        let known = Self { opened, ended, ..*last };
        Self {
            open: next(known.open_after(last, precision)),
            failed: next(last.failed),
            refused: next(last.refused),
            from_client: next(last.from_client),
            from_backend: next(last.from_backend),
            first_byte: next(last.first_byte),
            ..known
        }
    }
}

/// Small differences either way as small numbers: 0, -1, 1, -2, 2 …
fn zigzag(number: i32) -> u32 {
    ((number << 1) ^ (number >> 31)).cast_unsigned()
}

fn unzigzag(number: u32) -> i32 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}
