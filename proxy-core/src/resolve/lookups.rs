//! The system's look-ups, which block for as long as it pleases the system, on threads of their own: so that neither the
//! runtime nor the end of the process waits for one, and names that nobody answers for leave room for those that are.
//!
//! ```text
//!            in the hosts file ──────────────► at once
//! name ──►   answered soon the last time ────► while a few threads are left
//!            never asked for, the last first ┐ eight at once; beyond that, while those are held up, one more each
//!            slow the last time              ┘ `EXTRA_EVERY`, so that the newest is soon served whoever hangs
//! ```
//! A look-up cannot be taken back: its thread is held until the system gives up (glibc: after ten seconds with one silent name
//! server, thirty with three). Whom nobody waits for any more is not looked up at all.

mod hosts;
mod queue;

use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;
use tokio::time::Instant;

use hosts::HostsFile;
use queue::{Job, Queue, Rank, Work};

/// A thread that has had nothing to do for so long ends.
const IDLE: Duration = Duration::from_secs(10);

/// Whoever took longer than this had no answer from a resolver nearby.
const SLOW: Duration = Duration::from_secs(1);

/// getaddrinfo has buffers of some tens of kilobytes on its stack, and so may what nsswitch.conf names.
const STACK: usize = 512 * 1024;

type LookUp = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// Asks the system.
pub(super) fn getaddrinfo(name: &str) -> io::Result<Vec<IpAddr>> {
    // The port is not looked at.
    Ok((name, 0).to_socket_addrs()?.map(|addr| addr.ip().to_canonical()).collect())
}

/// Look-ups, and their threads. There are none before the first is asked for. Dropped, it leaves those alone that are held up;
/// they end when the system lets them.
pub(super) struct Lookups {
    desk: Arc<Desk>,
}

struct Desk {
    queue: Mutex<Queue>,
    bell: Condvar,
    hosts: HostsFile,
    look_up: Box<LookUp>,
}

impl Lookups {
    /// Look-ups by so many threads at most, none of which there is before somebody asks.
    pub(super) fn new(
        most: usize,
        look_up: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
    ) -> Self {
        Self::with_hosts(PathBuf::from("/etc/hosts"), most, look_up)
    }

    fn with_hosts(
        hosts: PathBuf,
        most: usize,
        look_up: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
    ) -> Self {
        let (queue, hosts, look_up) = (Mutex::new(Queue::new(most)), HostsFile::at(hosts), Box::new(look_up));
        Self { desk: Arc::new(Desk { queue, bell: Condvar::new(), hosts, look_up }) }
    }

    /// Has `name` looked up. Dropping the future is saying that the answer is not waited for any more.
    pub(super) fn ask(&self, name: Box<str>) -> impl Future<Output = io::Result<Vec<IpAddr>>> + Send + use<> {
        let (answer, answered) = oneshot::channel();
        let mut queue = self.desk.queue.lock();
        queue.push(Job { name, answer });
        self.desk.summon(&mut queue);
        drop(queue);
        async { answered.await.unwrap_or_else(|_| Err(io::Error::other("there is no thread to look it up"))) }
    }
}

impl Drop for Lookups {
    fn drop(&mut self) {
        self.desk.queue.lock().close();
        self.desk.bell.notify_all();
    }
}

impl Desk {
    /// Sees to it that there is a thread that has time for what is queued.
    fn summon(self: &Arc<Self>, queue: &mut Queue) {
        if queue.has_idle() {
            self.bell.notify_one();
        } else if queue.hire() {
            let desk = Arc::clone(self);
            let thread = std::thread::Builder::new().name("look-up".to_owned()).stack_size(STACK);
            if thread.spawn(move || desk.serve()).is_err() {
                queue.arrived();
                queue.dismiss();
            }
        }
    }

    /// The life of a thread.
    fn serve(self: Arc<Self>) {
        self.queue.lock().arrived();
        while let Some(work) = self.next() {
            match work {
                Work::Sift(job) => {
                    let rank = if self.hosts.has(&job.name) { Rank::Hosts } else { Rank::New };
                    self.queue.lock().sifted(job, rank);
                }
                Work::LookUp(job, rank) => {
                    let began = Instant::now();
                    let answer = (self.look_up)(&job.name);
                    self.queue.lock().done(job.name, rank, began.elapsed() < SLOW);
                    // Who asked may have gone: then nobody is told.
                    job.answer.send(answer).unwrap_or_default();
                }
            }
        }
    }

    /// What a thread is to do next; None where it is to end.
    fn next(self: &Arc<Self>) -> Option<Work> {
        let mut queue = self.queue.lock();
        loop {
            if let Some(work) = queue.pop(Instant::now()) {
                if !queue.is_empty() {
                    self.summon(&mut queue);
                }
                return Some(work);
            }
            if queue.is_closed() && queue.is_empty() {
                queue.dismiss();
                return None;
            }
            let wait = if queue.is_empty() { IDLE } else { queue.until_next_extra(Instant::now()) };
            queue.idle += 1;
            let nothing_came = self.bell.wait_for(&mut queue, wait.max(Duration::from_millis(1))).timed_out();
            queue.idle -= 1;
            if nothing_came && queue.is_empty() {
                queue.dismiss();
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests;
