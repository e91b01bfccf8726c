//! Which differences last, and how often they are looked at.

use super::*;
use proxy_core::PeerAddr;
use proxy_core::relay::RelayDeadline;
use tokio::time::Instant;

use crate::audit::compare::{Holding, Suspect};
use crate::audit::kernel::{OwnSocket, TcpState};
use crate::audit::table::TableEntry;
use crate::entry::{DeadlineKind, Talk};
use crate::id::ConnId;
use crate::phase::Phase;

fn orphan(inode: u64) -> OwnSocket {
    OwnSocket { fd: 5, inode, tcp: Some(TcpState::Established), addresses: None }
}

fn orphans(inodes: &[u64]) -> Suspects {
    Suspects { orphans: inodes.iter().copied().map(orphan).collect(), ..Suspects::default() }
}

/// So many more tasks than entries (or fewer), after so many moves, with two workers.
fn tasks(excess: i64, moved: u64) -> Suspects {
    let count = usize::try_from(100 + excess).unwrap();
    let difference = Difference { what: "tasks".into(), count, should: 100 };
    Suspects { tasks: Some(difference), moved, workers: 2, ..Suspects::default() }
}

/// What lasts after these looks, and how many of them were taken.
fn after(found: impl IntoIterator<Item = Suspects>) -> (Suspects, u8) {
    let mut looks = Looks::new(&AuditOptions::default());
    for found in found {
        if let Step::Done(lasting) = looks.look(found) {
            return (*lasting, looks.taken());
        }
    }
    panic!("it wants to look on");
}

/// An entry whose deadline was `at`.
fn overdue(at: Instant) -> Suspects {
    let conn = TableEntry {
        id: ConnId { instance: 1, count: 1 },
        peer: PeerAddr::new(([127, 0, 0, 1], 1).into()),
        role: crate::Role::Accepted,
        pool: None,
        phase: Phase::Relay,
        age: Duration::from_secs(60),
        in_phase: Duration::from_secs(60),
        idle: Duration::from_secs(60),
        talk: Talk::Answered,
        deadline: Some((at, DeadlineKind::Relay(RelayDeadline::Idle))),
        client: None,
        backend: None,
    };
    let suspect = Suspect { conn, client: Holding::None, backend: Holding::None };
    Suspects { overdue: vec![suspect], ..Suspects::default() }
}

/// The whole process stood still: this thread may be the first to run again, and on a busy machine the worker is not the next.
#[test]
fn who_is_past_a_deadline_has_the_grace_for_what_came_meanwhile() {
    let (passed, moved) = (Instant::now(), Instant::now() + Duration::from_secs(20));
    let mut looks = Looks::new(&AuditOptions::default());
    assert_eq!(looks.look(overdue(passed)), Step::Again(Duration::from_millis(200)));
    assert_eq!(looks.look(overdue(passed)), Step::Again(Duration::from_millis(1800)));
    assert_eq!(looks.look(Suspects::default()), Step::Done(Box::default()), "a byte was read");
    assert_eq!(after([overdue(passed), overdue(passed), overdue(moved)]).0, Suspects::default());
    assert_eq!(after([overdue(passed), overdue(passed), overdue(passed)]), (overdue(passed), 3));
}

#[test]
fn one_look_is_enough_where_nothing_is_odd() {
    assert_eq!(after([Suspects::default()]), (Suspects::default(), 1));
}

#[test]
fn what_a_worker_may_come_to_has_to_last_for_the_grace() {
    let mut looks = Looks::new(&AuditOptions::default());
    assert_eq!(looks.look(orphans(&[1, 2])), Step::Again(Duration::from_millis(200)));
    assert_eq!(looks.look(orphans(&[2, 3])), Step::Again(Duration::from_millis(1800)));
    assert_eq!(looks.look(orphans(&[2, 3])), Step::Done(Box::new(orphans(&[2]))));
    assert_eq!(after([orphans(&[1]), orphans(&[2])]).1, 2, "another socket behind the same descriptor");
    assert_eq!(after([orphans(&[1]), orphans(&[1]), orphans(&[])]).0, orphans(&[]));
}

#[test]
fn counts_last_where_they_differ_in_the_same_direction() {
    let lasts = |found: [Suspects; 3]| after(found).0.tasks.map(|difference| difference.excess());
    assert_eq!(lasts([tasks(1, 7), tasks(1, 7), tasks(2, 7)]), Some(2));
    assert_eq!(lasts([tasks(1, 7), tasks(-1, 7), tasks(1, 7)]), None);
    // While connections come and go, each of the two workers may be between two steps.
    assert_eq!(lasts([tasks(9, 7), tasks(2, 8), tasks(9, 9)]), None);
    assert_eq!(lasts([tasks(9, 7), tasks(3, 8), tasks(-3, 9)]), None);
    assert_eq!(lasts([tasks(9, 7), tasks(3, 8), tasks(3, 9)]), Some(3));
}
