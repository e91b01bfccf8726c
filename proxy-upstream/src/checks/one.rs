//! One check: a dial, a PROXY header, a conversation, a close; all by one deadline.

use std::io;
use std::sync::Arc;

use proxy_conn::{Cause, ConnGuard, DeadlineKind, Opening, Phase, Role, Tally, Tracker};
use proxy_core::dial::reach;
use proxy_core::stream::{read, shutdown, write_all};
use proxy_core::{Dial, Kernel as _, PeerAddr, Resolver, Side, Stream, TargetAddr};
use tokio::time::{Instant, timeout_at};

use crate::egress::LeavingBy;
use crate::health::conversation::conversation;
use crate::health::exchange::{Exchange, Then, closed, too_long};
use crate::health::hop::Word;
use crate::health::{CheckOptions, Finding, HealthCause};

/// Bytes that are read at once.
const READ: usize = 4096;

/// What is thrown away of an answer that goes on when all that was expected has come.
const REST: usize = 64 << 10;

/// How checks reach members, and where they are entered.
#[derive(Debug)]
pub(super) struct Means<D> {
    pub(super) dialer: D,
    /// The same for those that end with the handshake.
    pub(super) unnoticed: D,
    pub(super) resolver: Resolver,
    pub(super) tracker: Arc<Tracker>,
}

/// What a check has come to: what the member said of itself, if it does; or what was found out.
pub(super) type Checked = Result<Option<Word>, Finding>;

/// Whom a check is of.
pub(super) struct Subject<'a> {
    pub(super) group: &'a Arc<str>,
    pub(super) member: &'a Tally,
    pub(super) at: &'a TargetAddr,
    /// How it is reached.
    pub(super) leaving: LeavingBy,
}

impl<D: Dial> Means<D> {
    /// Checks once; None where it says nothing of the member, since this machine ran short.
    ///
    /// CANCEL: safe; what it opened is reset, and its entry is gone.
    pub(super) async fn check(&self, subject: &Subject<'_>, options: &CheckOptions) -> Option<Checked> {
        let conn = self.tracker.open(0, Opening::new(peer(subject.at), "check").role(Role::Check));
        conn.learn(|facts| {
            facts.route = Some(Arc::clone(subject.group).into());
            facts.target = Some(subject.member.clone());
        });
        let checked = self.checked(&conn, subject, options).await;
        let cause = match &checked {
            None => Cause::DialShortage,
            Some(Ok(_)) => Cause::Finished,
            Some(Err(finding)) => cause(finding.cause, conn.phase()),
        };
        let detail = checked.as_ref().and_then(|checked| Some((*checked.as_ref().err()?.text).into()));
        conn.end(cause.during(conn.phase()), detail);
        checked
    }

    async fn checked(
        &self,
        conn: &ConnGuard,
        Subject { at, leaving, .. }: &Subject<'_>,
        options: &CheckOptions,
    ) -> Option<Checked> {
        let within = options.limit();
        let deadline = Instant::now() + within.get();
        conn.enter(Phase::Dial, deadline, DeadlineKind::Check).ok()?;
        let (exchange, header) = conversation(options);
        let dialer = if exchange.is_some() { &self.dialer } else { &self.unnoticed };
        let stream = match reach(dialer, &self.resolver, std::slice::from_ref(*at), leaving, within).await {
            Ok(dialled) => dialled.stream,
            Err(error) => return Finding::of_dial(&error).map(Err),
        };
        let Some(mut exchange) = exchange else { return Some(Ok(None)) };
        conn.hold(Side::Backend, stream.descriptor());
        conn.enter(Phase::Relay, deadline, DeadlineKind::Check).ok()?;
        let mut heard = Vec::new();
        let talking = talk(&stream, header, &mut *exchange, &mut heard);
        match timeout_at(deadline, talking).await {
            Ok(Ok(())) => {
                let word = exchange.word();
                close(conn, stream, deadline).await;
                Some(Ok(word))
            }
            Ok(Err(finding)) => Some(Err(finding)),
            Err(_) => Some(Err(silent(&heard, within))),
        }
    }
}

/// Speaks and hears until the member is well.
async fn talk<S: Stream>(
    stream: &S,
    mut header: Vec<u8>,
    exchange: &mut dyn Exchange,
    heard: &mut Vec<u8>,
) -> Result<(), Finding> {
    let lost = |doing: &'static str| move |error: io::Error| Finding::of_stream(&error, doing);
    let mut step = exchange.begin();
    // In one segment: some receivers want to see the header whole.
    header.append(&mut step.send);
    step.send = header;
    let mut buf = vec![0; READ];
    loop {
        write_all(stream, &step.send).await.map_err(lost("it was written to"))?;
        if step.then == Then::Well {
            return Ok(());
        }
        let more = read(stream, &mut buf).await.map_err(lost("its answer was awaited"))?;
        if more == 0 {
            return Err(closed(heard));
        }
        heard.extend(buf.iter().take(more));
        step = exchange.hear(heard)?;
        if step.then == Then::Hear && heard.len() >= exchange.most() {
            return Err(too_long(heard));
        }
    }
}

/// Closes in order, and waits for the other end, so that what is on its way is not answered by a reset. One that does not come in
/// time is cut off.
async fn close<S: Stream>(conn: &ConnGuard, stream: S, deadline: Instant) {
    let closing = async {
        shutdown(&stream).await?;
        let (mut buf, mut rest) = (vec![0; READ], REST);
        while rest > 0 {
            match read(&stream, &mut buf).await? {
                0 => return Ok(()),
                more => rest = rest.saturating_sub(more),
            }
        }
        Err(io::Error::from(io::ErrorKind::TimedOut))
    };
    let in_order: Result<io::Result<()>, _> = timeout_at(deadline, closing).await;
    conn.hold(Side::Backend, None);
    if let Ok(Ok(())) = in_order {
        stream.finish();
    }
}

fn silent(heard: &[u8], within: proxy_core::Bound) -> Finding {
    let what = if heard.is_empty() { "no answer" } else { "no whole answer" };
    Finding::new(HealthCause::Timeout, format!("it took the connection, and gave {what} within {within}"))
}

/// What the entry of a check is said to have ended by.
fn cause(of: HealthCause, phase: Phase) -> Cause {
    #[expect(clippy::wildcard_enum_match_arm, reason = "what is none of these is no end of a connection")]
    match of {
        HealthCause::Refused => Cause::DialRefused,
        HealthCause::Unreachable => Cause::DialUnreachable,
        HealthCause::Unresolved => Cause::DialUnresolved,
        HealthCause::Timeout if phase == Phase::Dial => Cause::DialTimeout,
        HealthCause::Timeout => Cause::NoData,
        HealthCause::Reset | HealthCause::Closed => Cause::BackendReset,
        _ => Cause::DialFailed,
    }
}

/// The address that is dialled, where it is known before a name is looked up.
fn peer(at: &TargetAddr) -> PeerAddr {
    match at {
        TargetAddr::Ip(addr) => PeerAddr::new(*addr),
        TargetAddr::Name(_, port) => PeerAddr::new((std::net::Ipv4Addr::UNSPECIFIED, *port).into()),
        TargetAddr::Unix(_) => PeerAddr::new((std::net::Ipv4Addr::UNSPECIFIED, 0).into()),
    }
}
