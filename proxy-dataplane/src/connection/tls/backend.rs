//! The handshake with the backend.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use proxy_conn::{Cause, ConnGuard, Verdict};
use proxy_core::stream::write_all;
use proxy_core::{Endpoint, Side, Stream};
use proxy_tls::rustls::pki_types::ServerName;
use proxy_tls::{HandshakeFault, TlsStream};
use proxy_upstream::Unproven;
use tokio::time::Instant;

use crate::handshakes::Handshakes;
use crate::settings::Reencrypt;

/// Where a handshake goes to.
pub(in crate::connection) struct Towards<'a> {
    /// What the target is called.
    pub(in crate::connection) target: Option<&'a str>,
    /// Where it was reached.
    pub(in crate::connection) endpoint: &'a Endpoint,
    /// What it is sent before: the PROXY header, unless that goes inside.
    pub(in crate::connection) header: Vec<u8>,
    /// The target, which awaits word of the handshake.
    pub(in crate::connection) unproven: Option<Box<Unproven>>,
}

/// The handshake with the backend, counted and told to the target; before it what it is sent before.
pub(in crate::connection) async fn reencrypted<B: Stream>(
    conn: &ConnGuard,
    (reencrypt, client_asked_for): (&Reencrypt, Option<&str>),
    backend: B,
    towards: Towards<'_>,
    deadline: Instant,
    handshakes: &Handshakes,
) -> Result<TlsStream<B>, Verdict> {
    let Towards { target, endpoint, header, unproven } = towards;
    let name = server_name(reencrypt, target, endpoint, client_asked_for);
    let shaking = async {
        write_all(&backend, &header).await?;
        let config = Arc::clone(&reencrypt.config);
        proxy_tls::connect(backend, config, name).await.map_err(|failed| failed.error)
    };
    let shaken = tokio::time::timeout_at(deadline, shaking).await;
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
    let target = target.unwrap_or("its target");
    Err(Verdict::explained(conn, Cause::BackendTls, format!("TLS handshake with {target}: {fault}: {why}")))
}

/// The name to ask the backend for.
fn server_name(
    reencrypt: &Reencrypt,
    target: Option<&str>,
    endpoint: &Endpoint,
    client_asked_for: Option<&str>,
) -> ServerName<'static> {
    let named = |name: &str| {
        let name = ServerName::try_from(name.to_owned()).ok();
        name.filter(|name| matches!(name, ServerName::DnsName(_)))
    };
    let of_target = || named(target?.rsplit_once(':')?.0);
    let address = match endpoint {
        Endpoint::Ip(address) => address.ip(),
        Endpoint::Unix(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let configured = reencrypt.server_name.clone();
    configured
        .or_else(of_target)
        .or_else(|| named(client_asked_for?))
        .unwrap_or_else(|| ServerName::from(address))
}
