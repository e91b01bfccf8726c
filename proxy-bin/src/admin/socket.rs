//! The sockets of one connection, as the kernel sees them.
//!
//! An entry holds a descriptor's number. The worker that owns the socket may close it at any time, and the number is then the
//! next socket's: so it is made sure, as far as anybody can from outside, that the answer is about the socket that was meant.

use std::os::fd::RawFd;

use proxy_conn::audit::TcpState;
use proxy_conn::{ConnView, Tracked, Tracker};
use proxy_core::Endpoint;
use proxy_core::tcp_info::{self, SocketInfo, TcpInfo};
use tokio::time::Instant;

use super::view::secs;
use proxy_api::model::{Socket, Tcp};

/// The accepted and the dialled socket; None where there is none, or where it is not certain to be the one.
pub(super) fn both(tracker: &Tracker, one: &Tracked, now: Instant) -> (Option<Socket>, Option<Socket>) {
    let view = one.view(now);
    let client = view.client_descriptor.and_then(|fd| look(tracker, &view, fd, &is_client));
    let backend = view.backend_descriptor.and_then(|fd| look(tracker, &view, fd, &is_backend));
    (client, backend)
}

fn look(
    tracker: &Tracker,
    view: &ConnView,
    descriptor: RawFd,
    is_meant: &dyn Fn(&ConnView, &SocketInfo) -> bool,
) -> Option<Socket> {
    let before = tcp_info::inode(descriptor)?;
    let info = tcp_info::of_descriptor(descriptor).ok()?;
    let same = tcp_info::inode(descriptor) == Some(before);
    (same && is_meant(view, &info) && only_it_holds(tracker, view, descriptor))
        .then(|| socket(descriptor, &info))
}

/// An accepted socket's peer is known since accept. Where the peer is gone there is none to compare.
fn is_client(view: &ConnView, info: &SocketInfo) -> bool {
    match &info.remote {
        Some(Endpoint::Ip(remote)) => *remote == view.peer.socket_addr(),
        Some(Endpoint::Unix(_)) => false,
        None => true,
    }
}

/// What a dialled socket leads to is known where the target was an address.
fn is_backend(view: &ConnView, info: &SocketInfo) -> bool {
    let (Some(remote), Some(target)) = (&info.remote, view.facts.target.as_deref()) else { return true };
    match target.parse::<std::net::SocketAddr>() {
        Ok(target) => *remote == Endpoint::Ip(target),
        // A name may have any address; a Unix target is told by its path.
        Err(_) => target.starts_with("unix:") == matches!(remote, Endpoint::Unix(_)),
    }
}

/// Whether the connection is still open and still holds the descriptor, and no other one does: a connection that has
/// closed its sockets is in the table for a moment longer.
fn only_it_holds(tracker: &Tracker, view: &ConnView, descriptor: RawFd) -> bool {
    let now = Instant::now();
    let holds = |one: &ConnView| [one.client_descriptor, one.backend_descriptor].contains(&Some(descriptor));
    let mut holders = tracker.connections().into_iter().map(|one| one.view(now)).filter(holds);
    holders.next().is_some_and(|holder| holder.id == view.id) && holders.next().is_none()
}

fn socket(descriptor: RawFd, info: &SocketInfo) -> Socket {
    let text = |endpoint: &Option<Endpoint>| endpoint.as_ref().map(ToString::to_string);
    Socket {
        descriptor,
        local: text(&info.local),
        remote: text(&info.remote),
        tcp: info.tcp.as_ref().map(tcp),
    }
}

fn tcp(info: &TcpInfo) -> Tcp {
    Tcp {
        state: state(info.state).to_owned(),
        rtt_s: secs(info.rtt),
        rtt_var_s: secs(info.rtt_var),
        rto_s: secs(info.rto),
        retransmits_total: info.retransmits_total,
        retransmits: info.retransmits,
        unacked: info.unacked,
        unsent_bytes: info.unsent,
        unread_bytes: info.unread,
        congestion_window: info.congestion_window,
        mss_bytes: info.mss,
        last_sent_s: secs(info.last_sent),
        last_received_s: secs(info.last_received),
        acked_bytes: info.acked,
        received_bytes: info.received,
    }
}

/// As `ss` names it.
fn state(code: u8) -> &'static str {
    match TcpState::from_code(code) {
        Some(TcpState::Established) => "ESTAB",
        Some(TcpState::SynSent) => "SYN-SENT",
        Some(TcpState::SynReceived | TcpState::NewSynReceived) => "SYN-RECV",
        Some(TcpState::FinWait1) => "FIN-WAIT-1",
        Some(TcpState::FinWait2) => "FIN-WAIT-2",
        Some(TcpState::TimeWait) => "TIME-WAIT",
        Some(TcpState::Closed) | None => "UNCONN",
        Some(TcpState::CloseWait) => "CLOSE-WAIT",
        Some(TcpState::LastAck) => "LAST-ACK",
        Some(TcpState::Listen) => "LISTEN",
        Some(TcpState::Closing) => "CLOSING",
    }
}
