//! Rounded numbers: as many binary digits as matter, and how large it is (what HDR histograms call sub-buckets).

/// Beyond that a number is no count of anything here: 4 EiB.
const MOST: u64 = 1 << 62;

/// How exact a number is kept: small ones wholly, larger ones to the nearest of `2^digits` steps an octave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scale {
    digits: u32,
}

impl Scale {
    /// Exact up to `2^(digits+1)`, beyond that off by one part in `2^(digits+1)` at most.
    pub(super) const fn with_digits(digits: u32) -> Self {
        Self { digits }
    }

    /// The place of `value` on the scale.
    pub(super) fn code(self, value: u64) -> u16 {
        let value = value.min(MOST);
        let octave = value.checked_ilog2().unwrap_or(0);
        let shift = octave.saturating_sub(self.digits);
        let half = (1 << shift) >> 1;
        let place = (u64::from(shift) << self.digits) + ((value + half) >> shift);
        u16::try_from(place).unwrap_or(u16::MAX)
    }

    /// What is at that place.
    pub(super) fn value(self, code: u16) -> u64 {
        let (code, unit) = (u64::from(code), 1 << self.digits);
        if code < 2 * unit {
            return code;
        }
        let digits = (code & (unit - 1)) | unit;
        let scaled = u32::try_from((code >> self.digits) - 1).ok().and_then(|shift| 1_u64.checked_shl(shift));
        scaled.and_then(|scaled| digits.checked_mul(scaled)).map_or(MOST, |value| value.min(MOST))
    }

    /// Whether what is at that place is exactly what it was.
    pub(super) fn is_exact(self, code: u16) -> bool {
        u64::from(code) < 2 << self.digits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_as_exact_as_it_says(value in prop_oneof![0_u64..5000, 0..MOST], digits in 2_u32..=10) {
            let scale = Scale::with_digits(digits);
            let code = scale.code(value);
            let kept = scale.value(code);
            prop_assert!(kept.abs_diff(value) <= value >> (digits + 1), "{value} is kept as {kept}");
            prop_assert!(!scale.is_exact(code) || kept == value);
            prop_assert!(value >= 2 << digits || scale.is_exact(code));
        }

        #[test]
        fn any_place_has_a_value(code in any::<u16>(), digits in 2_u32..=10) {
            prop_assert!(Scale::with_digits(digits).value(code) <= MOST);
        }
    }
}
