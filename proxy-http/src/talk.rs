//! What is going on between a client and this proxy, as its wire, its uploads and its answers tell.
//!
//! ```text
//!            first byte of a request              its answer is out of our hands
//!   ┌──────┐ ──────────────────────► ┌──────┐ ───────────────────────────────┐
//!   │ idle │                         │ busy │ ◄── pipelined ones are at hand ┤
//!   └──────┘ ◄────────────────────── └──────┘                                │
//!       ▲                                                                    │ none is
//!       └────────────────────────────────────────────────────────────────────┘
//! ```
//! Who is waited for is known by what was tried last: a read that found nothing waits for the client's next bytes, a write that found
//! no room waits for the client to take some.

use std::io;

use parking_lot::Mutex;
use proxy_conn::DeadlineKind;
use proxy_core::Stream;
use tokio::time::Instant;

use crate::framing::{FramerLimits, Refusal, RequestFramer};
use crate::options::Options;

/// The state of one conversation. Its own task writes; an upload that is read by another one looks.
#[derive(Debug)]
pub(crate) struct Talk {
    options: Options,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    framer: RequestFramer,
    refusal: Option<Refusal>,
    /// Whether the client was told of it.
    told: bool,
    /// Requests that a service was asked for, and answers that are out of our hands.
    asked: u64,
    answered: u64,
    /// Whether the answer of the one at hand has begun.
    answering: bool,
    /// When the turn began: since then it is idle, or the request at hand has been there.
    turn_began: Instant,
    /// When a byte of the client's last came.
    heard: Instant,
    /// Since when its next bytes are waited for.
    hears: Option<Instant>,
    /// Since when it has taken nothing, and how much it had not acknowledged then.
    offers: Option<(Instant, usize)>,
    /// Whether it has ended its direction, or is gone.
    ended: bool,
    lost: Option<io::Error>,
}

/// What has to happen until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) until: Instant,
    pub(crate) kind: Kind,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The next request.
    Next,
    /// The rest of a head.
    Head,
    /// More of a body.
    Body,
    /// That the client takes more of its answer.
    Taken,
    /// The request and its answer as a whole.
    Whole,
    /// Whoever answers. That has deadlines of its own, which are shorter: this is for a conversation that is nobody's.
    Backend,
}

impl Kind {
    pub(crate) const fn deadline(self) -> DeadlineKind {
        match self {
            Self::Next => DeadlineKind::KeepAlive,
            Self::Head => DeadlineKind::RequestHead,
            Self::Body => DeadlineKind::RequestBody,
            Self::Taken => DeadlineKind::Relay(proxy_core::relay::RelayDeadline::WriteStall),
            Self::Whole => DeadlineKind::Request,
            Self::Backend => DeadlineKind::ResponseHead,
        }
    }
}

impl Talk {
    pub(crate) fn new(options: &Options) -> Self {
        let now = Instant::now();
        let limits = FramerLimits { max_head: options.max_head, ..FramerLimits::default() };
        Self {
            options: *options,
            state: Mutex::new(State {
                framer: RequestFramer::new(limits),
                refusal: None,
                told: false,
                asked: 0,
                answered: 0,
                answering: false,
                turn_began: now,
                heard: now,
                hears: None,
                offers: None,
                ended: false,
                lost: None,
            }),
        }
    }

    /// How much of `bytes`, which have just come, is sound and may be parsed; what follows never is. None before a byte has come.
    pub(crate) fn hears(&self, bytes: &[u8], now: Instant) -> usize {
        let mut state = self.state.lock();
        let was_idle = state.is_idle();
        (state.heard, state.hears) = (now, None);
        let sound = match state.framer.take(bytes) {
            Ok(()) => bytes.len(),
            Err((sound, refusal)) => {
                state.refusal = Some(refusal);
                sound
            }
        };
        if was_idle && !state.is_idle() {
            state.turn_began = now;
        }
        sound
    }

    /// A read found nothing: its next bytes are waited for.
    pub(crate) fn waits_to_hear(&self, now: Instant) {
        self.state.lock().hears.get_or_insert(now);
    }

    /// It has ended its direction.
    pub(crate) fn hears_the_end(&self) {
        let mut state = self.state.lock();
        (state.ended, state.hears) = (true, None);
    }

    /// Its stream failed.
    pub(crate) fn is_lost(&self, error: &io::Error) {
        let mut state = self.state.lock();
        state.ended = true;
        state.lost.get_or_insert_with(|| again(error));
    }

    /// It took some of what it is sent.
    pub(crate) fn is_taken(&self) {
        self.state.lock().offers = None;
    }

    /// There was no room: it is waited for to take some.
    pub(crate) fn waits_to_be_taken<S: Stream>(&self, client: &S, now: Instant) {
        self.state.lock().offers.get_or_insert_with(|| (now, client.unacknowledged()));
    }

    /// Whether nothing more is to be read: what comes was refused, or nothing comes.
    pub(crate) fn is_over(&self) -> bool {
        let state = self.state.lock();
        state.ended || state.refusal.is_some()
    }

    /// Whether the body of the `nth` request has come whole.
    pub(crate) fn is_whole(&self, nth: u64) -> bool {
        self.state.lock().framer.ended() >= nth
    }

    /// When a byte of the client's last came.
    pub(crate) fn heard(&self) -> Instant {
        self.state.lock().heard
    }

    /// A service is asked for an answer; to which request.
    pub(crate) fn asks(&self) -> u64 {
        let mut state = self.state.lock();
        state.asked += 1;
        state.asked
    }

    /// The answer to the one at hand has its head.
    pub(crate) fn answers(&self) {
        self.state.lock().answering = true;
    }

    /// The answer is out of our hands.
    pub(crate) fn has_answered(&self, now: Instant) {
        let mut state = self.state.lock();
        state.answered += 1;
        (state.answering, state.turn_began) = (false, now);
    }

    /// Whether an answer has begun that is not out of our hands yet.
    pub(crate) fn is_answering(&self) -> bool {
        self.state.lock().answering
    }

    /// Whether no request is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.state.lock().is_idle()
    }

    /// From here on its bytes are another protocol's.
    pub(crate) fn switches(&self) {
        self.state.lock().framer.switch();
    }

    /// Why what comes is not taken, if so.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.state.lock().refusal
    }

    /// The client is told of the refusal by the answer to the request that is under way.
    pub(crate) fn tells_refusal(&self) {
        self.state.lock().told = true;
    }

    /// The refusal that the client has not been told of.
    pub(crate) fn untold(&self) -> Option<Refusal> {
        let state = self.state.lock();
        state.refusal.filter(|_| !state.told)
    }

    /// What its stream failed with.
    pub(crate) fn lost(&self) -> Option<io::Error> {
        self.state.lock().lost.take()
    }

    /// Whether it ended in the middle of a request.
    pub(crate) fn ended_early(&self) -> bool {
        let state = self.state.lock();
        state.ended && state.framer.begun() > state.framer.ended()
    }

    /// What is waited for, and until when, as it stands at `now`.
    pub(crate) fn wait(&self, now: Instant) -> Wait {
        let (state, options) = (self.state.lock(), &self.options);
        let wait = |since: Instant, bound: proxy_core::Bound, kind| Wait { until: since + bound.get(), kind };
        if state.is_idle() {
            return wait(state.turn_began, options.keep_alive_timeout, Kind::Next);
        }
        let head = state.framer.is_in_head() && state.framer.begun() == state.answered + 1;
        let hears = state.hears.filter(|_| state.framer.is_in_body());
        let of_client = [
            head.then(|| wait(state.turn_began, options.request_head_timeout, Kind::Head)),
            hears.map(|since| wait(since, options.request_body_timeout, Kind::Body)),
            state.offers.map(|(since, _)| wait(since, options.write_stall_timeout, Kind::Taken)),
            options.request_timeout.map(|whole| wait(state.turn_began, whole, Kind::Whole)),
        ];
        let nearest = of_client.into_iter().flatten().min_by_key(|wait| wait.until);
        nearest.unwrap_or(Wait { until: now + options.longest_silence(), kind: Kind::Backend })
    }

    /// One last look at a client that has taken nothing in time: whether it has acknowledged some after all. Then it is waited for anew.
    pub(crate) fn took_after_all<S: Stream>(&self, client: &S, now: Instant) -> bool {
        let mut state = self.state.lock();
        let Some((_, owed)) = state.offers else { return true };
        let owes = client.unacknowledged();
        if owes < owed {
            state.offers = Some((now, owes));
        }
        owes < owed
    }
}

impl State {
    fn is_idle(&self) -> bool {
        self.framer.begun() == self.answered && self.offers.is_none()
    }
}

/// The same error once more, as far as it can be told.
pub(crate) fn again(error: &io::Error) -> io::Error {
    error
        .raw_os_error()
        .map_or_else(|| io::Error::new(error.kind(), error.to_string()), io::Error::from_raw_os_error)
}
