//! Round trips: messages that are sent back, one at a time on each connection.

use std::io;
use std::net::SocketAddrV4;
use std::time::Duration;

use super::client::{Client, early};
use super::{Done, LOOK, Load};
use crate::clock;

impl Load {
    /// Opens `count` connections for messages of `message` bytes.
    pub(crate) fn open(&mut self, to: SocketAddrV4, count: u32, message: u64) -> io::Result<()> {
        if self.clients.len() == 0 {
            // So that they are numbered from 0 on.
            self.clients.clear();
        }
        for _ in 0..count {
            self.opened = self.opened.wrapping_add(1);
            let mut client = Client::dial(self.opened, to, self.tls.as_ref())?;
            (client.to_send, client.to_receive) = (message, message);
            self.poller.add(&client, self.clients.next().into())?;
            self.clients.insert(client);
        }
        Ok(())
    }

    /// `count` round trips of `message` bytes, on the first `active` of the connections that are open.
    pub(crate) fn round_trips(&mut self, active: u32, count: u64, message: u64) -> io::Result<Done> {
        let start = clock::now();
        let mut taken = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
        let mut begun = 0;
        for number in 0..active {
            if begun < count {
                begun += 1;
                self.ask(number, message)?;
            }
        }
        while (taken.len() as u64) < count {
            self.turn(LOOK)?;
            for ready in std::mem::take(&mut self.ready) {
                let number = u32::try_from(ready.token).unwrap_or(u32::MAX);
                while let Some(time) = self.answered(number)? {
                    taken.push(time);
                    if begun == count {
                        break;
                    }
                    begun += 1;
                    if !self.ask(number, message)? {
                        break;
                    }
                }
            }
        }
        let wall = start.elapsed();
        taken.sort_unstable();
        let at = |part: usize| taken.get(taken.len() * part / 100).copied().unwrap_or_default();
        Ok(Done { wall, latency: [at(50), at(99)] })
    }

    /// Begins a round trip. Whether there may be something to be read already: never, with messages that fit.
    pub(super) fn ask(&mut self, number: u32, message: u64) -> io::Result<bool> {
        let Some(client) = self.clients.get_mut(number) else { return Ok(false) };
        (client.to_send, client.to_receive, client.since) = (message, message, clock::now());
        send(client, &self.text)?;
        Ok(message > self.text.len() as u64)
    }

    /// Goes on with a round trip; how long it took, once it is over.
    pub(super) fn answered(&mut self, number: u32) -> io::Result<Option<Duration>> {
        let Some(client) = self.clients.get_mut(number) else { return Ok(None) };
        if client.to_receive == 0 {
            return Ok(None);
        }
        send(client, &self.text)?;
        while let Some(n) = client.take(&mut self.chunk)? {
            if n == 0 {
                return Err(early());
            }
            client.to_receive = client.to_receive.saturating_sub(n as u64);
            if client.to_receive == 0 {
                return Ok(Some(client.since.elapsed()));
            }
        }
        Ok(None)
    }

    /// Ends all connections at once, and waits until the backends' are gone too.
    pub(crate) fn close(&mut self) -> io::Result<()> {
        self.clients.clear();
        self.until_quiet()
    }
}

/// Sends what is taken of the rest of the message.
fn send(client: &mut Client, text: &[u8]) -> io::Result<()> {
    while client.to_send > 0 {
        let most = usize::try_from(client.to_send).unwrap_or(usize::MAX).min(text.len());
        let Some(n) = client.put(text.get(..most).unwrap_or_default())? else { return Ok(()) };
        client.to_send -= n as u64;
    }
    Ok(())
}
