//! Bulk: connections that carry as much as they can, one way.

use std::io;
use std::net::SocketAddrV4;
use std::time::Duration;

use super::client::{Client, early};
use super::{Done, LOOK, Load};
use crate::clock;

impl Load {
    /// `bytes` in all over `connections` connections at a time, every other one from its client to its backend.
    pub(crate) fn bulk(&mut self, to: SocketAddrV4, connections: u32, bytes: u64) -> io::Result<Done> {
        let start = clock::now();
        let each = bytes / u64::from(connections.max(1));
        for nth in 0..connections {
            self.order(to, nth % 2 == 0, each)?;
        }
        while self.clients.len() > 0 {
            self.turn(LOOK)?;
            for ready in std::mem::take(&mut self.ready) {
                let number = u32::try_from(ready.token).unwrap_or(u32::MAX);
                if self.carried(number)? {
                    self.clients.remove(number);
                }
            }
        }
        Ok(Done { wall: start.elapsed(), latency: [Duration::ZERO; 2] })
    }

    fn order(&mut self, to: SocketAddrV4, up: bool, bytes: u64) -> io::Result<()> {
        self.opened = self.opened.wrapping_add(1);
        let mut client = Client::dial(self.opened, to, self.tls.as_ref())?;
        let (kind, to_send, to_receive) = if up { (b'U', bytes, 1) } else { (b'D', 0, bytes) };
        let mut order = [kind; 9];
        if let Some(length) = order.get_mut(1..) {
            length.copy_from_slice(&bytes.to_le_bytes());
        }
        if client.put(&order)? != Some(order.len()) {
            return Err(io::Error::new(io::ErrorKind::WouldBlock, "the proxy takes no connections"));
        }
        (client.to_send, client.to_receive) = (to_send, to_receive);
        self.poller.add(&client, self.clients.next().into())?;
        self.clients.insert(client);
        Ok(())
    }

    /// Moves what can be moved; whether everything has been.
    fn carried(&mut self, number: u32) -> io::Result<bool> {
        let Some(client) = self.clients.get_mut(number) else { return Ok(false) };
        while client.to_send > 0 {
            let most = usize::try_from(client.to_send).unwrap_or(usize::MAX).min(self.text.len());
            let Some(n) = client.put(self.text.get(..most).unwrap_or_default())? else {
                return Ok(false);
            };
            client.to_send -= n as u64;
        }
        while client.to_receive > 0 {
            let Some(n) = client.discard(&mut self.chunk)? else { return Ok(false) };
            if n == 0 {
                return Err(early());
            }
            client.to_receive = client.to_receive.saturating_sub(n as u64);
        }
        Ok(true)
    }
}
