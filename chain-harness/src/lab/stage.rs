//! What a scenario is told with: a chain, clients, a clock, and what is noted meanwhile.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::outcome::{Breach, Ends, Figures, Law, Mark, Outcome, ProxyInfo, Verdict};
use super::terms::{AT_ONCE, CHECKED, Terms};
use super::watch::{LOOK, Sample, Watch, ms};
use crate::contender::{Contender, GroupPlan, HopPlan, Running};
use crate::free_port;
use crate::proc::descriptors;
use crate::wire::Wire;

/// What a story comes to: an error is an obstacle, not a breach.
pub(super) type Told = Result<(), String>;

/// How long after a breached deadline it is looked on, to find out when they are gone after all.
const LOOK_ON: Duration = Duration::from_secs(5);
/// A wire's own patience is longer.
const LONGEST_END: Duration = Duration::from_secs(9);
/// How many clients connect at one time: fewer than fit into anybody's backlog.
const AT_A_TIME: usize = 50;

/// One scenario with one proxy, while it is told.
#[derive(Debug)]
pub struct Lab {
    contender: Contender,
    pub(super) terms: Terms,
    outer: Option<Running>,
    inner: Option<Running>,
    /// The inner hop that stands for the other one; it is not watched.
    second: Option<Running>,
    watch: Option<Watch>,
    breaches: Vec<Breach>,
    pub(super) figures: Figures,
    marks: Vec<Mark>,
}

/// The moment from which something is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Since {
    at_ms: u64,
}

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hop {
    Outer,
    Inner,
}

/// Which hops are to be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hops {
    Both,
    Outer,
}

impl Hops {
    fn are_empty(self, sample: &Sample) -> bool {
        match (self, sample.sockets()) {
            (Self::Both, sockets) => sockets == [0, 0],
            (Self::Outer, [outer, _]) => outer == 0,
        }
    }
}

impl Lab {
    pub(super) fn new(contender: Contender) -> Self {
        Self {
            contender,
            terms: Terms::USUAL,
            outer: None,
            inner: None,
            second: None,
            watch: None,
            breaches: Vec::new(),
            figures: Figures::default(),
            marks: Vec::new(),
        }
    }

    /// Starts a chain to `target`, in which both hops keep the terms.
    pub(super) async fn chain(&mut self, target: SocketAddr) -> Told {
        self.chain_with(target, |_, _| {}).await
    }

    /// The same, with changes to the plans of the outer and the inner hop.
    pub(super) async fn chain_with(
        &mut self,
        target: SocketAddr,
        change: impl FnOnce(&mut HopPlan, &mut HopPlan),
    ) -> Told {
        let mut inner = plan(self.terms, local(free_port()), target);
        let mut outer = plan(self.terms, local(free_port()), inner.listen);
        (outer.send_proxy, inner.accept_proxy) =
            (self.contender.speaks_proxy(), self.contender.speaks_proxy());
        change(&mut outer, &mut inner);
        let start = async |plan| self.contender.launch(plan).start().await.map_err(|error| error.to_string());
        let (inner, outer) = (start(inner).await?, start(outer).await?);
        self.watch = Some(Watch::start([Some(outer.pid()), Some(inner.pid())]));
        (self.outer, self.inner) = (Some(outer), Some(inner));
        self.looks().await;
        Ok(())
    }

    /// Starts two inner hops, each in front of one of `targets`, and an outer one to which they stand for each other: it checks
    /// that who is behind them greets, and takes turns; or, with `least`, goes to the one with the fewest connections.
    pub(super) async fn members(&mut self, targets: [SocketAddr; 2], least: bool) -> Told {
        let [first, second] = targets;
        let second = self.member(local(free_port()), second);
        let at = second.listen;
        let second = self.contender.launch(second).start().await.map_err(|error| error.to_string())?;
        self.second = Some(second);
        let group = GroupPlan { second: at, checked: CHECKED, least };
        self.chain_with(first, |outer, _| outer.group = Some(group)).await
    }

    /// Where clients connect to.
    pub(super) fn addr(&self) -> SocketAddr {
        self.outer().addr()
    }

    /// Where the outer hop connects to.
    pub(super) fn inner_addr(&self) -> SocketAddr {
        self.outer().plan().target
    }

    pub(super) fn outer(&self) -> &Running {
        self.outer.as_ref().expect("a story starts a chain first")
    }

    /// None while the hop is down.
    fn hop(&self, hop: Hop) -> Option<&Running> {
        match hop {
            Hop::Outer => self.outer.as_ref(),
            Hop::Inner => self.inner.as_ref(),
        }
    }

    fn watch(&self) -> &Watch {
        self.watch.as_ref().expect("a story starts a chain first")
    }

    /// Names this moment in the chart.
    pub(super) fn mark(&mut self, what: &str) -> Since {
        let at_ms = self.watch().now();
        self.marks.push(Mark { at_ms, what: what.to_owned() });
        Since { at_ms }
    }

    /// How long ago `since` was.
    pub(super) fn elapsed(&self, since: Since) -> Duration {
        Duration::from_millis(self.watch().now() - since.at_ms)
    }

    /// `count` clients who have sent `words`.
    pub(super) async fn crowd(&self, count: usize, words: &'static str) -> Vec<Wire> {
        let addr = self.addr();
        let all = (0..count).map(|_| async move {
            let mut client = Wire::connect(addr).await;
            if !words.is_empty() {
                client.try_send(words).await.unwrap_or_default();
            }
            client
        });
        together(all).await
    }

    /// Waits until each of `clients` has an end, or `bound` is over, and notes how they ended.
    pub(super) async fn ends(&mut self, clients: Vec<Wire>, bound: Duration) -> Vec<Wire> {
        assert!(bound <= LONGEST_END, "a wire gives up before {bound:?}");
        let all = clients.into_iter().map(|mut client| async move {
            // Whoever has no end by then is still open.
            drop(timeout(bound, client.read_to_end()).await);
            client
        });
        let clients = all_together(all).await;
        let received: Vec<_> = clients.iter().map(Wire::received).collect();
        self.figures.ends = Ends::of(&received);
        clients
    }

    /// Notes a breach of `law` where it does not hold.
    pub(super) fn check(&mut self, law: Law, holds: bool, how: impl FnOnce() -> String) {
        if !holds {
            self.breaches.push(Breach { law, how: how() });
        }
    }

    /// Notes a figure.
    pub(super) fn note(&mut self, figure: String) {
        self.figures.more.push(figure);
    }

    /// The most that the resident memory of both hops has grown so far, in bytes.
    pub(super) fn grown(&self) -> u64 {
        let mut figures = Figures::default();
        measure(&mut figures, &self.watch().samples());
        figures.grown
    }

    /// A sample that was begun after this was called.
    async fn looks(&self) -> Sample {
        let now = self.watch().now();
        loop {
            if let Some(sample) = self.watch().newest_since(now) {
                return sample;
            }
            sleep(LOOK / 5).await;
        }
    }

    /// Waits until a sample is `as_wanted`, at most for `bound`; says whether there was one.
    pub(super) async fn until(&self, bound: Duration, as_wanted: impl Fn(&Sample) -> bool) -> bool {
        let deadline = Instant::now() + bound;
        loop {
            if as_wanted(&self.looks().await) {
                return true;
            }
            if Instant::now() > deadline {
                return false;
            }
        }
    }

    /// Both hops have no connection open `allowed` after `since`; `law` is what is broken otherwise.
    pub(super) async fn settles(&mut self, since: Since, allowed: Duration, law: Law) {
        self.hops_settle(Hops::Both, since, allowed, law).await;
    }

    /// The same for some of the hops.
    pub(super) async fn hops_settle(&mut self, hops: Hops, since: Since, allowed: Duration, law: Law) {
        let limit = since.at_ms + ms(allowed) + ms(LOOK);
        let give_up = limit + ms(LOOK_ON);
        let last = loop {
            let sample = self.looks().await;
            if hops.are_empty(&sample) || sample.at_ms > give_up {
                break sample;
            }
        };
        let samples = self.watch().samples();
        let since_then = || samples.iter().filter(|sample| sample.at_ms >= since.at_ms);
        // What was seen open after the limit is late. On a busy machine nobody may have looked just then.
        let late = since_then().find(|sample| sample.at_ms > limit && !hops.are_empty(sample));
        let last_open =
            since_then().rfind(|sample| !hops.are_empty(sample)).map_or(since.at_ms, |open| open.at_ms);
        let empty = since_then().find(|sample| sample.at_ms > last_open).unwrap_or(&last);
        let settled = hops.are_empty(&last).then(|| empty.at_ms.saturating_sub(since.at_ms));
        let figures = &mut self.figures;
        (figures.since_ms, figures.allowed_ms) = (Some(since.at_ms), Some(ms(allowed)));
        figures.settled_ms = settled;
        if let Some(late) = late {
            let after = seconds(late.at_ms.saturating_sub(since.at_ms));
            let later = match settled {
                Some(settled) => format!("gone after {}", seconds(settled)),
                None => format!("still there {} later", seconds(ms(LOOK_ON))),
            };
            let how =
                format!("{} left after {after} ({} allowed); {later}", left(late), seconds(ms(allowed)));
            self.breaches.push(Breach { law, how });
        }
    }

    /// Kills every process of the inner hop.
    pub(super) fn kill_inner(&mut self) {
        self.watch().at([Some(self.outer().pid()), None]);
        drop(self.inner.take());
    }

    /// Starts it again.
    pub(super) async fn restart_inner(&mut self, target: SocketAddr) -> Told {
        let plan = self.member(self.inner_addr(), target);
        let inner = self.contender.launch(plan).start().await.map_err(|error| error.to_string())?;
        self.watch().at([Some(self.outer().pid()), Some(inner.pid())]);
        self.inner = Some(inner);
        Ok(())
    }

    /// An inner hop's plan.
    fn member(&self, listen: SocketAddr, target: SocketAddr) -> HopPlan {
        HopPlan { accept_proxy: self.contender.speaks_proxy(), ..plan(self.terms, listen, target) }
    }

    /// Sends `signal` to every process of `hop`.
    pub(super) fn signal(&self, hop: Hop, signal: Signal) {
        let pids = self.hop(hop).map(Running::pids).unwrap_or_default();
        for pid in pids.into_iter().filter_map(|pid| Pid::from_raw(i32::try_from(pid).ok()?)) {
            // A process that has gone meanwhile needs none.
            kill_process(pid, signal).unwrap_or_default();
        }
    }

    /// Lets `hop` open `more` files beyond those of its largest process, from now on.
    pub(super) fn only_files_more(&self, hop: Hop, more: usize) -> Told {
        let hop = self.hop(hop).ok_or("it is down")?;
        let most = hop.pids().into_iter().map(|pid| descriptors(pid).0).max().unwrap_or_default();
        let limited = hop.limit_open_files((most + more) as u64);
        limited.map_err(|error| format!("its limit of open files can not be lowered: {error}"))
    }

    /// Once clients and backends have gone, nothing may be left.
    pub(super) async fn everybody_has_gone(&mut self) {
        if self.watch.is_none() {
            return;
        }
        let empty = self.until(AT_ONCE, |sample| sample.sockets() == [0, 0]).await;
        let sample = self.looks().await;
        self.figures.left = sample.sockets();
        self.outer_lives();
        let told = self.breaches.iter().any(|breach| breach.how.contains("left"));
        self.check(Law::Departures, empty || told, || {
            format!("{} left {} after everybody had gone", left(&sample), seconds(ms(AT_ONCE)))
        });
    }

    /// A hop that has died has no sockets either: that is not what was asked of it.
    fn outer_lives(&mut self) {
        let Some(outer) = &mut self.outer else { return };
        if !outer.is_running() {
            let output = outer.output();
            let said = output.lines().rev().find(|line| line.contains("assert") || line.contains("panic"));
            let how =
                format!("the outer hop's process has died ({})", said.unwrap_or("without a word").trim());
            self.breaches.push(Breach { law: Law::Service, how });
        }
    }

    /// What has come of a scenario, by name and what is expected, in which this may have been in the way.
    pub(super) fn sum_up(mut self, scenario: [&str; 2], obstacle: Option<String>) -> Outcome {
        let samples = self.watch.take().map(|watch| watch.samples()).unwrap_or_default();
        let verdict = match (obstacle, self.breaches.is_empty()) {
            (Some(why), _) => Verdict::Broken { why },
            (None, true) => Verdict::Pass,
            (None, false) => Verdict::Fails { breaches: self.breaches },
        };
        let mut figures = self.figures;
        measure(&mut figures, &samples);
        let without = Outcome::without(scenario, &self.contender, verdict);
        Outcome { figures, marks: self.marks, samples, ..without }
    }
}

/// What is to be read from the samples alone.
fn measure(figures: &mut Figures, samples: &[Sample]) {
    let memory = |sample: &Sample| sample.outer.resident_kib + sample.inner.resident_kib;
    let before = samples.first().map(memory).unwrap_or_default();
    for sample in samples {
        let [outer, inner] = sample.sockets();
        figures.peak = [figures.peak[0].max(outer), figures.peak[1].max(inner)];
        figures.cpu_ms = figures.cpu_ms.max(sample.outer.cpu_ms + sample.inner.cpu_ms);
        figures.grown = figures.grown.max(memory(sample).saturating_sub(before) * 1024);
    }
}

/// "100 + 98 sockets (close-wait, fin-wait-2)".
fn left(sample: &Sample) -> String {
    let [outer, inner] = sample.sockets();
    let states: std::collections::BTreeSet<_> =
        sample.outer.states.keys().chain(sample.inner.states.keys()).map(String::as_str).collect();
    let states: Vec<_> = states.into_iter().collect();
    format!("{outer} + {inner} sockets ({})", states.join(", "))
}

/// "1.5 s".
pub(super) fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

/// Runs all of `futures`, as many at one time as fit into a backlog, and gives what they come to.
pub(super) async fn together<F>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let (mut futures, mut results) = (futures.into_iter().peekable(), Vec::new());
    while futures.peek().is_some() {
        results.extend(all_together(futures.by_ref().take(AT_A_TIME)).await);
    }
    results
}

/// Runs all of `futures` at one time.
pub(super) async fn all_together<F>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let tasks: JoinSet<_> = futures.into_iter().collect();
    tasks.join_all().await
}

fn plan(terms: Terms, listen: SocketAddr, target: SocketAddr) -> HopPlan {
    let Terms { header, connect, idle, half_closed } = terms;
    HopPlan { header, connect, idle, half_closed, ..HopPlan::new(listen, target) }
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// What is tried, with the configuration of a chain on ports 8001 and 8002 to a backend on 8080.
pub(super) fn describe(contender: &Contender) -> ProxyInfo {
    let (mut outer, mut inner) =
        (plan(Terms::USUAL, local(8001), local(8002)), plan(Terms::USUAL, local(8002), local(8080)));
    (outer.send_proxy, inner.accept_proxy) = (contender.speaks_proxy(), contender.speaks_proxy());
    let text = |plan| contender.launch(plan).configuration(Path::new("DIR"));
    ProxyInfo {
        name: contender.name().to_owned(),
        version: contender.version(),
        notes: contender.notes().iter().map(|&note| note.to_owned()).collect(),
        configuration: [text(outer), text(inner)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::HopSample;

    fn sample(at_ms: u64, outer: usize, inner: usize) -> Sample {
        let hop = |sockets: usize, resident_kib| HopSample {
            states: [("established".to_owned(), sockets)].into(),
            cpu_ms: at_ms,
            resident_kib,
        };
        Sample { at_ms, outer: hop(outer, 100), inner: hop(inner, 100 + at_ms) }
    }

    #[test]
    fn figures_are_the_worst_of_the_samples() {
        let mut figures = Figures::default();
        measure(&mut figures, &[sample(0, 1, 0), sample(50, 7, 9), sample(100, 8, 2)]);
        assert_eq!((figures.peak, figures.cpu_ms, figures.grown), ([8, 9], 200, 100 * 1024));
    }

    #[test]
    fn only_the_hops_that_are_meant_have_to_be_empty() {
        assert!(Hops::Outer.are_empty(&sample(0, 0, 3)) && !Hops::Both.are_empty(&sample(0, 0, 3)));
        assert!(!Hops::Outer.are_empty(&sample(0, 1, 0)) && Hops::Both.are_empty(&sample(0, 0, 0)));
    }

    #[test]
    fn what_is_left_is_said_with_its_states() {
        assert_eq!(left(&sample(0, 3, 2)), "3 + 2 sockets (established)");
        assert_eq!(seconds(2960), "2.9 s");
    }
}
