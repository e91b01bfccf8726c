//! The conversation of each kind of check.

use super::asking::Asking;
use super::exchange::Exchange;
use super::http::Http;
use super::lines::{Redis, Smtp, Ssh, Text};
use super::mariadb::Mariadb;
use super::options::{CheckKind, CheckOptions};
use super::postgres::Postgres;
#[cfg(feature = "tls")]
use super::tls::Tls;

/// The conversation of a check of that kind; None where a connection is all that is asked for.
#[must_use]
pub fn exchange(kind: &CheckKind) -> Option<Box<dyn Exchange>> {
    Some(match kind {
        CheckKind::Connect => return None,
        CheckKind::Redis => Box::new(Redis),
        CheckKind::Postgres => Box::new(Postgres),
        CheckKind::Mariadb(user) => Box::new(Mariadb::new(user)),
        CheckKind::Smtp => Box::new(Smtp::default()),
        CheckKind::Ssh => Box::new(Ssh),
        #[cfg(feature = "tls")]
        CheckKind::Tls(name) => Box::new(Tls::new(name.as_deref())),
        CheckKind::Http(http) => Box::new(Http::new(http)),
        #[cfg(feature = "tls")]
        CheckKind::Https(name, http) => Box::new(Tls::with(name.as_deref(), Box::new(Http::new(http)))),
        CheckKind::Text { send, expect } => Box::new(Text::new(send, expect)),
        CheckKind::Smartproxy(name) => Box::new(Asking::new(name.as_deref())),
    })
}

/// The conversation of a check, and the header that goes before it; no conversation where a connection is all that is asked for.
#[must_use]
pub fn conversation(options: &CheckOptions) -> (Option<Box<dyn Exchange>>, Vec<u8>) {
    let (exchange, header) = (exchange(&options.kind), options.header.bytes());
    #[cfg(feature = "tls")]
    if let Some(inside) = &options.inside {
        let within = |exchange| -> Box<dyn Exchange> { Box::new(Tls::inside(inside, header, exchange)) };
        return (exchange.map(within), Vec::new());
    }
    (exchange, header)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::health::Finding;
    use crate::health::exchange::Then;

    /// Has the whole conversation with a server that says `said`, one byte at a time, the most that any network cuts.
    pub(in crate::health) fn talk(kind: &CheckKind, said: &[u8]) -> (Vec<u8>, Result<bool, Finding>) {
        let mut exchange = exchange(kind).expect("it says something");
        let mut sent = exchange.begin().send;
        for end in 1..=said.len() {
            match exchange.hear(&said[..end]) {
                Ok(step) => {
                    sent.extend(step.send);
                    if step.then == Then::Well {
                        return (sent, Ok(true));
                    }
                }
                Err(finding) => return (sent, Err(finding)),
            }
        }
        (sent, Ok(false))
    }

    #[test]
    fn a_connect_check_has_nothing_to_say() {
        assert!(exchange(&CheckKind::Connect).is_none());
    }

    proptest::proptest! {
        /// Whatever comes, there is a verdict or a wait, and it is the same however the bytes are cut.
        #[test]
        fn no_answer_is_too_strange(said in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let text = CheckKind::Text { send: "a".into(), expect: "b".into() };
            for kind in [
                CheckKind::Redis, CheckKind::Postgres, CheckKind::Mariadb("u".into()), CheckKind::Smtp, CheckKind::Ssh,
                CheckKind::Http(Default::default()), text, CheckKind::Smartproxy(None),
            ] {
                let (_, by_bytes) = talk(&kind, &said);
                let mut whole = exchange(&kind).expect("it says something");
                whole.begin();
                if !said.is_empty() && let Ok(false) = by_bytes {
                    let at_once = whole.hear(&said).map(|step| step.then == Then::Well);
                    proptest::prop_assert_ne!(at_once, Ok(true), "{}", kind.name());
                }
            }
        }
    }
}
