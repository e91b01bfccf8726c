//! The leaky proxy's relays, honest and not.

use std::io;

use proxy_core::relay::{NextTo, Preface, RelayEnd, RelayLimits, relay};
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
    let preface = Preface { to_backend: early, own: 0, client_ended: ended };
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
    RelayLimits {
        idle: bound(options.inactivity_timeout),
        half_closed: bound(options.half_closed_timeout),
        proxies: NextTo::default(),
        write_stall: bound(options.inactivity_timeout),
        no_data: bound(options.inactivity_timeout),
        lifetime_end: Instant::now() + LIFETIME,
        warn_before: None,
        client_keep_alive: None,
        backend_keep_alive: None,
    }
}

fn for_ever() -> RelayLimits {
    RelayLimits {
        idle: Bound::MAX,
        half_closed: Bound::MAX,
        proxies: NextTo::default(),
        write_stall: Bound::MAX,
        no_data: Bound::MAX,
        lifetime_end: Instant::now() + Bound::MAX.get(),
        warn_before: None,
        client_keep_alive: None,
        backend_keep_alive: None,
    }
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
