//! A hop before this one asks, where its clients come in, how this one is: it is told, and that is all
//! (`docs/hop-protocol.md`).
//!
//! What is answered is about whoever would come next by the same way: the place where it was asked, the route that takes who names
//! what the question names, and the process. It is read from the counts as they are, so it costs about as much as a look-up.

use proxy_conn::{Cause, ConnGuard, DeadlineKind, Limit, Verdict};
use proxy_core::header::Header;
use proxy_core::stream::write_all;
use proxy_core::{Bound, Stream};
use proxy_route::Query;
use proxy_upstream::health::hop::{Readiness, Word};
use tokio::time::{Instant, timeout_at};

use crate::generation::{Generation, Listener, RouteState};

pub(super) use proxy_upstream::health::hop::is_question;

/// How long the answer may take to be written, which a socket that was just accepted has room for.
const WRITTEN_WITHIN: Bound = Bound::secs(1);

/// Answers, and is done with it.
pub(super) async fn answer<S: Stream, D>(
    conn: &ConnGuard,
    asking: &S,
    at: &Listener,
    proxy: &Generation<D>,
    question: &Header,
) -> Verdict {
    let name = question.tlvs.authority.as_deref().and_then(|name| std::str::from_utf8(name).ok());
    let word = word(conn, at, proxy, name);
    let deadline = Instant::now() + WRITTEN_WITHIN.get();
    conn.deadline(deadline, DeadlineKind::Leave);
    let line = word.line();
    match timeout_at(deadline, write_all(asking, line.as_bytes())).await {
        Ok(Ok(())) => Verdict::explained(conn, Cause::Asked, line.trim_end()).in_order(),
        Ok(Err(_)) | Err(_) => Verdict::of(conn, Cause::ClientReset),
    }
}

/// How this process is, for whoever would come here next and ask for `name`.
fn word<D>(conn: &ConnGuard, at: &Listener, proxy: &Generation<D>, name: Option<&str>) -> Word {
    let peer = conn.peer().ip();
    let offered: &[&[u8]] = &[];
    let query = Query { port: at.config.port, server_name: name, client: Some(peer), alpn: offered };
    let found = proxy.settings.routes.lookup(&query);
    let route = found.and_then(|found| Some((found.payload, proxy.routes.of(found.index, found.payload)?)));
    let pool = route.and_then(|(config, _)| proxy.pools.get(config.pool(true).place.index()));
    let limits = [
        Some(&proxy.connections),
        Some(&at.limit),
        route.map(|(_, state)| &state.limit),
        pool.map(|pool| &pool.limit),
    ];
    let limits = || limits.iter().flatten().filter(|limit| limit.most() < Limit::MAX);
    // Whoever asks has a place itself.
    let places = limits().map(|limit| limit.most().saturating_sub(limit.in_use())).min();
    let load = limits().map(|limit| percent(limit)).max().unwrap_or(0);
    let readiness = if proxy.leaving.is_on() || route.is_some_and(|(_, state)| drains(state)) {
        Readiness::Draining
    } else if pool.is_some_and(|pool| pool.pressure.load().refusal().is_some()) {
        Readiness::Shedding
    } else if places == Some(0) {
        Readiness::Full
    } else {
        Readiness::Ready
    };
    Word::new(readiness, places.map(|places| u32::try_from(places).unwrap_or(u32::MAX)), load)
}

/// Whether a route takes nobody any more: it drains, or all its members do.
fn drains(route: &RouteState) -> bool {
    route.draining.is_on() || route.targets.all_draining()
}

fn percent(limit: &Limit) -> u8 {
    let used = (limit.in_use() as u128 * 100).checked_div(limit.most() as u128).unwrap_or(100);
    u8::try_from(used).unwrap_or(100)
}
