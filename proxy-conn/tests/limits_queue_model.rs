//! A limit against a model of it: any order of taking, giving back, waiting, leaving, time passing and reloads.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use proptest::prelude::*;
use proxy_conn::limits::{Limit, Permit, QueueError, QueueLimits};
use proxy_core::Bound;
use tokio::time::Instant;
use tokio_test::task::Spawn;

const WAIT: QueueLimits = QueueLimits::new(4, Bound::secs(10));

#[derive(Debug, Clone)]
enum Step {
    Acquire,
    GiveBack(usize),
    Wait,
    Leave(usize),
    Advance(u64),
    SetMost(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Acquire),
        4 => any::<usize>().prop_map(Step::GiveBack),
        4 => Just(Step::Wait),
        2 => any::<usize>().prop_map(Step::Leave),
        1 => (1..8_u64).prop_map(Step::Advance),
        1 => (0..4_usize).prop_map(Step::SetMost),
    ];
    proptest::collection::vec(step, 0..60)
}

type Outcome = Result<Permit, QueueError>;
type Waiting = Spawn<Pin<Box<dyn Future<Output = Outcome>>>>;

/// The model: numbers and a queue of names. The real one beside it, with what it handed out.
struct Both {
    limit: Limit,
    held: Vec<Permit>,
    waiters: Vec<(u32, Waiting)>,
    most: usize,
    in_use: usize,
    high_water: usize,
    line: VecDeque<(u32, Instant)>,
    names: u32,
}

impl Both {
    fn new(most: usize) -> Self {
        let (limit, held, waiters, line) = (Limit::new(most), Vec::new(), Vec::new(), VecDeque::new());
        Self { limit, held, waiters, most, in_use: 0, high_water: 0, line, names: 0 }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Acquire => self.acquire(),
            Step::GiveBack(nth) if !self.held.is_empty() => {
                drop(self.held.swap_remove(nth % self.held.len()));
                self.in_use -= 1;
            }
            Step::Wait => self.wait(),
            Step::Leave(nth) if !self.waiters.is_empty() => {
                let (name, waiter) = self.waiters.swap_remove(nth % self.waiters.len());
                drop(waiter);
                self.line.retain(|(waiting, _)| *waiting != name);
            }
            Step::Advance(secs) => {
                // In steps in which every wait ends at its deadline: nobody is late.
                for _ in 0..secs {
                    tokio::time::advance(Duration::from_secs(1)).await;
                    self.line.retain(|(_, deadline)| *deadline > Instant::now());
                    self.settle();
                }
            }
            Step::SetMost(most) => {
                self.limit.set_most(most);
                self.most = most;
            }
            Step::GiveBack(_) | Step::Leave(_) => {}
        }
        self.settle();
    }

    fn acquire(&mut self) {
        let permit = self.limit.acquire();
        assert_eq!(permit.is_some(), self.line.is_empty() && self.in_use < self.most);
        self.in_use += usize::from(permit.is_some());
        self.held.extend(permit);
    }

    fn wait(&mut self) {
        let limit = self.limit.clone();
        let future: Pin<Box<dyn Future<Output = Outcome>>> =
            Box::pin(async move { limit.acquire_or_wait(&WAIT).await });
        let mut waiter = tokio_test::task::spawn(future);
        match waiter.poll() {
            std::task::Poll::Ready(Ok(permit)) => {
                assert!(self.line.is_empty() && self.in_use < self.most);
                self.in_use += 1;
                self.held.push(permit);
            }
            std::task::Poll::Ready(Err(error)) => {
                assert_eq!(error, QueueError::Full { most_waiting: WAIT.most_waiting });
                assert_eq!(self.line.len(), WAIT.most_waiting);
            }
            std::task::Poll::Pending => {
                assert!(self.line.len() < WAIT.most_waiting);
                self.line.push_back((self.names, Instant::now() + WAIT.longest_wait.get()));
                self.waiters.push((self.names, waiter));
                self.names += 1;
            }
        }
    }

    /// Lets in those whose turn it is, in the model, and sees that it is they who are let in.
    fn settle(&mut self) {
        let mut served = Vec::new();
        while self.in_use < self.most
            && let Some((name, _)) = self.line.pop_front()
        {
            self.in_use += 1;
            served.push(name);
        }
        self.high_water = self.high_water.max(self.in_use);
        let mut still = Vec::new();
        for (name, mut waiter) in std::mem::take(&mut self.waiters) {
            let waits = self.line.iter().any(|(waiting, _)| *waiting == name);
            match waiter.poll() {
                std::task::Poll::Pending => {
                    assert!(waits, "{name} was not served");
                    still.push((name, waiter));
                }
                std::task::Poll::Ready(Ok(permit)) => {
                    assert!(served.contains(&name), "{name} was served out of turn");
                    self.held.push(permit);
                }
                std::task::Poll::Ready(Err(_)) => assert!(!waits && !served.contains(&name)),
            }
        }
        self.waiters = still;
        let real = (self.limit.in_use(), self.limit.waiting(), self.limit.most(), self.limit.high_water());
        assert_eq!(real, (self.in_use, self.line.len(), self.most, self.high_water));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_limit_does_what_its_model_does(most in 0..4_usize, steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut both = Both::new(most);
            for step in steps {
                both.step(step).await;
            }
            let limit = both.limit.clone();
            drop(both);
            assert_eq!((limit.in_use(), limit.waiting()), (0, 0));
            limit.set_most(1);
            assert!(limit.acquire().is_some());
        });
    }
}
