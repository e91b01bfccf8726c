//! Backends of web services: connections that live through many requests, or for long.

use super::Backend;
use crate::wire::Wire;

/// Where a request of HTTP, or the head of one, ends.
const EMPTY_LINE: &[u8] = b"\r\n\r\n";

/// What a WebSocket-like service says when it takes a connection over from HTTP.
pub const UPGRADED: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n";

/// What it is told, and says, at the end.
pub const GOODBYE: &str = "close\n";

impl Backend {
    /// HTTP with keep-alive: answers every request (a head without a body) with `text`, and leaves it to its client to end.
    #[must_use]
    pub fn keeps_alive(text: &str) -> Self {
        let answer = keep_alive_answer(text);
        Self::serving(move |wire| answer_each(wire, answer.clone()))
    }

    /// WebSocket-like: takes a request to upgrade, then gives every line back, and ends with its client's `close`.
    #[must_use]
    pub fn chats() -> Self {
        Self::serving(chat)
    }
}

/// What [`Backend::keeps_alive`] answers each time.
#[must_use]
pub fn keep_alive_answer(text: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len())
}

async fn answer_each(mut wire: Wire, answer: String) {
    let mut answered = 0;
    loop {
        let asked = count(&wire.received().bytes, EMPTY_LINE);
        if asked > answered {
            answered += 1;
            // Its client may have gone, which is what some scenarios are about.
            wire.try_send(&answer).await.unwrap_or_default();
        } else if wire.read_some().await.is_empty() {
            return wire.half_close().await;
        }
    }
}

async fn chat(mut wire: Wire) {
    wire.read_until(|bytes| bytes.ends_with(EMPTY_LINE)).await;
    wire.try_send(UPGRADED).await.unwrap_or_default();
    while !wire.received().bytes.ends_with(GOODBYE.as_bytes()) {
        let line = wire.read_some().await;
        if line.is_empty() || wire.try_send(line).await.is_err() {
            break;
        }
    }
    wire.half_close().await;
}

fn count(bytes: &[u8], what: &[u8]) -> usize {
    bytes.windows(what.len()).filter(|window| *window == what).count()
}
