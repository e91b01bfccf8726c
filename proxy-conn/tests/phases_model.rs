//! The tracker against a model that is simple enough to be right: a list of connections, each with its phase, its bytes,
//! its times and its last word. Both are put through the same random lives of many connections at once.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed assumption of a test is its failure"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use proxy_conn::{
    Cause, ConnGuard, ConnId, DeadlineKind, End, Ended, Opening, Phase, Reason, Subscriber, Tracker,
};
use proxy_core::PeerAddr;
use proxy_core::relay::{Meter as _, Side};
use tokio::runtime::Runtime;
use tokio::time::Instant;

const WORKERS: usize = 2;
const REASONS: [Reason; 4] = [Reason::Shutdown, Reason::Killed, Reason::Overload, Reason::Overdue];
const VERDICTS: [Cause; 4] = [Cause::Finished, Cause::ClientReset, Cause::DialTimeout, Cause::Idle];

/// The legal ways, written once more, apart from the code's own table.
fn is_legal(from: Phase, to: Phase) -> bool {
    match from {
        Phase::Header => to == Phase::Peek || to == Phase::Tls || to == Phase::Dial,
        Phase::Peek => to == Phase::Tls || to == Phase::Dial,
        Phase::Tls => to == Phase::Dial,
        Phase::Dial => to == Phase::Relay || to == Phase::Idle,
        Phase::Idle => to == Phase::Busy,
        Phase::Busy => to == Phase::Idle || to == Phase::Relay,
        Phase::Relay => to == Phase::Drain,
        Phase::Drain => false,
    }
}

/// What happens. A connection is named by its place among those that live.
#[derive(Debug, Clone)]
enum Event {
    Open,
    Enter(usize, Phase),
    Move(usize, Side, u64),
    HalfClose(usize),
    Cancel(usize, Reason),
    CancelAll(Reason),
    End(usize, Cause),
    Drop(usize),
    Wait(Duration),
}

/// A connection of the model.
#[derive(Debug, Clone, PartialEq)]
struct Conn {
    phase: Phase,
    spent: [Duration; Phase::ALL.len()],
    in_phase: Duration,
    idle: Duration,
    bytes: [u64; 2],
    cancelled: Option<Reason>,
    last_word: Option<End>,
}

impl Conn {
    fn new() -> Self {
        Self {
            phase: Phase::Header,
            spent: [Duration::ZERO; Phase::ALL.len()],
            in_phase: Duration::ZERO,
            idle: Duration::ZERO,
            bytes: [0; 2],
            cancelled: None,
            last_word: None,
        }
    }

    fn age(&self) -> Duration {
        self.spent.iter().sum()
    }

    fn enter(&mut self, phase: Phase) {
        if is_legal(self.phase, phase) {
            self.leave_for(phase);
        } else {
            self.last_word.get_or_insert(Cause::IllegalTransition.during(self.phase));
        }
    }

    fn leave_for(&mut self, phase: Phase) {
        if phase == Phase::Drain {
            // What one that was upgraded was idle before that counts as busy from here on.
            let idle = std::mem::take(&mut self.spent[Phase::Idle as usize]);
            self.spent[Phase::Busy as usize] += idle;
        }
        (self.phase, self.in_phase) = (phase, Duration::ZERO);
    }

    fn end(&self) -> End {
        self.last_word.unwrap_or(Cause::Aborted.during(self.phase))
    }
}

/// Those that live, in the order they were opened, and those that have ended, in the order they did.
#[derive(Debug, Clone, Default)]
struct Model {
    live: Vec<Conn>,
    ended: Vec<Conn>,
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Event;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(model: &Self) -> BoxedStrategy<Event> {
        let time = prop_oneof![0_u64..5_000_000, 0_u64..100_000_000_000].prop_map(Duration::from_micros);
        let always = prop_oneof![3 => Just(Event::Open), 2 => time.prop_map(Event::Wait)];
        if model.live.is_empty() {
            return always.boxed();
        }
        let one = 0..model.live.len();
        // Half of the ways are those that the connection may go, so that lives get somewhere.
        let legal = |(nth, conn): (usize, &Conn)| {
            let mut ways = Phase::ALL.into_iter().filter(|to| is_legal(conn.phase, *to));
            if nth % 2 == 0 { ways.next() } else { ways.next_back() }
        };
        let onward: Vec<_> =
            model.live.iter().enumerate().map(|one| legal(one).unwrap_or(Phase::Drain)).collect();
        let side = prop_oneof![Just(Side::Client), Just(Side::Backend)];
        let reason = prop::sample::select(&REASONS[..]);
        prop_oneof![
            5 => always,
            6 => one.clone().prop_map(move |nth| Event::Enter(nth, onward[nth])),
            3 => (one.clone(), prop::sample::select(&Phase::ALL[..])).prop_map(|(nth, phase)| Event::Enter(nth, phase)),
            3 => (one.clone(), side, 0_u64..1 << 40).prop_map(|(nth, side, bytes)| Event::Move(nth, side, bytes)),
            2 => one.clone().prop_map(Event::HalfClose),
            2 => (one.clone(), reason.clone()).prop_map(|(nth, reason)| Event::Cancel(nth, reason)),
            1 => reason.prop_map(Event::CancelAll),
            2 => (one.clone(), prop::sample::select(&VERDICTS[..])).prop_map(|(nth, cause)| Event::End(nth, cause)),
            2 => one.prop_map(Event::Drop),
        ]
        .boxed()
    }

    fn preconditions(model: &Self, event: &Event) -> bool {
        match event {
            Event::Open | Event::Wait(_) | Event::CancelAll(_) => true,
            Event::Enter(nth, _)
            | Event::Move(nth, ..)
            | Event::HalfClose(nth)
            | Event::Cancel(nth, _)
            | Event::End(nth, _)
            | Event::Drop(nth) => *nth < model.live.len(),
        }
    }

    fn apply(mut model: Self, event: &Event) -> Self {
        match event {
            Event::Open => model.live.push(Conn::new()),
            Event::Enter(nth, phase) => model.live[*nth].enter(*phase),
            Event::Move(nth, side, bytes) => {
                let conn = &mut model.live[*nth];
                conn.bytes[usize::from(*side == Side::Backend)] += bytes;
                conn.idle = Duration::ZERO;
            }
            Event::HalfClose(nth) if model.live[*nth].phase == Phase::Relay => {
                model.live[*nth].leave_for(Phase::Drain);
            }
            Event::HalfClose(_) => {}
            Event::Cancel(nth, reason) => {
                model.live[*nth].cancelled.get_or_insert(*reason);
            }
            Event::CancelAll(reason) => model.live.iter_mut().for_each(|conn| {
                conn.cancelled.get_or_insert(*reason);
            }),
            Event::End(nth, cause) => {
                let conn = &mut model.live[*nth];
                conn.last_word.get_or_insert(cause.during(conn.phase));
            }
            Event::Drop(nth) => {
                let conn = model.live.remove(*nth);
                model.ended.push(conn);
            }
            Event::Wait(time) => model.live.iter_mut().for_each(|conn| {
                conn.spent[conn.phase as usize] += *time;
                conn.in_phase += *time;
                conn.idle += *time;
            }),
        }
        model
    }
}

/// One end, as the subscriber was told of it.
#[derive(Debug, PartialEq)]
struct Told {
    id: ConnId,
    end: End,
    spent: [Duration; Phase::ALL.len()],
    lifetime: Duration,
    bytes: [u64; 2],
}

#[derive(Default)]
struct Heard {
    opened: Vec<ConnId>,
    entered: BTreeMap<ConnId, Vec<Phase>>,
    ended: Vec<Told>,
}

struct Ear(Arc<Mutex<Heard>>);

impl Subscriber for Ear {
    fn opened(&self, id: ConnId, _: &Opening) {
        self.0.lock().opened.push(id);
    }

    fn entered(&self, id: ConnId, phase: Phase) {
        self.0.lock().entered.entry(id).or_default().push(phase);
    }

    fn ended(&self, ended: &Ended<'_>) {
        self.0.lock().ended.push(Told {
            id: ended.id,
            end: ended.end,
            spent: Phase::ALL.map(|phase| ended.spent(phase)),
            lifetime: ended.lifetime,
            bytes: [ended.from_client, ended.from_backend],
        });
    }
}

/// The tracker, on a clock that only the model moves.
struct Table {
    runtime: Runtime,
    tracker: Arc<Tracker>,
    heard: Arc<Mutex<Heard>>,
    guards: Vec<ConnGuard>,
    dropped: Vec<ConnId>,
}

impl Table {
    fn enter(&self, nth: usize, phase: Phase) {
        let (guard, now) = (&self.guards[nth], Instant::now());
        let before = guard.phase();
        match guard.enter(phase, now + Duration::from_secs(9), DeadlineKind::Dial) {
            Ok(()) => assert!(is_legal(before, phase) && guard.phase() == phase),
            Err(end) => {
                assert!(!is_legal(before, phase), "{before} to {phase}");
                assert_eq!((end, guard.phase()), (Cause::IllegalTransition.during(before), before));
            }
        }
    }

    /// As the connections stand, and what was said of them so far.
    fn agrees_with(&self, model: &Model) {
        let mut views = self.tracker.snapshot();
        assert_eq!((views.len(), self.tracker.len()), (model.live.len(), model.live.len()));
        assert_eq!(self.tracker.is_empty(), model.live.is_empty());
        for (guard, conn) in self.guards.iter().zip(&model.live) {
            let at = views.iter().position(|view| view.id == guard.id()).unwrap();
            let view = views.swap_remove(at);
            let in_phase = conn.in_phase;
            assert_eq!((guard.phase(), view.phase, view.age), (conn.phase, conn.phase, conn.age()));
            assert!(near(view.in_phase, in_phase) && near(view.idle, conn.idle), "{view:?} {conn:?}");
            assert_eq!([view.from_client, view.from_backend], conn.bytes);
            let cancelled = tokio_test::task::spawn(guard.cancelled()).poll();
            assert_eq!(cancelled, conn.cancelled.map_or(std::task::Poll::Pending, std::task::Poll::Ready));
        }
        let heard = self.heard.lock();
        assert_eq!(heard.opened.len(), model.live.len() + model.ended.len());
        assert_eq!(self.tracker.opened(), heard.opened.len() as u64);
        for cause in Cause::ALL {
            let ended = model.ended.iter().filter(|conn| conn.end().cause == *cause).count();
            assert_eq!(self.tracker.ended(*cause), ended as u64, "{cause}");
        }
        assert_eq!(heard.ended.len(), model.ended.len(), "told once for each");
        for ((told, id), conn) in heard.ended.iter().zip(&self.dropped).zip(&model.ended) {
            assert_eq!((told.id, told.end, told.bytes), (*id, conn.end(), conn.bytes));
            assert_eq!((told.lifetime, told.spent.iter().sum::<Duration>()), (conn.age(), conn.age()));
            assert!(
                told.spent.iter().zip(conn.spent).all(|(told, spent)| nearly(*told, spent)),
                "{told:?} {conn:?}"
            );
            let entered = heard.entered.get(id).map_or(&[][..], Vec::as_slice);
            assert_eq!(entered.last().copied().unwrap_or(Phase::Header), conn.phase);
            let ways = std::iter::once(&Phase::Header).chain(entered).zip(entered);
            assert!(ways.into_iter().all(|(from, to)| is_legal(*from, *to)), "{entered:?}");
        }
        assert_eq!(self.tracker.figures().lifetime().count(), model.ended.len() as u64);
    }
}

/// Times are kept to a millisecond for the first days.
fn near(a: Duration, b: Duration) -> bool {
    a.abs_diff(b) <= Duration::from_millis(1)
}

/// What is added up of turns is so many times off by that.
fn nearly(a: Duration, b: Duration) -> bool {
    a.abs_diff(b) <= Duration::from_millis(100)
}

struct TrackerTest;

impl StateMachineTest for TrackerTest {
    type SystemUnderTest = Table;
    type Reference = Model;

    fn init_test(_: &Model) -> Table {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let heard = Arc::<Mutex<Heard>>::default();
        let tracker = {
            let _clock = runtime.enter();
            Tracker::new(WORKERS, Ear(Arc::clone(&heard)))
        };
        Table { runtime, tracker, heard, guards: Vec::new(), dropped: Vec::new() }
    }

    fn apply(mut table: Table, model: &Model, event: Event) -> Table {
        let clock = table.runtime.handle().clone();
        let _clock = clock.enter();
        match event {
            Event::Open => {
                let peer = PeerAddr::new(([127, 0, 0, 1], 4000).into());
                let worker = model.live.len() + model.ended.len();
                table.guards.push(table.tracker.open(worker, Opening::new(peer, "model")));
            }
            Event::Enter(nth, phase) => table.enter(nth, phase),
            Event::Move(nth, side, bytes) => table.guards[nth].moved(side, bytes, Instant::now()),
            Event::HalfClose(nth) => table.guards[nth].half_closed(Side::Client, Instant::now()),
            Event::Cancel(nth, reason) => {
                let id = table.guards[nth].id();
                let connections = table.tracker.connections();
                let first = connections.iter().find(|tracked| tracked.id() == id).unwrap().cancel(reason);
                assert!(!first || model.live[nth].cancelled == Some(reason));
            }
            Event::CancelAll(reason) => {
                table.tracker.cancel_all(reason);
                assert_eq!(table.tracker.cancel_all(Reason::Killed), 0, "the first reason wins");
            }
            Event::End(nth, cause) => {
                let guard = &table.guards[nth];
                guard.end(cause.during(guard.phase()), None);
            }
            Event::Drop(nth) => table.dropped.push(table.guards.remove(nth).id()),
            Event::Wait(time) => table.runtime.block_on(tokio::time::advance(time)),
        }
        table
    }

    fn check_invariants(table: &Table, model: &Model) {
        let _clock = table.runtime.enter();
        table.agrees_with(model);
    }

    fn teardown(mut table: Table, _: Model) {
        let clock = table.runtime.handle().clone();
        let _clock = clock.enter();
        table.guards.clear();
        assert!(table.tracker.is_empty());
        let ended: u64 = Cause::ALL.iter().map(|cause| table.tracker.ended(*cause)).sum();
        assert_eq!((ended, table.heard.lock().ended.len() as u64), (table.tracker.opened(), ended));
        table.runtime.block_on(table.tracker.emptied());
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_tracker_does_as_the_model_does(sequential 1..120 => TrackerTest);
}
