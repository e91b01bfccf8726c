//! What `top` is told: a sample a second, and the page of connections that is looked at.

use std::time::Duration;

use hyper::Method;
use serde::Serialize;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::client::{Client, ClientError, Events};
use crate::format::count;
use crate::list::Ask;
use proxy_api::model::{
    Connection, ConnectionGroups, ConnectionInFull, Connections, Filter, GroupBy, Kill, Killed, Sample,
    SortBy,
};

/// Which connections are looked at.
#[derive(Debug, Clone, Default)]
pub(super) struct Wants {
    pub(super) filter: Filter,
    pub(super) sort: SortBy,
    /// What they are grouped by.
    pub(super) by: Option<GroupBy>,
    /// The one that is looked at in full.
    pub(super) shown: Option<String>,
}

/// Whom to end.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Victims {
    One(String),
    Matching(Box<Filter>),
}

/// What has happened.
#[derive(Debug)]
pub(super) enum News {
    Sample(Box<Sample>, Instant),
    Page {
        page: Connections,
        /// Those that moved the most bytes, of all.
        busiest: Vec<Connection>,
        /// The same in groups, where that is wanted.
        groups: Option<ConnectionGroups>,
        at: Instant,
    },
    /// The connection that is looked at in full, or what the proxy says where it is not there.
    Shown {
        id: String,
        found: Result<Box<ConnectionInFull>, String>,
    },
    /// The filter is refused, and why: it names what is not there.
    Refused(String),
    /// What became of an order.
    Done(String),
    /// The proxy does not answer any more. It is asked again every second.
    Lost(String),
}

/// As many connections as are looked at: more than fit on a screen, so that one can scroll.
const PAGE: u64 = 200;
const BUSIEST: u64 = 5;

/// How long after a failure it is tried again.
const RETRY: Duration = Duration::from_secs(1);

#[derive(Serialize)]
struct Groups {
    by: GroupBy,
    limit: u64,
}

/// Asks the proxy, and tells.
pub(super) struct Feed {
    pub(super) client: Client,
    pub(super) wanted: watch::Receiver<Wants>,
    pub(super) ordered: mpsc::Receiver<Victims>,
    pub(super) news: mpsc::Sender<News>,
}

/// Nobody listens any more.
struct Unheard;

impl Feed {
    /// Goes on until nobody listens any more.
    pub(super) async fn run(mut self) {
        loop {
            let Err(error) = self.follow().await else { return };
            if self.tell(News::Lost(error.to_string())).await.is_err() {
                return;
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Follows one stream of events. Returns without an error once nobody listens.
    async fn follow(&mut self) -> Result<(), ClientError> {
        let mut events = self.client.events("/v1/events").await?;
        loop {
            let heard = tokio::select! {
                sample = sample(&mut events) => {
                    let Some(sample) = sample? else {
                        let place = self.client.place().clone();
                        return Err(ClientError::Broken { place, why: "it ended the stream".to_owned() });
                    };
                    self.tell(News::Sample(Box::new(sample), Instant::now())).await
                }
                changed = self.wanted.changed() => changed.map_err(|_| Unheard),
                order = self.ordered.recv() => match order {
                    None => Err(Unheard),
                    Some(victims) => {
                        let done = kill(&self.client, victims).await.unwrap_or_else(|error| error.to_string());
                        self.tell(News::Done(done)).await
                    }
                },
            };
            let Ok(()) = heard else { return Ok(()) };
            let page = match self.look().await {
                Ok(page) => page,
                // The rest goes on.
                Err(error) if !error.is_no_answer() => News::Refused(error.to_string()),
                Err(error) => return Err(error),
            };
            let Ok(()) = self.tell(page).await else { return Ok(()) };
            let Some(id) = self.wanted.borrow().shown.clone() else { continue };
            let found = self.find(&id).await?;
            let Ok(()) = self.tell(News::Shown { id, found }).await else { return Ok(()) };
        }
    }

    async fn tell(&self, news: News) -> Result<(), Unheard> {
        self.news.send(news).await.map_err(|_| Unheard)
    }

    async fn look(&mut self) -> Result<News, ClientError> {
        let Wants { filter, sort, by, shown: _ } = self.wanted.borrow_and_update().clone();
        let groups = match by {
            Some(by) => Some(self.groups(&filter, by).await?),
            None => None,
        };
        let page = Ask { filter, sort, reverse: false }.read(&self.client, PAGE).await?;
        let busiest = Ask { filter: Filter::default(), sort: SortBy::Bytes, reverse: false };
        let busiest = busiest.read(&self.client, BUSIEST).await?.connections;
        Ok(News::Page { page, busiest, groups, at: Instant::now() })
    }

    async fn groups(&self, filter: &Filter, by: GroupBy) -> Result<ConnectionGroups, ClientError> {
        let path = "/v1/connections/groups";
        let query = serde_urlencoded::to_string(filter).and_then(|filter| {
            let and = if filter.is_empty() { "" } else { "&" };
            Ok(format!("{path}?{filter}{and}{}", serde_urlencoded::to_string(Groups { by, limit: PAGE })?))
        });
        let query = query.map_err(|error| ClientError::Nonsense {
            place: self.client.place().clone(),
            path: path.to_owned(),
            why: error.to_string(),
        })?;
        self.client.fetch(&query).await
    }

    /// One connection in full; in the inner error what the proxy says of one that is not there.
    async fn find(&self, id: &str) -> Result<Result<Box<ConnectionInFull>, String>, ClientError> {
        match self.client.fetch(&format!("/v1/connections/{id}")).await {
            Ok(found) => Ok(Ok(Box::new(found))),
            Err(error) if !error.is_no_answer() => Ok(Err(error.to_string())),
            Err(error) => Err(error),
        }
    }
}

async fn sample(events: &mut Events) -> Result<Option<Sample>, ClientError> {
    events.next("sample").await
}

async fn kill(client: &Client, victims: Victims) -> Result<String, ClientError> {
    match victims {
        Victims::One(id) => {
            let path = format!("/v1/connections/{id}");
            let _: serde_json::Value = client.ask(Method::DELETE, &path).await?;
            Ok(format!("{id} ended"))
        }
        Victims::Matching(filter) => {
            let kill = Kill { filter: *filter, all: false, dry_run: false };
            let killed: Killed = client.ask_for(Method::POST, "/v1/connections/kill", &kill).await?;
            Ok(format!("{} ended", count(killed.killed, "connection", "connections")))
        }
    }
}
