//! A backend that neither accepts nor refuses.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::net::TcpStream;

use super::Backend;
use crate::wire::{Wire, dial};

/// A queue of length 0 takes one connection on Linux; this is room to spare.
const MOST_IN_QUEUE: usize = 8;

/// A connect on loopback that takes this long is not going to succeed: the kernel has dropped its SYN, and sends the
/// next one a second after the first.
const HANGS: Duration = Duration::from_millis(250);

/// A listener with a full queue that never accepts: the kernel drops what else comes, so a connect hangs.
#[derive(Debug)]
pub struct BlackHole {
    listener: TcpListener,
    queue: Vec<TcpStream>,
}

impl BlackHole {
    /// Opens one, and makes sure that a connect to it hangs.
    pub async fn open() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("there is a descriptor");
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("there is a free port");
        socket.listen(0).expect("it is bound");
        let mut hole = Self { listener: socket.into(), queue: Vec::new() };
        while hole.takes_another().await {
            assert!(hole.queue.len() < MOST_IN_QUEUE, "a queue of length 0 goes on taking connections");
        }
        hole
    }

    async fn takes_another(&mut self) -> bool {
        match tokio::time::timeout(HANGS, dial(self.addr())).await {
            Ok(connected) => self.queue.push(connected.expect("a queue neither refuses nor resets")),
            Err(_hangs) => return false,
        }
        true
    }

    /// Where it does not answer.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.listener.local_addr().expect("it is bound")
    }

    /// Begins to accept: those who are still waiting get through with their next SYN, a second after the first.
    ///
    /// The connections that filled the queue are the first of its visits.
    pub fn opens_up<F, B>(self, behave: F) -> Backend
    where
        F: Fn(Wire) -> B + Send + 'static,
        B: Future<Output = ()> + Send + 'static,
    {
        drop(self.queue);
        Backend::on(self.listener, behave)
    }
}
