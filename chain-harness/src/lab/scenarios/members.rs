//! One of two inner hops is no use any more, in different ways, and then is again.

use super::super::members::{Crowd, Greeter, Manner};
use super::super::terms::CHECKED;
use super::*;

pub(super) const KILLED: Scenario = Scenario {
    name: "member-killed",
    expected: "one of two inner hops is killed while a client comes every 20 ms, and started again: nobody who comes later than two checks fails, and it is used again within a check and 1 s",
    longest: Duration::from_secs(60),
    story: |lab| Box::pin(killed(lab)),
    ..USUAL
};

pub(super) const FROZEN: Scenario = Scenario {
    name: "member-frozen",
    expected: "the same, where it is frozen (SIGSTOP) and thawed",
    longest: Duration::from_secs(60),
    story: |lab| Box::pin(frozen(lab)),
    ..USUAL
};

pub(super) const RESETS: Scenario = Scenario {
    name: "member-resets",
    expected: "the same, where what is behind it accepts and resets",
    longest: Duration::from_secs(60),
    story: |lab| Box::pin(behind(lab, Manner::Resets)),
    ..USUAL
};

pub(super) const SILENT: Scenario = Scenario {
    name: "member-silent",
    expected: "the same, where what is behind it accepts and says nothing although it is due to greet",
    longest: Duration::from_secs(60),
    story: |lab| Box::pin(behind(lab, Manner::Silent)),
    ..USUAL
};

pub(super) const EVENS_OUT: Scenario = Scenario {
    name: "member-evens-out",
    expected: "100 connections are on one inner hop as the other was away, 60 stay and 40 change: by fewest connections the other has 30 at least within 10 s of its return, and nobody is cut",
    longest: Duration::from_secs(60),
    story: |lab| Box::pin(evens_out(lab)),
    ..USUAL
};

/// For as long as clients come once a member is no use.
const ASKED: Duration = Duration::from_secs(5);
/// Within which a member is used again.
const AGAIN: Duration = Duration::from_millis(1500);

async fn killed(lab: &mut Lab) -> Told {
    let [a, b] = [Greeter::new('a'), Greeter::new('b')];
    lab.members([a.addr(), b.addr()], false).await?;
    lab.both_serve().await?;
    lab.kill_inner();
    lab.mark("one is killed");
    let asked = lab.crowd_asks(ASKED).await;
    lab.failures(&asked);
    lab.restart_inner(a.addr()).await?;
    let back = lab.mark("it is started again");
    lab.is_used_again('a', back, AGAIN).await;
    Ok(())
}

async fn frozen(lab: &mut Lab) -> Told {
    let [a, b] = [Greeter::new('a'), Greeter::new('b')];
    lab.members([a.addr(), b.addr()], false).await?;
    lab.both_serve().await?;
    lab.signal(Hop::Inner, Signal::STOP);
    lab.mark("one freezes");
    let asked = lab.crowd_asks(ASKED).await;
    lab.failures(&asked);
    lab.signal(Hop::Inner, Signal::CONT);
    let back = lab.mark("it thaws");
    lab.is_used_again('a', back, AGAIN).await;
    Ok(())
}

async fn behind(lab: &mut Lab, manner: Manner) -> Told {
    let [a, b] = [Greeter::new('a'), Greeter::new('b')];
    lab.members([a.addr(), b.addr()], false).await?;
    lab.both_serve().await?;
    a.now(manner);
    lab.mark("what is behind one is no use");
    let asked = lab.crowd_asks(ASKED).await;
    lab.failures(&asked);
    a.now(Manner::Serves);
    let back = lab.mark("it serves again");
    lab.is_used_again('a', back, AGAIN).await;
    Ok(())
}

async fn evens_out(lab: &mut Lab) -> Told {
    const STAY: usize = 60;
    const CHANGE: usize = 40;
    const SHARE: usize = 30;
    // Those that stay say nothing.
    lab.terms.idle = Duration::from_secs(60);
    let [a, b] = [Greeter::new('a'), Greeter::new('b')];
    lab.members([a.addr(), b.addr()], true).await?;
    lab.both_serve().await?;
    lab.kill_inner();
    lab.mark("one is killed");
    sleep(CHECKED * 2).await;
    let crowd = Crowd::come(lab.addr(), STAY, CHANGE);
    sleep(Duration::from_secs(3)).await;
    let alone = crowd.by('b');
    lab.check(Law::Service, alone >= STAY + CHANGE / 2, || {
        format!("{alone} of 100 connections on the other")
    });
    lab.restart_inner(a.addr()).await?;
    lab.mark("it is started again");
    sleep(Duration::from_secs(10)).await;
    let share = crowd.by('a');
    lab.note(format!("{share} of {} connections on it 10 s after its return", STAY + CHANGE));
    lab.check(Law::Service, share >= SHARE, || {
        format!("{share} of {} connections on it 10 s after its return ({SHARE} expected)", STAY + CHANGE)
    });
    crowd.leave().await;
    Ok(())
}
