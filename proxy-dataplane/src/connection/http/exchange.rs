//! One request: which backend, how often it is tried, and what the client is told.
//!
//! ```text
//!  take one that is kept ─┬─► send ─┬─► an answer
//!  or make one ───────────┘    ▲    ├─ nothing of it was sent ──────────────► again, over another
//!                              │    ├─ it was kept, the method is idempotent,
//!                              │    │  and there is no body ────────────────► again, over another
//!                              └────┘└ else ─► 502, 503, 504
//! ```

use std::pin::pin;
use std::time::Duration;

use proxy_conn::Cause;
use proxy_core::{Dial, Stream};
use proxy_http::hyper::body::Incoming;
use proxy_http::hyper::header::{ACCEPT, HOST, HeaderMap, HeaderValue};
use proxy_http::hyper::http::request::Parts;
use proxy_http::hyper::{Method, Response, StatusCode};
use proxy_http::message::{Origin, backward, onward};
use proxy_http::{Answer, Asked, Clock, Fault, Lease, Told, Tunnel, Unsent, Upload, json_page, last, page};
use proxy_tls::MaybeTls;
use proxy_upstream::{Group, Key};
use tokio::time::{Instant, timeout, timeout_at};

use super::{Requests, rules};
use crate::settings::{RequestAction, RequestRule};

/// How often a request is sent at most: over connections that were kept and turned out to be over, and once more.
const TRIES: usize = 4;

/// How long the task of a connection takes to let go of one that has switched: it is about to.
const SWITCHED_WITHIN: Duration = Duration::from_secs(5);

/// What is sent of a request beside its head.
struct Sending {
    body: Upload,
    clock: Clock,
    nth: u64,
}

/// A request on its way, and what is done with it.
struct Way<'r> {
    /// What it is asked for.
    target: &'r str,
    host: &'r HeaderValue,
    /// Where it goes.
    group: &'r Group,
    rule: Option<&'r RequestRule>,
}

impl<C: Stream, D: Dial> Requests<'_, C, D> {
    /// The answer to one request.
    pub(super) async fn answer(&self, asked: Asked) -> Told<Tunnel<MaybeTls<D::Stream>>> {
        if asked.request.method() == Method::CONNECT {
            return last(page(405, "This proxy makes no tunnels: CONNECT is for forward proxies.")).into();
        }
        let wants_json = wants_json(asked.request.headers());
        let mut told = match self.dealt_with(asked).await {
            Ok(told) => told,
            Err(fault) => {
                let sentence = format!("{fault}.");
                let page = if wants_json { json_page } else { page };
                Told::from(page(fault.status(), &sentence))
            }
        };
        if self.proxy.force.has_ended() && told.tunnel.is_none() {
            told.response = last(told.response);
        }
        told
    }

    /// Does what the rules say.
    async fn dealt_with(&self, asked: Asked) -> Result<Told<Tunnel<MaybeTls<D::Stream>>>, Fault> {
        let (clock, nth) = (asked.clock(), asked.nth);
        let (parts, body) = asked.request.into_parts();
        let sending = Sending { body, clock, nth };
        let (host, target) = asked_for(&parts)?;
        let taken = rules::taken(self.http, &parts, &host)
            .map_err(|error| Fault::new(Cause::RequestMalformed, error.to_string()))?;
        let own = &*self.state.targets;
        let Some((at, rule)) = taken else {
            let way = Way { target, host: &host, group: own, rule: None };
            return self.forwarded(&parts, sending, &way).await;
        };
        let group = match &rule.action {
            RequestAction::Deny => return Ok(page(403, "This is not to be had here.").into()),
            RequestAction::Answer(answer) => return Ok(rules::fixed(answer).into()),
            RequestAction::Redirect(redirect) => {
                let redirect = (at, redirect);
                return Ok(rules::redirected(self.http, redirect, target, &host, self.is_secure).into());
            }
            RequestAction::Forward => own,
            // A name that the configuration has, which is checked when it is read.
            RequestAction::Group(name) => self.proxy.group(name).map_or(own, |group| group),
        };
        let host = rule.rewrite.host.as_ref().unwrap_or(&host);
        let target = rules::rewritten(self.http, at, rule.rewrite.path.as_ref(), target);
        let way = Way { target: &target, host, group, rule: Some(rule) };
        self.forwarded(&parts, sending, &way).await
    }

    /// Takes it to a backend.
    async fn forwarded(
        &self,
        parts: &Parts,
        sending: Sending,
        way: &Way<'_>,
    ) -> Result<Told<Tunnel<MaybeTls<D::Stream>>>, Fault> {
        let (lease, response) = self.sent(parts, sending, way).await?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let tunnel = timeout(SWITCHED_WITHIN, lease.switched()).await.ok().flatten();
            let tunnel = tunnel.ok_or_else(|| {
                Fault::new(
                    Cause::BackendMalformed,
                    "it switched to another protocol, which it was not asked to",
                )
            })?;
            let response = backward(response.map(|_| Answer::none()), &self.http.via);
            return Ok(Told { response, tunnel: Some(tunnel) });
        }
        let patience = self.options.response_body_timeout.get();
        let response = response.map(|body| Answer::of_backend(body, lease, patience));
        let mut response = backward(response, &self.http.via);
        self.http.response_fields.apply(response.headers_mut());
        way.rule.iter().for_each(|rule| rule.response_fields.apply(response.headers_mut()));
        Ok(response.into())
    }

    /// Sends a request until there is an answer, as often as it may be sent.
    async fn sent(
        &self,
        parts: &Parts,
        sending: Sending,
        way: &Way<'_>,
    ) -> Result<(Lease, Response<Incoming>), Fault> {
        let Sending { body, clock, nth } = sending;
        let bodiless = body.has_no_byte();
        let may_repeat = bodiless && parts.method.is_idempotent();
        let id = format!("{}.{nth}", self.conn.id());
        let origin = Origin {
            client: self.origin.client.map(proxy_core::ClientAddr::ip),
            local: self.origin.destination.or_else(|| self.client.local_addr()),
            is_secure: self.is_secure,
            is_trusted: self.origin.chained || self.http.trust_forwarded,
            request_id: &id,
            via: &self.http.via,
        };
        let mut body = Some(body);
        let mut failure = Fault::new(Cause::TargetsDown, "no backend could be tried");
        for _ in 0..TRIES {
            let mut lease = self.lease(way, may_repeat).await?;
            let Some(upload) = body.take().or_else(|| bodiless.then(Upload::none)) else { break };
            let request = onward(parts, way.target, way.host, &origin, upload);
            let mut request = request.map_err(|error| {
                Fault::new(Cause::RequestMalformed, format!("its target is none: {error}"))
            })?;
            self.http.request_fields.apply(request.headers_mut());
            way.rule.iter().for_each(|rule| rule.request_fields.apply(request.headers_mut()));
            let kept = lease.is_reused();
            match self.within(&clock, lease.send(request)).await? {
                Ok(response) => return Ok((lease, response)),
                Err(Unsent { fault, request: Some(request) }) => {
                    body = Some(request.into_body());
                    failure = fault;
                }
                Err(Unsent { fault, request: None }) if kept && may_repeat => failure = fault,
                Err(Unsent { fault, .. }) => return Err(fault),
            }
        }
        Err(failure)
    }

    /// A connection for it: one that is kept, or a new one.
    async fn lease(&self, way: &Way<'_>, may_repeat: bool) -> Result<Lease, Fault> {
        let name = self.hello.as_ref().and_then(|hello| hello.server_name.as_deref());
        let name = name.or_else(|| way.host.to_str().ok());
        let key = Key::new(self.origin.client.map(proxy_core::ClientAddr::ip), name);
        let candidates = way.group.candidates_for(self.port, &key);
        let worker = self.conn.worker().unwrap_or_default();
        if let Some(place) = candidates.name(0).map(|target| self.place(way.group, target)) {
            while let Some(lease) = self.proxy.upstreams.take(worker, &place) {
                if !may_repeat {
                    // Its end may have arrived, and its task not have had its turn.
                    tokio::task::yield_now().await;
                }
                if !lease.is_gone() {
                    return Ok(lease);
                }
            }
        }
        Box::pin(self.reach(way.group, candidates, worker)).await
    }

    /// What comes of sending, for as long as the answer is waited for: from when the client last sent some of its request.
    async fn within<T>(&self, heard: &Clock, sending: impl Future<Output = T>) -> Result<T, Fault> {
        let bound = self.options.response_head_timeout;
        let mut sending = pin!(sending);
        let mut since = Instant::now();
        loop {
            if let Ok(sent) = timeout_at(since + bound.get(), sending.as_mut()).await {
                return Ok(sent);
            }
            let last = heard.last();
            if last <= since {
                let detail = format!("no answer within response_head_timeout {bound}");
                return Err(Fault::new(Cause::BackendTimeout, detail));
            }
            since = last;
        }
    }
}

/// The host and the path that a request is for.
fn asked_for(parts: &Parts) -> Result<(HeaderValue, &str), Fault> {
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    if let Some(host) = parts.headers.get(HOST) {
        return Ok((host.clone(), target));
    }
    let host = HeaderValue::from_str(parts.uri.authority().map_or("", |authority| authority.as_str()));
    let host = host.map_err(|error| Fault::new(Cause::RequestMalformed, format!("its host: {error}")))?;
    Ok((host, target))
}

/// Whether its client is a program that reads JSON.
fn wants_json(fields: &HeaderMap) -> bool {
    fields
        .get_all(ACCEPT)
        .iter()
        .any(|kinds| kinds.to_str().is_ok_and(|kinds| kinds.contains("application/json")))
}
