//! Ends through TLS: the outer hop ends it, and in some the inner one speaks it to the backend.

use super::*;
use crate::contender::targets_root;
use crate::hello::client_hello;
use crate::tls::{Deciphered, Root, TlsWire};

pub(super) const CLIENT_HALF_CLOSES: Scenario = Scenario {
    name: "tls-client-half-closes",
    expected: "20 clients ask, say close_notify and half-close, and the backend answers when it sees that end: every answer arrives, and then close_notify and a FIN",
    story: |lab| Box::pin(half_closes(lab)),
    needs_tls: true,
    ..USUAL
};

pub(super) const CLIENT_CUT: Scenario = Scenario {
    name: "tls-client-cut",
    expected: "20 clients end without close_notify, as browsers do: the backend sees an end within a second, and nothing is left",
    story: |lab| Box::pin(client_cut(lab)),
    needs_tls: true,
    ..USUAL
};

pub(super) const CLIENT_RESETS: Scenario = Scenario {
    name: "tls-client-resets",
    expected: "20 clients reset in the middle of a transfer: the backend sees a reset within a second",
    story: |lab| Box::pin(client_resets(lab)),
    needs_tls: true,
    ..USUAL
};

pub(super) const BACKEND_RESETS: Scenario = Scenario {
    name: "tls-backend-resets-mid-answer",
    expected: "the backend sends half of its answer and resets: the half arrives, and no close_notify behind it, which would make a whole of it",
    story: |lab| Box::pin(backend_resets(lab)),
    needs_tls: true,
    ..USUAL
};

pub(super) const BACKEND_CUT: Scenario = Scenario {
    name: "tls-backend-cut",
    expected: "the inner hop speaks TLS to the backend, which sends half of its answer and a FIN without close_notify: the half arrives, and no close_notify behind it",
    story: |lab| Box::pin(backend_cut(lab)),
    needs_tls: true,
    ..USUAL
};

pub(super) const STALLS: Scenario = Scenario {
    name: "tls-handshake-stalls",
    expected: "50 clients say half a ClientHello and no more: others are served meanwhile, no backend is dialled for them, and the deadline of the handshake ends them",
    story: |lab| Box::pin(stalls(lab)),
    needs_tls: true,
    ..USUAL
};

pub(super) const REFUSED: Scenario = Scenario {
    name: "tls-certificate-refused",
    expected: "50 clients do not trust the certificate and leave: no backend is dialled for them, and nothing is left a second later",
    story: |lab| Box::pin(refused(lab)),
    needs_tls: true,
    ..USUAL
};

const CROWD: usize = 20;
const STALLED: usize = 50;

/// What is sent before an end that is none, and how long that is ahead of it: long enough to be read by both hops.
const HALF: usize = 32 * 1024;
const AHEAD: Duration = Duration::from_millis(300);

/// Starts a chain whose outer hop ends TLS.
async fn secure_chain(lab: &mut Lab, target: SocketAddr, reencrypt: bool) -> Told {
    let change = |outer: &mut HopPlan, inner: &mut HopPlan| {
        outer.terminate = true;
        inner.reencrypt = reencrypt;
    };
    lab.chain_with(target, change).await
}

/// Clients who have shaken hands with the outer hop, and said these words.
async fn secured(lab: &Lab, words: &'static str) -> Result<Vec<TlsWire>, String> {
    let (trusting, addr) = (lab.outer().trusting(), lab.addr());
    let all = (0..CROWD).map(|_| {
        let trusting = trusting.clone();
        async move {
            let mut client = trusting.try_connect(addr, "localhost").await?;
            client.try_send(words).await.map(|()| client)
        }
    });
    let all: Result<Vec<_>, _> = together(all).await.into_iter().collect();
    all.map_err(|error| format!("a client could not shake hands: {error}"))
}

/// What each got, once it has an end or a second is over; and how those ended, as a figure.
async fn ended(lab: &mut Lab, clients: Vec<TlsWire>) -> Vec<Deciphered> {
    let ending = clients.into_iter().map(|mut client| async move {
        drop(timeout(AT_ONCE, client.read_to_end()).await);
        client.deciphered().clone()
    });
    let got = all_together(ending).await;
    let count = |close_notify: bool, end: Option<Ending>| {
        got.iter().filter(|got| (got.close_notify, got.end) == (close_notify, end)).count()
    };
    let kinds = [
        (count(true, Some(Ending::Fin)), "close_notify and FIN"),
        (count(true, Some(Ending::Reset)), "close_notify and RST"),
        (count(true, None), "close_notify and no FIN within a second"),
        (count(false, Some(Ending::Fin)), "FIN without close_notify"),
        (count(false, Some(Ending::Reset)), "RST"),
        (count(false, None), "nothing"),
    ];
    let kinds: Vec<_> = kinds.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    lab.note(format!("clients saw {}", kinds.join(", ")));
    got
}

async fn half_closes(lab: &mut Lab) -> Told {
    let backend = Backend::serving(|mut wire| async move {
        wire.read_to_end().await;
        wire.try_send("answer").await.unwrap_or_default();
        wire.half_close().await;
        wire.read_to_end().await;
    });
    secure_chain(lab, backend.addr(), false).await?;
    let mut clients = secured(lab, REQUEST).await?;
    let ends = lab.mark("clients half-close");
    for client in &mut clients {
        client.close().await;
    }
    let got = ended(lab, clients).await;
    let lost = got.iter().filter(|got| got.bytes != b"answer").count();
    lab.check(Law::Bytes, lost == 0, || format!("{lost} of {CROWD} answers lost"));
    let unclean = got.iter().filter(|got| !got.close_notify).count();
    lab.check(Law::Ends, unclean == 0, || {
        format!("{unclean} of {CROWD} whole answers ended without close_notify: they look cut")
    });
    lab.settles(ends, AT_ONCE, Law::Departures).await;
    Ok(())
}

async fn client_cut(lab: &mut Lab) -> Told {
    let backend = Backend::serving(|mut wire| async move {
        wire.read_to_end().await;
        wire.try_send("answer").await.unwrap_or_default();
    });
    secure_chain(lab, backend.addr(), false).await?;
    let mut clients = secured(lab, REQUEST).await?;
    lab.until(AT_ONCE, |sample| sample.sockets() == [2 * CROWD, 2 * CROWD]).await;
    let cut = lab.mark("clients end without close_notify");
    for client in &mut clients {
        client.cut().await;
    }
    let answers = ended(lab, clients).await.iter().filter(|got| got.bytes == b"answer").count();
    lab.note(format!("{answers} of {CROWD} still got their answers"));
    lab.settles(cut, AT_ONCE, Law::Departures).await;
    let seen = Ends::of(&backend.visits());
    lab.note(format!("the backend saw {seen}"));
    let missing = CROWD - (seen.fin + seen.reset).min(CROWD);
    lab.check(Law::Ends, missing == 0, || format!("{missing} of {CROWD} backends saw no end"));
    Ok(())
}

async fn client_resets(lab: &mut Lab) -> Told {
    let backend = Backend::echo();
    secure_chain(lab, backend.addr(), false).await?;
    let mut clients = secured(lab, "hello").await?;
    for client in &mut clients {
        client.read_until(|bytes| bytes.len() >= 5).await;
        client.try_send("the beginning of something").await.unwrap_or_default();
    }
    let reset = lab.mark("clients reset");
    clients.into_iter().for_each(TlsWire::reset);
    lab.settles(reset, AT_ONCE, Law::Departures).await;
    let seen = Ends::of(&backend.visits());
    lab.note(format!("the backend saw {seen}"));
    let fin = seen.fin;
    lab.check(Law::Ends, fin == 0, || {
        format!("the backend saw {fin} FIN of {CROWD}: what was aborted looks whole")
    });
    Ok(())
}

async fn backend_resets(lab: &mut Lab) -> Told {
    let backend = Backend::serving(|mut wire| async move {
        wire.read_until(|bytes| bytes.ends_with(b"\r\n\r\n")).await;
        wire.try_send(vec![b'x'; HALF]).await.unwrap_or_default();
        sleep(AHEAD).await;
        wire.reset();
    });
    secure_chain(lab, backend.addr(), false).await?;
    half_arrives(lab, "the backend resets").await
}

async fn backend_cut(lab: &mut Lab) -> Told {
    let backend = Backend::tls(targets_root(), &["localhost"], |mut tls| async move {
        tls.read_until(|bytes| bytes.ends_with(b"\r\n\r\n")).await;
        tls.try_send(vec![b'x'; HALF]).await.unwrap_or_default();
        sleep(AHEAD).await;
        tls.cut().await;
        tls.read_to_end().await;
    });
    secure_chain(lab, backend.addr(), true).await?;
    half_arrives(lab, "the backend ends without close_notify").await
}

/// Clients ask, half of each answer arrives, and what comes behind it is no end of a whole.
async fn half_arrives(lab: &mut Lab, what: &str) -> Told {
    let clients = secured(lab, REQUEST).await?;
    sleep(AHEAD).await;
    let broke = lab.mark(what);
    let got = ended(lab, clients).await;
    let short = got.iter().filter(|got| got.bytes.len() != HALF).count();
    lab.check(Law::Bytes, short == 0, || format!("{short} of {CROWD} clients did not get all of the half"));
    let whole = got.iter().filter(|got| got.close_notify).count();
    lab.check(Law::Ends, whole == 0, || {
        format!("{whole} of {CROWD} clients saw close_notify behind half an answer: it looks whole")
    });
    lab.settles(broke, AT_ONCE, Law::Departures).await;
    Ok(())
}

async fn stalls(lab: &mut Lab) -> Told {
    let backend = Backend::answers("hello");
    secure_chain(lab, backend.addr(), false).await?;
    let (to, hello) = (lab.addr(), client_hello("localhost"));
    let half = hello.get(..hello.len() / 2).unwrap_or_default().to_vec();
    let stalled = lab.mark("50 clients say half a ClientHello");
    let all = (0..STALLED).map(|_| {
        let half = half.clone();
        async move {
            let mut client = Wire::connect(to).await;
            client.try_send(half).await.unwrap_or_default();
            client
        }
    });
    let clients = together(all).await;
    let served = secured(lab, REQUEST).await?;
    let served = ended(lab, served).await;
    let served = served.iter().filter(|got| got.bytes.ends_with(b"hello")).count();
    lab.check(Law::Service, served == CROWD, || format!("{served} of {CROWD} others were served meanwhile"));
    let clients = lab.ends(clients, lab.terms.header + GRACE).await;
    let Ends { open, .. } = lab.figures.ends;
    lab.note(format!("{open} of {STALLED} handshakes were still open"));
    lab.settles(stalled, lab.terms.header + GRACE, Law::Deadlines).await;
    let dialled = backend.accepted().saturating_sub(CROWD);
    lab.check(Law::Departures, dialled == 0, || {
        format!("{dialled} backend connections for {STALLED} handshakes that were not done")
    });
    drop(clients);
    Ok(())
}

async fn refused(lab: &mut Lab) -> Told {
    let backend = Backend::answers("hello");
    secure_chain(lab, backend.addr(), false).await?;
    let (to, stranger) = (lab.addr(), Root::new());
    let leave = lab.mark("clients refuse the certificate");
    let mut taken = 0;
    for _ in 0..STALLED {
        taken += usize::from(stranger.try_connect(to, "localhost").await.is_ok());
    }
    if taken > 0 {
        return Err(format!("{taken} of {STALLED} clients trust whom they do not know"));
    }
    lab.settles(leave, AT_ONCE + Duration::from_secs(2), Law::Departures).await;
    let dialled = backend.accepted();
    lab.note(format!("the backend saw {dialled} connections"));
    lab.check(Law::Departures, dialled == 0, || {
        format!("{dialled} backend connections for {STALLED} clients that left in their handshake")
    });
    Ok(())
}
