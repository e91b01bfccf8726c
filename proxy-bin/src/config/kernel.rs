//! What the kernel would not take: found here, and not when the first connection comes.

use proxy_core::{Bound, KeepAliveOverrides};

use super::document::Place;
use super::finding::Finding;

/// The longest idle time and interval of keepalive, in seconds (`MAX_TCP_KEEPIDLE` and `MAX_TCP_KEEPINTVL` of Linux).
const LONGEST_KEEPALIVE: u64 = 32_767;

/// The longest user timeout, in milliseconds: the kernel keeps it in a signed number of 32 bits.
const LONGEST_USER_TIMEOUT: u128 = i32::MAX as u128;

/// Checks one table of keepalive settings.
pub(super) fn check(settings: &KeepAliveOverrides, place: &Place<'_, '_>, findings: &mut Vec<Finding>) {
    for (key, bound) in [("idle", settings.idle), ("interval", settings.interval)] {
        if let Some(title) = bound.and_then(keepalive) {
            findings.push(Finding::new(place.key(key).span(), title));
        }
    }
    let too_long = |bound: &Bound| bound.get().as_millis() > LONGEST_USER_TIMEOUT;
    if settings.user_timeout.as_ref().is_some_and(too_long) {
        let span = place.key("user_timeout").span();
        findings.push(Finding::new(span, "the kernel takes a user timeout of at most 24 days"));
    }
}

/// What is wrong with a time of keepalive probes.
fn keepalive(bound: Bound) -> Option<String> {
    let time = bound.get();
    if time.subsec_nanos() != 0 {
        Some(format!("the kernel counts this in whole seconds, and {bound} is not one"))
    } else if time.as_secs() > LONGEST_KEEPALIVE {
        Some(format!("the kernel takes at most {LONGEST_KEEPALIVE}s here"))
    } else {
        None
    }
}
