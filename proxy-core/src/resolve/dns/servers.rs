//! All name servers: the next is asked when one fails, or beside one that is slow.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hickory_resolver::proto::rr::Name;
use smallvec::SmallVec;
use tokio::time::Instant;

use super::conf::Conf;
use super::server::{Missing, Records, Server};
use crate::resolve::answer::Family;
use crate::resolve::services::Services;

/// A server that has not answered after this is asked together with the next one. A resolver far away takes some tens of
/// milliseconds, and a name that it does not know yet some hundreds.
const BESIDE: Duration = Duration::from_millis(500);

/// The name servers, in the order of the configuration.
pub(super) struct Servers(Vec<Server>);

impl Servers {
    pub(super) fn new(conf: &Conf) -> Self {
        Self(conf.servers.iter().filter_map(|addr| Server::new(*addr, conf)).collect())
    }

    /// The addresses of a family: by the first server that knows, or knows that there are none.
    pub(super) async fn addresses(&self, name: &Name, family: Family) -> Result<Records, Missing> {
        self.first_to_know(|server| server.addresses(name, family)).await
    }

    /// The servers of a service: by the first of these servers that knows, or knows that there are none.
    pub(super) async fn services(&self, name: &Name) -> Result<Services, Missing> {
        self.first_to_know(|server| server.services(name)).await
    }

    async fn first_to_know<'s, T, F>(&'s self, ask: impl Fn(&'s Server) -> F) -> Result<T, Missing>
    where
        F: Future<Output = Result<T, Missing>>,
    {
        let now = Instant::now();
        let mut order: Vec<&Server> = self.0.iter().collect();
        // Stable: the configuration's order among those that are well.
        order.sort_by_key(|server| server.is_ill(now));
        let mut next = order.into_iter();
        let mut asked = FuturesUnordered::new();
        let mut silent: SmallVec<[&Server; 2]> = SmallVec::new();
        let mut last = Missing::Failed("there is no name server to ask".to_owned());
        loop {
            if let Some(server) = next.next() {
                silent.push(server);
                let answer = ask(server);
                asked.push(async move { (server, answer.await) });
            } else if asked.is_empty() {
                return Err(last);
            }
            let beside = if next.len() == 0 { Duration::MAX } else { BESIDE };
            // Nobody within that time: the next one is asked beside those that are being asked.
            let Ok(Some((server, answer))) = tokio::time::timeout(beside, asked.next()).await else {
                continue;
            };
            let before = silent.iter().position(|other| std::ptr::eq(*other, server)).unwrap_or(0);
            match answer {
                Err(failed @ Missing::Failed(_)) => last = failed,
                known => {
                    silent.iter().take(before).for_each(|slower| slower.is_overtaken());
                    return known;
                }
            }
            silent.remove(before);
        }
    }
}
