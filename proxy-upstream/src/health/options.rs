//! How members are checked, and what is done with those that are found out of order.

use std::sync::Arc;

use proxy_conn::Jitter;
use proxy_core::header::{Endpoints, Outgoing, encode_v1, encode_v2};
use proxy_values::{Bound, Whole};

use crate::leaving::Leaving;

/// A share of all, in percent.
type Percent = Whole<0, 100>;

/// What holds for a group's health: how its members are checked, what becomes of connections to one that is down, and when
/// outcomes take one out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HealthOptions {
    /// How each member is checked; None where it is not.
    pub check: Option<Arc<CheckOptions>>,
    /// What becomes of the connections of a member that a check finds down. Default: they go on.
    pub on_down: Leaving,
    /// How long they have where that is to drain. Default 30s.
    pub drain_for: Bound,
    /// When outcomes of connections take a member out; None where they do not.
    pub outliers: Option<OutlierOptions>,
}

impl Default for HealthOptions {
    fn default() -> Self {
        Self { check: None, on_down: Leaving::default(), drain_for: Bound::secs(30), outliers: None }
    }
}

proxy_values::setters!([] HealthOptions {
    check: Option<Arc<CheckOptions>>,
    on_down: Leaving,
    drain_for: Bound,
    outliers: Option<OutlierOptions>,
});

/// How a member is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckOptions {
    /// What is said and expected.
    pub kind: CheckKind,
    /// The PROXY header that goes before it.
    pub header: CheckHeader,
    /// The TLS that all of it is inside of, the header too; None where it is in the clear. Not of a connect check, which ends before it
    /// could begin.
    #[cfg(feature = "tls")]
    pub inside: Option<Inside>,
    /// The port that is checked; None for the member's own.
    pub port: Option<Whole<1, 65_535>>,
    /// From the beginning of one check to the next; None for what is usual for the kind.
    pub interval: Option<Bound>,
    /// By how much that is spread, either way. Default 10 %.
    pub jitter: Jitter,
    /// For a whole check, from the look-up of a name to the last byte of the answer; None for a quarter of the interval, at most
    /// two seconds.
    pub timeout: Option<Bound>,
    /// From one check to the next while something changes, or is down; None for a quarter of the interval.
    pub fast_interval: Option<Bound>,
    /// So many in a row have to pass for a member that is down to be up. Default 2.
    pub rise: Whole<1, 100>,
    /// So many in a row have to fail for a member to be down. Default 3.
    pub fall: Whole<1, 100>,
}

/// The default of most kinds is `HAProxy`'s.
const INTERVAL: Bound = Bound::secs(2);

/// The same where each check costs the backend a line in its log.
const SELDOM: Bound = Bound::secs(60);

/// A check that takes longer than this is no sign of life, however seldom it is made.
const LONGEST_TIMEOUT: Bound = Bound::secs(2);

impl Default for CheckOptions {
    fn default() -> Self {
        Self {
            kind: CheckKind::Connect,
            header: CheckHeader::None,
            #[cfg(feature = "tls")]
            inside: None,
            port: None,
            interval: None,
            jitter: Jitter::TEN,
            timeout: None,
            fast_interval: None,
            rise: Whole::nearest(2),
            fall: Whole::nearest(3),
        }
    }
}

proxy_values::setters!([] CheckOptions {
    kind: CheckKind,
    header: CheckHeader,
    port: Option<Whole<1, 65_535>>,
    interval: Option<Bound>,
    jitter: Jitter,
    timeout: Option<Bound>,
    fast_interval: Option<Bound>,
    rise: Whole<1, 100>,
    fall: Whole<1, 100>,
});

#[cfg(feature = "tls")]
proxy_values::setters!([] CheckOptions { inside: Option<Inside> });

/// A TLS that a check is inside of: that of hops which prove to each other that they are.
#[cfg(feature = "tls")]
#[derive(Debug, Clone)]
pub struct Inside {
    pub(super) config: Arc<rustls::ClientConfig>,
    fingerprint: u64,
}

#[cfg(feature = "tls")]
impl Inside {
    /// That of this configuration. Two of the same fingerprint are equal, whether or not they are made anew.
    #[must_use]
    pub const fn new(config: Arc<rustls::ClientConfig>, fingerprint: u64) -> Self {
        Self { config, fingerprint }
    }
}

#[cfg(feature = "tls")]
impl PartialEq for Inside {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

#[cfg(feature = "tls")]
impl Eq for Inside {}

impl CheckOptions {
    /// From the beginning of one check to the next, where nothing changes.
    #[must_use]
    pub fn period(&self) -> Bound {
        let is_seldom = self.kind == CheckKind::Ssh;
        self.interval.unwrap_or(if is_seldom { SELDOM } else { INTERVAL })
    }

    /// The same while something changes, or is down.
    #[must_use]
    pub fn fast_period(&self) -> Bound {
        self.fast_interval.unwrap_or_else(|| quarter(self.period())).min(self.period())
    }

    /// How long a check may take. A quarter of the interval is what lets a member that has become silent be down within two
    /// intervals: one until the next check, and three quarters for the three that fail.
    #[must_use]
    pub fn limit(&self) -> Bound {
        self.timeout.unwrap_or_else(|| quarter(self.period()).min(LONGEST_TIMEOUT))
    }
}

fn quarter(bound: Bound) -> Bound {
    Bound::try_from(bound.get() / 4).unwrap_or(bound)
}

/// What a check says, and what it expects.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckKind {
    /// A handshake alone, ended by a reset in place of its last word: the backend's program is never told. It proves a kernel
    /// that listens, and no more.
    Connect,
    /// `PING`, and `+PONG` or that a password is wanted.
    Redis,
    /// A request for TLS, and whether the server would.
    Postgres,
    /// A login as this user, who needs neither rights nor a password, and a farewell.
    Mariadb(Box<str>),
    /// The greeting, `QUIT`, and its answer.
    Smtp,
    /// The server's version, and one's own.
    Ssh,
    /// A whole handshake, whatever the certificate, with this server name if any.
    #[cfg(feature = "tls")]
    Tls(Option<Box<str>>),
    /// A request, and the status of its answer.
    Http(HttpCheck),
    /// The same within TLS, whatever the certificate, with this server name if any.
    #[cfg(feature = "tls")]
    Https(Option<Box<str>>, HttpCheck),
    /// A text to send, if any, and one that has to be in the answer.
    Text {
        /// What is sent; nothing where it is empty.
        send: Box<str>,
        /// What has to be in the first 4 KiB of what comes; never empty.
        expect: Box<str>,
    },
    /// Another `SmartProxy` is asked how it is ([`hop`](super::hop)), as somebody who asks for this server name if any.
    Smartproxy(Option<Box<str>>),
}

impl CheckKind {
    /// The stable name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Redis => "redis",
            Self::Postgres => "postgres",
            Self::Mariadb(_) => "mariadb",
            Self::Smtp => "smtp",
            Self::Ssh => "ssh",
            #[cfg(feature = "tls")]
            Self::Tls(_) => "tls",
            Self::Http(_) => "http",
            #[cfg(feature = "tls")]
            Self::Https(..) => "https",
            Self::Text { .. } => "text",
            Self::Smartproxy(_) => "smartproxy",
        }
    }
}

/// An HTTP request, and what its answer may be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpCheck {
    /// What is asked for. Default `/`.
    pub path: Box<str>,
    /// Whom it is asked of: the header `Host`. Default `localhost`.
    pub host: Box<str>,
    /// Which answers are good. Default 200 to 399, as `HAProxy` has it.
    pub status: StatusRange,
}

impl Default for HttpCheck {
    fn default() -> Self {
        Self { path: "/".into(), host: "localhost".into(), status: StatusRange::default() }
    }
}

proxy_values::setters!([] HttpCheck { path: Box<str>, host: Box<str>, status: StatusRange });

/// HTTP statuses from one to another, such as `200` or `200-399`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StatusRange {
    first: u16,
    last: u16,
}

impl Default for StatusRange {
    fn default() -> Self {
        Self { first: 200, last: 399 }
    }
}

impl StatusRange {
    /// Whether it is one of them.
    #[must_use]
    pub const fn contains(self, status: u16) -> bool {
        self.first <= status && status <= self.last
    }
}

/// A text that is no range of statuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no HTTP status from 100 to 599, and no range of them such as \"200-399\"")]
pub struct StatusRangeError(String);

impl std::str::FromStr for StatusRange {
    type Err = StatusRangeError;

    fn from_str(text: &str) -> Result<Self, StatusRangeError> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let status = |text: &str| {
            let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|status: &u16| digits && (100..600).contains(status))
        };
        let range = status(first).zip(status(last)).filter(|(first, last)| first <= last);
        range.map(|(first, last)| Self { first, last }).ok_or_else(|| StatusRangeError(text.to_owned()))
    }
}

impl std::fmt::Display for StatusRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

proxy_values::text_form!(
    StatusRange,
    "StatusRange",
    r"^[1-5][0-9]{2}(-[1-5][0-9]{2})?$",
    "an HTTP status such as \"200\", or a range such as \"200-399\""
);

/// The PROXY header in front of a check. It speaks for the proxy itself, and names no client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(rename_all = "snake_case"))]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub enum CheckHeader {
    /// None.
    #[default]
    #[cfg_attr(feature = "serde", serde(rename = "off"))]
    None,
    /// `PROXY UNKNOWN`.
    V1,
    /// LOCAL.
    V2,
}

impl CheckHeader {
    /// Its bytes.
    #[must_use]
    pub fn bytes(self) -> Vec<u8> {
        match self {
            Self::None => Vec::new(),
            Self::V1 => encode_v1(&Endpoints::Unknown),
            // INVARIANT: a bare LOCAL has nothing in it that could be too long.
            Self::V2 => encode_v2(&Outgoing::local()).unwrap_or_default(),
        }
    }
}

/// When outcomes of connections take a member out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct OutlierOptions {
    /// It is when so many in a row have ended badly. Default 5, as Envoy's.
    pub consecutive: Whole<1, 10_000>,
    /// It is when the share of bad ends is greater than that of the other members together by so many percent. Default 50.
    pub share: Percent,
    /// Of how many of the last ends that is the share. Default 100.
    pub window: Whole<10, 100_000>,
    /// Within which a backend has to have sent its first byte; None where none need ever come.
    pub first_byte_due: Option<Bound>,
    /// For how long it is out the first time; each further time is twice as long. Default 10s.
    pub ejection: Bound,
    /// The longest that it is out. Default 5m.
    pub longest_ejection: Bound,
    /// How many of the members may be out, those that are down by their checks among them. One may in any case, and all never.
    /// Default 50 percent.
    pub max_ejected: Percent,
}

impl Default for OutlierOptions {
    fn default() -> Self {
        Self {
            consecutive: Whole::nearest(5),
            share: Percent::nearest(50),
            window: Whole::nearest(100),
            first_byte_due: None,
            ejection: Bound::secs(10),
            longest_ejection: Bound::secs(300),
            max_ejected: Percent::nearest(50),
        }
    }
}

proxy_values::setters!(OutlierOptions {
    consecutive: Whole<1, 10_000>,
    share: Percent,
    window: Whole<10, 100_000>,
    first_byte_due: Option<Bound>,
    ejection: Bound,
    longest_ejection: Bound,
    max_ejected: Percent,
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_becomes_silent_is_down_within_two_intervals_whatever_the_interval() {
        for millis in [100, 1000, 2000, 5000, 8000] {
            let options = CheckOptions::default().interval(Some(Bound::millis(millis)));
            let (interval, timeout) = (options.period().get(), options.limit().get());
            let spread = options.jitter.spread(options.period(), 1.0).get();
            let fast = options.jitter.spread(options.fast_period(), 1.0).get().max(timeout);
            let worst = spread + fast * (options.fall.get() - 1) + timeout;
            assert!(worst < 2 * interval, "{worst:?} of {interval:?}");
        }
    }

    #[test]
    fn defaults_follow_the_interval_and_the_kind() {
        let all = |options: &CheckOptions| {
            [options.period(), options.fast_period(), options.limit()].map(|bound| bound.to_string())
        };
        assert_eq!(all(&CheckOptions::default()), ["2s", "500ms", "500ms"]);
        assert_eq!(all(&CheckOptions::default().kind(CheckKind::Ssh)), ["1m", "15s", "2s"]);
        let short =
            CheckOptions::default().interval(Some(Bound::secs(1))).fast_interval(Some(Bound::secs(9)));
        assert_eq!(all(&short), ["1s", "1s", "250ms"], "fast is never slower");
    }

    #[test]
    fn headers_are_those_that_receivers_take() {
        assert_eq!(CheckHeader::V1.bytes(), b"PROXY UNKNOWN\r\n");
        assert_eq!(CheckHeader::V2.bytes(), b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0");
        assert!(CheckHeader::None.bytes().is_empty());
    }

    #[test]
    fn ranges_of_statuses() {
        let range = |text: &str| text.parse::<StatusRange>().map(|range| range.to_string());
        assert_eq!(range("200").unwrap(), "200");
        assert_eq!(range("200-399").unwrap(), "200-399");
        for wrong in ["", "2", "99", "600", "399-200", "+20", "200-", "-200", "200-299-399", "0200"] {
            assert_eq!(range(wrong), Err(StatusRangeError(wrong.to_owned())));
        }
        let default = StatusRange::default();
        assert_eq!([199, 200, 399, 400].map(|status| default.contains(status)), [false, true, true, false]);
    }
}
