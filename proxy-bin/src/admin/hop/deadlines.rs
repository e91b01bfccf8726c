//! The deadlines of this hop's routes, as its neighbours compare them.

use parking_lot::Mutex;
use proxy_core::{Bound, TcpDialer};
use proxy_dataplane::generation::Generation;

use crate::admin::view::secs;
use crate::config::{Action, SendProxy};
use proxy_api::model::{HopDeadlines, Spread};

/// The deadlines of all routes, worked out once for each generation and place in the chain: there may be a hundred thousand routes.
#[derive(Debug, Default)]
pub(in crate::admin) struct Deadlines(Mutex<Option<Known>>);

/// A generation, the place in the chain, and what the deadlines are there.
type Known = ((u64, usize), Option<HopDeadlines>);

impl Deadlines {
    /// What they are in the generation of that number.
    pub(in crate::admin) fn of(
        &self,
        proxy: &Generation<TcpDialer>,
        generation: u64,
        proxies: usize,
    ) -> Option<HopDeadlines> {
        let (key, mut known) = ((generation, proxies), self.0.lock());
        match *known {
            Some((of, deadlines)) if of == key => deadlines,
            _ => known.insert((key, deadlines(proxy, proxies))).1,
        }
    }
}

fn deadlines(proxy: &Generation<TcpDialer>, proxies: usize) -> Option<HopDeadlines> {
    let routes = proxy.settings.routes.routes();
    let taking = routes.filter(|route| route.spec.enabled && !matches!(route.payload.action, Action::Refuse));
    let of_each = taking.map(|route| {
        let sends = route.payload.send_proxy != SendProxy::Off;
        let of = route.payload.pool(proxies > 0 || sends).behind(proxies);
        let just = |bound: Bound| Spread { least_s: finite(bound), most_s: finite(bound) };
        HopDeadlines {
            dial: just(of.connection_timeout),
            idle: just(of.idle()),
            half_closed: just(of.half_closed_timeout),
        }
    });
    of_each.reduce(|a, b| HopDeadlines {
        dial: wider(a.dial, b.dial),
        idle: wider(a.idle, b.idle),
        half_closed: wider(a.half_closed, b.half_closed),
    })
}

/// In seconds; none for never.
fn finite(bound: Bound) -> Option<f64> {
    (bound != Bound::MAX).then(|| secs(bound.get()))
}

/// Both of them: never is longer than any.
fn wider(a: Spread, b: Spread) -> Spread {
    let or_never = |bound: Option<f64>| bound.unwrap_or(f64::INFINITY);
    let told = |bound: f64| bound.is_finite().then_some(bound);
    Spread {
        least_s: told(or_never(a.least_s).min(or_never(b.least_s))),
        most_s: told(or_never(a.most_s).max(or_never(b.most_s))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_is_longer_than_any_deadline() {
        let just = |bound: Option<f64>| Spread { least_s: bound, most_s: bound };
        let both = wider(just(None), just(Some(30.0)));
        assert_eq!(both, Spread { least_s: Some(30.0), most_s: None });
        assert_eq!(wider(both, just(Some(5.0))), Spread { least_s: Some(5.0), most_s: None });
        assert_eq!(wider(just(None), just(None)), just(None));
    }
}
