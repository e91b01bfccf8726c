//! The dial stage: a backend, within one deadline, for as long as the client is there.

use std::pin::pin;
use std::sync::Arc;

use proxy_conn::{ConnGuard, Deadlines, Permit, Tally, Verdict};
use proxy_core::dial::reach;
use proxy_core::relay::NextTo;
use proxy_core::{Dial, Endpoint, KeepAlive, Kernel as _, ReadAhead, Side, Stream};
use proxy_upstream::Unproven;

use super::admit::{Admitted, Permits};
use super::announce::{Known, announce};
use super::client::while_client_stays;
use super::found;
use super::passage::Passage;
use super::route::Routed;

/// A connection that has its backend. Dropped in this order: backend, permits.
pub(super) struct Dialled<B> {
    pub(super) backend: B,
    /// Everything else about it.
    pub(super) with: With,
}

/// What a connection has beside its backend.
pub(super) struct With {
    /// Its place among the target's connections.
    pub(super) at_target: Permit,
    /// The target, where TLS is to be spoken to it: it awaits word of the handshake.
    pub(super) unproven: Option<Box<Unproven>>,
    pub(super) permits: Permits,
    pub(super) deadlines: Deadlines,
    /// The backend's keepalive.
    pub(super) keep_alive: Arc<KeepAlive>,
    /// The client's, where it is not what accepted sockets have anyway.
    pub(super) client_keep_alive: Option<Arc<KeepAlive>>,
    /// What the backend is sent before anything else: the PROXY header.
    pub(super) header: Vec<u8>,
    pub(super) ahead: ReadAhead,
    pub(super) screened: bool,
    /// Whether the client came with a PROXY header, and whether the backend is sent one: they are other proxies.
    pub(super) proxies: NextTo,
    /// What the target is called, and where it was reached.
    pub(super) target: Option<Tally>,
    pub(super) endpoint: Endpoint,
}

/// Dials the route's targets, and watches the client meanwhile: one that resets or closes without having sent anything
/// abandons the dial at once; one that sent its request and half-closed is served.
pub(super) async fn dial<S: Stream, D: Dial>(
    conn: &ConnGuard,
    admitted: Admitted<'_, S, D>,
) -> Result<Dialled<D::Stream>, Verdict> {
    let Admitted { permits, routed } = admitted;
    let Routed { mut passage, route, state, deadlines, mut candidates, .. } = routed;
    if candidates.addresses.is_empty() {
        // In a box of its own: it is hardly ever needed.
        candidates =
            Box::pin(found::members(conn, &mut passage, state, deadlines.connection_timeout)).await?;
    }
    let Passage { client, mut ahead, origin, hello, proxy, .. } = passage;
    let own = route.egress.as_ref().or(state.targets.options().egress.as_ref());
    let egress = own.unwrap_or(&proxy.settings.egress);
    let handshake = route.tls.reencrypt.is_some();
    let candidates = candidates.leaving_by(egress, origin.client).followed_by_handshake(handshake);
    let (targets, timeout) = (&candidates.addresses, deadlines.connection_timeout);
    conn.learn(|facts| facts.target = candidates.name(0));
    let dialling = pin!(reach(&proxy.dialer, &proxy.resolver, targets, &candidates, timeout));
    let early_data = proxy.settings.early_data;
    let outcome = while_client_stays(conn, client, &mut ahead, early_data, dialling).await?;
    let dialled = outcome.map_err(|error| Verdict::unreached(conn, &error))?;
    conn.hold(Side::Backend, dialled.stream.descriptor());
    if dialled.nth != 0 {
        if candidates.first_has_failed() {
            candidates.name(0).into_iter().for_each(|first| conn.failed_at(&first));
        }
        conn.learn(|facts| facts.target = candidates.name(dialled.nth));
    }
    let omissions = state.omissions.as_ref();
    let known = Known { origin: &origin, hello: hello.as_ref(), route, omissions };
    let header = announce(conn, &known, client, &dialled)?;
    let keep_alive = Arc::clone(&state.keep_alive);
    let client_keep_alive = Some(&keep_alive).filter(|own| ***own != proxy.settings.keep_alive).cloned();
    let proxies = NextTo { client: origin.chained, backend: !header.is_empty() };
    // Asked for again only where somebody needs it.
    let target = route.tls.reencrypt.as_ref().and_then(|_| candidates.name(dialled.nth));
    let with = With {
        at_target: dialled.pass.permit,
        unproven: dialled.pass.unproven,
        permits,
        deadlines,
        keep_alive,
        client_keep_alive,
        header,
        ahead,
        screened: origin.screened,
        proxies,
        target,
        endpoint: dialled.endpoint,
    };
    Ok(Dialled { backend: dialled.stream, with })
}
