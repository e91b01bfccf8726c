//! The options of overload protection.

use proxy_core::Bound;

use super::percent::Percent;

/// When a pool is overloaded, and what is done then.
///
/// Each watched thing has two marks: from the first the pool is *tight*, from the second it *sheds*. Between them the
/// measures grow in proportion. All marks are shares of a limit; a thing without a limit is not watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(deny_unknown_fields, default)
)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct OverloadOptions {
    /// Tight from this share of the pool's connection limit. Default 80: a fifth is left for the measures to work in.
    pub connections_tight: Percent,
    /// Shed from this share of the pool's connection limit. Default 95, as Envoy's documented example stops accepting;
    /// nginx begins to close idle connections at 94 (a sixteenth free).
    pub connections_shed: Percent,
    /// Tight when the connections, as they grow now, will reach the limit within this time. A forecast never sheds.
    /// Default 1m: twice the default `connection_timeout`, so that a backend that stops answering is noticed while its
    /// first dials still wait.
    pub growth_within: Bound,
    /// Growth is watched from this share of the limit on. Default 50: below it even a steep rise has room, and is what
    /// a start looks like.
    pub growth_from: Percent,
    /// Growth is averaged over about this time. Default 30s: a burst that fills a tenth of the limit and stops passes
    /// unnoticed; a leak of hours does not.
    pub growth_window: Bound,
    /// Tight when connections in dial make up this share of the limit. Default 25.
    pub dialling_tight: Percent,
    /// Shed when connections in dial make up this share of the limit. Default 50: half of what the pool may hold does
    /// nothing but wait for backends, and what is let in will wait too.
    pub dialling_shed: Percent,
    /// Connections in dial count only while the oldest of them has waited this long: many young dials are a burst, and a
    /// single old one is one dead backend. Default 5s, Envoy's connect timeout, and beyond the first two retransmissions
    /// of a lost SYN (1s and 3s).
    pub dialling_patience: Bound,
    /// Tight from this share of the process's descriptor limit, less those that it needs without any connection. Default 80.
    pub descriptors_tight: Percent,
    /// Shed from this share of the process's descriptor limit, less those that it needs without any connection. Default 95:
    /// the rest is for the admin API, DNS and a reload.
    pub descriptors_shed: Percent,
    /// Tight from this share of the memory bound, less what the process needs without any connection. Default 80.
    pub memory_tight: Percent,
    /// Shed from this share of the memory bound. Default 95, as Envoy's example. What counts is what is allocated beyond what
    /// the process needs without any connection, not what the allocator keeps of what was freed.
    pub memory_shed: Percent,
    /// A level is left when everything is this many percentage points below its marks (for growth: when the limit is
    /// twice as far away). Default 10. It has to be below every mark named "tight".
    pub slack: Percent,
    /// The least time in a level that growth or dials that hang have led to, before they change it again in either direction;
    /// and the least time between two lines about it. Default 5s: a rate is an average, and a log that flaps hides what
    /// matters. A shortage (of places, descriptors, memory) ends at once.
    pub least_stay: Bound,
    /// What is left of a deadline at full strength. Default 10: a `connection_timeout` of 30s becomes 3s, in which a dial
    /// still survives a lost SYN. `inactivity_timeout` and `write_stall_timeout` never become less than 12s (or than what is
    /// written, where that is less): a slow, steady reader shows about every 10s that it lives.
    pub shortest_deadline: Percent,
    /// At most this share of a pool's connections is ended within a second. Default 5: between sozu, which evicts 1 %,
    /// and nginx, which closes up to an eighth of the reusable ones.
    pub victims_share: Percent,
    /// Only connections that were silent for this long are ended. Default 10s: beyond a round trip and a pause for
    /// thought, so not busy. The longest silent go first anyway, and those that have carried bytes only while somebody is
    /// turned away for want of their places, or memory is short.
    pub victims_idle: Bound,
}

proxy_values::setters!(OverloadOptions {
    connections_tight: Percent,
    connections_shed: Percent,
    growth_within: Bound,
    growth_from: Percent,
    growth_window: Bound,
    dialling_tight: Percent,
    dialling_shed: Percent,
    dialling_patience: Bound,
    descriptors_tight: Percent,
    descriptors_shed: Percent,
    memory_tight: Percent,
    memory_shed: Percent,
    slack: Percent,
    least_stay: Bound,
    shortest_deadline: Percent,
    victims_share: Percent,
    victims_idle: Bound
});

impl Default for OverloadOptions {
    fn default() -> Self {
        Self {
            connections_tight: Percent::new(80),
            connections_shed: Percent::new(95),
            growth_within: Bound::secs(60),
            growth_from: Percent::new(50),
            growth_window: Bound::secs(30),
            dialling_tight: Percent::new(25),
            dialling_shed: Percent::new(50),
            dialling_patience: Bound::secs(5),
            descriptors_tight: Percent::new(80),
            descriptors_shed: Percent::new(95),
            memory_tight: Percent::new(80),
            memory_shed: Percent::new(95),
            slack: Percent::new(10),
            least_stay: Bound::secs(5),
            shortest_deadline: Percent::new(10),
            victims_share: Percent::new(5),
            victims_idle: Bound::secs(10),
        }
    }
}

/// Two options that contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{lower} ({lower_value}) must be below {higher} ({higher_value})")]
pub struct OptionsError {
    /// The option that has to be the lower.
    pub lower: &'static str,
    /// What it is.
    pub lower_value: Percent,
    /// The option that has to be the higher.
    pub higher: &'static str,
    /// What that is.
    pub higher_value: Percent,
}

impl OverloadOptions {
    /// Whether the options agree with each other. Call it where a configuration is read; an [`Overload`](super::Overload)
    /// works with any, only not as anybody would expect.
    ///
    /// # Errors
    /// The first two that do not: a "tight" mark that is not below its "shed" mark, or a slack that is not below a
    /// "tight" mark.
    pub fn check(&self) -> Result<(), OptionsError> {
        let named = [
            (("connections_tight", self.connections_tight), ("connections_shed", self.connections_shed)),
            (("dialling_tight", self.dialling_tight), ("dialling_shed", self.dialling_shed)),
            (("descriptors_tight", self.descriptors_tight), ("descriptors_shed", self.descriptors_shed)),
            (("memory_tight", self.memory_tight), ("memory_shed", self.memory_shed)),
        ];
        for (tight, shed) in named {
            below(tight, shed)?;
            below(("slack", self.slack), tight)?;
        }
        below(("slack", self.slack), ("growth_from", self.growth_from))
    }

    /// The marks by which a level is kept: those by which it is entered, less the slack.
    pub(super) fn relaxed(&self) -> Self {
        Self {
            connections_tight: self.connections_tight.less(self.slack),
            connections_shed: self.connections_shed.less(self.slack),
            growth_within: self.growth_within.times(2),
            growth_from: self.growth_from.less(self.slack),
            dialling_tight: self.dialling_tight.less(self.slack),
            dialling_shed: self.dialling_shed.less(self.slack),
            dialling_patience: Percent::new(50).of_bound(self.dialling_patience),
            descriptors_tight: self.descriptors_tight.less(self.slack),
            descriptors_shed: self.descriptors_shed.less(self.slack),
            memory_tight: self.memory_tight.less(self.slack),
            memory_shed: self.memory_shed.less(self.slack),
            ..*self
        }
    }
}

type Named = (&'static str, Percent);

fn below((lower, lower_value): Named, (higher, higher_value): Named) -> Result<(), OptionsError> {
    if lower_value < higher_value {
        return Ok(());
    }
    Err(OptionsError { lower, lower_value, higher, higher_value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_agree_with_each_other_and_contradictions_are_named() {
        let defaults = OverloadOptions::default();
        assert_eq!(defaults.check(), Ok(()));
        let crossed = OverloadOptions { memory_shed: Percent::new(80), ..defaults };
        let wide = OverloadOptions { slack: Percent::new(25), ..defaults };
        insta::assert_snapshot!(crossed.check().unwrap_err(), @"memory_tight (80%) must be below memory_shed (80%)");
        insta::assert_snapshot!(wide.check().unwrap_err(), @"slack (25%) must be below dialling_tight (25%)");
        assert_eq!(OverloadOptions { slack: Percent::new(24), ..defaults }.check(), Ok(()));
    }

    #[cfg(feature = "serde")]
    mod serde {
        use super::super::*;
        use ::serde::Deserialize;
        use ::serde::de::value::{Error, MapDeserializer};

        fn read(key: &'static str, value: i64) -> Result<OverloadOptions, Error> {
            OverloadOptions::deserialize(MapDeserializer::<_, Error>::new(std::iter::once((key, value))))
        }

        #[test]
        fn what_is_not_written_has_its_default_and_what_is_unknown_is_refused() {
            let expected = OverloadOptions { slack: Percent::new(7), ..OverloadOptions::default() };
            assert_eq!(read("slack", 7), Ok(expected));
            assert!(
                read("slak", 7).unwrap_err().to_string().starts_with("unknown field `slak`, expected one of")
            );
            insta::assert_snapshot!(read("slack", 101).unwrap_err(), @"expected a percentage from 1 to 100, found 101");
        }
    }

    #[cfg(feature = "schemars")]
    #[test]
    fn the_schema_documents_every_option_with_its_default() {
        let schema = schemars::schema_for!(OverloadOptions);
        let options = schema.get("properties").and_then(|p| p.as_object()).unwrap();
        assert_eq!(options.len(), 17);
        assert!(
            options
                .values()
                .all(|option| option.get("description").is_some() && option.get("default").is_some())
        );
    }
}
