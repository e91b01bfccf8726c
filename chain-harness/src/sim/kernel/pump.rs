//! What a kernel does by itself: it takes in what the network brings, and does what is due.

use std::net::{IpAddr, SocketAddr};
use std::sync::Weak;

use tokio::time::Instant;

use super::super::conn::{Conn, Opened};
use super::super::segment::{Says, Segment};
use super::{Kernel, Key};

impl Kernel {
    /// Takes in a segment from `ip`.
    fn hear(&self, ip: IpAddr, segment: Segment) {
        let key = (segment.to, SocketAddr::new(ip, segment.from));
        let (mut sockets, mut says) = (self.sockets.lock(), Vec::new());
        if sockets.vanished.contains_key(&key) {
            return;
        }
        match (sockets.conns.get_mut(&key), segment.says) {
            (Some(conn), told) => {
                let before = conn.opened;
                conn.hear(told, Instant::now(), &mut says);
                if before == Opened::Half && conn.opened == Opened::Yes {
                    sockets.enqueue(key);
                }
            }
            (None, Says::Syn) => sockets.welcome(key, &mut says),
            (None, Says::Reset { .. }) => {}
            (None, Says::SynAck | Says::Data { .. } | Says::Fin { .. } | Says::Ack { .. }) => {
                says.push(Says::Reset { at: None });
            }
        }
        self.say_all(key, says);
        self.look_at(&mut sockets, key);
    }

    /// Does what is due; when the next thing is.
    fn fire(&self) -> Option<Instant> {
        let (now, mut sockets) = (Instant::now(), self.sockets.lock());
        let keys: Vec<Key> = sockets.conns.keys().copied().collect();
        for key in keys {
            let mut says = Vec::new();
            if let Some(conn) = sockets.conns.get_mut(&key) {
                conn.fire(now, &mut says);
            }
            self.say_all(key, says);
            self.look_at(&mut sockets, key);
        }
        sockets.due = sockets.conns.values().filter_map(Conn::due).min();
        sockets.due
    }
}

/// Takes in what comes from the network and does what is due, for as long as anybody has the kernel.
pub(super) async fn pump(kernel: Weak<Kernel>) {
    let mut datagram = vec![0; 64 * 1024];
    while let Some(kernel) = kernel.upgrade() {
        let due = kernel.fire();
        tokio::select! {
            biased;
            received = kernel.udp.recv_from(&mut datagram) => {
                let Ok((n, from)) = received else { return };
                take_in(&kernel, datagram.get(..n), from);
                while let Ok((n, from)) = kernel.udp.try_recv_from(&mut datagram) {
                    take_in(&kernel, datagram.get(..n), from);
                }
            }
            () = kernel.sooner.notified() => {}
            () = at(due) => {}
        }
    }
}

fn take_in(kernel: &Kernel, datagram: Option<&[u8]>, from: SocketAddr) {
    if let Some(segment) = datagram.and_then(Segment::decode) {
        kernel.hear(from.ip(), segment);
    }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
