//! A running proxy: listening sockets, worker threads; starting, changing and stopping it.
//!
//! ```text
//! caller's runtime ── names, watch, audit, changes
//!   ├─ worker 0: own thread, own runtime, own listening sockets (SO_REUSEPORT) ─ its connections, for life
//!   └─ worker 1: …
//! ```
//! A worker is never asked to do anything slow, and no connection moves between workers. What is changed while it runs is
//! changed through its [`DataPlane`].

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use proxy_conn::{Audit, Reason, Subscriber, Tracker};
use proxy_core::process::pipes;
use proxy_core::{ListenError, Resolver, TcpDialer};
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info};

use crate::audit::{SocketOwnership, audit};
use crate::checks;
use crate::departures::{Departure, Departures};
use crate::descriptors;
use crate::generation::{Generation, Removed};
use crate::listeners::{Inherited, Listeners, Sockets};
use crate::names::{self, Names};
use crate::observe::{self, Observed};
use crate::outcomes::{Fed, Feed};
use crate::pool::NoNumber;
use crate::settings::Settings;
use crate::watch;
use crate::workers::{Idle, Worker};

/// How long connections that are being ended may take to do so. Ending is dropping, except that bytes already read are
/// delivered; 0.6 s is three times what a loaded worker needs for ten thousand, and leaves some of the second within which
/// the process is to have ended.
const ENDING: Duration = Duration::from_millis(600);

/// The same where nobody wants to wait: the process has 0.3 s then.
const ENDING_AT_ONCE: Duration = Duration::from_millis(100);

/// Why a proxy could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A port could not be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A worker thread or its runtime could not be made.
    #[error("cannot start worker {worker}: {source}")]
    Worker {
        /// Which worker.
        worker: usize,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Why other settings cannot be put in force.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplaceError {
    /// A port could not be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// There have been more pools than there are numbers.
    #[error(transparent)]
    Pools(#[from] NoNumber),
}

/// How a proxy stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// Every connection finished by itself.
    Finished,
    /// This many had to be ended.
    Ended(usize),
}

/// A running proxy as others look at it and change it, for as long as its [`Server`] runs.
#[derive(Debug)]
pub struct DataPlane {
    in_force: Arc<ArcSwap<Generation<TcpDialer>>>,
    tracker: Arc<Tracker>,
    listeners: Listeners,
    workers: Box<[Worker]>,
    /// Connections' tasks, and nothing else.
    tasks: TaskTracker,
    audit: Audit,
    observed: Arc<Observed>,
    /// What ends of connections say of members.
    outcomes: Arc<Feed<TcpDialer>>,
    /// Members that are found by name.
    names: Arc<Names>,
    /// Members that were removed, and have connections.
    departures: Arc<Departures>,
    /// Ends the workers, and the tasks beside them.
    quit: CancellationToken,
    /// Cancelled once nobody is accepted any more: from then on no target need be found in order again.
    accepts: CancellationToken,
    /// Held by [`replace`](Self::replace).
    replacing: tokio::sync::Mutex<()>,
}

/// Other settings whose new listeners are bound, and that are not in force yet. Dropped, nothing has changed.
#[derive(Debug)]
#[must_use = "dropped, nothing has changed"]
pub struct Prepared {
    next: Arc<Generation<TcpDialer>>,
    opening: Vec<(String, Sockets)>,
}

impl Prepared {
    /// The generation that they will be.
    #[must_use]
    pub fn generation(&self) -> &Arc<Generation<TcpDialer>> {
        &self.next
    }
}

impl DataPlane {
    /// The generation in force: settings, routes, pools, listeners, limits. Do not keep it: it is not freed before it is
    /// dropped.
    #[must_use]
    pub fn generation(&self) -> Arc<Generation<TcpDialer>> {
        self.in_force.load_full()
    }

    /// The table of its connections: to list them, and to end them.
    #[must_use]
    pub fn tracker(&self) -> &Arc<Tracker> {
        &self.tracker
    }

    /// The audit of its connections: to run one now, and for its heartbeat.
    #[must_use]
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// What was seen of it, and what is wrong with it.
    #[must_use]
    pub fn observed(&self) -> &Observed {
        &self.observed
    }

    /// Its worker threads, in their order.
    #[must_use]
    pub fn workers(&self) -> &[Worker] {
        &self.workers
    }

    /// Its listening sockets.
    #[must_use]
    pub fn listeners(&self) -> &Listeners {
        &self.listeners
    }

    /// Cancelled when its workers end.
    #[must_use]
    pub fn quit(&self) -> &CancellationToken {
        &self.quit
    }

    /// How many connections' tasks there are.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.tasks.len()
    }

    /// Binds what `settings` listen on beside what is open, unless `stays_closed` says of its name that it is to stay closed.
    /// Nothing changes.
    ///
    /// # Errors
    /// [`ReplaceError`].
    pub fn prepare(
        &self,
        settings: Arc<Settings>,
        stays_closed: impl Fn(&str) -> bool,
    ) -> Result<Prepared, ReplaceError> {
        let before = self.generation();
        let opening = self.bind_new(&before, &settings, stays_closed)?;
        Ok(Prepared { next: Arc::new(before.after(settings)?), opening })
    }

    /// The sockets of the listeners that are new, and not to stay closed.
    fn bind_new(
        &self,
        before: &Generation<TcpDialer>,
        settings: &Settings,
        stays_closed: impl Fn(&str) -> bool,
    ) -> Result<Vec<(String, Sockets)>, ListenError> {
        let old: HashSet<&str> = before.listeners.iter().map(|at| &*at.label).collect();
        let ports: HashSet<u16> = before.listeners.iter().map(|at| at.config.port).collect();
        let new = settings.listeners.iter().filter(|at| !old.contains(at.label.as_str()));
        let new = new.filter(|at| !stays_closed(&at.label));
        new.map(|at| {
            let ours = ports.contains(&at.port);
            Ok((at.label.clone(), self.listeners.bind(settings, at, &mut Inherited::new(), ours)?))
        })
        .collect()
    }

    /// Puts it in force, and opens what is new; what it says is which listeners are gone: they accept until they are
    /// [closed](Listeners::close). Cannot fail. Connections go on as they began.
    #[must_use = "the listeners that are gone have to be closed"]
    pub fn put_in_force(&self, Prepared { next, opening }: Prepared) -> Vec<Arc<str>> {
        let before = self.generation();
        {
            let _alone = self.names.alone();
            next.take_force();
            self.in_force.store(Arc::clone(&next));
        }
        before.retire();
        self.names.tell();
        self.audit.set_options(next.settings.audit);
        self.outcomes.follow(&next.settings, &self.in_force);
        self.listeners.follow(&next, &before.settings);
        for (label, sockets) in opening {
            if let Some(at) = next.listeners.iter().find(|at| *at.label == *label) {
                self.listeners.open(at, &next, sockets);
            }
        }
        // Whoever waits for room comes in under the new generation.
        next.capacity.acquired();
        next.capacity.released();
        let now: HashSet<&str> = next.listeners.iter().map(|at| &*at.label).collect();
        let gone = before.listeners.iter().map(|at| at.label.name()).filter(|label| !now.contains(label));
        gone.map(Into::into).collect()
    }

    /// Members were removed: lets their connections go on, ends them, or ends those that are left after `grace`, as each says. A member
    /// that is back by then keeps those that it has.
    pub fn see_off(&self, removed: Vec<Removed>, grace: Duration) {
        self.departures.see_off(removed, grace);
    }

    /// Removed members whose connections have a time to end by themselves, and have not ended.
    #[must_use]
    pub fn departures(&self) -> Vec<Arc<Departure>> {
        self.departures.all()
    }

    /// Other settings: binds, puts in force, and closes what is gone, after what is queued there was accepted. Limits, breakers,
    /// pools and pressures go on counting under their names; connections go on as they began. One at a time. Not to be cancelled:
    /// listeners that are gone would go on accepting.
    ///
    /// # Errors
    /// [`ReplaceError`]; then nothing has changed.
    pub async fn replace(&self, settings: Arc<Settings>) -> Result<(), ReplaceError> {
        let _alone = self.replacing.lock().await;
        let prepared = self.prepare(settings, |_| false)?;
        let gone = self.put_in_force(prepared);
        self.listeners.close(&gone).await;
        Ok(())
    }
}

/// A running proxy. Dropped without [`stop`](Self::stop), it ends every connection at once.
#[derive(Debug)]
pub struct Server {
    plane: Arc<DataPlane>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// Binds every listener, but for those that have `inherited` sockets, and starts the workers; inherited sockets that are for no
    /// listener are closed. Look-ups, watch and audit run on `control`. `ends` receives each connection's end.
    ///
    /// It acts on the whole process in two things: it raises the soft limit of open files to the hard one, and bounds the pipes that
    /// large flows are spliced through ([`pipes`]).
    ///
    /// # Errors
    /// [`StartError`]; nothing is left behind.
    pub fn start(
        settings: Arc<Settings>,
        mut inherited: Inherited,
        control: &Handle,
        sockets_are: SocketOwnership,
        ends: impl Subscriber + 'static,
    ) -> Result<Self, StartError> {
        let count = settings.workers.get() as usize;
        // First, since listening takes descriptors too.
        let descriptors = descriptors::raise_limit();
        debug!(descriptors, "limit of open files");
        pipes::at_most(descriptors::pipes(descriptors));
        let (workers, runtimes) = runtimes(count)?;
        let tasks = TaskTracker::new();
        let listeners =
            Listeners::new(workers.iter().map(|worker| worker.handle().clone()).collect(), tasks.clone());
        let sockets =
            settings.listeners.iter().map(|at| listeners.bind(&settings, at, &mut inherited, false));
        let sockets = sockets.collect::<Result<Vec<_>, _>>()?;
        drop(inherited);
        let resolver =
            Resolver::system(control.clone(), descriptors::look_ups(descriptors), settings.resolver);
        let outcomes = Arc::<Feed<TcpDialer>>::default();
        let tracker = Tracker::new(count, (Fed(Arc::clone(&outcomes)), ends));
        let first = Arc::new(Generation::new(settings, tracker, TcpDialer::default(), resolver));
        let in_force = Arc::new(ArcSwap::new(Arc::clone(&first)));
        outcomes.follow(&first.settings, &in_force);
        let quit = CancellationToken::new();
        let plane = Arc::new(DataPlane {
            audit: audit(&in_force, count, &tasks, sockets_are),
            observed: Arc::default(),
            in_force,
            tracker: Arc::clone(&first.tracker),
            outcomes,
            names: Arc::default(),
            departures: Departures::new(&first.tracker, control, quit.clone()),
            listeners,
            workers: workers.into(),
            tasks,
            accepts: quit.child_token(),
            quit,
            replacing: tokio::sync::Mutex::default(),
        });
        let mut server = Self { plane, threads: Vec::with_capacity(count) };
        server.start_beside(&first, control);
        server.start_workers(runtimes)?;
        for (at, sockets) in first.listeners.iter().zip(sockets) {
            server.plane.listeners.open(at, &first, sockets);
        }
        Ok(server)
    }

    /// Starts what looks after connections; it ends with the workers.
    fn start_beside(&self, first: &Generation<TcpDialer>, control: &Handle) {
        let plane = &self.plane;
        drop(control.spawn(watch::watch(Arc::clone(&plane.in_force), plane.quit.clone())));
        let checks = checks::run(&plane.in_force, control, plane.accepts.clone());
        drop(control.spawn(checks));
        let (in_force, all) = (Arc::clone(&plane.in_force), Arc::clone(&plane.names));
        let names = names::run(in_force, all, Arc::clone(&plane.departures), plane.accepts.clone());
        drop(control.spawn(names));
        let (outcomes, quit) = (Arc::clone(&plane.outcomes), plane.quit.clone());
        drop(control.spawn(async move { quit.run_until_cancelled(outcomes.watch()).await }));
        drop(control.spawn(plane.audit.clone().watch(plane.quit.clone().cancelled_owned())));
        let watched = observe::Watched {
            in_force: Arc::clone(&plane.in_force),
            workers: plane.workers.iter().map(Worker::pulse).collect(),
            audit: plane.audit.clone(),
            observed: Arc::clone(&plane.observed),
        };
        drop(control.spawn(observe::watch(watched, plane.quit.clone())));
        // On a worker, whose reactor is there for sockets.
        if let Some(worker) = plane.workers.first() {
            drop(worker.handle().spawn(first.recover(plane.accepts.clone())));
        }
    }

    fn start_workers(&mut self, runtimes: Vec<Idle>) -> Result<(), StartError> {
        for (number, (worker, runtime)) in self.plane.workers.iter().zip(runtimes).enumerate() {
            let thread = worker.start(number, runtime, self.plane.quit.clone());
            self.threads.push(thread.map_err(|source| StartError::Worker { worker: number, source })?);
        }
        Ok(())
    }

    /// The handle by which it is looked at and changed while it runs.
    #[must_use]
    pub fn plane(&self) -> &Arc<DataPlane> {
        &self.plane
    }

    /// The table of its connections.
    #[must_use]
    pub fn tracker(&self) -> &Arc<Tracker> {
        &self.plane.tracker
    }

    /// Stops accepting, lets connections finish until `until` or until `hurry` resolves, then ends those that are left. It begins
    /// when `alone` resolves, or at `until`: nobody else may open listeners from then on, and what it resolves to is kept until all
    /// are closed.
    pub async fn stop<G>(
        mut self,
        until: Instant,
        alone: impl Future<Output = G>,
        hurry: impl Future<Output = ()>,
    ) -> Stopped {
        let plane = Arc::clone(&self.plane);
        let finishing = async {
            let guard = tokio::time::timeout_at(until, alone).await;
            // What a loop has just accepted has its entry before anybody looks whether all are gone.
            plane.listeners.close(&plane.listeners.labels()).await;
            plane.accepts.cancel();
            drop(guard);
            plane.generation().retire();
            info!(connections = plane.tracker.len(), "stopped accepting");
            tokio::time::timeout_at(until, plane.tracker.emptied()).await.is_ok()
        };
        let (finished, patience) = tokio::select! {
            finished = finishing => (finished, ENDING),
            () = hurry => (false, ENDING_AT_ONCE),
        };
        let tracker = &plane.tracker;
        let stopped =
            if finished { Stopped::Finished } else { Stopped::Ended(tracker.cancel_all(Reason::Shutdown)) };
        plane.tasks.close();
        // Those of connections to backends are the pool's own.
        let ending = async {
            plane.tasks.wait().await;
            tracker.emptied().await;
        };
        if tokio::time::timeout(patience, ending).await.is_err() {
            error!(connections = tracker.len(), "connections did not end when told to; dropping them");
        }
        self.join();
        stopped
    }

    /// Ends the workers, and with them every task that is left.
    fn join(&mut self) {
        self.plane.listeners.abort();
        self.plane.quit.cancel();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                error!("a worker thread had panicked");
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.join();
    }
}

/// Workers without threads yet, and their runtimes.
fn runtimes(count: usize) -> Result<(Vec<Worker>, Vec<Idle>), StartError> {
    let runtime = |worker| Worker::new().map_err(|source| StartError::Worker { worker, source });
    let both = (0..count).map(runtime).collect::<Result<Vec<_>, _>>()?;
    Ok(both.into_iter().unzip())
}
