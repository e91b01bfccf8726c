//! The leaky proxy's relays, honest and not.

use std::io;

use proxy_core::relay::{Preface, RelayEnd, RelayLimits, relay};
use proxy_core::stream::{read, write_all};
use proxy_core::{Bound, ReadAhead, Stream};
use tokio::time::Instant;

use super::blind::Blind;
use super::books::{Account, Unheeded};
use super::{LIFETIME, Leak, LeakyOptions};

/// Relays until both sides have ended, or something else ends it; whether both streams are to be closed in order.
pub(super) async fn until_both_ended<C: Stream, B: Stream>(
    client: &C,
    backend: &B,
    ahead: ReadAhead,
    options: &LeakyOptions,
    account: &Account,
) -> bool {
    let ended = ahead.ended();
    let early = if options.leak == Leak::BytesLost { Vec::new() } else { ahead.into_bytes() };
    let mut preface = Preface::default();
    (preface.to_backend, preface.client_ended) = (early, ended);
    let end = if options.leak == Leak::WaitsForBothEnds {
        let unheeded = Unheeded { account, half_closed: options.half_closed_timeout };
        relay(client, backend, preface, &for_ever(), &unheeded).await
    } else if options.leak == Leak::IgnoresAcknowledgements {
        relay(&Blind(client), &Blind(backend), preface, &limits(options), account).await
    } else {
        relay(client, backend, preface, &limits(options), account).await
    };
    match end {
        RelayEnd::Finished { .. } => true,
        RelayEnd::Reset { .. } => options.leak == Leak::ResetBecomesFin,
        RelayEnd::Deadline { .. } => false,
    }
}

fn bound(duration: std::time::Duration) -> Bound {
    Bound::try_from(duration).unwrap_or(Bound::MAX)
}

fn limits(options: &LeakyOptions) -> RelayLimits {
    RelayLimits::new(bound(options.inactivity_timeout), Instant::now() + LIFETIME)
        .half_closed(bound(options.half_closed_timeout))
}

fn for_ever() -> RelayLimits {
    RelayLimits::new(Bound::MAX, Instant::now() + Bound::MAX.get())
}

/// Relays until either side has ended; whether it was an end and not an error.
pub(super) async fn until_first_fin<C: Stream, B: Stream>(client: &C, backend: &B, ahead: ReadAhead) -> bool {
    let up = async {
        let ended = ahead.ended();
        write_all(backend, ahead.bytes()).await?;
        if ended { Ok(()) } else { copy(client, backend).await }
    };
    let ended = tokio::select! {
        ended = up => ended,
        ended = copy(backend, client) => ended,
    };
    ended.is_ok()
}

async fn copy<F: Stream, T: Stream>(from: &F, to: &T) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let n = read(from, &mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        write_all(to, buffer.get(..n).unwrap_or_default()).await?;
    }
}
