//! The handshake with the backend.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use proxy_conn::{Cause, ConnGuard, Verdict};
use proxy_core::stream::write_all;
use proxy_core::{Endpoint, Side, Stream};
use proxy_tls::rustls::pki_types::ServerName;
use proxy_tls::{HandshakeFault, TlsStream};
use tokio::time::Instant;

use super::super::dial::With;
use crate::handshakes::Handshakes;
use crate::settings::Reencrypt;

/// The handshake with the backend, counted and told to the target; before it the PROXY header, unless that goes inside.
pub(super) async fn reencrypted<B: Stream>(
    conn: &ConnGuard,
    (reencrypt, client_asked_for): (&Reencrypt, Option<&str>),
    backend: B,
    with: &mut With,
    deadline: Instant,
    handshakes: &Handshakes,
) -> Result<TlsStream<B>, Verdict> {
    let name = server_name(reencrypt, with, client_asked_for);
    // Where it goes inside, it is the relay's to send.
    let header = if reencrypt.header_inside { Vec::new() } else { std::mem::take(&mut with.header) };
    let shaking = async {
        write_all(&backend, &header).await?;
        let config = Arc::clone(&reencrypt.config);
        proxy_tls::connect(backend, config, name).await.map_err(|failed| failed.error)
    };
    let shaken = tokio::time::timeout_at(deadline, shaking).await;
    let unproven = with.unproven.take();
    let (fault, why) = match shaken {
        Ok(Ok(stream)) => {
            handshakes.done(Side::Backend, stream.agreed().resumed);
            unproven.into_iter().for_each(|target| target.proven());
            return Ok(stream);
        }
        Ok(Err(error)) => (error.fault(), error.to_string()),
        Err(_) => (HandshakeFault::Timeout, "it was not done within connection_timeout".to_owned()),
    };
    handshakes.failed(Side::Backend, fault);
    unproven.into_iter().for_each(|target| target.failed());
    let target = with.target.as_deref().unwrap_or("its target");
    Err(Verdict::explained(conn, Cause::BackendTls, format!("TLS handshake with {target}: {fault}: {why}")))
}

/// The name to ask the backend for.
fn server_name(reencrypt: &Reencrypt, with: &With, client_asked_for: Option<&str>) -> ServerName<'static> {
    let named = |name: &str| {
        let name = ServerName::try_from(name.to_owned()).ok();
        name.filter(|name| matches!(name, ServerName::DnsName(_)))
    };
    let of_target = || named(with.target.as_deref()?.rsplit_once(':')?.0);
    let address = match with.endpoint {
        Endpoint::Ip(address) => address.ip(),
        Endpoint::Unix(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let configured = reencrypt.server_name.clone();
    configured
        .or_else(of_target)
        .or_else(|| named(client_asked_for?))
        .unwrap_or_else(|| ServerName::from(address))
}
