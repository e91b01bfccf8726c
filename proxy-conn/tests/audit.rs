//! The audit on real sockets: what is planted is found, and nothing else.
//!
//! Open descriptors are the whole process's, so these tests take turns, and no other test is in this binary.

#[path = "audit/world.rs"]
mod world;

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proxy_conn::audit::{
    Audit, AuditReport, AuditSubscriber, Expectations, Finding, Gauge, Holding, Kernel, OwnSocket, TcpState,
};
use proxy_conn::{Cause, DeadlineKind, Opening, Reason, Tracker};
use proxy_core::relay::{Meter as _, Side};
use proxy_core::{Bound, PeerAddr};
use tokio::time::Instant;
use world::{
    OPTIONS, Task, World, amid_churn, connect, gauges, grown, listen, pair, reset, run, serve_accepted, until,
};

#[test]
fn nothing_is_found_where_nothing_is_planted() {
    let world = World::new();
    let conns: Vec<_> = (0..50).map(|_| world.open()).collect();
    let report = world.run(OPTIONS);
    assert_eq!((gauges(&report), &report.blind, report.looks), (vec![], &None, 1));
    assert_eq!(report.entries, 50);
    assert!(report.sockets >= Some(200), "both ends of a hundred: {:?}", report.sockets);
    drop(conns);
}

#[test]
fn a_socket_outside_any_entry() {
    let world = World::new();
    let (_conn, listener) = (world.open(), listen());
    let (orphan, _far) = pair(&listener);
    let report = world.run(OPTIONS);
    assert_eq!((gauges(&report), report.looks), (vec![(Gauge::OrphanSockets, 1)], 3));
    let Finding::OrphanSocket(found) = &report.findings[0] else { panic!("{:?}", report.findings) };
    assert_eq!((found.fd, found.tcp), (orphan.as_raw_fd(), Some(TcpState::Established)));
    assert_eq!(found.addresses.unwrap(), (orphan.local_addr().unwrap(), orphan.peer_addr().unwrap()));
    assert!(report.took >= OPTIONS.grace.get(), "it had the grace to find its entry");
}

#[test]
fn a_socket_outside_any_entry_that_its_peer_has_reset() {
    let world = World::new();
    let (orphan, far) = pair(&listen());
    reset(far);
    let report = world.run(OPTIONS);
    assert_eq!(gauges(&report), [(Gauge::OrphanSockets, 1)]);
    let Finding::OrphanSocket(found) = &report.findings[0] else { panic!("{:?}", report.findings) };
    assert_eq!((found.fd, found.tcp), (orphan.as_raw_fd(), Some(TcpState::Closed)));
}

#[test]
fn a_guard_kept_after_its_sockets() {
    let world = World::new();
    let (_conn, mut zombie) = (world.open(), world.open());
    (zombie.client, zombie.backend) = (None, None);
    assert_eq!(gauges(&world.run(OPTIONS)), [], "it is younger than the grace");
    grown(&zombie);
    let report = world.run(OPTIONS);
    assert_eq!(gauges(&report), [(Gauge::Zombies, 1)]);
    assert_eq!(report.findings[0].connection(), Some(zombie.guard.id()));
}

#[test]
fn one_socket_of_two_closed_or_reset() {
    let world = World::new();
    let (_conn, mut closed, mut reset_by_peer) = (world.open(), world.open(), world.open());
    reset(reset_by_peer.far[0].take().unwrap());
    closed.backend = None;
    grown(&reset_by_peer);
    let report = world.run(OPTIONS);
    assert_eq!(gauges(&report), [(Gauge::HalfZombies, 2)]);
    let holding = |id| {
        report.findings.iter().find_map(|finding| {
            let Finding::HalfZombie(suspect) = finding else { panic!("{finding}") };
            (suspect.conn.id == id).then_some((suspect.client, suspect.backend))
        })
    };
    assert!(matches!(holding(closed.guard.id()), Some((Holding::Alive(_), Holding::NotOpen(_)))));
    assert!(matches!(holding(reset_by_peer.guard.id()), Some((Holding::Closed(_), Holding::Alive(_)))));
}

#[test]
fn a_side_that_is_gone_while_the_last_bytes_are_delivered_is_right() {
    let world = World::new();
    let mut draining = world.open();
    draining.guard.half_closed(Side::Backend, Instant::now());
    draining.backend = None;
    grown(&draining);
    assert_eq!(gauges(&world.run(OPTIONS)), []);
}

#[test]
fn a_descriptor_that_was_given_anew() {
    let world = World::new();
    let (mut old, listener) = (world.open(), listen());
    let far = connect(listener.local_addr().unwrap());
    let fd = old.client.take().unwrap().as_raw_fd();
    // The lowest free number is the one that was just closed.
    let client = listener.accept().unwrap().0;
    assert_eq!(client.as_raw_fd(), fd);
    let new = serve_accepted(&world.tracker, &world.limit, &world.tasks, &listener, (client, far));
    grown(&new);
    let report = world.run(OPTIONS);
    assert_eq!(gauges(&report), [(Gauge::HalfZombies, 1)]);
    let Finding::HalfZombie(suspect) = &report.findings[0] else { panic!("{:?}", report.findings) };
    assert_eq!((suspect.conn.id, suspect.client), (old.guard.id(), Holding::Reused(fd)));
    drop(new);
}

#[test]
fn a_connection_past_its_deadline_is_ended_and_counted() {
    let world = World::new();
    let (_conn, overdue) = (world.open(), world.open());
    let past = Instant::now();
    overdue.guard.deadline(past, DeadlineKind::Dial);
    let (audit, id) = (world.audit(OPTIONS), overdue.guard.id());
    assert_eq!(gauges(&run(&audit)), [], "within the tick");
    until(|| past.elapsed() > Duration::from_millis(700));
    let report = run(&audit);
    assert_eq!((gauges(&report), report.rescued), (vec![(Gauge::Overdue, 1)], 1));
    assert_eq!((report.findings[0].connection(), audit.state().rescues()), (Some(id), 1));
    let report = run(&audit);
    assert_eq!(
        (report.count(Gauge::Overdue), report.rescued),
        (1, 0),
        "it is still there, and was told once"
    );
    let mut told = tokio_test::task::spawn(overdue.guard.cancelled());
    assert_eq!(tokio_test::assert_ready!(told.poll()), Reason::Overdue);
    drop(told);
    let end = Reason::Overdue.cause().during(overdue.guard.phase());
    overdue.guard.end(end, None);
    drop(overdue);
    assert_eq!((end.code(), world.tracker.ended(Cause::Overdue)), (['I', 'D'], 1));
    assert_eq!((gauges(&run(&audit)), audit.state().rescues(), audit.state().runs()), (vec![], 1, 4));
}

#[test]
fn a_client_that_was_never_answered_is_a_warning_also_after_a_greeting_and_before_one() {
    use Side::{Backend, Client};
    let world = World::new();
    let with = |words: &[Side]| world.talking("web", "10.0.0.1:80", words);
    let answered = [with(&[Client, Backend]), with(&[Backend, Client, Backend])];
    let its_turn = with(&[Backend]);
    let stuck = [with(&[]), with(&[Client]), with(&[Backend, Client, Client])];
    until(|| stuck[2].guard.opened().elapsed() > Duration::from_millis(150));
    let report = world.run(OPTIONS.stuck_after(Bound::millis(100)));
    assert_eq!((gauges(&report), report.is_clean()), (vec![(Gauge::Stuck, 3)], true));
    let ids: Vec<_> = report.findings.iter().filter_map(Finding::connection).collect();
    assert_eq!(ids, stuck.each_ref().map(|conn| conn.guard.id()));
    let told: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
    assert!(told[0].ends_with("neither side has said a word"), "{}", told[0]);
    assert!(told[2].ends_with("the client was never answered"), "{}", told[2]);
    drop((answered, its_turn, stuck));
}

#[test]
fn the_stuck_are_told_by_target_the_most_first_and_all_of_them() {
    let world = World::new();
    let mut stuck = vec![world.talking("web", "10.0.0.1:80", &[Side::Client])];
    let oldest = stuck[0].guard.opened();
    stuck.extend((0..101).map(|_| world.talking("hooks", "10.0.0.2:80", &[Side::Client])));
    stuck.extend((0..2).map(|_| world.talking("mail", "10.0.0.2:80", &[])));
    until(|| stuck[103].guard.opened().elapsed() > Duration::from_millis(150));
    let report = world.run(OPTIONS.stuck_after(Bound::millis(100)));
    let told: Vec<_> =
        report.stuck.iter().map(|at| (at.route.as_deref(), at.connections, at.silent)).collect();
    assert_eq!(told, [(Some("hooks"), 101, 0), (Some("mail"), 2, 2), (Some("web"), 1, 0)]);
    assert!(
        report.stuck[2].oldest > Duration::from_millis(150) && report.stuck[2].oldest <= oldest.elapsed()
    );
    let named: Vec<_> = report.stuck.iter().map(|at| at.ids.len()).collect();
    assert_eq!(named, [100, 0, 0], "a log is not a table of connections");
    assert_eq!(report.stuck[0].ids[0], stuck[1].guard.id(), "the oldest first");
    let line = report.stuck[1].to_string();
    assert!(line.starts_with("stuck: 2 on 10.0.0.2:80, route mail, the oldest "), "{line}");
    assert!(line.ends_with("never answered (2 of them without a word from either side)"), "{line}");
    assert_eq!(world.run(OPTIONS).stuck, []);
}

#[test]
fn a_permit_and_a_task_that_outlive_their_connections() {
    let world = World::new();
    let (_conn, mut leaking) = (world.open(), world.open());
    let permit = leaking.permit.take();
    drop(leaking);
    let report = world.run(OPTIONS);
    assert_eq!(gauges(&report), [(Gauge::Permits, 1)]);
    assert!(report.findings[0].to_string().starts_with("permits of connections: 2, where 1 entries"));
    drop(permit);
    let task = Task::new(&world.tasks);
    let report = world.run(OPTIONS);
    assert_eq!(gauges(&report), [(Gauge::Tasks, 1)]);
    drop(task);
    assert_eq!(gauges(&world.run(OPTIONS)), []);
}

#[test]
fn no_false_alarm_while_connections_come_and_go() {
    let world = World::new();
    let lasting: Vec<_> = (0..100).map(|_| world.open()).collect();
    let audit = world.audit(OPTIONS);
    let reports: Vec<_> = amid_churn(&world, || (0..20).map(|_| run(&audit)).collect());
    let findings: Vec<_> = reports.iter().flat_map(|r| &r.findings).map(Finding::to_string).collect();
    assert_eq!(findings, [""; 0]);
    drop(lasting);
}

#[test]
fn what_is_planted_is_found_while_connections_come_and_go() {
    let world = World::new();
    let (mut zombie, (orphan, _far)) = (world.open(), pair(&listen()));
    (zombie.client, zombie.backend) = (None, None);
    grown(&zombie);
    let report = amid_churn(&world, || world.run(OPTIONS));
    // The zombie's descriptors may be a far end's by now, which is in no entry: its client's is told apart by its peer.
    assert_eq!(report.count(Gauge::OrphanSockets), 1);
    assert_eq!(report.count(Gauge::Zombies) + report.count(Gauge::HalfZombies), 1, "{:?}", report.findings);
    let Finding::OrphanSocket(found) = &report.findings[0] else { panic!("{:?}", report.findings) };
    assert_eq!((found.fd, report.findings[1].connection()), (orphan.as_raw_fd(), Some(zombie.guard.id())));
    // A leak shows once it is more than what moves while it looks.
    let leaked: Vec<_> = (0..10_000).map_while(|_| world.limit.acquire()).collect();
    let report = amid_churn(&world, || world.run(OPTIONS));
    assert!(report.count(Gauge::Permits) > 9_000, "{:?}", gauges(&report));
    drop((zombie, leaked));
}

/// Counts what it is told.
#[derive(Default)]
struct Told {
    audits: AtomicUsize,
    blinded: AtomicUsize,
}

struct Tell(Arc<Told>);

impl AuditSubscriber for Tell {
    fn audited(&self, _: &AuditReport) {
        self.0.audits.fetch_add(1, Ordering::Relaxed);
    }

    fn blinded(&self, why: &str) {
        assert!(why.contains("/proc"), "{why}");
        self.0.blinded.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_process_that_may_not_ask_the_kernel_still_watches_what_it_can() {
    let (world, told) = (World::new(), Arc::<Told>::default());
    let (mut zombie, overdue) = (world.open(), world.open());
    (zombie.client, zombie.backend) = (None, None);
    overdue.guard.deadline(Instant::now(), DeadlineKind::Dial);
    until(|| zombie.guard.opened().elapsed() > Duration::from_millis(700));
    let denied = || io::Error::new(io::ErrorKind::PermissionDenied, "cannot read /proc/self/fd: denied");
    let tracker = Arc::clone(&world.tracker);
    let audit = Audit::reading(OPTIONS, tracker, world.expectations(), Tell(Arc::clone(&told)), move || {
        Box::pin(async move { Err(denied()) })
    });
    let first = run(&audit);
    assert_eq!((gauges(&first), first.rescued), (vec![(Gauge::Overdue, 1)], 1));
    assert!(first.blind.is_some() && audit.state().is_blind());
    run(&audit);
    assert_eq!(audit.state().blind().as_deref(), Some("cannot read /proc/self/fd: denied"));
    assert_eq!((told.audits.load(Ordering::Relaxed), told.blinded.load(Ordering::Relaxed)), (2, 1));
    drop((zombie, overdue));
}

#[test]
fn it_watches_until_it_is_stopped() {
    let (_turn, told) = (World::new(), Arc::<Told>::default());
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let audit =
        Audit::reading(OPTIONS, Tracker::new(1, ()), Expectations::default, Tell(Arc::clone(&told)), || {
            Box::pin(async { Ok(Kernel::default()) })
        });
    let state = Arc::clone(audit.state());
    assert_eq!((state.runs(), state.last_run()), (0, None));
    #[expect(clippy::disallowed_methods, reason = "the test is the one who spawns here")]
    runtime.block_on(async move {
        let watching = tokio::spawn(audit.watch(tokio::time::sleep(Duration::from_secs(100))));
        watching.await.unwrap();
    });
    assert_eq!((state.runs(), told.audits.load(Ordering::Relaxed)), (3, 3));
    assert!(state.last_run().is_some());
}

#[test]
fn another_interval_counts_at_once() {
    let _turn = World::new();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let audit = Audit::reading(OPTIONS, Tracker::new(1, ()), Expectations::default, (), || {
        Box::pin(async { Ok(Kernel::default()) })
    });
    let state = Arc::clone(audit.state());
    runtime.block_on(async {
        let changing = async {
            tokio::time::sleep(Duration::from_secs(10)).await;
            audit.set_options(OPTIONS.interval(Bound::secs(1)));
        };
        let watching = audit.clone().watch(tokio::time::sleep(Duration::from_millis(15_500)));
        tokio::join!(watching, changing);
    });
    assert_eq!(state.runs(), 5, "not at 30 s, but each second after the change");
}

#[test]
fn while_nothing_begins_or_ends_the_kernel_is_asked_once_in_ten() {
    let _turn = World::new();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let (tracker, asked) = (Tracker::new(1, ()), Arc::<AtomicUsize>::default());
    let counter = Arc::clone(&asked);
    let audit = Audit::reading(OPTIONS, Arc::clone(&tracker), Expectations::default, (), move || {
        counter.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Ok(Kernel::default()) })
    });
    let state = Arc::clone(audit.state());
    let runs = |of: u64| Duration::from_secs(30 * of + 1);
    runtime.block_on(async {
        audit.clone().watch(tokio::time::sleep(runs(21))).await;
        assert_eq!((state.runs(), asked.load(Ordering::Relaxed)), (21, 3), "the first, and each tenth after");
        let opening = Opening::new(PeerAddr::new(([127, 0, 0, 1], 1).into()), "test");
        let watching = audit.watch(tokio::time::sleep(runs(4)));
        let living = async {
            tokio::time::sleep(runs(2)).await;
            drop(tracker.open(0, opening));
        };
        tokio::join!(watching, living);
        assert_eq!(asked.load(Ordering::Relaxed), 5, "anew, and after somebody came and went");
    });
}

#[test]
fn both_ways_to_the_tables_say_the_same() {
    let world = World::new();
    let conns: Vec<_> = (0..20).map(|_| world.open()).collect();
    let (closed, far) = pair(&listen());
    reset(far);
    let (unix, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    let (diag, proc) = (Kernel::read().unwrap(), Kernel::read_from_proc().unwrap());
    assert_eq!(diag.sockets(), proc.sockets());
    let tcp = |fd| diag.position(fd).map(|at| diag.sockets()[at].tcp);
    assert_eq!((tcp(unix.as_raw_fd()), tcp(closed.as_raw_fd())), (Some(None), Some(Some(TcpState::Closed))));
    let listening = |socket: &&OwnSocket| socket.tcp == Some(TcpState::Listen);
    assert_eq!(diag.sockets().iter().filter(listening).count(), 0, "no listener was kept");
    drop(conns);
}
