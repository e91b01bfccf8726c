//! A conversation with a client over HTTP/1.1 (and 1.0): requests one after the other, each with one answer, until it ends.
//!
//! ```text
//!  client ─► ClientWire ─► framer ─► hyper ─► Handler ─► answer ─► hyper ─► ClientWire ─► client
//!                            │ refused: what came before is answered, then 400 (or what it is) and the end
//! ```
//! All of it is one future, that of the client's own task: dropped, whatever is under way is gone with it.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use parking_lot::Mutex;
use proxy_conn::{By, Cause, ConnGuard, DeadlineKind, Phase, Verdict, leave, leave_with};
use proxy_core::{ReadAhead, Side, Stream};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::answer::Answer;
use crate::fault::{Fault, io_error};
use crate::options::Options;
use crate::page::{last, page, refused, written};
use crate::talk::{Kind, Talk};
use crate::timer::has_passed;
use crate::upload::Upload;
use crate::wire::ClientWire;

/// Answers the requests of one client.
pub trait Handler: Sync {
    /// What a client is connected with that switches to another protocol.
    type Tunnel: Send;

    /// The answer to a request. Dropped before it is there, the client is gone, or has been waited for in vain.
    fn handle(&self, asked: Asked) -> impl Future<Output = Told<Self::Tunnel>> + Send;

    /// Resolves when no further request is to be taken: the conversation ends when none is under way. Asked again, it is as it was.
    fn leaves(&self) -> impl Future<Output = ()> + Send;
}

/// A request.
#[derive(Debug)]
pub struct Asked {
    /// As it was parsed.
    pub request: Request<Upload>,
    /// Which of the connection's it is; the first is 1.
    pub nth: u64,
    pub(crate) talk: Arc<Talk>,
}

impl Asked {
    /// What tells when a byte of the client's last came, also when the request has gone on.
    #[must_use]
    pub fn clock(&self) -> Clock {
        Clock(Arc::clone(&self.talk))
    }
}

/// Tells when a byte of a client's last came.
#[derive(Debug)]
pub struct Clock(Arc<Talk>);

impl Clock {
    /// When that was.
    #[must_use]
    pub fn last(&self) -> Instant {
        self.0.heard()
    }
}

/// An answer.
#[derive(Debug)]
pub struct Told<T> {
    /// The answer.
    pub response: Response<Answer>,
    /// With a status of 101: what the client is connected with from then on.
    pub tunnel: Option<T>,
}

impl<T> From<Response<Answer>> for Told<T> {
    fn from(response: Response<Answer>) -> Self {
        Self { response, tunnel: None }
    }
}

/// What comes of a conversation.
#[derive(Debug)]
pub enum Served<T> {
    /// It has ended.
    Ended(Verdict),
    /// The client has switched to another protocol.
    Switched {
        /// What it is connected with.
        tunnel: T,
        /// What it has sent behind its request.
        ahead: Vec<u8>,
    },
}

/// How it went, before it is said.
enum Out {
    /// hyper is done, or gave up.
    Hyper(Result<(), hyper::Error>),
    /// The client has reset.
    Gone(std::io::Error),
    /// No request is under way, and no other is to be taken.
    Left,
    Passed(Kind),
}

/// Serves requests of a client, of which `ahead` was read before, until it ends, goes wrong, or switches to another protocol. Enters the
/// phases [`Idle`](Phase::Idle) and [`Busy`](Phase::Busy) by turns; notes its deadlines, and keeps them.
///
/// Not cancel-safe in that a request under way is gone with it. The client's stream stays its owner's.
pub async fn serve<S: Stream, H: Handler>(
    conn: &ConnGuard,
    client: &S,
    ahead: ReadAhead,
    handler: &H,
    options: &Options,
) -> Served<H::Tunnel> {
    let talk = Arc::new(Talk::new(options));
    if let Err(end) = conn.enter(Phase::Idle, Instant::now(), DeadlineKind::KeepAlive) {
        return Served::Ended(end.into());
    }
    let (tunnel, fault) = (Mutex::new(None), Arc::new(Mutex::new(None)));
    let service = service_fn(|request: Request<Incoming>| {
        Box::pin(answered(request, Arc::clone(&talk), handler, &tunnel, Arc::clone(&fault), options))
    });
    let wire = ClientWire { conn, client, talk: Arc::clone(&talk), ahead };
    let mut builder = http1::Builder::new();
    builder.half_close(true).header_read_timeout(None);
    let mut hyper = builder.serve_connection(wire, service);
    let out = {
        let mut leaving = pin!(handler.leaves());
        let mut timer = pin!(sleep_until(Instant::now()));
        let mut left = false;
        poll_fn(|cx| {
            if let Poll::Ready(done) = hyper.poll_without_shutdown(cx) {
                return Poll::Ready(Out::Hyper(done));
            }
            left = left || leaving.as_mut().poll(cx).is_ready();
            poll_rest(cx, conn, client, &talk, left, timer.as_mut())
        })
        .await
    };
    let switched = tunnel.lock().take();
    if let (Out::Hyper(Ok(())), Some(tunnel)) = (&out, switched) {
        let parts = hyper.into_parts();
        let mut ahead = parts.read_buf.to_vec();
        ahead.extend_from_slice(parts.io.ahead.bytes());
        return Served::Switched { tunnel, ahead };
    }
    drop(hyper);
    let fault = fault.lock().take();
    Served::Ended(ended(conn, client, &talk, out, fault).await)
}

/// One answer, watched until it is out of our hands.
async fn answered<H: Handler>(
    request: Request<Incoming>,
    talk: Arc<Talk>,
    handler: &H,
    tunnel: &Mutex<Option<H::Tunnel>>,
    fault: Arc<Mutex<Option<Fault>>>,
    options: &Options,
) -> Result<Response<Watched>, Infallible> {
    let nth = talk.asks();
    let request = request.map(|body| Upload::new(body, Arc::clone(&talk), nth, options.max_body));
    let too_long = options.max_body.filter(|most| request.body().size_hint().lower() > *most);
    let mut told = match too_long {
        Some(most) => {
            let sentence =
                format!("The body of the request is longer than the {most} bytes that are taken here.");
            last(page(413, &sentence)).into()
        }
        None => handler.handle(Asked { request, nth, talk: Arc::clone(&talk) }).await,
    };
    if let Some(refusal) = talk.refusal().filter(|_| !talk.is_whole(nth)) {
        talk.tells_refusal();
        told = refused(&refusal).into();
    }
    if told.tunnel.is_some() {
        talk.switches();
    }
    *tunnel.lock() = told.tunnel;
    talk.answers();
    Ok(told.response.map(|answer| Watched { answer, talk, fault }))
}

/// What is looked at beside hyper, at each turn.
fn poll_rest<S: Stream>(
    cx: &mut Context<'_>,
    conn: &ConnGuard,
    client: &S,
    talk: &Talk,
    left: bool,
    mut timer: Pin<&mut Sleep>,
) -> Poll<Out> {
    let idle = talk.is_idle();
    if idle && left {
        return Poll::Ready(Out::Left);
    }
    if !idle && let Poll::Ready(error) = client.poll_gone(cx) {
        return Poll::Ready(Out::Gone(error));
    }
    let phase = if idle { Phase::Idle } else { Phase::Busy };
    let now = Instant::now();
    let mut wait = talk.wait(now);
    if conn.phase() == phase {
        conn.deadline(wait.until, wait.kind.deadline());
    } else {
        // A way that does not exist is noted by the guard.
        conn.enter(phase, wait.until, wait.kind.deadline()).unwrap_or_default();
    }
    while has_passed(timer.as_mut(), cx, now, wait.until) {
        if wait.kind != Kind::Taken || !talk.took_after_all(client, now) {
            return Poll::Ready(Out::Passed(wait.kind));
        }
        wait = talk.wait(now);
    }
    Poll::Pending
}

/// Says how it ended, and tells the client where it can still be told.
async fn ended<S: Stream>(
    conn: &ConnGuard,
    client: &S,
    talk: &Talk,
    out: Out,
    fault: Option<Fault>,
) -> Verdict {
    match (out, talk.untold()) {
        (Out::Gone(error), _) => Verdict::lost(conn, Side::Client, &error),
        (Out::Left, _) => last_word(conn, client, Verdict::of(conn, Cause::Drained)).await,
        (Out::Passed(kind), _) => passed(conn, client, talk, kind).await,
        (Out::Hyper(_), Some(refusal)) if !talk.is_answering() => {
            let verdict = Verdict::explained(conn, Cause::RequestMalformed, refusal.to_string());
            tell(conn, client, &refused(&refusal), verdict).await
        }
        (Out::Hyper(done), _) => done_by_hyper(conn, client, talk, done.err(), fault).await,
    }
}

/// hyper is done with it: it ended between requests, or in the middle of one.
async fn done_by_hyper<S: Stream>(
    conn: &ConnGuard,
    client: &S,
    talk: &Talk,
    error: Option<hyper::Error>,
    fault: Option<Fault>,
) -> Verdict {
    if let Some(fault) = fault {
        // An answer that broke off: it breaks off here too.
        return Verdict::explained(conn, fault.cause, fault.detail);
    }
    if let Some(error) = talk.lost() {
        return Verdict::lost(conn, Side::Client, &error);
    }
    if let Some(refusal) = talk.refusal() {
        let verdict = Verdict::explained(conn, Cause::RequestMalformed, refusal.to_string());
        return last_word(conn, client, verdict).await;
    }
    if talk.ended_early() {
        return Verdict::explained(conn, Cause::ClientLeft, "it ended in the middle of a request");
    }
    match error {
        None => last_word(conn, client, Verdict::of(conn, Cause::Finished)).await,
        Some(error) => match io_error(&error) {
            Some(error) => Verdict::lost(conn, Side::Client, error),
            None => Verdict::explained(conn, Cause::RequestMalformed, error.to_string()),
        },
    }
}

/// A deadline has passed.
async fn passed<S: Stream>(conn: &ConnGuard, client: &S, talk: &Talk, kind: Kind) -> Verdict {
    let begun = talk.is_answering();
    let late =
        |status, cause, what: &str| (page(status, what), Verdict::explained(conn, cause, what.to_owned()));
    let (answer, verdict) = match kind {
        Kind::Next => {
            return last_word(conn, client, Verdict::of(conn, Cause::Idle)).await;
        }
        Kind::Head => {
            late(408, Cause::RequestTimeout, "no whole head of a request within request_head_timeout")
        }
        Kind::Body => {
            late(408, Cause::RequestTimeout, "no more of a request's body within request_body_timeout")
        }
        Kind::Taken => {
            let detail = "it took nothing of its answer within write_stall_timeout";
            let end = Cause::WriteStall.during_by(conn.phase(), By::Client);
            return Verdict { end, detail: Some(detail.into()), orderly: false };
        }
        Kind::Whole => {
            late(504, Cause::BackendTimeout, "a request and its answer were not done within request_timeout")
        }
        Kind::Backend => {
            late(504, Cause::BackendTimeout, "nothing moved for as long as all deadlines together")
        }
    };
    if begun { verdict } else { tell(conn, client, &answer, verdict).await }
}

/// An answer of this proxy's own that is not hyper's to write: nothing else is under way. A client that does not take it is reset.
async fn tell<S: Stream>(
    conn: &ConnGuard,
    client: &S,
    answer: &Response<Answer>,
    verdict: Verdict,
) -> Verdict {
    if leave_with(conn, client, written(answer).as_bytes()).await { verdict.in_order() } else { verdict }
}

/// Ends this direction, and hears the client out for a moment: closing over what it has sent meanwhile would reset it, and some systems
/// forget an answer then that nobody has read yet.
async fn last_word<S: Stream>(conn: &ConnGuard, client: &S, verdict: Verdict) -> Verdict {
    leave(conn, client).await;
    verdict.in_order()
}

/// An answer on its way: that it is out of our hands is noted when it is, and why it broke off where it did.
struct Watched {
    answer: Answer,
    talk: Arc<Talk>,
    fault: Arc<Mutex<Option<Fault>>>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.talk.has_answered(Instant::now());
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let frame = ready!(Pin::new(&mut self.answer).poll_frame(cx));
        if let Some(Err(fault)) = &frame {
            self.fault.lock().get_or_insert_with(|| fault.clone());
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.answer.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.answer.size_hint()
    }
}

#[cfg(test)]
mod tests;
