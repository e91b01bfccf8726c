//! Reading the table of connections, page by page.

use std::collections::HashSet;

use serde::Serialize;

use super::client::{Client, ClientError};
use proxy_api::model::{Connections, Filter, SortBy};

/// The most connections of one page.
const PAGE: u64 = 10_000;

/// Which connections to read, in which order.
#[derive(Debug, Clone, Default)]
pub(super) struct Ask {
    /// Which.
    pub(super) filter: Filter,
    /// In which order.
    pub(super) sort: SortBy,
    /// Whether the other way round.
    pub(super) reverse: bool,
}

#[derive(Serialize)]
struct Page {
    sort: SortBy,
    reverse: bool,
    limit: u64,
    offset: u64,
}

impl Ask {
    /// The path of one page.
    fn path(&self, limit: u64, offset: u64) -> Result<String, serde_urlencoded::ser::Error> {
        let filter = serde_urlencoded::to_string(&self.filter)?;
        let page =
            serde_urlencoded::to_string(Page { sort: self.sort, reverse: self.reverse, limit, offset })?;
        let and = if filter.is_empty() { "" } else { "&" };
        Ok(format!("/v1/connections?{filter}{and}{page}"))
    }

    /// Reads at most `most` connections. The counts are the last page's; one that moved from a page to the next while it
    /// was read is told once.
    ///
    /// # Errors
    /// [`ClientError`]: nobody answers, or the filter is refused.
    pub(super) async fn read(&self, client: &Client, most: u64) -> Result<Connections, ClientError> {
        let (mut read, mut seen) = (Vec::new(), HashSet::new());
        let mut offset = 0;
        loop {
            let limit = most.saturating_sub(offset).min(PAGE);
            let path = self.path(limit, offset).map_err(|error| ClientError::Nonsense {
                place: client.place().clone(),
                path: "/v1/connections".to_owned(),
                why: error.to_string(),
            })?;
            let page: Connections = client.fetch(&path).await?;
            let fresh = page.connections.into_iter().filter(|connection| seen.insert(connection.id.clone()));
            read.extend(fresh);
            match page.next {
                Some(next) if next > offset && next < most => offset = next,
                next => {
                    return Ok(Connections {
                        total: page.total,
                        matched: page.matched,
                        connections: read,
                        next,
                    });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_asked_for_with_everything_that_is_given_and_nothing_else() {
        let filter = Filter {
            client: Some("10.0.0.0/8".to_owned()),
            route: Some("a b&c".to_owned()),
            min_age_s: Some(1.5),
            ..Filter::default()
        };
        let ask = Ask { filter, sort: SortBy::InPhase, reverse: true };
        assert_eq!(
            ask.path(10, 20).unwrap(),
            "/v1/connections?route=a+b%26c&client=10.0.0.0%2F8&min_age_s=1.5\
             &sort=in_phase&reverse=true&limit=10&offset=20"
        );
        assert_eq!(
            Ask::default().path(1, 0).unwrap(),
            "/v1/connections?sort=age&reverse=false&limit=1&offset=0"
        );
    }
}
