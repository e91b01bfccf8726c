use std::time::Duration;

use proxy_conn::Phase;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn broken(breaches: &[Breach]) -> Vec<Law> {
    breaches.iter().map(|breach| breach.law).collect()
}

fn levels() -> Levels {
    Levels {
        opened: 5,
        ended: 5,
        counts: vec![("permits".into(), 0)],
        sockets: Some(3),
        tasks: Some(1),
        memory: Some(Memory { bytes: 1000, slack: 100 }),
        ..Levels::default()
    }
}

#[test]
fn a_hop_at_rest_breaks_no_law_and_each_level_has_its_own() {
    let before = levels();
    let later = Levels { opened: 9, ended: 9, ..levels() };
    assert_eq!(at_rest("inner", &before, &later), []);
    let one = |change: fn(&mut Levels)| {
        let mut now = later.clone();
        change(&mut now);
        broken(&at_rest("inner", &before, &now))
    };
    assert_eq!(one(|now| (now.tracked, now.ended) = (1, 8)), [Law::TrackerEmpty]);
    assert_eq!(one(|now| now.counts[0].1 = 1), [Law::CountsBack]);
    assert_eq!(one(|now| now.ended = 8), [Law::OpenedEnded]);
    assert_eq!(one(|now| now.ended = 10), [Law::OpenedEnded]);
    assert_eq!(one(|now| now.faults = 1), [Law::OpenedEnded]);
    assert_eq!(one(|now| now.sockets = Some(4)), [Law::SocketsBack]);
    assert_eq!(one(|now| now.tasks = Some(2)), [Law::TasksBack]);
    let memory = |bytes| {
        let now = Levels { memory: Some(Memory { bytes, slack: 100 }), ..later.clone() };
        broken(&at_rest("inner", &before, &now))
    };
    assert_eq!((memory(1100), memory(1101)), (vec![], vec![Law::MemoryBack]));
    assert_eq!(one(|now| (now.sockets, now.tasks, now.memory) = (None, None, None)), []);
}

#[test]
fn a_deadline_may_be_outlived_by_a_tick_and_no_more() {
    let entry = |overdue| Entry { name: "1".into(), phase: "dial".into(), overdue };
    assert_eq!(overdue("outer", &[entry(SECOND)], SECOND), []);
    let late = overdue("outer", &[entry(SECOND + Duration::from_millis(1))], SECOND);
    assert_eq!(broken(&late), [Law::DeadlinesKept]);
    assert_eq!(
        late[0].to_string(),
        "deadlines-kept broken by outer: 1 is in dial, 1.001s after its deadline"
    );
}

#[test]
fn a_path_follows_the_transition_table() {
    use Phase::{Dial, Drain, Header, Peek, Relay};
    assert_eq!(path("outer", "1", &[]), None);
    assert_eq!(path("outer", "1", &[Peek, Dial, Relay, Drain]), None);
    assert_eq!(path("outer", "1", &[Dial, Relay]), None);
    for wrong in [&[Relay][..], &[Dial, Drain], &[Header], &[Dial, Dial], &[Dial, Relay, Drain, Relay]] {
        assert_eq!(path("outer", "1", wrong).unwrap().law, Law::LegalPhases, "{wrong:?}");
    }
}

fn clean() -> Journey {
    let party = |sent, received| Party {
        sent,
        received,
        wrong_at: None,
        took: SECOND,
        gave: SECOND,
        did: Did::Fin(SECOND),
        saw: Saw::Fin(SECOND),
    };
    Journey {
        name: "client 0".into(),
        client: party(10, 20),
        backend: Some(party(20, 10)),
        patience: SECOND,
        excused: false,
        silence: None,
    }
}

#[test]
fn whoever_lives_is_not_cut_by_a_deadline_of_silence() {
    let secs = Duration::from_secs;
    let cut = |at: u64, took: u64, silence: u64| Journey {
        client: Party { saw: Saw::Reset(secs(at)), took: secs(took), received: 5, ..clean().client },
        silence: Some(secs(silence)),
        ..clean()
    };
    let living = |of: &Journey| broken(&journey(of)).contains(&Law::LivingKept);
    assert!(living(&cut(30, 28, 4)), "it took a byte two seconds before");
    assert!(!living(&cut(30, 26, 4)), "it was silent for as long as is allowed");
    assert!(!living(&Journey { silence: None, ..cut(30, 28, 4) }), "somebody else may have ended it");
    let mut reset = cut(30, 28, 4);
    reset.backend.as_mut().unwrap().did = Did::Reset(SECOND);
    assert!(!living(&reset), "it was the other side's reset");
    let mut busy = cut(30, 20, 4);
    busy.client.gave = 29 * SECOND;
    assert!(!living(&busy), "it gives, and takes nothing of what it is sent");
    busy.client.received = 20;
    assert!(living(&busy), "there is nothing for it to take");
}

#[test]
fn bytes_are_a_prefix_and_on_a_clean_end_all() {
    assert_eq!(journey(&clean()), []);
    let one = |change: fn(&mut Journey)| {
        let mut of = clean();
        change(&mut of);
        broken(&journey(&of))
    };
    assert_eq!(one(|of| of.client.received = 19), [Law::BytesTrue], "lost before a clean end");
    assert_eq!(one(|of| (of.client.received, of.client.saw) = (19, Saw::Reset(SECOND))), []);
    assert_eq!(one(|of| of.client.received = 21), [Law::BytesTrue], "more than was sent");
    assert_eq!(one(|of| of.client.wrong_at = Some(7)), [Law::BytesTrue]);
    assert_eq!(one(|of| of.backend.as_mut().unwrap().received = 9), [Law::BytesTrue]);
    assert_eq!(one(|of| (of.client.received, of.excused) = (19, true)), []);
    assert_eq!(one(|of| (of.client.wrong_at, of.excused) = (Some(1), true)), [Law::BytesTrue]);
}

#[test]
fn ends_arrive_as_what_they_were_and_none_is_made_up() {
    let seen = |did, saw| {
        let mut of = clean();
        of.backend.as_mut().unwrap().did = did;
        of.client.saw = saw;
        broken(&journey(&of))
    };
    let law = vec![Law::EndsTravel];
    let (soon, late) = (2 * SECOND, 2 * SECOND + Duration::from_millis(1));
    assert_eq!(seen(Did::Reset(SECOND), Saw::Reset(soon)), []);
    assert_eq!(seen(Did::Reset(SECOND), Saw::Reset(late)), law, "too late");
    assert_eq!(seen(Did::Reset(SECOND), Saw::Fin(soon)), law, "a reset became a FIN");
    assert_eq!(seen(Did::Reset(SECOND), Saw::Nothing), law);
    assert_eq!(seen(Did::Fin(SECOND), Saw::Nothing), law);
    assert_eq!(seen(Did::Nothing, Saw::Fin(soon)), law, "a FIN that nobody sent");
    assert_eq!(seen(Did::Nothing, Saw::Reset(soon)), [], "a deadline");
    assert_eq!(seen(Did::Cut(SECOND), Saw::Reset(late)), [], "what came before it is delivered first");
    assert_eq!(seen(Did::Cut(SECOND), Saw::Fin(soon)), law, "a part was made a whole");
    assert_eq!(seen(Did::Cut(SECOND), Saw::Nothing), law);
    assert_eq!(seen(Did::Fin(SECOND), Saw::Cut(soon)), law, "a FIN without the end of TLS");
    assert_eq!(seen(Did::Reset(SECOND), Saw::Cut(soon)), law, "a FIN for a reset");
    assert_eq!(seen(Did::Reset(SECOND), Saw::NotLooking), []);
    let unreached = Journey {
        client: Party { sent: 5, saw: Saw::Reset(soon), ..Party::default() },
        backend: None,
        ..clean()
    };
    assert_eq!(journey(&unreached), []);
    let made_up = Journey { client: Party { saw: Saw::Fin(soon), ..Party::default() }, ..unreached };
    assert_eq!(broken(&journey(&made_up)), law, "a FIN where nobody was reached");
}
