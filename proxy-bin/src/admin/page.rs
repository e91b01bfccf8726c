//! The dashboard: one page that asks nobody but this server for anything.
//!
//! It is put together here from its parts, which are in the program. There is no build step: what the browser runs is
//! what is in `page/`. The page itself holds no figures; it follows `/v1/events` and asks the API like any other client.

use std::io;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use proxy_conn::Phase;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::admin::problem::Problem;

const FRAME: &str = include_str!("page/index.html");

const STYLES: [&str; 2] = [include_str!("page/uplot/uplot.css"), include_str!("page/page.css")];

/// In the order in which they build upon each other. All but the first share one scope.
const SCRIPTS: [&str; 12] = [
    include_str!("page/format.js"),
    include_str!("page/history.js"),
    include_str!("page/stream.js"),
    include_str!("page/findings.js"),
    include_str!("page/charts.js"),
    include_str!("page/tables.js"),
    include_str!("page/filter.js"),
    include_str!("page/routes.js"),
    include_str!("page/dialogs.js"),
    include_str!("page/connections.js"),
    include_str!("page/chain.js"),
    include_str!("page/page.js"),
];

/// uPlot (MIT): it defines one global, and stays outside the page's own scope.
const UPLOT: &str = concat!(include_str!("page/uplot/uplot.js"), "\n");

/// The page, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Page {
    /// The document: `text/html; charset=utf-8`. It is not to be cached, since each goes with its own policy.
    html: String,
    /// What it may do, for the header `content-security-policy`: run its own script and style, ask its own server.
    policy: String,
}

impl Page {
    /// The page, with a nonce that nobody can guess.
    fn new() -> io::Result<Self> {
        let mut random = [0; 16];
        // INVARIANT: as many as this (up to 256) come all at once, or not at all (getrandom(2)).
        getrandom(&mut random, GetRandomFlags::empty())?;
        Ok(Self::with_nonce(&format!("{:032x}", u128::from_ne_bytes(random))))
    }

    fn with_nonce(nonce: &str) -> Self {
        // The script goes in last, so that nothing in it is taken for a mark.
        let html = FRAME
            .replace("{nonce}", nonce)
            .replace("{style}", &STYLES.concat())
            .replace("{script}", &format!("{UPLOT}{{\n\"use strict\";\n{}{}}}", phases(), SCRIPTS.concat()));
        Self { html, policy: policy(nonce) }
    }
}

/// The phases of a connection, in order.
fn phases() -> String {
    format!("const PHASES = {:?};\n", Phase::ALL.map(Phase::name))
}

/// `GET /`.
pub(super) async fn dashboard() -> Result<Response, Problem> {
    let page = Page::new()
        .map_err(|error| Problem::unavailable(format!("the kernel has no random numbers: {error}")))?;
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    Ok((headers, [(header::CONTENT_SECURITY_POLICY, page.policy)], page.html).into_response())
}

/// Nothing but what the page needs. Strings cannot become markup: what clients send (a server name) is shown as text.
fn policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_whole_and_asks_nobody_else() {
        let Page { html, policy } = Page::new().expect("the kernel has random numbers");
        let nonce = policy
            .split_once("'nonce-")
            .and_then(|(_, rest)| rest.split_once('\''))
            .expect("it has a nonce")
            .0;
        assert_eq!(nonce.len(), 32);
        assert_eq!(html.matches(&format!("nonce=\"{nonce}\"")).count(), 2, "the style and the script");
        for mark in ["{nonce}", "{style}", "{script}"] {
            assert!(FRAME.contains(mark) && !html.contains(mark), "{mark}");
        }
        assert_eq!(html.matches("</script>").count(), 1, "no part ends the script early");
        assert_eq!(html.matches("</style>").count(), 1, "no part ends the style early");
        let elsewhere =
            |part: &str| part.contains("src=") || part.contains("url(") || part.contains("@import");
        assert!(!elsewhere(FRAME) && !STYLES.into_iter().any(elsewhere), "everything is in the page");
        assert!(
            !FRAME.contains(" style=") && !FRAME.contains(" onclick="),
            "its policy lets nothing inline run"
        );
    }

    #[test]
    fn no_two_pages_have_the_same_nonce() {
        let [one, other] = [(); 2].map(|()| Page::new().expect("the kernel has random numbers"));
        assert_ne!(one.policy, other.policy);
    }
}
