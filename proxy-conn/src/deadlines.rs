//! How long each phase of a connection may last.
//!
//! Names and defaults are SmartProxy's. Every phase has a deadline: there is no way to leave one out, only to make it very long.

use proxy_core::Bound;
use proxy_core::relay::RelayLimits;
use proxy_values::layered;
use tokio::time::Instant;

/// How silence is judged on an established connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(rename_all = "snake_case"))]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum KeepAliveTreatment {
    /// `inactivity_timeout` ends it.
    #[default]
    Standard,
    /// `inactivity_timeout` × `keep_alive_inactivity_multiplier` ends it, and it may live for seven days.
    Extended,
    /// Silence never ends it. A dead peer still does (keepalive and user timeout), and so can an operator.
    Immortal,
}

/// A deadline that a route may switch off: `"off"` or a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Switch {
    /// It does not apply.
    Off,
    /// It applies after this long.
    After(Bound),
}

impl Switch {
    /// The duration; the longest bound where it is off.
    #[must_use]
    pub const fn bound(self) -> Bound {
        match self {
            Self::Off => Bound::MAX,
            Self::After(bound) => bound,
        }
    }
}

impl std::str::FromStr for Switch {
    type Err = proxy_values::bound::BoundError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        use proxy_values::bound::BoundError;
        match text.parse() {
            _ if text == "off" => Ok(Self::Off),
            Ok(bound) => Ok(Self::After(bound)),
            Err(BoundError::Off(word)) => Err(BoundError::OffByAnotherName(word)),
            Err(error) => Err(error),
        }
    }
}

impl std::fmt::Display for Switch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::After(bound) => bound.fmt(f),
        }
    }
}

proxy_values::text_form!(
    Switch,
    "DurationOrOff",
    r"^(off|([0-9]+(ms|s|m|h|d))+)$",
    "a duration such as \"30s\", or \"off\""
);

/// How often silence is multiplied for an extended connection: 1 to 1 000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Multiplier(u32);

impl Multiplier {
    /// The default, SmartProxy's.
    pub const SIX: Self = Self(6);

    /// The factor.
    #[must_use]
    pub const fn factor(self) -> u32 {
        self.0
    }
}

/// A multiplier out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a multiplier from 1 to 1000, found {0}")]
pub struct MultiplierError(i64);

impl TryFrom<i64> for Multiplier {
    type Error = MultiplierError;

    fn try_from(factor: i64) -> Result<Self, MultiplierError> {
        u32::try_from(factor).ok().filter(|n| (1..=1000).contains(n)).map(Self).ok_or(MultiplierError(factor))
    }
}

proxy_values::number_form!(Multiplier, "Multiplier", 1, 1000, "a multiplier");

/// How far deadlines are spread against herds: up to this many percent, either way; 0 to 50.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Jitter(u8);

impl Jitter {
    /// A tenth, either way.
    pub const TEN: Self = Self(10);

    /// `bound`, off by up to the jitter either way; `chance` is a uniform random number from 0 to 1.
    #[must_use]
    pub fn spread(self, bound: Bound, chance: f64) -> Bound {
        if self.0 == 0 || bound == Bound::MAX {
            return bound;
        }
        let factor = 1.0 + f64::from(self.0) / 100.0 * (chance.clamp(0.0, 1.0) * 2.0 - 1.0);
        Bound::try_from(bound.get().mul_f64(factor)).unwrap_or(bound)
    }
}

/// A jitter out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a percentage from 0 to 50, found {0}")]
pub struct JitterError(i64);

impl TryFrom<i64> for Jitter {
    type Error = JitterError;

    fn try_from(percent: i64) -> Result<Self, JitterError> {
        u8::try_from(percent).ok().filter(|n| *n <= 50).map(Self).ok_or(JitterError(percent))
    }
}

proxy_values::number_form!(Jitter, "Jitter", 0, 50, "a percentage");

layered! {
    /// The deadlines of one connection.
    pub struct Deadlines /
    /// Deadlines, where they differ from the layer above.
    DeadlineOverrides {
        /// For establishing the backend connection: all targets and attempts together. Default 30s.
        connection_timeout: Bound = Bound::secs(30),
        /// For a whole PROXY header, from accept. Not re-armed by bytes. Default 5s.
        proxy_header_timeout: Bound = Bound::secs(5),
        /// For a whole ClientHello, where a route of the port needs a name. Not re-armed by bytes. Default 15s.
        initial_data_timeout: Bound = Bound::secs(15),
        /// For a whole TLS handshake with a client, where a route ends its TLS. Not re-armed by bytes. Default 10s.
        tls_handshake_timeout: Bound = Bound::secs(10),
        /// For silence both ways on an established connection. Default 1h.
        inactivity_timeout: Bound = Bound::secs(3600),
        /// For silence after one side has ended (FIN). Any byte starts it anew. A peer that still has bytes to take, wherever
        /// they wait, has `write_stall_timeout` for the next, where that is longer. Another proxy next to this one
        /// judges who is behind it by deadlines of its own: one that is sent a PROXY header may take `inactivity_timeout` to
        /// answer a client that has ended, and one that sent a header as long to end behind its backend's end. Default 30s.
        half_closed_timeout: Bound = Bound::secs(30),
        /// For bytes that wait for a side that takes none; after one side has ended, also those that wait in the kernel.
        /// Another proxy next to this one has 80s at the least for them, against `inactivity_timeout` too: it takes bytes in
        /// large steps, however steadily who is behind it does. Default 5m.
        write_stall_timeout: Bound = Bound::secs(300),
        /// For an established connection on which no byte was ever sent, either way; `"off"` for services where that is
        /// usual. Default 1m.
        no_data_timeout: Switch = Switch::After(Bound::secs(60)),
        /// For a connection's whole life. Default 24h (7d if extended).
        max_connection_lifetime: Bound = Bound::secs(86_400),
        /// How silence is judged: standard, extended or immortal. Default standard.
        keep_alive_treatment: KeepAliveTreatment = KeepAliveTreatment::Standard,
        /// For extended connections: `inactivity_timeout` times this. Default 6.
        keep_alive_inactivity_multiplier: Multiplier = Multiplier::SIX,
        /// How far `inactivity_timeout` and `max_connection_lifetime` are spread at random for each connection, in percent
        /// either way (0 to 50), so that connections opened together do not end together. Default 0.
        jitter: Jitter = Jitter(0),
    }
}

/// The life of an extended connection, SmartProxy's.
const EXTENDED_LIFETIME: Bound = Bound::secs(7 * 86_400);

impl Deadlines {
    /// How long silence is borne on an established connection, after the keep-alive treatment.
    #[must_use]
    pub fn idle(&self) -> Bound {
        match self.keep_alive_treatment {
            KeepAliveTreatment::Standard => self.inactivity_timeout,
            KeepAliveTreatment::Extended => {
                self.inactivity_timeout.times(self.keep_alive_inactivity_multiplier.factor())
            }
            KeepAliveTreatment::Immortal => Bound::MAX,
        }
    }

    /// How long before an extended connection is cut for silence or age a warning is sent: a twentieth of the silence that
    /// is allowed, at least a second. None for other treatments.
    #[must_use]
    pub fn warning(&self) -> Option<Bound> {
        let extended = self.keep_alive_treatment == KeepAliveTreatment::Extended;
        extended.then(|| Bound::try_from(self.idle().get() / 20).unwrap_or(Bound::MIN).max(Bound::secs(1)))
    }

    /// The deadlines of the relay of a connection that was accepted at `opened`. Silence and life are spread by the
    /// [`jitter`](Self#structfield.jitter), anew with each call. No side is taken for another proxy and no keepalive is set:
    /// a caller that knows better sets those fields.
    #[must_use]
    pub fn relay_limits(&self, opened: Instant) -> RelayLimits {
        let spread = |bound| self.jitter.spread(bound, fastrand::f64());
        let mut limits = RelayLimits::new(spread(self.idle()), opened + spread(self.lifetime()).get());
        limits.half_closed = self.half_closed_timeout;
        limits.write_stall = self.write_stall_timeout;
        limits.no_data = self.no_data_timeout.bound();
        limits.warn_before = self.warning();
        limits
    }

    /// How long the connection may live, after the keep-alive treatment.
    #[must_use]
    pub fn lifetime(&self) -> Bound {
        match self.keep_alive_treatment {
            KeepAliveTreatment::Standard => self.max_connection_lifetime,
            KeepAliveTreatment::Extended => self.max_connection_lifetime.max(EXTENDED_LIFETIME),
            KeepAliveTreatment::Immortal => Bound::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_layer_that_says_something_wins() {
        let pool =
            DeadlineOverrides { connection_timeout: Some(Bound::secs(10)), ..DeadlineOverrides::default() };
        let route =
            DeadlineOverrides { inactivity_timeout: Some(Bound::secs(5)), ..DeadlineOverrides::default() };
        let resolved = Deadlines::default().with(&pool).with(&route);
        assert_eq!(resolved.connection_timeout, Bound::secs(10));
        assert_eq!(resolved.inactivity_timeout, Bound::secs(5));
        assert_eq!(resolved.half_closed_timeout, Bound::secs(30));
    }

    #[test]
    fn jitter_spreads_both_ways_and_never_the_endless() {
        let five = Jitter::try_from(5).unwrap();
        let spread = |chance| five.spread(Bound::secs(100), chance).get().as_secs_f64();
        assert!(
            (spread(0.0) - 95.0).abs() < 1e-6
                && (spread(0.5) - 100.0).abs() < 1e-6
                && (spread(1.0) - 105.0).abs() < 1e-6
        );
        assert_eq!(five.spread(Bound::MAX, 0.0), Bound::MAX);
        assert_eq!(Jitter::default().spread(Bound::secs(100), 0.0), Bound::secs(100));
        assert!(Jitter::try_from(51).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn every_deadline_of_a_relay_is_one_of_the_connection() {
        let opened = Instant::now();
        let limits = Deadlines::default()
            .half_closed_timeout(Bound::secs(1))
            .write_stall_timeout(Bound::secs(2))
            .no_data_timeout(Switch::Off)
            .keep_alive_treatment(KeepAliveTreatment::Extended)
            .relay_limits(opened);
        assert_eq!((limits.half_closed, limits.write_stall), (Bound::secs(1), Bound::secs(2)));
        assert_eq!((limits.idle, limits.no_data), (Bound::secs(6 * 3600), Bound::MAX));
        assert_eq!(limits.lifetime_end - opened, EXTENDED_LIFETIME.get());
        assert_eq!(limits.warn_before, Some(Bound::secs(1080)));
        let spread = Deadlines::default().jitter(Jitter::try_from(50).unwrap()).relay_limits(opened);
        assert!(
            spread.idle != Deadlines::default().idle()
                && spread.lifetime_end != opened + Bound::secs(86_400).get()
        );
    }

    #[test]
    fn treatments_stretch_silence_and_life() {
        let treated = |keep_alive_treatment| Deadlines { keep_alive_treatment, ..Deadlines::default() };
        let standard = treated(KeepAliveTreatment::Standard);
        assert_eq!((standard.idle(), standard.lifetime()), (Bound::secs(3600), Bound::secs(86_400)));
        let extended = treated(KeepAliveTreatment::Extended);
        assert_eq!((extended.idle(), extended.lifetime()), (Bound::secs(6 * 3600), Bound::secs(7 * 86_400)));
        let immortal = treated(KeepAliveTreatment::Immortal);
        assert_eq!((immortal.idle(), immortal.lifetime()), (Bound::MAX, Bound::MAX));
    }
}
