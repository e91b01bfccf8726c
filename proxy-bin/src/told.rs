//! An error in words, with what it comes from, none of it twice.

use std::error::Error;

/// What listens on an address that no interface has.
pub const NO_SUCH_BIND: &str =
    "no interface of this machine has this address: change `bind` in [[listeners]]";
/// The same of the admin API.
pub const NO_SUCH_LISTEN: &str = "no interface of this machine has this address: change [admin] listen";

/// What an error says, then what each error says that it comes from, joined by colons. An error that says its source's text
/// itself (most of ours do, so that they are whole where they are logged) does not have it said again.
#[must_use]
pub fn told(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut from = error.source();
    while let Some(error) = from {
        let more = error.to_string();
        // It may be followed by advice.
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        from = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[derive(Debug, thiserror::Error)]
    enum Example {
        #[error("cannot listen: {0}")]
        Whole(io::Error),
        #[error("cannot listen: {0}\n  choose another port")]
        Advised(#[source] io::Error),
        #[error("cannot listen")]
        Bare(#[source] io::Error),
    }

    fn taken() -> io::Error {
        io::Error::from_raw_os_error(98)
    }

    #[test]
    fn nothing_is_said_twice_and_nothing_is_left_out() {
        let said = [Example::Whole(taken()), Example::Advised(taken()), Example::Bare(taken())]
            .map(|one| told(&one));
        let text = "cannot listen: Address already in use (os error 98)";
        assert_eq!(said, [text.to_owned(), format!("{text}\n  choose another port"), text.to_owned()]);
        let outer = anyhow::Error::from(Example::Whole(taken())).context("it does not start");
        assert_eq!(told(outer.as_ref()), format!("it does not start: {text}"));
    }
}
