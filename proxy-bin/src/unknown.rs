//! A name that nothing has: what was probably meant, and what there is.

use std::borrow::Cow;
use std::fmt;

use proxy_values::spelling;

/// As many names as are listed: more nobody reads.
const LISTED: usize = 20;

/// Something that was asked for by a name that nothing has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    what: &'static str,
    name: String,
    near: Option<String>,
    listed: String,
}

impl Unknown {
    /// There is no `what` of this name; `known` are the names that there are, in any order.
    #[must_use]
    pub fn new<'n>(
        what: &'static str,
        name: &str,
        known: impl IntoIterator<Item = impl Into<Cow<'n, str>>>,
    ) -> Self {
        let known: Vec<Cow<'_, str>> = known.into_iter().map(Into::into).collect();
        let mut known: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
        known.sort_unstable();
        known.dedup();
        let near = of_the_same_port(name, &known).or_else(|| spelling::nearest(name, &known));
        Self { what, name: name.to_owned(), near: near.map(str::to_owned), listed: listed(&known) }
    }
}

impl std::error::Error for Unknown {}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, name, near, listed } = self;
        write!(f, "there is no {what} {name:?}; ")?;
        match near {
            Some(near) => write!(f, "did you mean {near:?}? There {listed}"),
            None => write!(f, "there {listed}"),
        }
    }
}

/// The first of these names, which are sorted.
pub(crate) fn listed(known: &[&str]) -> String {
    let first: Vec<_> = known.iter().take(LISTED).copied().collect();
    match known.len().saturating_sub(first.len()) {
        0 if first.is_empty() => "are none".to_owned(),
        0 => format!("are: {}", first.join(", ")),
        more => format!("are: {}, and {more} more", first.join(", ")),
    }
}

/// The one address among `known` with the port of `name`: `*:443` for `10.0.0.1:443`, `:443` or `443`.
fn of_the_same_port<'n>(name: &str, known: &[&'n str]) -> Option<&'n str> {
    let (_, port) = name.rsplit_once(':').unwrap_or(("", name));
    let _: u16 = port.parse().ok()?;
    let mut of_port = known.iter().filter(|known| known.rsplit_once(':').is_some_and(|(_, p)| p == port));
    let one = of_port.next()?;
    of_port.next().is_none().then_some(one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, known: &[&str]) -> String {
        Unknown::new("route", name, known.iter().copied()).to_string()
    }

    #[test]
    fn what_was_probably_meant_comes_before_what_there_is() {
        assert_eq!(
            told("wep", &["web", "shop", "web"]),
            "there is no route \"wep\"; did you mean \"web\"? There are: shop, web"
        );
        assert_eq!(told("nosuch", &["web", "shop"]), "there is no route \"nosuch\"; there are: shop, web");
        assert_eq!(told("\u{1b}[2J\n", &[]), "there is no route \"\\u{1b}[2J\\n\"; there are none");
        assert_eq!(told("nosuch", &[]), "there is no route \"nosuch\"; there are none");
        let many: Vec<_> = (100..150).map(|n| format!("r{n}")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert!(told("nosuch", &many).ends_with("r118, r119, and 30 more"), "{}", told("nosuch", &many));
    }

    #[test]
    fn an_address_is_known_by_its_port_or_by_how_it_begins() {
        let known = ["*:443", "10.0.0.1:80", "10.0.0.2:80"];
        for (name, near) in [
            ("10.0.0.1:443", Some("*:443")),
            (":443", Some("*:443")),
            ("443", Some("*:443")),
            ("[::1]:443", Some("*:443")),
            ("10.0.0.2", Some("10.0.0.2:80")),
            ("192.168.7.7:80", None),
            ("192.168.7.7:81", None),
        ] {
            assert_eq!(Unknown::new("listener", name, known).near.as_deref(), near, "{name}");
        }
    }
}
