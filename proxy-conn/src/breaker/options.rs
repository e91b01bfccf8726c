//! The options of breakers.

use std::num::NonZeroU32;

use proxy_core::Bound;

/// When a target is left alone, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(deny_unknown_fields, default)
)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct BreakerOptions {
    /// The breaker opens when this many dials have failed in a row. Default 5, Envoy's outlier detection's and Finagle's
    /// (nginx: 1, linkerd: 7).
    pub failures_in_a_row: NonZeroU32,
    /// For this long connections that have another target do not dial it; then one connection tries it. Default 10s, nginx's
    /// `fail_timeout`. It is doubled whenever that connection fails, and as it was once one has succeeded.
    pub cool_down: Bound,
    /// What doubling stops at. Default 2m, between linkerd's 1m and Envoy's 5m. Shorter than `cool_down`, it means
    /// `cool_down`: nothing is doubled.
    pub longest_cool_down: Bound,
}

proxy_values::setters!(BreakerOptions {
    failures_in_a_row: NonZeroU32,
    cool_down: Bound,
    longest_cool_down: Bound
});

impl Default for BreakerOptions {
    fn default() -> Self {
        Self {
            failures_in_a_row: const { NonZeroU32::new(5).expect("five is not zero") },
            cool_down: Bound::secs(10),
            longest_cool_down: Bound::secs(120),
        }
    }
}

impl BreakerOptions {
    /// The cool-down after one of `cool_down` was not enough.
    pub(super) fn longer(&self, cool_down: Bound) -> Bound {
        cool_down.times(2).min(self.longest_cool_down.max(self.cool_down))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cool_downs_double_up_to_the_longest() {
        let options = BreakerOptions::default();
        let cool_downs = std::iter::successors(Some(options.cool_down), |last| Some(options.longer(*last)));
        let seconds: Vec<_> = cool_downs.take(6).map(|bound| bound.get().as_secs()).collect();
        assert_eq!(seconds, [10, 20, 40, 80, 120, 120]);
        let steady = BreakerOptions { longest_cool_down: Bound::secs(1), ..options };
        assert_eq!(steady.longer(steady.cool_down), Bound::secs(10));
    }

    #[cfg(feature = "serde")]
    #[test]
    fn zero_failures_and_unknown_keys_are_refused() {
        use serde::Deserialize;
        use serde::de::value::{Error, MapDeserializer};
        let read = |key: &'static str, n: u32| {
            BreakerOptions::deserialize(MapDeserializer::<_, Error>::new(std::iter::once((key, n))))
        };
        assert_eq!(read("failures_in_a_row", 7).unwrap().failures_in_a_row.get(), 7);
        insta::assert_snapshot!(read("failures_in_a_row", 0).unwrap_err(), @"invalid value: integer `0`, expected a nonzero u32");
        insta::assert_snapshot!(read("failures", 7).unwrap_err(), @"unknown field `failures`, expected one of `failures_in_a_row`, `cool_down`, `longest_cool_down`");
    }

    #[cfg(feature = "schemars")]
    #[test]
    fn the_schema_documents_every_option_with_its_default() {
        let schema = schemars::schema_for!(BreakerOptions);
        let options = schema.get("properties").and_then(|p| p.as_object()).unwrap();
        assert_eq!(options.len(), 3);
        assert!(
            options
                .values()
                .all(|option| option.get("description").is_some() && option.get("default").is_some())
        );
    }
}
