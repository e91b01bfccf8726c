//! Signals are taken on a thread that does nothing else, so that nothing the proxy waits for keeps it from being stopped.
//!
//! ```text
//! signal ─► this thread ─┬─ HUP, USR1, USR2: the control runtime is told, and does it when it comes to it
//!                        ├─ TERM, INT: the control runtime is told to stop; again: to stop at once
//!                        └─ the time for that is over: the process ends, whatever still hangs
//! ```
//! Nothing here opens a file, takes a lock that is held for long, or waits for anybody.

mod reap;

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use anyhow::Context as _;
use proxy_bin::control::Control;
use proxy_bin::logging::Logs;
use proxy_bin::privileges;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Exit codes beyond 0 (all finished) and 1 (could not start); `--help` lists them.
const CONNECTIONS_WERE_ENDED: u8 = 3;
const STOPPED_AT_ONCE: u8 = 4;

/// How long the process may take beyond `graceful_shutdown_timeout`: a second is promised, and this leaves some of it to a
/// busy machine.
const LATEST: Duration = Duration::from_millis(850);

/// How long it may take from the second signal on: 0.3 s are promised.
const AT_ONCE: Duration = Duration::from_millis(220);

/// How long the last lines may take of a process that ends although something hangs.
const LAST_LINES: Duration = Duration::from_millis(40);

/// How a proxy ended that was told to stop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ending {
    /// Connections that did not finish by themselves.
    pub(crate) ended: usize,
    /// Somebody did not want to wait for them.
    pub(crate) at_once: bool,
}

impl Ending {
    fn number(self) -> u8 {
        match self {
            Self { at_once: true, .. } => STOPPED_AT_ONCE,
            Self { ended: 0, .. } => 0,
            Self { .. } => CONNECTIONS_WERE_ENDED,
        }
    }

    /// What the process says of it to whoever started it.
    pub(crate) fn code(self) -> ExitCode {
        ExitCode::from(self.number())
    }
}

/// What signals ask for, for those who do it.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// To read the configuration again (SIGHUP). Asked for twice while it is being done, it is done once more.
    pub(crate) reload: Notify,
    /// To open the log files anew (SIGUSR1).
    pub(crate) reopen: Notify,
    /// To hand over to a new process (SIGUSR2).
    pub(crate) upgrade: Notify,
    /// To stop.
    pub(crate) stop: CancellationToken,
    /// To stop accepting: `shutdown_delay` is over, or somebody does not want to wait for that.
    pub(crate) left: CancellationToken,
    /// To wait for nobody any more.
    pub(crate) hurry: CancellationToken,
    /// What the process exits with if it has to be ended.
    code: AtomicU8,
}

/// The signals of this process, taken from when this is made until it ends.
#[derive(Debug)]
pub(crate) struct Signals {
    pub(crate) asked: Arc<Asked>,
    orders: mpsc::Sender<Order>,
}

/// What the thread is told.
#[derive(Debug)]
enum Order {
    /// To give up what the process gives up for good.
    Confine(SyncSender<io::Result<()>>),
    /// The process serves.
    Serving(Vec<Control>, Logs),
}

impl Signals {
    /// Catches them, from now on: none ends the process by itself any more, and none is lost.
    ///
    /// # Errors
    /// Where the system has no thread or no descriptor for it.
    pub(crate) fn catch() -> anyhow::Result<Self> {
        let asked = Arc::<Asked>::default();
        // Two orders are all there are.
        let (orders, told) = mpsc::channel(2);
        let (caught, ready) = sync_channel(1);
        let runtime = crate::control_runtime()?;
        let attending = Arc::clone(&asked);
        let thread = move || {
            runtime.block_on(async {
                match Caught::all() {
                    Ok(signals) => {
                        // Whoever waits for it is there.
                        caught.send(Ok(())).unwrap_or_default();
                        attend(signals, attending, told).await;
                    }
                    Err(error) => caught.send(Err(error)).unwrap_or_default(),
                }
            });
        };
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(thread)
            .context("cannot catch signals")?;
        ready.recv().context("cannot catch signals")?.context("cannot catch signals")?;
        Ok(Self { asked, orders })
    }

    /// Has their thread give up what the calling one has given up for good, which holds for threads made later only.
    ///
    /// # Errors
    /// What the system said.
    pub(crate) fn confine(&self) -> io::Result<()> {
        let (done, confined) = sync_channel(1);
        self.order(Order::Confine(done))?;
        confined.recv().map_err(io::Error::other)?
    }

    /// From now on there is something to stop: these proxies, which may take their time for it, one after the other.
    ///
    /// # Errors
    /// Where the thread is gone.
    pub(crate) fn serving(&self, proxies: Vec<Control>, logs: Logs) -> io::Result<()> {
        self.order(Order::Serving(proxies, logs))
    }

    fn order(&self, order: Order) -> io::Result<()> {
        self.orders.try_send(order).map_err(|_| io::Error::other("the thread that takes signals is gone"))
    }

    /// What the process exits with, should it not come to its end by itself.
    pub(crate) fn ended(&self, ending: Ending) {
        self.asked.code.store(ending.number(), Ordering::Relaxed);
    }
}

/// The signals, each in order of arrival.
struct Caught {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    reopen: Signal,
    upgrade: Signal,
    /// Only where children of others are this process's to take in.
    child: Option<Signal>,
}

/// What has come.
enum Came {
    End(&'static str),
    HangUp,
    Reopen,
    Upgrade,
    Child,
}

impl Caught {
    fn all() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            reopen: signal(SignalKind::user_defined1())?,
            upgrade: signal(SignalKind::user_defined2())?,
            child: reap::is_ours_to_do().then(|| signal(SignalKind::child())).transpose()?,
        })
    }

    /// The next one. Cancel-safe.
    async fn next(&mut self) -> Came {
        let child = async {
            match &mut self.child {
                Some(child) => child.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => Came::End("SIGTERM"),
            _ = self.interrupt.recv() => Came::End("SIGINT"),
            _ = self.hangup.recv() => Came::HangUp,
            _ = self.reopen.recv() => Came::Reopen,
            _ = self.upgrade.recv() => Came::Upgrade,
            _ = child => Came::Child,
        }
    }
}

/// Passes on what comes, and ends the process when it has to have ended.
async fn attend(mut caught: Caught, asked: Arc<Asked>, mut orders: mpsc::Receiver<Order>) {
    let mut watch = Watch { asked, proxies: Vec::new(), logs: None, latest: None };
    // Those that ended before this was listened for.
    if reap::is_ours_to_do() {
        reap::all();
    }
    // Somebody else may want a proxy to stop too.
    let mut wanted = JoinSet::new();
    loop {
        tokio::select! {
            came = caught.next() => watch.note(&came),
            Some(order) = orders.recv() => match order {
                Order::Confine(done) => done.send(privileges::confine()).unwrap_or_default(),
                Order::Serving(proxies, logs) => {
                    for proxy in &proxies {
                        let proxy = proxy.clone();
                        wanted.spawn(async move {
                            proxy.asked_to_stop().await;
                            if proxy.is_handed_over() { "the new process" } else { "the admin API" }
                        });
                    }
                    (watch.proxies, watch.logs) = (proxies, Some(logs));
                }
            },
            Some(Ok(who)) = wanted.join_next() => watch.stop(who),
            () = until(watch.latest) => watch.end(),
        }
    }
}

/// What is known of the process and its end.
struct Watch {
    asked: Arc<Asked>,
    /// None while it starts.
    proxies: Vec<Control>,
    logs: Option<Logs>,
    /// When the process has to have ended.
    latest: Option<Instant>,
}

impl Watch {
    fn note(&mut self, came: &Came) {
        match came {
            Came::End(_) if self.proxies.is_empty() => {
                // It has served nobody yet: there is nothing to finish.
                std::process::exit(0);
            }
            Came::End(signal) if self.is_leaving() => self.leave(signal),
            Came::End(signal) if self.asked.stop.is_cancelled() => self.hurry(signal),
            Came::End(signal) => self.stop(signal),
            Came::HangUp => self.asked.reload.notify_one(),
            Came::Reopen => self.asked.reopen.notify_one(),
            Came::Upgrade => self.asked.upgrade.notify_one(),
            Came::Child => reap::all(),
        }
    }

    fn stop(&mut self, by: &'static str) {
        if self.asked.stop.is_cancelled() {
            return;
        }
        // They leave beside each other, and finish one after the other.
        let delay = |proxy: &Control| proxy.config().shutdown_delay.get().map(proxy_core::Bound::get);
        let delay = self.proxies.iter().filter(|proxy| !proxy.is_handed_over()).filter_map(delay).max();
        if delay.is_none() {
            info!(by, "stopping; another signal stops at once");
            self.asked.left.cancel();
        } else {
            info!(by, "stopping after shutdown_delay; another signal stops without it, and a third at once");
        }
        self.asked.code.store(CONNECTIONS_WERE_ENDED, Ordering::Relaxed);
        self.latest = Some(Instant::now() + delay.unwrap_or_default() + self.grace() + LATEST);
        self.asked.stop.cancel();
        // Whoever reads a file or hands over lets go of it.
        self.proxies.iter().for_each(Control::stop);
    }

    /// How long connections may take to finish.
    fn grace(&self) -> Duration {
        self.proxies.iter().map(|proxy| proxy.config().graceful_shutdown_timeout.get()).sum()
    }

    /// Whether it accepts although it is to stop.
    fn is_leaving(&self) -> bool {
        self.asked.stop.is_cancelled() && !self.asked.left.is_cancelled()
    }

    fn leave(&mut self, signal: &'static str) {
        info!(signal, "stopping without further delay");
        self.latest = Some(Instant::now() + self.grace() + LATEST);
        self.asked.left.cancel();
    }

    fn hurry(&mut self, signal: &'static str) {
        if self.asked.hurry.is_cancelled() {
            return;
        }
        warn!(signal, "stopping at once");
        self.asked.code.store(STOPPED_AT_ONCE, Ordering::Relaxed);
        let latest = Instant::now() + AT_ONCE;
        self.latest = Some(self.latest.map_or(latest, |other| other.min(latest)));
        self.asked.hurry.cancel();
    }

    fn end(&self) {
        warn!("stopped although something still hangs: it is left behind");
        if let Some(logs) = &self.logs {
            logs.flush(LAST_LINES);
        }
        std::process::exit(self.asked.code.load(Ordering::Relaxed).into());
    }
}

async fn until(latest: Option<Instant>) {
    match latest {
        Some(latest) => tokio::time::sleep_until(latest).await,
        None => std::future::pending().await,
    }
}
