//! A hop is frozen for longer than its deadlines, and what comes meanwhile comes in time.

use super::*;

pub(super) const INNER: Scenario = Scenario {
    name: "inner-frozen-5s",
    expected: "the inner hop is frozen (SIGSTOP) for 5 s under an idle deadline of 3 s and a half-closed one of 3 s; clients send a byte every half second, answers and newcomers come meanwhile: nobody is cut, every byte and answer arrives, newcomers are served",
    longest: Duration::from_secs(40),
    story: |lab| Box::pin(story(lab, Hop::Inner)),
    ..USUAL
};

pub(super) const OUTER: Scenario = Scenario {
    name: "outer-frozen-5s",
    expected: "the same with the outer hop frozen",
    story: |lab| Box::pin(story(lab, Hop::Outer)),
    ..INNER
};

const FROZEN: Duration = Duration::from_secs(5);
/// The deadlines of the hop that is frozen, and those of the other, to whom it is silent.
const SHORT: Duration = Duration::from_secs(3);
const LONG: Duration = Duration::from_secs(20);

const TALKERS: usize = 20;
const HALF_CLOSED: usize = 10;
const NEWCOMERS: usize = 10;

/// From one byte of a talker to the next, and how many there are: from before the freeze until after it.
const APART: Duration = Duration::from_millis(500);
const BYTES: usize = 13;
/// From a half-close to the answer, which is in the freeze; the answers that are already there when it thaws.
const THINKS: Duration = Duration::from_millis(1500);

async fn story(lab: &mut Lab, frozen: Hop) -> Told {
    let backend = Backend::serving(echo_or_answer);
    lab.chain_with(backend.addr(), |outer, inner| {
        let (frozen, other) = if frozen == Hop::Inner { (inner, outer) } else { (outer, inner) };
        (frozen.idle, frozen.half_closed) = (SHORT, SHORT);
        (other.idle, other.half_closed) = (LONG, LONG);
    })
    .await?;
    lab.mark("clients come");
    let talkers = lab.crowd(TALKERS, "t").await;
    let mut asking = lab.crowd(HALF_CLOSED, "ask").await;
    let talkers: JoinSet<_> = talkers.into_iter().map(talks).collect();
    for client in &mut asking {
        client.half_close().await;
    }
    sleep(APART).await;
    let freeze = lab.mark("the hop freezes");
    lab.signal(frozen, Signal::STOP);
    let newcomers = lab.crowd(NEWCOMERS, "hello").await;
    sleep(FROZEN.saturating_sub(lab.elapsed(freeze))).await;
    lab.signal(frozen, Signal::CONT);
    lab.mark("it thaws");
    let newcomers = all_together(newcomers.into_iter().map(|mut client| async move {
        drop(timeout(AT_ONCE, client.read_until(|bytes| bytes.len() >= 5)).await);
        client
    }))
    .await;
    let ended = Ends::of(&newcomers.iter().map(Wire::received).collect::<Vec<_>>());
    lab.note(format!("those who came meanwhile saw {ended}"));
    let served = newcomers.iter().filter(|client| client.received().text() == "hello").count();
    lab.check(Law::Service, served == NEWCOMERS, || {
        format!("{served} of {NEWCOMERS} clients served who came meanwhile")
    });
    let asking = lab.ends(asking, AT_ONCE).await;
    let answered = asking.iter().filter(|client| client.received().text() == "answer").count();
    lab.check(Law::Living, answered == HALF_CLOSED, || {
        format!("{} of {HALF_CLOSED} answers lost that came meanwhile", HALF_CLOSED - answered)
    });
    let lived = talkers.join_all().await.into_iter().filter(|lived| *lived).count();
    lab.check(Law::Living, lived == TALKERS, || {
        format!("{} of {TALKERS} cut that sent a byte every {APART:?}", TALKERS - lived)
    });
    let left = lab.mark("all leave");
    drop((asking, newcomers));
    lab.settles(left, AT_ONCE, Law::Departures).await;
    Ok(())
}

/// Gives each byte back; whoever ends is answered, later.
async fn echo_or_answer(mut wire: Wire) {
    loop {
        let bytes = wire.read_some().await;
        if bytes.is_empty() {
            break;
        }
        // Those who ask want the answer alone.
        if !bytes.starts_with(b"a") && wire.try_send(bytes).await.is_err() {
            return;
        }
    }
    if wire.received().bytes.starts_with(b"a") {
        sleep(THINKS).await;
        wire.try_send("answer").await.unwrap_or_default();
    }
    wire.half_close().await;
}

/// Says a byte, and another one after each pause; says whether all of them came back in the end.
async fn talks(mut client: Wire) -> bool {
    for _ in 1..BYTES {
        sleep(APART).await;
        if client.try_send("t").await.is_err() {
            return false;
        }
    }
    let back = timeout(Duration::from_secs(2), client.read_until(|bytes| bytes.len() >= BYTES)).await;
    back.is_ok_and(|received| received.bytes.len() == BYTES)
}
