//! The relay stage: both directions until they end.

use std::future::Future;
use std::io::ErrorKind;

use proxy_conn::{Cause, ConnGuard, DeadlineKind, End, Permit, Phase, Verdict};
use proxy_core::header::{Prefix, could_be_header};
use proxy_core::relay::{Engine, NextTo, Preface, RelayDeadline, RelayEnd, RelayLimits};
use proxy_core::screen::{Screened, is_forbidden_header};
use proxy_core::{ReadAhead, Side, Stream};
use tokio::time::Instant;
use tokio_util::either::Either;

use super::admit::Permits;
use super::dial::{Dialled, With};
use super::peek::forbidden_header;

mod next_hop;

/// A connection that has both its sides, and what holds for it from here on. Dropped in this order: backend, permits.
pub(super) struct Established<B> {
    backend: B,
    at_target: Permit,
    permits: Permits,
    limits: RelayLimits,
}

/// What the backend is sent before anything else.
#[derive(Default)]
pub(super) struct Preamble {
    /// The PROXY header.
    header: Vec<u8>,
    /// What the client has sent.
    ahead: ReadAhead,
    /// Whether the client's first bytes must not be a PROXY header.
    screened: bool,
}

/// Enters the phase; its deadlines are spread where the configuration says to.
pub(super) fn begin<B>(conn: &ConnGuard, dialled: Dialled<B>) -> Result<(Established<B>, Preamble), End> {
    let Dialled { backend, with } = dialled;
    let With { at_target, permits, header, ahead, screened, deadlines, .. } = with;
    let idle = Instant::now() + deadlines.idle().get();
    conn.enter(Phase::Relay, idle, DeadlineKind::Relay(RelayDeadline::Idle))?;
    let mut limits = deadlines.relay_limits(conn.opened());
    limits.proxies = with.proxies;
    limits.client_keep_alive = with.client_keep_alive;
    limits.backend_keep_alive = Some(with.keep_alive);
    if !ahead.bytes().is_empty() {
        conn.has_spoken();
    }
    Ok((Established { backend, at_target, permits, limits }, Preamble { header, ahead, screened }))
}

impl<B: Stream> Established<B> {
    /// Relays by that engine until both sides have ended, one has reset, or a deadline has passed.
    pub(super) fn relay<'a, S: Stream, E: Engine>(
        &'a self,
        engine: E,
        conn: &'a ConnGuard,
        client: &'a S,
        mut preamble: Preamble,
    ) -> impl Future<Output = RelayEnd> + Send + use<'a, S, B, E> {
        let (backend, limits) = (&self.backend, &self.limits);
        if preamble.screened {
            // Boxed: few routes need it, and every relay would have to have room for it.
            Either::Left(Box::pin(relay_screened(engine, conn, client, backend, preamble, limits)))
        } else {
            Either::Right(engine.relay(client, backend, preamble.preface(), limits, conn))
        }
    }

    /// How it ended; closes both sides in an orderly way if both finished. Otherwise they are dropped, which resets them, but
    /// for a client that has got everything, the end too.
    pub(super) fn close(self, conn: &ConnGuard, end: &RelayEnd) -> Verdict {
        let verdict = self.passed_on(conn, end).unwrap_or_else(|| verdict(conn, end));
        if matches!(end, RelayEnd::Finished { .. }) {
            self.backend.finish();
            drop((self.at_target, self.permits));
        }
        verdict
    }
}

impl<B> Established<B> {
    /// What is told of a reset by a hop next to this one: that a deadline of its own has passed, where that is known, and else that
    /// the reset is the hop's, not of whoever is behind it. None where it is another end.
    fn passed_on(&self, conn: &ConnGuard, end: &RelayEnd) -> Option<Verdict> {
        let RelayEnd::Reset { by, error, delivered } = end else { return None };
        let NextTo { client, backend } = self.limits.proxies;
        // A kernel that has the peer's end says EPIPE: then nothing that was awaited is missing.
        let awaited = error.kind() == ErrorKind::ConnectionReset;
        if !awaited && error.kind() != ErrorKind::BrokenPipe {
            return None;
        }
        let (known, hop) = match by {
            Side::Backend if backend => (next_hop::deadline_of(conn, &self.limits), next_hop::NEXT),
            Side::Client if client => {
                let known = next_hop::silence_before(conn, &self.limits).filter(|_| *delivered);
                (known, next_hop::BEFORE)
            }
            Side::Backend | Side::Client => return None,
        };
        let lost = || (Verdict::lost(conn, *by, error).end, hop.to_owned());
        let (end, detail) = known
            .filter(|_| awaited)
            .map_or_else(lost, |(cause, by, detail)| (cause.during_by(conn.phase(), by), detail));
        Some(Verdict { end, detail: Some(detail.into()), orderly: *delivered })
    }
}

impl Preamble {
    /// The relay's first bytes: the header, then what the client sent ahead.
    fn preface(&mut self) -> Preface {
        Preface::new(std::mem::take(&mut self.header), std::mem::take(&mut self.ahead))
    }
}

/// The same for a client whose first bytes must not be a PROXY header.
async fn relay_screened<S: Stream, B: Stream, E: Engine>(
    engine: E,
    conn: &ConnGuard,
    client: &S,
    backend: &B,
    mut preamble: Preamble,
    limits: &RelayLimits,
) -> RelayEnd {
    let undecided = match could_be_header(preamble.ahead.bytes()) {
        Prefix::Yes => {
            return RelayEnd::Reset {
                by: Side::Client,
                error: ErrorKind::InvalidData.into(),
                delivered: false,
            };
        }
        Prefix::Partial if !preamble.ahead.ended() => preamble.ahead.bytes().to_vec(),
        Prefix::Partial | Prefix::No => {
            return engine.relay(client, backend, preamble.preface(), limits, conn).await;
        }
    };
    let screened = Screened::new(client, undecided);
    engine.relay(&screened, backend, preamble.preface(), limits, conn).await
}

fn verdict(conn: &ConnGuard, end: &RelayEnd) -> Verdict {
    if let Some(broken) = broken(conn, end) {
        return broken;
    }
    match end {
        RelayEnd::Reset { by: Side::Client, error, delivered } if is_forbidden_header(error) => {
            Verdict { orderly: *delivered, ..forbidden_header(conn) }
        }
        RelayEnd::Finished { .. } | RelayEnd::Reset { .. } | RelayEnd::Deadline { .. } => {
            Verdict::relayed(conn, end)
        }
    }
}

/// What is told of a relay that ended over the TLS of one side: that is no system call's failure, and no reset.
fn broken(conn: &ConnGuard, end: &RelayEnd) -> Option<Verdict> {
    let RelayEnd::Reset { by, error, .. } = end else { return None };
    let (fault, why) = proxy_tls::fault_of(error)?;
    let (cause, whose) = match by {
        Side::Client => (Cause::TlsFailed, "the client"),
        Side::Backend => (Cause::BackendTls, "its target"),
    };
    Some(Verdict::explained(conn, cause, format!("TLS with {whose}: {fault}: {why}")))
}
