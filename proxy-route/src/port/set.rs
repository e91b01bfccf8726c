//! A set of ports as sorted ranges.

use smallvec::SmallVec;

use super::PortRange;

/// Invariant: the ranges are sorted, and between any two of them lies at least one port that is not in the set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PortSet {
    ranges: SmallVec<[PortRange; 4]>,
}

impl PortSet {
    pub(crate) fn contains(&self, port: u16) -> bool {
        let after = self.ranges.partition_point(|range| range.last() < port);
        self.ranges.get(after).is_some_and(|range| range.contains(port))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = PortRange> {
        self.ranges.iter().copied()
    }
}

impl FromIterator<PortRange> for PortSet {
    fn from_iter<I: IntoIterator<Item = PortRange>>(ranges: I) -> Self {
        let mut sorted: SmallVec<[PortRange; 4]> = ranges.into_iter().collect();
        sorted.sort_unstable();
        // `dedup_by` hands over (this, the one kept before it) and drops this when the answer is yes.
        sorted.dedup_by(|range, kept| {
            let touches = range.first <= kept.last.saturating_add(1);
            if touches {
                kept.last = kept.last.max(range.last);
            }
            touches
        });
        sorted.shrink_to_fit();
        Self { ranges: sorted }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(ranges: &[&str]) -> PortSet {
        ranges.iter().map(|text| text.parse::<PortRange>().unwrap()).collect()
    }

    #[test]
    fn touching_ranges_become_one() {
        assert_eq!(set(&["81", "80", "82-90", "85"]), set(&["80-90"]));
        assert_ne!(set(&["80", "82"]), set(&["80-82"]));
        assert_eq!(set(&["1-65535", "65535", "1"]), set(&["1-65535"]));
    }

    #[test]
    fn an_empty_set_contains_nothing() {
        assert!(!PortSet::default().contains(80));
    }

    proptest! {
        #[test]
        fn contains_what_its_ranges_contain(ends in prop::collection::vec((1..40u16, 1..40u16), 0..8), port in 1..42u16) {
            let ranges: Vec<PortRange> =
                ends.iter().map(|(a, b)| PortRange::new(*a.min(b), *a.max(b)).unwrap()).collect();
            let set: PortSet = ranges.iter().copied().collect();
            prop_assert_eq!(set.contains(port), ranges.iter().any(|range| range.contains(port)));
        }
    }
}
