//! The two outer ends of the world: all clients on one host, all backends on another, and what they saw.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use proxy_core::Listen as _;
use proxy_core::stream::write_all;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::actor::{Lines, echo, play};
use super::content::Content;
use super::kernel::Kernel;
use super::member::{Moods, stand};
use super::scenario::{Act, Backend, Client, Enters, Link, Script, Who};
use super::settings::{
    AT_BACKEND, AT_INNER, AT_OUTER, BACKENDS, BLACK_HOLE, CLIENTS, HEALTH, INNER, KEEP_ALIVE, OUTER,
    client_hello, header_line, inner_port,
};
use super::stream::SimNet;
use super::tls::{Keys, Speaks};
use crate::laws::{Party, Saw};

/// How often it is looked whether the clients are to come again.
const LOOK: Duration = Duration::from_millis(50);

/// Everybody who connects or is connected to, and what became of them.
pub(super) struct Crowd {
    clients: Vec<Client>,
    /// Whether the inner hop takes PROXY headers, and whether backends get one.
    believed: bool,
    told: bool,
    /// The ports at which a stranger stands beside targets.
    beside: Vec<u16>,
    moods: Arc<Moods>,
    /// What those have who speak TLS, and on which links it is spoken.
    tls: Option<(Arc<Keys>, Vec<Link>)>,
    ledger: Mutex<Ledger>,
}

#[derive(Default)]
struct Ledger {
    slots: Vec<Slot>,
    /// How many times the clients are to come.
    rounds: usize,
    /// Ends that are in the middle of something.
    active: usize,
}

/// What both ends of one client's connection saw, once they have.
#[derive(Debug, Clone, Default)]
pub(super) struct Slot {
    pub(super) client: Option<Party>,
    pub(super) backend: Option<Party>,
    pub(super) ended: Duration,
}

impl Crowd {
    pub(super) fn new(
        clients: Vec<Client>,
        (believed, told): (bool, bool),
        beside: Vec<u16>,
        tls: Option<(Arc<Keys>, Vec<Link>)>,
    ) -> Arc<Self> {
        let slots = vec![Slot::default(); clients.len()];
        let ledger = Mutex::new(Ledger { slots, rounds: 1, active: 0 });
        Arc::new(Self { clients, believed, told, beside, moods: Arc::default(), tls, ledger })
    }

    /// What is needed to speak TLS on a link, where it is spoken there.
    fn keys(&self, link: Link) -> Option<Arc<Keys>> {
        self.tls.as_ref().filter(|(_, links)| links.contains(&link)).map(|(keys, _)| Arc::clone(keys))
    }

    /// How a client speaks.
    fn client_speaks(&self, client: &Client) -> Speaks {
        let link = match client.enters {
            Enters::Plainly | Enters::WithHello(_) => Link::Front,
            Enters::AtInner(..) => Link::Middle,
        };
        self.keys(link).map_or(Speaks::Plainly, |keys| Speaks::AsClient(keys, client.stops_after))
    }

    /// How many backends were reached of clients who stopped in their handshake.
    pub(super) fn uncalled_for(&self) -> usize {
        let stops = |client: &Client| self.client_speaks(client).stops();
        let ledger = self.ledger.lock();
        let both = self.clients.iter().zip(&ledger.slots);
        both.filter(|(client, slot)| stops(client) && slot.backend.is_some()).count()
    }

    /// What the members of checked groups are like.
    pub(super) const fn moods(&self) -> &Arc<Moods> {
        &self.moods
    }

    /// Has members stand on a host: at these ports and at that of health checks; nobody where no group is checked.
    fn stand(&self, net: &SimNet, who: Who, ports: &[u16], tasks: &TaskTracker) {
        if !self.beside.is_empty() {
            for port in ports.iter().copied().chain([HEALTH]) {
                tasks.spawn(stand(net.clone(), port, who, Arc::clone(&self.moods)));
            }
        }
    }

    /// How many ends are in the middle of something.
    pub(super) fn active(&self) -> usize {
        self.ledger.lock().active
    }

    /// How many clients have come to their end.
    pub(super) fn done(&self) -> usize {
        self.ledger.lock().slots.iter().filter(|slot| slot.client.is_some()).count()
    }

    /// Everybody comes again. What became of them before is forgotten.
    pub(super) fn again(&self) {
        let mut ledger = self.ledger.lock();
        ledger.rounds += 1;
        ledger.slots.fill(Slot::default());
    }

    pub(super) fn slots(&self) -> Vec<Slot> {
        self.ledger.lock().slots.clone()
    }

    /// The host of all clients.
    pub(super) async fn connect(self: Arc<Self>) -> turmoil::Result {
        let (net, began) = (SimNet::new(Kernel::boot(CLIENTS).await?), Instant::now());
        let (tasks, mut played) = (TaskTracker::new(), 0);
        self.stand(&net, Who::Stranger, &self.beside, &tasks);
        loop {
            if self.ledger.lock().rounds > played {
                played += 1;
                for n in 0..self.clients.len() {
                    tasks.spawn(Arc::clone(&self).client(n, net.clone(), began));
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn client(self: Arc<Self>, n: usize, net: SimNet, began: Instant) {
        let Some(client) = self.clients.get(n).cloned() else { return };
        tokio::time::sleep(Duration::from_millis(client.at.into())).await;
        self.ledger.lock().active += 1;
        let number = u16::try_from(n).unwrap_or(u16::MAX);
        let to = match client.enters {
            Enters::Plainly | Enters::WithHello(_) => (OUTER, AT_OUTER + number),
            Enters::AtInner(..) => (INNER, AT_INNER + inner_port(number, &client)),
        };
        let (mut script, lines) = (client.script.clone(), self.lines(n, began));
        let party = match net.connect(None, to.into(), KEEP_ALIVE).await {
            Ok(stream) => {
                match client.enters {
                    Enters::Plainly => {}
                    Enters::WithHello(bytes) => script.acts.insert(0, Act::Send(bytes.into())),
                    Enters::AtInner(bytes, every) if !self.believed => {
                        script.acts.insert(0, Act::Drip(bytes, every));
                    }
                    Enters::AtInner(bytes, every) => {
                        for byte in header_line().iter().take(bytes.into()) {
                            // What becomes of it shows when the script begins.
                            write_all(&stream, &[*byte]).await.unwrap_or_default();
                            tokio::time::sleep(Duration::from_millis(every.into())).await;
                        }
                    }
                }
                play(stream, &script, &lines, &self.client_speaks(&client)).await
            }
            Err(_) => Party { saw: Saw::Reset(began.elapsed()), ..Party::default() },
        };
        self.done_with(n, |slot| slot.client = Some(party), began);
    }

    /// The host of all backends.
    pub(super) async fn accept(self: Arc<Self>) -> turmoil::Result {
        let (net, began) = (SimNet::new(Kernel::boot(BACKENDS).await?), Instant::now());
        let _hole = net.black_hole(AT_BACKEND + BLACK_HOLE)?;
        let tasks = TaskTracker::new();
        self.stand(&net, Who::Real, &[], &tasks);
        for (n, client) in self.clients.iter().enumerate() {
            let script = match &client.backend {
                Backend::Plays(script) => Some(script.clone()),
                Backend::Echoes => None,
                Backend::Refuses | Backend::BlackHole => continue,
            };
            tasks.spawn(Arc::clone(&self).backend(n, script, net.clone(), began));
        }
        std::future::pending().await
    }

    async fn backend(self: Arc<Self>, n: usize, script: Option<Script>, net: SimNet, began: Instant) {
        let port = AT_BACKEND + u16::try_from(n).unwrap_or(u16::MAX);
        let Ok(listener) = net.listen(port, KEEP_ALIVE) else { return };
        let lines = self.backend_lines(n, began);
        let speaks = self.keys(Link::Back).map_or(Speaks::Plainly, Speaks::AsServer);
        while let Ok((stream, _)) = listener.accept().await {
            self.ledger.lock().active += 1;
            let party = match &script {
                Some(script) => play(stream, script, &lines, &speaks).await,
                None => echo(stream, &lines, &speaks).await,
            };
            self.done_with(n, |slot| slot.backend = Some(party), began);
        }
    }

    fn done_with(&self, n: usize, note: impl FnOnce(&mut Slot), began: Instant) {
        let mut ledger = self.ledger.lock();
        ledger.active -= 1;
        if let Some(slot) = ledger.slots.get_mut(n) {
            note(slot);
            slot.ended = slot.ended.max(began.elapsed());
        }
    }

    /// What a client's stream holds.
    fn content(&self, n: usize) -> Content {
        let prefix = match self.clients.get(n).map(|client| client.enters) {
            Some(Enters::WithHello(bytes)) => client_hello().into_iter().take(bytes.into()).collect(),
            Some(Enters::AtInner(bytes, _)) if !self.believed => {
                header_line().into_iter().take(bytes.into()).collect()
            }
            Some(Enters::AtInner(..) | Enters::Plainly) | None => Vec::new(),
        };
        Content::after(prefix, 2 * n as u64)
    }

    fn answer(&self, n: usize) -> Content {
        match self.clients.get(n).map(|client| &client.backend) {
            Some(Backend::Echoes) => self.content(n),
            Some(Backend::Plays(_) | Backend::Refuses | Backend::BlackHole) | None => {
                Content::new(2 * n as u64 + 1)
            }
        }
    }

    fn lines(&self, n: usize, began: Instant) -> Lines {
        Lines { own: self.content(n), other: self.answer(n), header_first: false, began }
    }

    fn backend_lines(&self, n: usize, began: Instant) -> Lines {
        Lines { own: self.answer(n), other: self.content(n), header_first: self.told, began }
    }
}
