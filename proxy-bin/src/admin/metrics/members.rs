//! The members of groups that have a name: who may be used, with how much weight, and who has how many connections.

use std::fmt;

use proxy_core::TcpDialer;

use super::super::targets;
use super::scrape::Scrape;
use proxy_api::model::Target;
use proxy_dataplane::generation::Generation;

/// The states of a member, in the order of their codes.
const STATES: [&str; 8] =
    ["up", "slow_start", "draining", "full", "breaker_open", "ejected", "down", "removed"];

/// How the members are.
pub(super) fn of_groups(proxy: &Generation<TcpDialer>, scrape: &mut Scrape<'_>) -> fmt::Result {
    let groups = targets::groups(proxy);
    let members = || {
        let of_group = groups.iter().map(|group| (group.name.as_str(), &group.members));
        of_group.flat_map(|(group, members)| members.iter().map(move |member| (group, member)))
    };
    let mut gauge = |name: &str, help: &str, value: &dyn Fn(&Target) -> u64| {
        let mut family = scrape.gauge(name, help)?;
        members().try_for_each(|(group, member)| {
            family.is(&[("group", group), ("target", &member.target)], value(member))
        })
    };
    let help = "Whether a member of a group may be used: 1 or 0";
    gauge("group_member_up", help, &|member| u64::from(matches!(&*member.state, "up" | "slow_start")))?;
    let help = "How a member of a group is: 0 up, 1 slow start, 2 draining, 3 full, 4 breaker open, 5 ejected, 6 down, 7 removed";
    gauge("group_member_state", help, &|member| code(&member.state))?;
    let help = "Connections by way of the group, open or being dialled";
    gauge("group_member_connections", help, &|member| member.connections.used)?;
    let help = "The weight of a member of a group, as it is configured or was set since";
    gauge("group_member_weight", help, &|member| member.weight.into())?;
    let help = "What a member of a group gets of that weight now, in percent";
    gauge("group_member_share_percent", help, &|member| member.share_percent.into())
}

fn code(state: &str) -> u64 {
    STATES.iter().position(|known| *known == state).unwrap_or(STATES.len()) as u64
}
