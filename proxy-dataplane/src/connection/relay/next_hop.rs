//! What a reset by a proxy next to this one says: that it resets, and not why.
//!
//! Of the same silence the proxy nearer to the backend is the first to have had enough: by what is built in, and by what
//! `smartproxy check OUTER INNER` has an operator write, its deadlines are a tenth shorter than the ones here (the life of
//! a connection a hundredth). It can tell that by a reset alone. So one that comes when such a deadline has just passed is
//! told as the end of that silence, which nobody reset. It may be a deadline of a hop further on: each is a tenth shorter than the
//! one before, and a reset passes through all of them at once. At any other time it is told as the reset that it is, by the hop
//! that has sent it, and that this hop's log has the reason: what is known of a neighbour is not told as known of who is behind it.
//!
//! A client that does not end behind its backend's end is judged by the proxy next to it, which alone knows what it still reads.
//! By the same rule its deadline for that is no shorter than the one here.

use std::time::Duration;

use proxy_conn::{By, Cause, ConnGuard, Phase};
use proxy_core::Bound;
use proxy_core::relay::RelayLimits;
use tokio::time::Instant;

/// How late it may be at the most: the ways of the last byte and of the reset between the hops, the dial of the other hop, and
/// whatever holds up either process. Of a short deadline a part, lest any reset behind it is taken for its end.
const LATE: Duration = Duration::from_secs(2);
const LATE_PART: u32 = 16;
/// How many hops on a deadline is recognised. Their deadlines are odd parts of the one here (0.9, 0.81, 0.729), which nobody has
/// chosen for a backend of theirs; the seventh is half of it, which somebody may have.
const HOPS: u32 = 3;
/// How early: clocks in milliseconds, and one that is looked at once a turn.
const EARLY: Duration = Duration::from_millis(50);

/// What there is to say of a reset that is not known to be more than that.
pub(super) const NEXT: &str = "the next hop reset it, and its log says why";
/// The same of the hop before.
pub(super) const BEFORE: &str = "the hop before this one reset it, and its log says why";

/// What ended on the next hop when that has just reset `conn`, by whom, and what there is to say; None where it is not a
/// deadline that is known of.
pub(super) fn deadline_of(conn: &ConnGuard, limits: &RelayLimits) -> Option<(Cause, By, String)> {
    let now = Instant::now();
    let (silent, in_phase) = (conn.silent_for(now), conn.in_phase_for(now));
    // A header moves, too, before its phase begins.
    let untouched = silent > in_phase || conn.bytes() == (0, 0);
    let silence = silent.min(in_phase);
    let drains = conn.phase() == Phase::Drain;
    let life = limits.lifetime_end.saturating_duration_since(conn.opened());
    // By so many hops on.
    let tenths = |bound: Bound, hops: u32| (0..hops).fold(bound.get(), |left, _| left - left / 10);
    let known = |hops: u32| {
        [
            (drains, silence, tenths(limits.half_closed, hops), Cause::HalfClosed, By::Backend),
            (!drains && untouched, silence, tenths(limits.no_data, hops), Cause::NoData, By::Proxy),
            (true, silence, tenths(limits.idle, hops), Cause::Idle, By::Proxy),
            (true, now - conn.opened(), life - life / 100 * hops, Cause::Lifetime, By::Proxy),
        ]
    };
    (1..=HOPS).find_map(|hops| {
        known(hops).into_iter().find_map(|(applies, lasted, theirs, cause, by)| {
            let late = LATE.min(theirs / LATE_PART);
            let passed = (theirs.saturating_sub(EARLY)..theirs + late).contains(&lasted);
            let which = if hops == 1 { "the next proxy" } else { "a proxy further on" };
            let detail = || format!("{which} was the first to end it, after {}", told(lasted));
            (applies && passed).then(|| (cause, by, detail()))
        })
    })
}

/// What ended on the hop before when that has just reset `conn`, to which everything had been delivered, the backend's end too; None
/// where it came sooner than that hop would for silence. How much later says nothing: what it had taken, its client may have read
/// for minutes.
pub(super) fn silence_before(conn: &ConnGuard, limits: &RelayLimits) -> Option<(Cause, By, String)> {
    let now = Instant::now();
    let lasted = conn.silent_for(now).min(conn.in_phase_for(now));
    let detail = || format!("the proxy before this one ended it, after {}", told(lasted));
    let passed = lasted >= limits.half_closed.get().saturating_sub(EARLY);
    passed.then(|| (Cause::HalfClosed, By::Client, detail()))
}

fn told(lasted: Duration) -> String {
    Bound::try_from(Duration::from_secs(lasted.as_secs()))
        .map_or_else(|_| "0s".to_owned(), |bound| bound.to_string())
}
