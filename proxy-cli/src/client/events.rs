//! Server-sent events, as they come.

use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use serde::de::DeserializeOwned;

use super::ClientError;
use super::link::Link;
use crate::place::Place;

/// The most bytes of one event.
const LARGEST: usize = 16 << 20;

/// A stream of events. Dropped, its connection is closed.
pub struct Events {
    place: Place,
    link: Link,
    body: Incoming,
    parser: Parser,
}

impl Events {
    pub(super) fn new(place: Place, link: Link, body: Incoming) -> Self {
        Self { place, link, body, parser: Parser::default() }
    }

    /// The data of the next event that is called `name`; None once the proxy has ended the stream. Cancel-safe.
    ///
    /// # Errors
    /// [`ClientError`]: the connection broke, or the event is none of this API.
    pub async fn next<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, ClientError> {
        loop {
            while let Some(event) = self.parser.next() {
                if event.name == name {
                    return serde_json::from_str(&event.data)
                        .map(Some)
                        .map_err(|error| self.nonsense(&error));
                }
            }
            if self.parser.waiting.len() > LARGEST {
                return Err(self.nonsense(&"an event of over 16 MiB"));
            }
            match self.link.during(self.body.frame()).await {
                None => return Ok(None),
                Some(Ok(frame)) => self.parser.take(&frame.into_data().unwrap_or_default()),
                Some(Err(error)) => {
                    return Err(ClientError::Broken { place: self.place.clone(), why: error.to_string() });
                }
            }
        }
    }

    fn nonsense(&self, why: &dyn std::fmt::Display) -> ClientError {
        ClientError::Nonsense { place: self.place.clone(), path: String::new(), why: why.to_string() }
    }
}

/// Takes the text of a stream apart.
#[derive(Debug, Default)]
struct Parser {
    /// What came after the last whole line.
    waiting: Vec<u8>,
    event: Event,
}

/// One event.
#[derive(Debug, Default, PartialEq, Eq)]
struct Event {
    name: String,
    data: String,
}

impl Parser {
    fn take(&mut self, bytes: &Bytes) {
        self.waiting.extend_from_slice(bytes);
    }

    /// The next event that is there as a whole.
    fn next(&mut self) -> Option<Event> {
        let mut used = 0;
        let mut whole = None;
        while let Some(length) = self.waiting.iter().skip(used).position(|&byte| byte == b'\n') {
            let line = self.waiting.get(used..used + length).unwrap_or_default();
            let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned();
            used += length + 1;
            whole = self.line(&line);
            if whole.is_some() {
                break;
            }
        }
        self.waiting.drain(..used);
        whole
    }

    /// One line; an empty one ends the event, and one that begins with a colon only keeps the connection alive.
    fn line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            return Some(std::mem::take(&mut self.event)).filter(|event| !event.data.is_empty());
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "data" => {
                if !self.event.data.is_empty() {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str =
        ": hello\n\nevent: sample\ndata: {\"a\":1}\n\nevent: other\r\ndata: x\r\ndata: y\r\nid: 7\r\n\r\n";

    fn parse(pieces: impl Iterator<Item = Vec<u8>>) -> Vec<(String, String)> {
        let mut parser = Parser::default();
        let mut events = Vec::new();
        for piece in pieces {
            parser.take(&Bytes::from(piece));
            events.extend(std::iter::from_fn(|| parser.next()).map(|event| (event.name, event.data)));
        }
        events
    }

    #[test]
    fn events_are_the_same_however_the_stream_is_cut() {
        let expected =
            [("sample".to_owned(), "{\"a\":1}".to_owned()), ("other".to_owned(), "x\ny".to_owned())];
        for size in 1..=STREAM.len() {
            assert_eq!(
                parse(STREAM.as_bytes().chunks(size).map(<[u8]>::to_vec)),
                expected,
                "in pieces of {size}"
            );
        }
    }

    #[test]
    fn an_event_that_is_not_whole_is_not_told() {
        assert_eq!(parse([b"event: sample\ndata: {}\n".to_vec()].into_iter()), []);
    }
}
