//! Members of groups, changed while the proxy runs: their weights, one more, one less. A route's own list is a group, too, whose
//! members may be weighed.
//!
//! A weight lasts until a reload says another one than the file did, whoever is added or removed until the next reload
//! ([`proxy_upstream::Group`] has the rule), and nothing lasts beyond the process.

mod error;
mod taken_back;

use std::collections::BTreeSet;
use std::sync::Arc;

use proxy_core::TcpDialer;
use proxy_upstream::{ChangeError, Group, Leaving, MemberOptions, Target, Weight};
use tracing::info;

use super::running::Running;
use super::state::State;
use crate::config::{Action, RouteConfig};
use crate::unknown::Unknown;
use proxy_api::model::{self, AddMember, RemoveMember, SetWeight};
use proxy_dataplane::generation::{Generation, OfMember, Removed};

pub use error::MemberError;
pub(crate) use taken_back::taken_back;

type Served = Generation<TcpDialer>;

/// What to change.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// The weight of a member.
    Weight(SetWeight),
    /// One more member.
    Add(AddMember),
    /// One less.
    Remove(RemoveMember),
}

/// What was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The group.
    pub group: Arc<str>,
    /// The member.
    pub target: String,
    /// Whether anything was otherwise before.
    pub changed: bool,
    /// What becomes of the connections of one that was removed.
    pub leaving: Option<Leaving>,
}

/// Changes a member. Asked for again it changes nothing. Goes on to its end once begun, whether or not it is waited for.
///
/// # Errors
/// [`MemberError`]; nothing has changed then.
pub(crate) async fn change(running: &Arc<Running>, wanted: Wanted) -> Result<Changed, MemberError> {
    let (changed, state) = (Arc::clone(running), running.state());
    let changing = running.runtime.spawn(async move {
        let _alone = changed.changing.lock().await;
        change_alone(&changed, &wanted)
    });
    changing.await.unwrap_or(Err(MemberError::Stopping(state)))
}

fn change_alone(running: &Arc<Running>, wanted: &Wanted) -> Result<Changed, MemberError> {
    let state = running.state();
    if state != State::Running {
        return Err(MemberError::Stopping(state));
    }
    let proxy = running.proxy();
    match wanted {
        Wanted::Weight(wanted) => set_weight(&proxy, wanted),
        Wanted::Add(wanted) => add(&proxy, wanted),
        Wanted::Remove(wanted) => remove(running, &proxy, wanted),
    }
}

/// A group whose members may be weighed: one that has a name, or a route's own list.
#[derive(Clone, Copy)]
struct Weighable<'p> {
    /// What it is called: its name, or the route's.
    name: &'p Arc<str>,
    group: &'p Group,
}

/// Those of the groups that have a name.
fn groups(proxy: &Served) -> impl Iterator<Item = Weighable<'_>> {
    proxy.groups().map(|group| Weighable { name: group.name(), group })
}

/// The route's own list of this name, from now on if nobody has taken the route yet.
fn list<'p>(proxy: &'p Served, index: usize, route: &'p RouteConfig) -> Option<Weighable<'p>> {
    let Action::Forward(_) = &route.action else { return None };
    Some(Weighable { name: &route.name, group: &proxy.route(index)?.targets })
}

/// The group of this name, or the list of the route of this name. A group goes before; with an `@` it is a group.
fn named_or_list<'p>(proxy: &'p Served, name: &str) -> Result<Weighable<'p>, MemberError> {
    let of_group = named(proxy, name).map(|group| Weighable { name: group.name(), group });
    if of_group.is_ok() || name.starts_with('@') {
        return of_group;
    }
    let mut routes = proxy.settings.routes.routes();
    let of_route = routes.find(|route| *route.payload.name == *name);
    let of_route = of_route.and_then(|route| list(proxy, route.index, route.payload));
    of_route.map_or(of_group, Ok)
}

/// The group of this name.
fn named<'p>(proxy: &'p Served, name: &str) -> Result<&'p Group, MemberError> {
    // As a route names it, too.
    let bare = name.strip_prefix('@').unwrap_or(name);
    let names = || proxy.groups().map(|group| &**group.name());
    proxy.group(bare).map(|group| &**group).ok_or_else(|| Unknown::new("group", bare, names()).into())
}

/// The one group, or route's list, that has such a member.
fn of_target<'p>(proxy: &'p Served, target: &str) -> Result<Weighable<'p>, MemberError> {
    let has = |of: &Weighable<'_>| of.group.members().iter().any(|member| *member.name == *target);
    let listed = |action: &Action| match action {
        Action::Forward(targets) => targets.iter().any(|listed| listed.to_string() == *target),
        Action::Group(_) | Action::Refuse => false,
    };
    let routes = proxy.settings.routes.routes().filter(|route| listed(&route.payload.action));
    let lists = routes.filter_map(|route| list(proxy, route.index, route.payload));
    let having: Vec<Weighable<'_>> = groups(proxy).filter(has).chain(lists).collect();
    match having.as_slice() {
        [one] => Ok(*one),
        [] => {
            let members = proxy.groups().flat_map(|group| group.members());
            let members = members.map(|member| member.name.to_string());
            let routes = proxy.settings.routes.routes();
            let listed = routes.flat_map(|route| route.payload.action.targets()).map(ToString::to_string);
            Err(Unknown::new("target", target, members.chain(listed).collect::<BTreeSet<_>>()).into())
        }
        several => {
            let groups = several.iter().map(|of| of.name.to_string()).collect();
            Err(MemberError::Several { target: target.to_owned(), groups })
        }
    }
}

/// A target as configurations write it, and as members are called.
fn target(text: &str) -> Result<Target, MemberError> {
    text.parse().map_err(MemberError::Target)
}

fn weight(number: u32) -> Result<Weight, MemberError> {
    Weight::new(number).ok_or(MemberError::Weight(number))
}

fn set_weight(proxy: &Served, wanted: &SetWeight) -> Result<Changed, MemberError> {
    let target = target(&wanted.target)?.to_string();
    let Weighable { name, group } = match &wanted.group {
        Some(group) => named_or_list(proxy, group)?,
        None => of_target(proxy, &target)?,
    };
    let weight = weight(wanted.weight)?;
    let before = group.set_weight(&target, weight).map_err(|error| refused(error, group))?;
    if before != weight {
        let (now, before) = (weight.get(), before.get());
        info!(group = %name, target, weight = now, before, "the weight of a member was set");
    }
    Ok(Changed { group: Arc::clone(name), target, changed: before != weight, leaving: None })
}

fn add(proxy: &Served, wanted: &AddMember) -> Result<Changed, MemberError> {
    let group = named(proxy, &wanted.group)?;
    let options = MemberOptions::new(target(&wanted.target)?)
        .weight(weight(wanted.weight.unwrap_or(1))?)
        .priority(wanted.priority.unwrap_or(0))
        .backup(wanted.backup);
    let target = options.target.to_string();
    let changed = !group.member_options().iter().any(|(_, known)| *known == options);
    if changed {
        group.add(&options).map_err(|error| refused(error, group))?;
        info!(group = %group.name(), target, "a member was added");
    }
    Ok(Changed { group: Arc::clone(group.name()), target, changed, leaving: None })
}

fn remove(running: &Arc<Running>, proxy: &Served, wanted: &RemoveMember) -> Result<Changed, MemberError> {
    let group = named(proxy, &wanted.group)?;
    let target = target(&wanted.target)?.to_string();
    let gone = group.remove(&target).map_err(|error| refused(error, group))?;
    let leaving = wanted.leaving.map_or(group.options().on_removed, of_model);
    info!(group = %group.name(), target, ?leaving, "a member was removed");
    let removed = gone.into_iter().map(|member| {
        let of = OfMember::new(member);
        Removed { group: Arc::clone(group.name()), of, on_removed: leaving }
    });
    running.plane.see_off(removed.collect(), running.config().graceful_shutdown_timeout.get());
    Ok(Changed { group: Arc::clone(group.name()), target, changed: true, leaving: Some(leaving) })
}

/// Why a group refuses a change, with what there is instead.
fn refused(error: ChangeError, group: &Group) -> MemberError {
    let of = group.name().to_string();
    match error {
        ChangeError::Unknown(target) => {
            let members: Vec<String> = group.members().iter().map(|member| member.name.to_string()).collect();
            MemberError::NoMember { group: of, unknown: Unknown::new("member", &target, members) }
        }
        ChangeError::Last(target) => MemberError::Last { group: of, target: target.to_string() },
        ChangeError::Known(target) => MemberError::There { group: of, target: target.to_string() },
        other => MemberError::Refused(other),
    }
}

fn of_model(leaving: model::Leaving) -> Leaving {
    match leaving {
        model::Leaving::Keep => Leaving::Keep,
        model::Leaving::Kill => Leaving::Kill,
        model::Leaving::Drain => Leaving::Drain,
    }
}
