//! What happens to a connection that meets a limit.

use proxy_conn::QueueLimits;

/// What happens to a connection that meets the limit of its pool, its listener or its route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema), schemars(rename_all = "snake_case"))]
pub enum AtLimit {
    /// It is reset (RST): the client knows at once, and nothing of it stays here.
    #[default]
    Reject,
    /// It is ended in order (FIN), as if there were nothing to say.
    Close,
    /// It waits until another one ends; those that wait longest are first. It counts as a connection meanwhile.
    Queue(#[cfg_attr(feature = "schemars", schemars(with = "form::QueueForm"))] QueueLimits),
}

/// The written form.
#[cfg(feature = "serde")]
pub(super) mod form {
    use proxy_conn::QueueLimits;
    use proxy_values::choice::{self, Choice};
    use proxy_values::{Bound, Whole};
    use serde::{Deserialize, Deserializer};

    use super::AtLimit;

    /// How many connections may wait, and for how long. Both have to be set; those that may not wait are reset.
    #[derive(Debug, Clone, Copy)]
    #[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(deny_unknown_fields))]
    #[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
    pub struct QueueForm {
        /// How many may wait at one time; from 1 to 1048576.
        most_waiting: Whole<1, { 1 << 20 }>,
        /// How long one may wait.
        longest_wait: Bound,
    }

    impl Choice for AtLimit {
        type Body = QueueForm;
        const BODY: &'static str = "a table";
        const EXPECTED: &'static str =
            "\"reject\", \"close\" or { queue = { most_waiting = 100, longest_wait = \"5s\" } }";
        const WORDS: &'static [&'static str] = &["reject", "close"];
        const KEYS: &'static [&'static str] = &["queue"];

        fn word(word: &str) -> Option<Self> {
            match word {
                "reject" => Some(Self::Reject),
                "close" => Some(Self::Close),
                _ => None,
            }
        }

        fn table(key: &str, QueueForm { most_waiting, longest_wait }: QueueForm) -> Option<Self> {
            let most_waiting = most_waiting.get() as usize;
            (key == "queue").then_some(Self::Queue(QueueLimits::new(most_waiting, longest_wait)))
        }
    }

    impl<'de> Deserialize<'de> for AtLimit {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            choice::read(deserializer)
        }
    }
}
