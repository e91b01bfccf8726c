//! What each client may have, as limits: in use is what the client has that has the most.

use std::net::IpAddr;
use std::num::NonZeroU32;

use proxy_conn::limits::{AddressKey, Busiest};
use tokio::time::Instant;

use proxy_api::model::{Limit, Usage};
use proxy_dataplane::generation::Generation;

/// Which clients a limit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    All,
    Remote,
    Local,
}

impl Which {
    const fn told(self) -> &'static str {
        match self {
            Self::All => "each client",
            Self::Remote => "each client but on loopback",
            Self::Local => "each client on loopback",
        }
    }

    const fn has(self, ip: IpAddr) -> bool {
        match self {
            Self::All => true,
            Self::Remote => !ip.is_loopback(),
            Self::Local => ip.is_loopback(),
        }
    }
}

/// Those that are set, and the table of those who are counted; none where nobody is.
pub(super) fn limits<D>(proxy: &Generation<D>) -> Vec<Limit> {
    let (Some(clients), Some(options)) = (&proxy.clients, proxy.settings.clients) else { return Vec::new() };
    let unlimited = &proxy.settings.unlimited_clients;
    let busiest = |which: Which| {
        let among = |ip| which.has(ip) && !unlimited.iter().any(|network| network.contains(ip));
        clients.busiest(Instant::now(), among)
    };
    let mut limits = Vec::new();
    let remote = (options.connections_per_client, options.connections_per_client_per_minute);
    let local = (options.local_connections_per_client, options.local_connections_per_client_per_minute);
    let each = |which, set| of_each(which, set, &busiest(which));
    if remote == local {
        limits.extend(each(Which::All, remote));
    } else {
        limits.extend(each(Which::Remote, remote));
        limits.extend(each(Which::Local, local));
    }
    let most = Some(options.client_table_capacity.get().into());
    let usage = Usage { used: clients.len() as u64, most };
    limits.push(Limit {
        what: "clients".to_owned(),
        usage,
        high_water: None,
        waiting: 0,
        full: false,
        by: None,
    });
    limits
}

/// The limits of each client of these: at once, and in a minute.
fn of_each(
    which: Which,
    (at_once, per_minute): (NonZeroU32, NonZeroU32),
    busiest: &Busiest,
) -> impl Iterator<Item = Limit> + use<> {
    let rows = [("", at_once, busiest.open), (", new in a minute", per_minute, busiest.new)];
    // The most that can be said is none: no process has as many connections.
    let set = rows.into_iter().filter(|(_, most, _)| *most != NonZeroU32::MAX);
    set.map(move |(what, most, by)| limit(format!("{}{what}", which.told()), most, by))
}

fn limit(what: String, most: NonZeroU32, by: Option<(AddressKey, u32)>) -> Limit {
    let used = by.map_or(0, |(_, used)| used);
    Limit {
        what,
        usage: Usage { used: used.into(), most: Some(most.get().into()) },
        high_water: None,
        waiting: 0,
        full: used >= most.get(),
        by: by.map(|(key, _)| key.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use proxy_conn::Tracker;
    use proxy_core::TcpDialer;
    use proxy_core::resolve::Resolver;

    use crate::config::Config;

    fn proxy(limits: &str) -> Arc<Generation<TcpDialer>> {
        let text = format!(
            "[limits]\n{limits}\n[[routes]]\nname = \"a\"\nmatch = {{ ports = [8080] }}\naction = {{ forward = [\"127.0.0.1:9000\"] }}\n"
        );
        let config = Config::parse(&text, "test.toml").unwrap();
        Arc::new(Generation::new(
            config.settings,
            Tracker::new(1, ()),
            TcpDialer::default(),
            Resolver::fixed([]),
        ))
    }

    fn told(proxy: &Generation<TcpDialer>) -> String {
        let line = |limit: &Limit| {
            let by = limit.by.as_deref().map(|by| format!(" by {by}")).unwrap_or_default();
            let full = if limit.full { ", full" } else { "" };
            format!("{}: {} of {}{by}{full}\n", limit.what, limit.usage.used, limit.usage.most.unwrap_or(0))
        };
        limits(proxy).iter().map(line).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_each_client_may_have_is_among_the_limits_with_who_has_the_most() {
        let proxy = proxy("connections_per_client = 3\nunlimited_clients = [\"10.9.0.0/16\"]");
        let clients = proxy.clients.clone().unwrap();
        let now = Instant::now();
        let come = |ip: &str| clients.admit(ip.parse().unwrap(), now).unwrap();
        let _held =
            [come("10.0.0.1"), come("10.0.0.2"), come("10.0.0.2"), come("10.0.0.2"), come("127.0.0.1")];
        let _more: Vec<_> = (0..9).map(|_| clients.count_in("10.9.0.1".parse().unwrap(), now)).collect();
        insta::assert_snapshot!(told(&proxy), @r"
        each client but on loopback: 3 of 3 by 10.0.0.2, full
        each client but on loopback, new in a minute: 3 of 300 by 10.0.0.2
        each client on loopback: 1 of 3 by 127.0.0.1
        clients: 4 of 65536
        ");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_limited_is_not_listed() {
        let off = "connections_per_client = \"off\"\n";
        assert_eq!(told(&proxy(&format!("{off}connections_per_client_per_minute = \"off\""))), "");
        insta::assert_snapshot!(told(&proxy(off)), @r"
        each client but on loopback, new in a minute: 0 of 300
        clients: 0 of 65536
        ");
        insta::assert_snapshot!(told(&proxy("connections_per_client = 7\nconnections_per_client_per_minute = 8")), @r"
        each client: 0 of 7
        each client, new in a minute: 0 of 8
        clients: 0 of 65536
        ");
    }
}
