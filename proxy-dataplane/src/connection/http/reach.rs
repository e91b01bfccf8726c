//! A new connection to a backend, for a request: an entry of the table from the first moment on.

use std::sync::Arc;

use proxy_conn::{Cause, ConnGuard, DeadlineKind, Opening, Phase, Role, Tally, Verdict};
use proxy_core::dial::{Dialled, reach};
use proxy_core::stream::write_all;
use proxy_core::{Dial, Egress, Kernel as _, PeerAddr, Side, Source, Stream, TargetAddr};
use proxy_http::{Fault, Lease, Made, Place};
use proxy_tls::MaybeTls;
use proxy_upstream::{Candidates, Group, Reached};
use tokio::time::{Instant, timeout_at};

use super::super::announce::{Known, announce};
use super::super::tls::{Towards, reencrypted};
use super::Requests;
use crate::settings::SendProxy;

/// The entry of a connection that is being made. Dropped before that is there, whoever asked for it has left.
struct Making(Option<ConnGuard>);

impl Drop for Making {
    fn drop(&mut self) {
        if let Some(conn) = &self.0 {
            conn.end(Cause::ClientLeft.during(conn.phase()), None);
        }
    }
}

impl Making {
    fn conn(&self) -> Result<&ConnGuard, Fault> {
        self.0.as_ref().ok_or_else(|| Fault::new(Cause::Aborted, "it is made already"))
    }

    /// It came to nothing.
    fn fails(&self, fault: Fault) -> Fault {
        if let Some(conn) = &self.0 {
            conn.end(fault.cause.during(conn.phase()), Some(fault.detail.clone()));
        }
        fault
    }
}

impl<C: Stream, D: Dial> Requests<'_, C, D> {
    /// Where connections to that target of a group are kept.
    pub(super) fn place(&self, group: &Group, target: Tally) -> Place {
        // What it is reached with, TLS and all, is of the route's settings and the group.
        let settings = Arc::as_ptr(&self.route.settings).addr();
        let whose = if self.is_its_own(group) { std::ptr::from_ref(self).addr() } else { 0 };
        let tls = self.route.tls.reencrypt.as_ref();
        let asked = self.hello.as_ref().and_then(|hello| hello.server_name.clone());
        let name = tls.filter(|tls| tls.server_name.is_none()).and(asked);
        Place { target, by: [settings, std::ptr::from_ref(group).addr(), whose], name }
    }

    /// Whether connections to the members of a group are this client's alone: they are sent a PROXY header, or come from its address.
    fn is_its_own(&self, group: &Group) -> bool {
        self.route.send_proxy != SendProxy::Off || matches!(self.egress(group).source, Source::Client)
    }

    /// How they leave this machine.
    fn egress<'e>(&'e self, group: &'e Group) -> &'e Egress {
        let own = self.route.egress.as_ref().or(group.options().egress.as_ref());
        own.unwrap_or(&self.proxy.settings.egress)
    }

    /// Makes one to the first of the candidates that can be reached, within one deadline.
    pub(super) async fn reach(
        &self,
        group: &Group,
        candidates: Candidates<'_>,
        worker: usize,
    ) -> Result<Lease, Fault> {
        let timeout = self.deadlines.connection_timeout;
        let deadline = Instant::now() + timeout.get();
        let peer = match candidates.addresses.first() {
            Some(TargetAddr::Ip(address)) => PeerAddr::new(*address),
            Some(TargetAddr::Name(..) | TargetAddr::Unix(_)) | None => {
                PeerAddr::new((std::net::Ipv4Addr::UNSPECIFIED, 0).into())
            }
        };
        let opening = Opening::new(peer, self.proxy.upstream.clone()).role(Role::Pooled);
        let making = Making(Some(self.proxy.tracker.open(worker, opening)));
        let conn = making.conn()?;
        conn.enter(Phase::Dial, deadline, DeadlineKind::Dial)
            .map_err(|end| Fault::new(end.cause, "it has no phase to be dialled in"))?;
        let candidates = candidates
            .leaving_by(self.egress(group), self.origin.client)
            .followed_by_handshake(self.route.tls.reencrypt.is_some());
        conn.learn(|facts| facts.target = candidates.name(0));
        let (dialer, resolver) = (&self.proxy.dialer, &self.proxy.resolver);
        let dialled = reach(dialer, resolver, &candidates.addresses, &candidates, timeout).await;
        let mut dialled =
            dialled.map_err(|error| making.fails(Fault::new(Cause::from(&error), error.to_string())))?;
        conn.hold(Side::Backend, dialled.stream.descriptor());
        let target = candidates.name(dialled.nth);
        if dialled.nth != 0 {
            conn.learn(|facts| facts.target.clone_from(&target));
        }
        let unproven = dialled.pass.unproven.take();
        let header = self.header(&dialled).map_err(|fault| making.fails(fault))?;
        let Dialled { stream, pass: Reached { permit, .. }, endpoint, .. } = dialled;
        let towards = Towards { target: target.as_deref(), endpoint: &endpoint, header, unproven };
        let stream = self.secured(stream, towards, deadline).await.map_err(|fault| making.fails(fault))?;
        if let Err(error) = stream.keep_alive(&self.state.keep_alive) {
            tracing::debug!(%error, "the keepalive of a connection to a backend could not be set");
        }
        let place = self.place(group, target.unwrap_or_else(|| self.proxy.upstream.clone()));
        if self.is_its_own(group) {
            self.own.lock().insert(place.clone());
        }
        let mut making = making;
        let Some(conn) = making.0.take() else {
            return Err(Fault::new(Cause::Aborted, "it is made already"));
        };
        let made = Made { conn, stream, permit, place, worker };
        self.proxy.upstreams.adopt(made, &self.http.keep, &self.options).await
    }

    /// The PROXY header that goes out first.
    fn header(&self, dialled: &Dialled<D::Stream, Reached>) -> Result<Vec<u8>, Fault> {
        let omissions = self.state.omissions.as_ref();
        let known = Known { origin: &self.origin, hello: self.hello.as_ref(), route: self.route, omissions };
        announce(self.conn, &known, self.client, dialled).map_err(fault)
    }

    /// The connection with what is spoken over it before HTTP: the header, and TLS where the route says so.
    async fn secured(
        &self,
        backend: D::Stream,
        mut towards: Towards<'_>,
        deadline: Instant,
    ) -> Result<MaybeTls<D::Stream>, Fault> {
        let Some(reencrypt) = &self.route.tls.reencrypt else {
            let stream = MaybeTls::Plain(backend);
            first_bytes(&stream, &towards.header, deadline).await?;
            return Ok(stream);
        };
        let inside = if reencrypt.header_inside { std::mem::take(&mut towards.header) } else { Vec::new() };
        let asked = self.hello.as_ref().and_then(|hello| hello.server_name.as_deref());
        let handshakes = &self.proxy.handshakes;
        let shaken =
            Box::pin(reencrypted(self.conn, (reencrypt, asked), backend, towards, deadline, handshakes))
                .await;
        let stream = MaybeTls::Tls(shaken.map_err(fault)?);
        first_bytes(&stream, &inside, deadline).await?;
        Ok(stream)
    }
}

async fn first_bytes<B: Stream>(stream: &B, bytes: &[u8], deadline: Instant) -> Result<(), Fault> {
    match timeout_at(deadline, write_all(stream, bytes)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Fault::new(Cause::of_failure(Side::Backend, &error), error.to_string())),
        Err(_) => Err(Fault::new(Cause::DialTimeout, "it took no PROXY header within connection_timeout")),
    }
}

fn fault(verdict: Verdict) -> Fault {
    Fault::new(verdict.end.cause, verdict.detail.unwrap_or_default())
}
