//! How long each wait of a conversation may take, how much it may be sent, and how long connections to backends are kept.

use std::time::Duration;

use proxy_core::Bound;

/// The deadlines and limits of one client's conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// For the first byte of the next request, where none is under way. Default 60s.
    pub keep_alive_timeout: Bound,
    /// For a whole head, from its first byte. Not re-armed by bytes. Default 15s.
    pub request_head_timeout: Bound,
    /// For the next bytes of a request's body, where they are waited for. Default 30s.
    pub request_body_timeout: Bound,
    /// For the head of the answer, from when the request was delivered, or as much of it as the backend takes. Default 60s.
    pub response_head_timeout: Bound,
    /// For the next bytes of an answer, where they are waited for. Default 60s.
    pub response_body_timeout: Bound,
    /// For a request and its answer as a whole; `None` for no such deadline. Default none.
    pub request_timeout: Option<Bound>,
    /// For a connection to a backend, where one has to be made; kept by the handler. Default 30s.
    pub connection_timeout: Bound,
    /// For a client that takes none of its answer. Default 5m.
    pub write_stall_timeout: Bound,
    /// The longest head of a request, request line and all, in bytes. Default 64 KiB.
    pub max_head: usize,
    /// The longest body of a request, in bytes; `None` for any length. Default none.
    pub max_body: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            keep_alive_timeout: Bound::secs(60),
            request_head_timeout: Bound::secs(15),
            request_body_timeout: Bound::secs(30),
            response_head_timeout: Bound::secs(60),
            response_body_timeout: Bound::secs(60),
            request_timeout: None,
            connection_timeout: Bound::secs(30),
            write_stall_timeout: Bound::secs(300),
            max_head: 64 << 10,
            max_body: None,
        }
    }
}

impl Options {
    /// The longest that nothing may move while a request is under way: longer than any of the deadlines of a conversation.
    pub(crate) fn longest_silence(&self) -> Duration {
        let waits = [
            self.request_body_timeout,
            self.response_head_timeout,
            self.response_body_timeout,
            self.write_stall_timeout,
        ];
        let longest = waits.map(Bound::get).into_iter().max().unwrap_or_default();
        longest.saturating_add(self.connection_timeout.get()).saturating_add(Duration::from_secs(5))
    }
}

/// How long connections to backends are kept for the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeepOptions {
    /// For the next request; zero where none is kept. Default 30s, less than what servers wait (nginx: 75s, Node.js: 5s,
    /// gunicorn: 2s; those that wait less end first, which is noticed before the next use).
    pub idle: Bound,
    /// From when it is made; spread by a tenth. It is retired from new use then, and closed when its request is done. Default 1h.
    pub lifetime: Bound,
    /// Requests; `None` for any number. Default none.
    pub requests: Option<u64>,
    /// How many may be idle to one target, for each worker. Default 256.
    pub most_idle: usize,
}

impl Default for KeepOptions {
    fn default() -> Self {
        Self { idle: Bound::secs(30), lifetime: Bound::secs(3600), requests: None, most_idle: 256 }
    }
}
