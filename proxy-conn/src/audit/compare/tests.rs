//! Each finding on both sides of its boundary, and all of them against a naive model.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proxy_core::PeerAddr;

use super::super::table::{Holders, PermitsInUse};
use super::*;
use crate::id::ConnId;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// An old connection in its relay phase with descriptors 10 and 11, answered, not overdue.
fn relaying(count: u64, at: Instant) -> TableEntry {
    TableEntry {
        id: ConnId { instance: 1, count },
        peer: PeerAddr::new(([192, 0, 2, 1], 4000).into()),
        role: Role::Accepted,
        pool: crate::PoolId::new(3),
        phase: Phase::Relay,
        age: secs(100),
        in_phase: secs(90),
        idle: secs(5),
        talk: Talk::Answered,
        deadline: Some((at + secs(60), DeadlineKind::Relay(RelayDeadline::Idle))),
        client: Some(Claim { fd: 10, held_for: secs(100) }),
        backend: Some(Claim { fd: 11, held_for: secs(90) }),
    }
}

fn open(fd: RawFd, tcp: TcpState) -> OwnSocket {
    OwnSocket { fd, inode: 1000 + u64::try_from(fd).unwrap(), tcp: Some(tcp), addresses: None }
}

fn both_open() -> Kernel {
    Kernel::new(vec![open(11, TcpState::CloseWait), open(10, TcpState::Established)])
}

fn table(at: Instant, entries: Vec<TableEntry>) -> Table {
    Table { at, since: at - Duration::from_millis(5), moved_before: 50, moved: 50, entries }
}

fn look(table: &Table, kernel: &Kernel, expected: &Expectations) -> Suspects {
    compare(table, Some(kernel), expected, &AuditOptions::default())
}

/// What a look finds on one connection.
fn on(conn: TableEntry, at: Instant, kernel: &Kernel) -> String {
    let found = look(&table(at, vec![conn]), kernel, &Expectations::default());
    let kinds = [
        ("orphans", found.orphans.len()),
        ("zombies", found.zombies.len()),
        ("half_zombies", found.half_zombies.len()),
        ("stuck", found.stuck.len()),
        ("overdue", found.overdue.len()),
    ];
    kinds.into_iter().filter(|(_, n)| *n > 0).map(|(kind, n)| format!("{kind} {n};")).collect()
}

#[test]
fn a_connection_with_both_its_sockets_is_not_suspected() {
    let at = Instant::now() + secs(1000);
    assert_eq!(on(relaying(1, at), at, &both_open()), "");
    let dialling = TableEntry { phase: Phase::Dial, backend: None, ..relaying(1, at) };
    let syn_sent = Kernel::new(vec![open(10, TcpState::Established), open(12, TcpState::SynSent)]);
    assert_eq!(on(dialling, at, &syn_sent), "", "what is being dialled belongs to the dial");
}

#[test]
fn sockets_without_an_entry() {
    let at = Instant::now() + secs(1000);
    let no_entries = table(at, Vec::new());
    let states = [TcpState::Listen, TcpState::SynSent, TcpState::FinWait2, TcpState::Closed];
    let mut sockets: Vec<_> = states.into_iter().zip(3..).map(|(state, fd)| open(fd, state)).collect();
    sockets.push(OwnSocket { tcp: None, ..open(9, TcpState::Closed) });
    let kernel = Kernel::new(sockets);
    let found = look(&no_entries, &kernel, &Expectations::default());
    assert_eq!(found.orphans.iter().map(|socket| socket.fd).collect::<Vec<_>>(), [5, 6]);
    let known = Expectations { known: Arc::new(|socket| socket.fd == 5), ..Expectations::default() };
    assert_eq!(look(&no_entries, &kernel, &known).orphans.len(), 1);
}

#[test]
fn entries_without_sockets() {
    let at = Instant::now() + secs(1000);
    let (none, all) = (Kernel::default(), both_open());
    let one = Kernel::new(vec![open(10, TcpState::Established)]);
    let conn = relaying(1, at);
    assert_eq!(on(conn, at, &none), "zombies 1;");
    assert_eq!(on(TableEntry { client: None, backend: None, ..conn }, at, &none), "zombies 1;");
    let flow = TableEntry { client: None, backend: None, role: Role::KernelFlow, ..conn };
    assert_eq!(on(flow, at, &none), "", "the kernel's");
    let check = TableEntry { client: None, talk: Talk::Silent, role: Role::Check, ..conn };
    let dials = TableEntry { backend: None, phase: Phase::Dial, ..check };
    assert_eq!(on(dials, at, &none), "", "its socket is not there yet");
    assert_eq!(on(check, at, &none), "zombies 1;", "its socket is gone");
    let pooled = TableEntry { client: None, talk: Talk::Silent, age: secs(400), role: Role::Pooled, ..conn };
    assert_eq!(on(pooled, at, &all), "orphans 1;", "it waits for nobody, and has one socket");
    assert_eq!(on(pooled, at, &none), "zombies 1;");
    assert_eq!(on(TableEntry { age: secs(2), ..conn }, at, &none), "zombies 1;");
    assert_eq!(on(TableEntry { age: secs(2) - Duration::from_nanos(1), ..conn }, at, &none), "");
    assert_eq!(on(conn, at, &one), "half_zombies 1;");
    assert_eq!(on(TableEntry { phase: Phase::Drain, ..conn }, at, &one), "", "the other side may outlive it");
    let delivering = Some((at + secs(5), DeadlineKind::Relay(RelayDeadline::HalfClosed)));
    assert_eq!(on(TableEntry { deadline: delivering, ..conn }, at, &one), "", "the last bytes");
    let reset = Kernel::new(vec![open(10, TcpState::Closed), open(11, TcpState::Established)]);
    assert_eq!(on(conn, at, &reset), "half_zombies 1;");
    let unix =
        Kernel::new(vec![open(10, TcpState::Established), OwnSocket { tcp: None, ..all.sockets()[1] }]);
    assert_eq!(on(conn, at, &unix), "", "a socket of another kind is a socket");
}

#[test]
fn of_two_entries_with_one_descriptor_the_older_claim_is_void() {
    let at = Instant::now() + secs(1000);
    let (old, new) = (relaying(1, at), TableEntry { age: secs(3), ..relaying(2, at) });
    // The older entry dialled late: its backend has the number that the newer entry's client had.
    let claim = |fd, held_for| Some(Claim { fd, held_for: secs(held_for) });
    let entries = vec![
        TableEntry { client: claim(10, 100), backend: claim(11, 1), ..old },
        TableEntry { client: claim(11, 3), backend: claim(12, 2), ..new },
    ];
    let kernel = Kernel::new([10, 11, 12].map(|fd| open(fd, TcpState::Established)).to_vec());
    let found = look(&table(at, entries), &kernel, &Expectations::default());
    assert_eq!((found.half_zombies.len(), found.zombies.len(), found.orphans.len()), (1, 0, 0));
    assert_eq!((found.half_zombies[0].conn.id.count, found.half_zombies[0].client), (2, Holding::Reused(11)));
}

#[test]
fn a_clients_descriptor_is_its_own_only_with_its_peer() {
    let at = Instant::now() + secs(1000);
    let (conn, backend) = (relaying(1, at), open(11, TcpState::Established));
    let with = |ip: [u16; 8], port| {
        let addresses = Some((([192, 0, 2, 9], 443).into(), (ip, port).into()));
        Kernel::new(vec![OwnSocket { addresses, ..open(10, TcpState::Established) }, backend])
    };
    let mapped = [0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0201];
    assert_eq!(on(conn, at, &with(mapped, 4000)), "", "192.0.2.1, as an IPv6 socket has it");
    assert_eq!(on(conn, at, &with(mapped, 4001)), "orphans 1;half_zombies 1;");
}

#[test]
fn overdue_and_stuck_on_both_sides_of_their_bounds() {
    let at = Instant::now() + secs(1000);
    let (conn, all) = (relaying(1, at), both_open());
    let (limit, ns) = (secs(1) + SETTLE, Duration::from_nanos(1));
    let due = |late| Some((at - late, DeadlineKind::Dial));
    assert_eq!(on(TableEntry { deadline: due(limit), ..conn }, at, &all), "");
    assert_eq!(on(TableEntry { deadline: due(limit + ns), ..conn }, at, &all), "overdue 1;");
    let untold = TableEntry { deadline: None, ..conn };
    assert_eq!(on(TableEntry { age: secs(2) + limit, ..untold }, at, &all), "");
    assert_eq!(on(TableEntry { age: secs(2) + limit + ns, ..untold }, at, &all), "overdue 1;");
    let unanswered = TableEntry { talk: Talk::Unanswered, age: secs(300), ..conn };
    assert_eq!(on(unanswered, at, &all), "stuck 1;");
    assert_eq!(on(TableEntry { age: secs(300) - ns, ..unanswered }, at, &all), "");
    assert_eq!(
        on(TableEntry { talk: Talk::Silent, ..unanswered }, at, &all),
        "stuck 1;",
        "a server is to speak first"
    );
    assert_eq!(on(TableEntry { talk: Talk::Greeted, ..unanswered }, at, &all), "", "it is the client's turn");
    assert_eq!(on(TableEntry { talk: Talk::Answered, ..unanswered }, at, &all), "");
    assert_eq!(on(TableEntry { phase: Phase::Dial, ..unanswered }, at, &all), "");
}

#[test]
fn counts_are_compared_as_far_as_nothing_moved() {
    let at = Instant::now() + secs(1000);
    let mut table = table(at, vec![relaying(1, at), TableEntry { phase: Phase::Peek, ..relaying(2, at) }]);
    let counts = |tasks, in_use, holders| Expectations {
        tasks: Some(tasks),
        permits: vec![PermitsInUse { limit: "all".into(), in_use, holders }],
        ..Expectations::default()
    };
    let kernel = both_open();
    let excess = |table: &Table, expected: &Expectations| {
        let found = look(table, &kernel, expected);
        (found.tasks.map(|d| d.excess()), found.permits.first().map(Difference::excess))
    };
    let each = Holders { from: Phase::Dial, pool: None, each: true };
    let (some, other_pool) =
        (Holders { each: false, ..each }, Holders { pool: crate::PoolId::new(4), ..each });
    assert_eq!(excess(&table, &counts(2, 1, each)), (None, None));
    assert_eq!(excess(&table, &counts(3, 2, each)), (Some(1), Some(1)));
    assert_eq!(excess(&table, &counts(0, 0, each)), (Some(-2), Some(-1)));
    assert_eq!(excess(&table, &counts(2, 0, some)), (None, None), "some hold none");
    assert_eq!(excess(&table, &counts(2, 2, some)), (None, Some(1)));
    assert_eq!(excess(&table, &counts(2, 1, other_pool)), (None, Some(1)), "none is of that pool");
    assert_eq!(excess(&table, &counts(2, 0, other_pool)), (None, None));
    table.moved += 1;
    assert_eq!(excess(&table, &counts(3, 2, each)), (None, None), "one has come or gone meanwhile");
    assert_eq!(excess(&table, &counts(4, 3, each)), (Some(2), Some(2)));
    table.entries[0].in_phase = Duration::from_millis(5);
    assert_eq!(excess(&table, &counts(4, 3, each)), (Some(2), None), "and another may have taken a permit");
}

#[test]
fn without_the_kernel_only_what_does_not_need_it_is_suspected() {
    let at = Instant::now() + secs(1000);
    let overdue = TableEntry { deadline: Some((at - secs(9), DeadlineKind::Dial)), ..relaying(1, at) };
    let expected = Expectations { tasks: Some(5), ..Expectations::default() };
    let found = compare(&table(at, vec![overdue]), None, &expected, &AuditOptions::default());
    assert_eq!((found.zombies.len(), found.overdue.len(), found.tasks.is_some()), (0, 1, true));
}

/// Descriptors 0 to 9, so that claims meet; ages on both sides of every bound.
fn any_conn(at: Instant) -> impl Strategy<Value = TableEntry> {
    let claim = || proptest::option::weighted(0.8, (0..10, 0..5_u64));
    let due = proptest::option::of((0..4_u64, any::<bool>()));
    let talks = [Talk::Silent, Talk::Greeted, Talk::Unanswered, Talk::Answered];
    (0..5_usize, 0..400_u64, claim(), claim(), due, 0..4_usize).prop_map(
        move |(phase, age, client, backend, due, talk)| TableEntry {
            phase: Phase::ALL[phase],
            age: secs(age),
            talk: talks[talk],
            client: client.map(|(fd, held)| Claim { fd, held_for: secs(held) }),
            backend: backend.map(|(fd, held)| Claim { fd, held_for: secs(held) }),
            deadline: due.map(|(late, half_closed)| {
                let which = if half_closed { RelayDeadline::HalfClosed } else { RelayDeadline::Idle };
                (at - secs(late), DeadlineKind::Relay(which))
            }),
            ..relaying(0, at)
        },
    )
}

fn any_kernel() -> impl Strategy<Value = Vec<OwnSocket>> {
    let socket = |fd| {
        let tcp =
            proptest::option::weighted(0.9, (1..=12_u8).prop_map(|code| TcpState::from_code(code).unwrap()));
        tcp.prop_map(move |tcp| OwnSocket { tcp, ..open(fd, TcpState::Closed) })
    };
    (0..10)
        .map(|fd| proptest::option::weighted(0.7, socket(fd)))
        .collect::<Vec<_>>()
        .prop_map(|sockets| sockets.into_iter().flatten().collect())
}

/// The same in the words of the definitions, with no thought of cost.
mod naive {
    use super::*;

    /// The claims of all entries as (entry, is the client's, claim).
    fn claims(entries: &[TableEntry]) -> Vec<(u64, bool, Claim)> {
        let of = |conn: &TableEntry| {
            [(true, conn.client), (false, conn.backend)].map(|(c, claim)| (conn.id.count, c, claim))
        };
        entries.iter().flat_map(of).filter_map(|(id, client, claim)| Some((id, client, claim?))).collect()
    }

    /// No other claim to the same descriptor is younger; of two equally old ones it is the later.
    fn holds(entries: &[TableEntry], id: u64, client: bool, claim: Claim) -> bool {
        claims(entries).iter().filter(|(_, _, other)| other.fd == claim.fd).all(
            |(other_id, other_client, other)| {
                other.held_for > claim.held_for
                    || (other.held_for == claim.held_for && (*other_id, !other_client) <= (id, !client))
            },
        )
    }

    fn alive(entries: &[TableEntry], sockets: &[OwnSocket], id: u64, client: bool, claim: Claim) -> bool {
        let socket = sockets.iter().find(|socket| socket.fd == claim.fd);
        socket.is_some_and(|s| s.tcp != Some(TcpState::Closed)) && holds(entries, id, client, claim)
    }

    pub(super) fn look(entries: &[TableEntry], sockets: &[OwnSocket], at: Instant) -> [BTreeSet<u64>; 5] {
        let claimed = |fd| claims(entries).iter().any(|(_, _, claim)| claim.fd == fd);
        let connected =
            |state| !matches!(state, TcpState::Listen | TcpState::SynSent | TcpState::NewSynReceived);
        let orphan = |s: &&OwnSocket| !claimed(s.fd) && s.tcp.is_some_and(connected);
        let mut found: [BTreeSet<u64>; 5] = Default::default();
        found[0] = sockets.iter().filter(orphan).map(|socket| socket.inode).collect();
        for conn in entries {
            let id = conn.id.count;
            let side =
                |client, claim: Option<Claim>| claim.map(|claim| alive(entries, sockets, id, client, claim));
            let sides = (side(true, conn.client), side(false, conn.backend));
            let old = conn.age >= secs(2);
            let kind = conn.deadline.map(|(_, kind)| kind);
            let ending =
                conn.phase == Phase::Drain || kind == Some(DeadlineKind::Relay(RelayDeadline::HalfClosed));
            let stuck = !matches!(conn.talk, Talk::Greeted | Talk::Answered) && conn.age >= secs(300);
            let overdue = match conn.deadline {
                Some((deadline, _)) => at > deadline + secs(1) + SETTLE,
                None => conn.age > secs(3) + SETTLE,
            };
            let is = [
                old && sides.0 != Some(true) && sides.1 != Some(true),
                old && !ending && matches!(sides, (Some(true), Some(false)) | (Some(false), Some(true))),
                stuck && matches!(conn.phase, Phase::Relay | Phase::Drain),
                overdue,
            ];
            found[1..].iter_mut().zip(is).filter(|(_, is)| *is).for_each(|(ids, _)| ids.extend([id]));
        }
        found
    }
}

proptest! {
    #[test]
    fn it_finds_what_a_naive_model_finds(
        (at, mut entries) in Just(Instant::now() + secs(1000))
            .prop_flat_map(|at| (Just(at), proptest::collection::vec(any_conn(at), 0..8))),
        sockets in any_kernel(),
    ) {
        entries.iter_mut().zip(1..).for_each(|(conn, count)| conn.id.count = count);
        let expected = naive::look(&entries, &sockets, at);
        let found = look(&table(at, entries), &Kernel::new(sockets), &Expectations::default());
        let ids = |suspects: &[Suspect]| suspects.iter().map(|suspect| suspect.conn.id.count).collect();
        let orphans: BTreeSet<u64> = found.orphans.iter().map(|socket| socket.inode).collect();
        let by_entry = [&found.zombies, &found.half_zombies, &found.stuck, &found.overdue].map(|found| ids(found));
        let [zombies, half_zombies, stuck, overdue] = by_entry;
        prop_assert_eq!([orphans, zombies, half_zombies, stuck, overdue], expected);
    }
}
