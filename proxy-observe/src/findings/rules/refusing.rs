//! Connections that are refused: by a limit, for want of something of this machine, for a header that is none.

use proxy_conn::Cause;

use crate::finding::{Finding, Severity};
use crate::findings::lately::Counted;
use crate::findings::scene::Scene;
use crate::findings::told;
use crate::subject::Subject;

pub(crate) const REFUSING: &str = "refusing";
pub(crate) const CLIENT: &str = "client_limit";
pub(crate) const SHORTAGE: &str = "shortage";
pub(crate) const HEADER: &str = "header";

/// So many within a minute.
const FEWEST: (f64, f64) = (5.0, 1.0);
/// Those who scan a port send what is no header, too: it has to be half of all that come.
const NO_HEADER: (f64, f64) = (20.0, 10.0);
const HALF: f64 = 50.0;

/// A limit of which no client is the reason, and where it is set.
struct Refuses {
    cause: Cause,
    /// Whose figures tell of it.
    is_of: fn(&Subject) -> bool,
    /// The name that `smartproxy limits` has for it.
    name: fn(&Subject) -> String,
    key: &'static str,
}

/// In the order of a connection.
const LIMITS: [Refuses; 9] = [
    Refuses {
        cause: Cause::GlobalLimit,
        is_of: is_process,
        name: |_| "all connections".to_owned(),
        key: "limits.max_connections",
    },
    Refuses {
        cause: Cause::UnroutedLimit,
        is_of: is_process,
        name: |_| "connections without a route".to_owned(),
        key: "limits.max_unrouted_connections",
    },
    Refuses {
        cause: Cause::ClientTable,
        is_of: is_process,
        name: |_| "clients".to_owned(),
        key: "limits.tracked_clients",
    },
    Refuses {
        cause: Cause::PoolLimit,
        is_of: is_pool,
        name: ToString::to_string,
        key: "max_connections of the pool",
    },
    Refuses {
        cause: Cause::ListenerLimit,
        is_of: is_listener,
        name: ToString::to_string,
        key: "max_connections of the listener",
    },
    Refuses {
        cause: Cause::RouteLimit,
        is_of: is_route,
        name: ToString::to_string,
        key: "max_connections of the route",
    },
    Refuses { cause: Cause::QueueFull, is_of: is_route, name: queue, key: "at_limit (the queue's length)" },
    Refuses {
        cause: Cause::QueueTimeout,
        is_of: is_route,
        name: queue,
        key: "at_limit (the queue's longest wait)",
    },
    Refuses { cause: Cause::TargetLimit, is_of: is_route, name: targets, key: "max_connections_per_target" },
];

fn is_process(subject: &Subject) -> bool {
    *subject == Subject::Process
}

fn is_pool(subject: &Subject) -> bool {
    matches!(subject, Subject::Pool(_))
}

fn is_listener(subject: &Subject) -> bool {
    matches!(subject, Subject::Listener(_))
}

fn is_route(subject: &Subject) -> bool {
    matches!(subject, Subject::Route(_))
}

fn queue(subject: &Subject) -> String {
    format!("queue of {subject}")
}

fn targets(subject: &Subject) -> String {
    format!("targets of {subject}")
}

/// A limit has refused five connections within the last minute.
pub(crate) fn refusing(scene: &Scene<'_>) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    for (subject, _) in scene.of(|_| true) {
        let minute = scene.minute(subject);
        for refuses in LIMITS.iter().filter(|refuses| (refuses.is_of)(subject)) {
            found.extend(refused(scene, subject, &minute, refuses));
        }
    }
    // A queue that is full and one that is waited in for too long are the same queue.
    found.dedup_by(|later, earlier| later.subject == earlier.subject);
    found
}

fn refused(scene: &Scene<'_>, subject: &Subject, minute: &Counted, refuses: &Refuses) -> Option<Finding> {
    let (count, name) = (minute.of(refuses.cause), (refuses.name)(subject));
    if count == 0 {
        return None;
    }
    let limit = Subject::Limit(name.as_str().into());
    if (count as f64) < scene.bound(REFUSING, &limit, FEWEST.0, FEWEST.1) {
        return None;
    }
    let most = scene.facts.limits.iter().find(|known| known.name == name).map(|known| known.share.most);
    let most = most.map(|most| format!(" = {most}")).unwrap_or_default();
    Some(Finding {
        rule: REFUSING,
        subject: limit,
        severity: Severity::Critical,
        sentence: format!(
            "{} refused within the last minute ({}): {}{most}",
            were(count),
            refuses.cause,
            refuses.key
        ),
        figures: vec![("refused", count as f64)],
        shows: "smartproxy limits".to_owned(),
        mends: format!(
            "find out who holds them (smartproxy conns --sort age{}), or raise {} and reload",
            told::filter(subject),
            refuses.key
        ),
    })
}

fn were(count: u64) -> String {
    if count == 1 { "1 connection was".to_owned() } else { format!("{count} connections were") }
}

/// What one client may have has refused five connections within the last minute.
pub(crate) fn client(scene: &Scene<'_>) -> Vec<Finding> {
    let limits = scene.facts.clients.iter().filter_map(|limit| {
        let (count, subject) = (scene.lately.other(limit.name), Subject::Limit(limit.name.into()));
        if (count as f64) < scene.bound(CLIENT, &subject, FEWEST.0, FEWEST.1) {
            return None;
        }
        let most = limit.most_refused.as_ref();
        let who = most.map(|(who, times)| format!("; {who} most often, {times} times")).unwrap_or_default();
        let named = most.map_or("the address", |(who, _)| who.as_str());
        Some(Finding {
            rule: CLIENT,
            subject,
            severity: Severity::Warning,
            sentence: format!("{} refused within the last minute by {} = {}{who}", were(count), limit.key, limit.most),
            figures: vec![("refused", count as f64), ("most", limit.most as f64)],
            shows: match most {
                Some((who, _)) => format!("smartproxy conns --client {who}"),
                None => "smartproxy limits".to_owned(),
            },
            mends: format!(
                "if that is one client, all is well; if many share {named}, put it into limits.unlimited_clients, or raise {}, and reload",
                limit.key
            ),
        })
    });
    limits.collect()
}

/// Dials failed for want of something of this machine: descriptors, ports, memory, the address or interface that they were to leave by.
pub(crate) fn shortage(scene: &Scene<'_>) -> Vec<Finding> {
    let routes = scene.routes().filter_map(|(subject, _)| {
        let minute = scene.minute(subject);
        let is_own = |cause: Cause| matches!(cause, Cause::DialShortage | Cause::DialEgress | Cause::CallFailed);
        let count: u64 = Cause::ALL.iter().filter(|cause| is_own(**cause)).map(|cause| minute.of(*cause)).sum();
        if (count as f64) < scene.bound(SHORTAGE, subject, FEWEST.0, FEWEST.1) {
            return None;
        }
        let cause = minute.most(is_own).map_or("", |(cause, _)| cause.name());
        Some(Finding {
            rule: SHORTAGE,
            subject: subject.clone(),
            severity: Severity::Critical,
            sentence: format!("{} within the last minute for want of something of this machine ({cause})", ended(count)),
            figures: vec![("ended", count as f64)],
            shows: "smartproxy status".to_owned(),
            mends: "the access log's detail says of what: descriptors (LimitNOFILE=), ports (net.ipv4.ip_local_port_range, or more \
                    source addresses), or the route's egress"
                .to_owned(),
        })
    });
    routes.collect()
}

fn ended(count: u64) -> String {
    format!("{} ended", told::connections(count))
}

/// Half of those that a listener has accepted within the last minute sent no PROXY header that it takes.
pub(crate) fn header(scene: &Scene<'_>) -> Vec<Finding> {
    let listeners = scene.of(is_listener).filter_map(|(subject, _)| {
        let minute = scene.minute(subject);
        let is_header = |cause: Cause| {
            matches!(cause, Cause::HeaderMalformed | Cause::HeaderUntrusted | Cause::HeaderTimeout)
        };
        let count: u64 = Cause::ALL.iter().filter(|cause| is_header(**cause)).map(|cause| minute.of(*cause)).sum();
        let share = if minute.ended == 0 { 0.0 } else { count as f64 * 100.0 / minute.ended as f64 };
        if (count as f64) < scene.bound(HEADER, subject, NO_HEADER.0, NO_HEADER.1) || share < HALF {
            return None;
        }
        let (cause, _) = minute.most(is_header)?;
        Some(Finding {
            rule: HEADER,
            subject: subject.clone(),
            severity: Severity::Critical,
            sentence: format!(
                "{count} of {} that ended within the last minute sent no PROXY header that is taken here, mostly {cause}",
                told::connections(minute.ended)
            ),
            figures: vec![("ended", minute.ended as f64), ("without_header", count as f64)],
            shows: format!("smartproxy conns --phase header{}", told::filter(subject)),
            mends: "compare send_proxy of the hop before with accept_proxy here: smartproxy check OUTER INNER".to_owned(),
        })
    });
    listeners.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::planted::{self, NoPast, Shown};
    use crate::{ClientLimit, Facts, LimitFacts, Share};

    /// What a rule says where so many of `subject` ended of a cause.
    fn found(rule: &'static str, subject: &Subject, ended: &[(Cause, u64)], facts: &Facts) -> Vec<Finding> {
        let mut picture = planted::picture(1);
        planted::reading(&mut picture, subject.clone()).totals = planted::totals(ended);
        planted::judge(rule, &picture, facts)
    }

    #[test]
    fn five_that_a_limit_refuses_are_found_with_its_name_and_key() {
        let route = planted::subject("a");
        let share = Share { used: 50, most: 50 };
        let limit =
            LimitFacts { name: "route a".to_owned(), key: "max_connections of the route", share, waiting: 0 };
        let facts = Facts { limits: vec![limit], ..Facts::default() };
        assert_eq!(found(REFUSING, &route, &[(Cause::RouteLimit, 4)], &facts), []);
        let all = found(REFUSING, &route, &[(Cause::RouteLimit, 5)], &facts);
        assert_eq!(all[0].subject, Subject::Limit("route a".into()));
        assert_eq!(
            all[0].sentence,
            "5 connections were refused within the last minute (route_limit): max_connections of the route = 50"
        );
    }

    #[test]
    fn each_limit_is_found_by_the_figures_of_its_own() {
        let cases = [
            (Cause::GlobalLimit, Subject::Process, "all connections"),
            (Cause::UnroutedLimit, Subject::Process, "connections without a route"),
            (Cause::ClientTable, Subject::Process, "clients"),
            (Cause::PoolLimit, Subject::Pool("p".into()), "pool p"),
            (Cause::ListenerLimit, Subject::Listener("l".into()), "listener l"),
            (Cause::RouteLimit, planted::subject("a"), "route a"),
            (Cause::QueueFull, planted::subject("a"), "queue of route a"),
            (Cause::QueueTimeout, planted::subject("a"), "queue of route a"),
            (Cause::TargetLimit, planted::subject("a"), "targets of route a"),
        ];
        for (cause, subject, name) in cases {
            let all = found(REFUSING, &subject, &[(cause, 5)], &Facts::default());
            assert_eq!(all.len(), 1, "{cause}");
            assert_eq!(all[0].subject, Subject::Limit(name.into()));
        }
        let both = [(Cause::QueueFull, 5), (Cause::QueueTimeout, 5)];
        assert_eq!(found(REFUSING, &planted::subject("a"), &both, &Facts::default()).len(), 1);
    }

    #[test]
    fn a_limit_that_is_no_clients_lasts_while_it_refuses_any() {
        let route = planted::subject("a");
        let lasts = vec![(REFUSING, Subject::Limit("route a".into()))];
        let mut picture = planted::picture(1);
        planted::reading(&mut picture, route).totals = planted::totals(&[(Cause::RouteLimit, 1)]);
        let found = Shown { lasts, ..Shown::default() }.judge(REFUSING, &picture, &Facts::default(), &NoPast);
        assert_eq!(found.len(), 1);
    }

    fn client_limit(refused: u64) -> Facts {
        let limit = ClientLimit {
            name: "each client but on loopback, new in a minute",
            key: "limits.connections_per_client_per_minute",
            most: 300,
            refused,
            most_refused: Some(("192.0.2.7".to_owned(), refused)),
        };
        Facts { clients: vec![limit], ..Facts::default() }
    }

    #[test]
    fn a_client_limit_that_bites_is_found_with_whom_it_bites() {
        let found = |refused| {
            let shown = Shown::default().before(&planted::picture(1), &client_limit(0));
            shown.judge(CLIENT, &planted::picture(2), &client_limit(refused), &NoPast)
        };
        assert_eq!(found(4), []);
        let all = found(5);
        assert_eq!(
            all[0].sentence,
            "5 connections were refused within the last minute by limits.connections_per_client_per_minute = 300; 192.0.2.7 most \
             often, 5 times"
        );
        assert_eq!(all[0].shows, "smartproxy conns --client 192.0.2.7");
        assert_eq!(all[0].severity, Severity::Warning);
    }

    #[test]
    fn what_this_machine_lacks_is_found_after_five() {
        let found = |count| {
            found(SHORTAGE, &planted::subject("a"), &[(Cause::DialShortage, count)], &Facts::default())
        };
        assert_eq!((found(4).len(), found(5).len()), (0, 1));
    }

    #[test]
    fn headers_that_nobody_takes_are_found_where_they_are_half() {
        let listener = Subject::Listener("*:443".into());
        let found = |bad, good| {
            let ended = [(Cause::HeaderMalformed, bad), (Cause::Finished, good)];
            found(HEADER, &listener, &ended, &Facts::default()).len()
        };
        assert_eq!((found(19, 0), found(20, 0), found(20, 20), found(20, 21)), (0, 1, 1, 0));
    }
}
