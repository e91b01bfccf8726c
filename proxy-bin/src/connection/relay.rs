//! The relay stage: both directions until they end.

use proxy_conn::{By, Cause, ConnGuard, DeadlineKind, Deadlines, Phase};
use proxy_core::header::{Prefix, could_be_header};
use proxy_core::relay::{RelayDeadline, RelayEnd, RelayLimits, relay as relay_both};
use proxy_core::screen::{Screened, is_forbidden_header};
use proxy_core::{KeepAlive, ReadAhead, Side, Stream};
use tokio::time::Instant;

use super::dial::{Dialled, preface};
use super::peek::forbidden_header;
use super::verdict::Verdict;

/// Relays, and closes both sides in an orderly way if both finished. Otherwise they are dropped, which resets them.
pub(super) async fn relay<S: Stream, B: Stream>(conn: &ConnGuard, dialled: Dialled<S, B>) -> Verdict {
    let Dialled { client, permits, at_target, backend, deadlines, keep_alive, header, ahead, screened } =
        dialled;
    if let Err(verdict) = begin(conn, &client, &deadlines, keep_alive.as_ref()) {
        return verdict;
    }
    let limits = limits(conn, &deadlines);
    let end = if screened {
        relay_screened(conn, &client, &backend, header, ahead, &limits).await
    } else {
        relay_both(&client, &backend, preface(header, ahead), &limits, conn).await
    };
    let verdict = verdict(conn, &end);
    if matches!(end, RelayEnd::Finished { .. }) {
        backend.finish();
        drop((at_target, permits));
        client.finish();
    }
    verdict
}

/// Enters the phase. The accepted socket has the listener's keepalive; a route may have its own.
fn begin<S: Stream>(
    conn: &ConnGuard,
    client: &S,
    deadlines: &Deadlines,
    keep_alive: Option<&KeepAlive>,
) -> Result<(), Verdict> {
    let now = Instant::now();
    conn.enter(Phase::Relay, now + deadlines.idle().get(), DeadlineKind::Relay(RelayDeadline::Idle))?;
    if let Some(keep_alive) = keep_alive {
        client.keep_alive(keep_alive).map_err(|error| Verdict::lost(conn, Side::Client, &error))?;
    }
    Ok(())
}

/// The relay's deadlines, spread where the configuration says to.
fn limits(conn: &ConnGuard, deadlines: &Deadlines) -> RelayLimits {
    let spread = |bound| deadlines.jitter.spread(bound, fastrand::f64());
    RelayLimits {
        idle: spread(deadlines.idle()),
        half_closed: deadlines.half_closed_timeout,
        write_stall: deadlines.write_stall_timeout,
        no_data: deadlines.no_data_timeout.bound(),
        lifetime_end: conn.opened() + spread(deadlines.lifetime()).get(),
        warn_before: deadlines.warning(),
    }
}

/// The same for a client whose first bytes must not be a PROXY header.
async fn relay_screened<S: Stream, B: Stream>(
    conn: &ConnGuard,
    client: &S,
    backend: &B,
    header: Vec<u8>,
    ahead: ReadAhead,
    limits: &RelayLimits,
) -> RelayEnd {
    let undecided = match could_be_header(ahead.bytes()) {
        Prefix::Yes => {
            return RelayEnd::Reset { by: Side::Client, error: std::io::ErrorKind::InvalidData.into() };
        }
        Prefix::Partial if !ahead.ended() => ahead.bytes().to_vec(),
        Prefix::Partial | Prefix::No => {
            return relay_both(client, backend, preface(header, ahead), limits, conn).await;
        }
    };
    let screened = Screened::new(client, undecided);
    relay_both(&screened, backend, preface(header, ReadAhead::default()), limits, conn).await
}

fn verdict(conn: &ConnGuard, end: &RelayEnd) -> Verdict {
    let phase = conn.phase();
    match end {
        RelayEnd::Finished { first } => Cause::Finished.during_by(phase, side(*first)).into(),
        RelayEnd::Reset { by: Side::Client, error } if is_forbidden_header(error) => forbidden_header(conn),
        RelayEnd::Reset { by, error } => Verdict::lost(conn, *by, error),
        RelayEnd::Deadline { which, at_fault } => {
            let cause = match which {
                RelayDeadline::Idle => Cause::Idle,
                RelayDeadline::HalfClosed => Cause::HalfClosed,
                RelayDeadline::WriteStall => Cause::WriteStall,
                RelayDeadline::NoData => Cause::NoData,
                RelayDeadline::Lifetime => Cause::Lifetime,
            };
            cause.during_by(phase, at_fault.map_or(cause.usual_culprit(), side)).into()
        }
    }
}

const fn side(side: Side) -> By {
    match side {
        Side::Client => By::Client,
        Side::Backend => By::Backend,
    }
}
