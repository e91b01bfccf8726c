//! How a certificate stands: whether it may be presented, and for how long yet.

use std::time::{Duration, SystemTime};

use proxy_tls::Certificate;

/// With this much left it has to be seen to, where its lifetime is not short: who renews in time does so before. (Certificates of 90
/// days are renewed with 30 left.)
const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// With this part of its lifetime left it has to be seen to where that is less: one day of six.
const PART: u32 = 6;

/// How a certificate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It may be presented.
    Valid,
    /// It ends soon: by now it should have been renewed.
    EndsSoon,
    /// It is not valid yet.
    NotYet,
    /// It has ended.
    Expired,
}

impl Standing {
    /// How `certificate` stands at `now`.
    #[must_use]
    pub fn of(certificate: &Certificate, now: SystemTime) -> Self {
        let (from, until) = (certificate.not_before(), certificate.not_after());
        let lifetime = until.duration_since(from).unwrap_or_default();
        match until.duration_since(now) {
            Err(_) => Self::Expired,
            Ok(_) if now < from => Self::NotYet,
            Ok(left) if left < SOON.min(lifetime / PART) => Self::EndsSoon,
            Ok(_) => Self::Valid,
        }
    }

    /// `valid`, `ends_soon`, `not_yet` or `expired`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::EndsSoon => "ends_soon",
            Self::NotYet => "not_yet",
            Self::Expired => "expired",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};
    use std::time::UNIX_EPOCH;

    const DAY: u64 = 24 * 60 * 60;
    const BEGAN: u64 = 20_000 * DAY;

    /// How one of so many days stands after so many seconds.
    fn after(days: u64, seconds: i64) -> Standing {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["a.example".to_owned()]).unwrap();
        let at = |seconds: u64| (UNIX_EPOCH + Duration::from_secs(seconds)).into();
        (params.not_before, params.not_after) = (at(BEGAN), at(BEGAN + days * DAY));
        let made = params.self_signed(&key).unwrap();
        let certificate =
            Certificate::from_pem(made.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();
        Standing::of(&certificate, UNIX_EPOCH + Duration::from_secs(BEGAN.saturating_add_signed(seconds)))
    }

    #[test]
    fn one_stands_as_its_dates_say() {
        let day = DAY.cast_signed();
        for (days, seconds, expected) in [
            (90, -1, Standing::NotYet),
            (90, 0, Standing::Valid),
            (90, 76 * day, Standing::Valid),
            (90, 76 * day + 1, Standing::EndsSoon),
            (90, 90 * day, Standing::EndsSoon),
            (90, 90 * day + 1, Standing::Expired),
            (6, 5 * day, Standing::Valid),
            (6, 5 * day + 1, Standing::EndsSoon),
        ] {
            assert_eq!(after(days, seconds), expected, "{days} days, after {seconds} s");
        }
    }
}
