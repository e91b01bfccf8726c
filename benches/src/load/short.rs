//! Short connections: connect, 64 bytes there and back, close.

use std::io;
use std::net::SocketAddrV4;
use std::time::Duration;

use super::client::{Client, early};
use super::tls::Tls;
use super::{Done, LOOK, Load};
use crate::clock;

/// Bytes each way.
const MESSAGE: usize = 64;

impl Load {
    /// `count` connections to `to`, `at_once` at a time.
    pub(crate) fn short(&mut self, to: SocketAddrV4, count: u32, at_once: u32) -> io::Result<Done> {
        let start = clock::now();
        let (mut left, mut resumed) = (count, 0);
        for _ in 0..at_once.min(count) {
            left -= 1;
            self.begin(to)?;
        }
        while self.clients.len() > 0 {
            self.turn(LOOK)?;
            for ready in std::mem::take(&mut self.ready) {
                let number = u32::try_from(ready.token).unwrap_or(u32::MAX);
                if self.advance(number)? {
                    let client = self.clients.remove(number);
                    resumed += u32::from(client.is_some_and(|client| client.was_resumed()));
                    if left > 0 {
                        left -= 1;
                        self.begin(to)?;
                    }
                }
            }
        }
        let due = self.tls.as_ref().is_some_and(Tls::resumes);
        // The first ones have nothing to resume.
        if due && resumed < count.saturating_sub(at_once) / 10 * 9 {
            return Err(io::Error::other(format!("of {count} connections {resumed} alone were resumed")));
        }
        Ok(Done { wall: start.elapsed(), latency: [Duration::ZERO; 2] })
    }

    /// Begins one connection, with its message.
    fn begin(&mut self, to: SocketAddrV4) -> io::Result<()> {
        self.opened = self.opened.wrapping_add(1);
        let mut client = Client::dial(self.opened, to, self.tls.as_ref())?;
        let sent = client.put(self.text.get(..MESSAGE).unwrap_or_default())?.unwrap_or(0);
        (client.to_send, client.to_receive) = ((MESSAGE - sent) as u64, MESSAGE as u64);
        self.poller.add(&client, self.clients.next().into())?;
        self.clients.insert(client);
        Ok(())
    }

    /// Whether the answer is whole.
    fn advance(&mut self, number: u32) -> io::Result<bool> {
        let Some(client) = self.clients.get_mut(number) else { return Ok(false) };
        if client.to_send > 0 {
            let rest = usize::try_from(client.to_send).unwrap_or(MESSAGE);
            client.to_send -= client.put(self.text.get(..rest).unwrap_or_default())?.unwrap_or(0) as u64;
        }
        match client.take(&mut self.chunk)? {
            Some(0) => Err(early()),
            Some(n) => {
                client.to_receive = client.to_receive.saturating_sub(n as u64);
                Ok(client.to_receive == 0)
            }
            None => Ok(false),
        }
    }
}
