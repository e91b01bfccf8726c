//! A client of the admin API: HTTP/1.1 over the proxy's own dialler, one connection a request.
//!
//! It keeps no connection and spawns nothing: a request's future drives its own connection, and dropping it closes it.

mod error;
mod events;
mod link;

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request, Response};
use proxy_core::Bound;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use error::ClientError;
pub use events::Events;
use link::Link;

use super::place::Place;

/// How long connecting may take. A socket answers at once; this is for an address behind a tunnel.
const CONNECT: Bound = Bound::secs(5);

/// How long an answer may take, unless somebody asks for what takes longer. The slowest is an audit, which looks several
/// times.
const ANSWER: Duration = Duration::from_secs(15);

/// The most bytes of an answer: ten thousand connections are about six million.
const LARGEST_ANSWER: usize = 64 << 20;

const JSON: &str = "application/json";
const TOML: &str = "application/toml";
const EVENTS: &str = "text/event-stream";

/// A client of one proxy's admin API.
#[derive(Debug, Clone)]
pub struct Client {
    place: Place,
    token: Option<String>,
    patience: Duration,
}

impl Client {
    /// A client of the API at `place`, which shows `token` where there is one.
    #[must_use]
    pub fn new(place: Place, token: Option<String>) -> Self {
        Self { place, token, patience: ANSWER }
    }

    /// This client, which waits so long for an answer.
    #[must_use]
    pub fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Whom it talks to.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What is at `path`. Cancel-safe: dropped, nothing is left open.
    ///
    /// # Errors
    /// [`ClientError`]: nobody answers, or the answer is a refusal.
    pub async fn fetch<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.call(Method::GET, path, JSON, Bytes::new()).await
    }

    /// Asks for something to be done, with nothing more to say. Dropped half-way, it may have been done.
    ///
    /// # Errors
    /// [`ClientError`]: nobody answers, or the answer is a refusal.
    pub async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str) -> Result<T, ClientError> {
        self.call(method, path, JSON, Bytes::new()).await
    }

    /// Asks for `what` to be done. Dropped half-way, it may have been done.
    ///
    /// # Errors
    /// [`ClientError`]: nobody answers, or the answer is a refusal.
    pub async fn ask_for<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        what: &B,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(what).map_err(|error| self.nonsense(path, &error))?;
        self.call(method, path, JSON, body.into()).await
    }

    /// Asks about the text of a configuration.
    ///
    /// # Errors
    /// [`ClientError`]: nobody answers, or the answer is a refusal.
    pub async fn ask_about<T: DeserializeOwned>(&self, path: &str, text: String) -> Result<T, ClientError> {
        self.call(Method::POST, path, TOML, text.into()).await
    }

    /// The events at `path`, as they come.
    ///
    /// # Errors
    /// [`ClientError`]: nobody answers, or the answer is a refusal.
    pub async fn events(&self, path: &str) -> Result<Events, ClientError> {
        let request = self.request(Method::GET, path).header(ACCEPT, EVENTS).body(Full::default());
        let request = request.map_err(|error| self.nonsense(path, &error))?;
        let (mut link, answer) = self.exchange(request).await?;
        if answer.status().is_success() {
            return Ok(Events::new(self.place.clone(), link, answer.into_body()));
        }
        let (status, body) = (answer.status(), self.whole(&mut link, answer.into_body()).await?);
        Err(ClientError::refusal(&self.place, status, &body))
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        kind: &'static str,
        body: Bytes,
    ) -> Result<T, ClientError> {
        let mut request = self.request(method.clone(), path).header(ACCEPT, JSON).header(CONNECTION, "close");
        if method != Method::GET {
            // Also without a body: a web page elsewhere cannot send this type without asking first.
            request = request.header(CONTENT_TYPE, kind);
        }
        let request = request.body(Full::new(body)).map_err(|error| self.nonsense(path, &error))?;
        let (mut link, answer) = self.exchange(request).await?;
        let (status, body) = (answer.status(), self.whole(&mut link, answer.into_body()).await?);
        if !status.is_success() {
            return Err(ClientError::refusal(&self.place, status, &body));
        }
        serde_json::from_slice(&body)
            .map_err(|error| ClientError::not_understood(&self.place, path, &body, &error))
    }

    fn request(&self, method: Method, path: &str) -> hyper::http::request::Builder {
        let host = match &self.place {
            Place::Unix(_) => "localhost".to_owned(),
            Place::Http(target) => target.to_string(),
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, host)
            .header(USER_AGENT, concat!("smartproxy/", env!("CARGO_PKG_VERSION")));
        match &self.token {
            Some(token) => request.header(AUTHORIZATION, format!("Bearer {token}")),
            None => request,
        }
    }

    /// Sends a request on a connection of its own, until the answer begins.
    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(Link, Response<Incoming>), ClientError> {
        let (mut sender, mut link) = Link::open(&self.place, CONNECT).await?;
        let answer = link.during(sender.send_request(request));
        let answer = tokio::time::timeout(self.patience, answer).await.map_err(|_| self.late())?;
        Ok((link, answer.map_err(|error| ClientError::broken(&self.place, &error))?))
    }

    async fn whole(&self, link: &mut Link, body: Incoming) -> Result<Bytes, ClientError> {
        let body = link.during(Limited::new(body, LARGEST_ANSWER).collect());
        let body = tokio::time::timeout(self.patience, body).await.map_err(|_| self.late())?;
        Ok(body.map_err(|error| self.broken(&*error))?.to_bytes())
    }

    fn late(&self) -> ClientError {
        ClientError::Late { place: self.place.clone(), after: self.patience }
    }

    fn broken(&self, error: &dyn std::error::Error) -> ClientError {
        ClientError::Broken { place: self.place.clone(), why: error.to_string() }
    }

    fn nonsense(&self, path: &str, error: &dyn std::error::Error) -> ClientError {
        ClientError::Nonsense { place: self.place.clone(), path: path.to_owned(), why: error.to_string() }
    }
}

#[cfg(test)]
mod tests;
