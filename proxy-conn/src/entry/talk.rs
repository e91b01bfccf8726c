//! Who has spoken, in the order of first words: whether the backend has ever answered.
//!
//! ```text
//!            client                  backend
//!  Silent ──────────► Unanswered ──────────► Answered
//!     │                   ▲
//!     └──────► Greeted ───┘
//!      backend       client
//! ```
//! What a server says first is a greeting, and answers nothing. Words count from the relay on: a PROXY header is none.

use std::sync::atomic::{AtomicU8, Ordering};

use proxy_core::relay::Side;

use crate::opening::Role;

/// Which sides have sent something, and in which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Talk {
    /// Neither side has sent anything.
    Silent,
    /// The backend has, and the client has not yet.
    Greeted,
    /// The client has, and the backend has said nothing since.
    Unanswered,
    /// The backend has said something after the client's first words.
    Answered,
}

/// The bits that say who has spoken, and the one that says whether the last bytes were the client's.
const TALK: u8 = 0b011;
const CLIENTS: u8 = 0b100;
/// Beside them, what else is known in a few bits: whether it may be silent for ever, and its role.
const IMMORTAL: u8 = 0b1000;
const ROLE_BITS: u32 = 4;

/// Where it is told how far it is. Only the connection's own task changes it.
#[derive(Debug)]
pub(super) struct Spoken(AtomicU8);

impl Spoken {
    pub(super) const fn nothing(role: Role) -> Self {
        Self(AtomicU8::new(Talk::Silent as u8 | (role as u8) << ROLE_BITS))
    }

    pub(super) fn role(&self) -> Role {
        let role = self.0.load(Ordering::Relaxed) >> ROLE_BITS;
        Role::ALL.get(usize::from(role)).copied().unwrap_or_default()
    }

    pub(super) fn is_immortal(&self) -> bool {
        self.0.load(Ordering::Relaxed) & IMMORTAL != 0
    }

    pub(super) fn set_immortal(&self, immortal: bool) {
        let rest = self.0.load(Ordering::Relaxed) & !IMMORTAL;
        self.0.store(rest | if immortal { IMMORTAL } else { 0 }, Ordering::Relaxed);
    }

    pub(super) fn talk(&self) -> Talk {
        match self.0.load(Ordering::Relaxed) & TALK {
            0 => Talk::Silent,
            1 => Talk::Greeted,
            2 => Talk::Unanswered,
            _ => Talk::Answered,
        }
    }

    /// Notes whose the last bytes are; whether what is said may still change who has spoken.
    pub(super) fn last_word(&self, is_clients: bool) -> bool {
        let before = self.0.load(Ordering::Relaxed);
        let now = before & !CLIENTS | if is_clients { CLIENTS } else { 0 };
        if now != before {
            self.0.store(now, Ordering::Relaxed);
        }
        now & TALK != Talk::Answered as u8
    }

    /// Whether the last bytes were the client's.
    pub(super) fn last_is_clients(&self) -> bool {
        self.0.load(Ordering::Relaxed) & CLIENTS != 0
    }

    /// Whether nothing that is said changes it any more.
    #[cfg(test)]
    fn is_over(&self) -> bool {
        self.talk() == Talk::Answered
    }

    /// Somebody has said something.
    pub(super) fn hear(&self, from: Side) {
        let next = match (self.talk(), from) {
            (Talk::Silent, Side::Backend) => Talk::Greeted,
            (Talk::Silent | Talk::Greeted, Side::Client) => Talk::Unanswered,
            (Talk::Unanswered, Side::Backend) => Talk::Answered,
            (same, _) => same,
        };
        self.0.store(self.0.load(Ordering::Relaxed) & !TALK | next as u8, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_answers_nothing() {
        let after = |said: &str| {
            let spoken = Spoken::nothing(Role::Pooled);
            spoken.set_immortal(true);
            said.chars().for_each(|c| spoken.hear(if c == 'c' { Side::Client } else { Side::Backend }));
            assert_eq!(spoken.is_over(), spoken.talk() == Talk::Answered);
            assert!(spoken.is_immortal() && spoken.role() == Role::Pooled);
            spoken.talk()
        };
        assert_eq!(after(""), Talk::Silent);
        assert_eq!([after("b"), after("bbb")], [Talk::Greeted; 2]);
        assert_eq!([after("c"), after("cc"), after("bc"), after("bbcc")], [Talk::Unanswered; 4]);
        assert_eq!([after("cb"), after("bcb"), after("ccbbc")], [Talk::Answered; 3]);
    }
}
